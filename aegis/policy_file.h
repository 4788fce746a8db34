/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies in files: one YAML file, or a directory of them, each with a policy or a list
 * of policies; all of it is checked before any of it counts. Command line and master.
 */
#ifndef AEGIS_POLICY_FILE_H
#define AEGIS_POLICY_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/policy.h"

struct problems;

#define POLICIES_MAX 1000

struct policy_zone {
	struct zone *zone;
	struct buf table; /* what the judge gets */
};

struct policy_item {
	char *json, *file;
	unsigned line;
	struct policy *policy;
	unsigned *rule_lines; /* of each rule */
};

struct policies {
	char *path; /* file or directory */
	struct policy_item *v;
	size_t n;
	struct policy_zone *zones;
	size_t nzones;
	unsigned files;
};

/*
 * Reads a file, or the *.yaml and *.yml of a directory in order of their names. What is
 * wrong goes to the problems; what could be read is there all the same. NULL without
 * memory or when the path cannot be read. Free with policies_free.
 */
struct policies *policies_read(const char *path, struct problems *);
void policies_free(struct policies *);
/* Is this the name of a file that is read in a directory? */
bool policy_file_is(const char *name);
/* An agent's policy, or NULL. */
const struct policy_item *policies_find(const struct policies *, const char *agent);

#endif
