/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SecurityContexts of this judge, compiled, by tenant and name. Those of the program
 * and of the configuration belong to no tenant and serve all; those that administrators
 * made belong to their tenant, which decides, never the name. Judge only.
 */
#ifndef AEGIS_JUDGE_CONTEXT_TABLE_H
#define AEGIS_JUDGE_CONTEXT_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/span.h"
#include "common/context.h"
#include "keymasterd/judge/store.h"

enum context_origin { CONTEXT_BUILTIN = 1, CONTEXT_CONFIGURED, CONTEXT_MADE };

struct context_entry {
	char tenant[STORE_TENANT_MAX]; /* "": every tenant's */
	char name[STORE_CONTEXT_MAX];
	enum context_origin origin;
	bool recorded;    /* of the configuration: the database has this version */
	uint32_t version; /* built-in ones have none: 0 */
	uint64_t updated_ms;
	uint64_t generation; /* another number whenever the rules change */
	char sha256[65];     /* of the canonical JSON, in hex */
	char *json;
	size_t json_len;
	struct context *rules;
	size_t keylen;
	char key[STORE_TENANT_MAX + STORE_CONTEXT_MAX];
	TAILQ_ENTRY(context_entry) link;
};

TAILQ_HEAD(context_entry_list, context_entry);
extern struct context_entry_list context_entries;

/* The configuration's, else the tenant's own, else the built-in one; NULL when there is
 * none. */
struct context_entry *context_find(const char *tenant, struct span name);

/* Takes a compiled context in, in place of one of the same tenant and name. Takes rules.
 * NULL when out of memory (rules are freed). */
struct context_entry *context_enter(const char *tenant, enum context_origin,
    struct context *rules, struct span json, uint32_t version, uint64_t updated_ms);
void context_remove_entry(struct context_entry *);

/* The contexts every judge has unless an administrator made ones of the same name; as
 * JSON text. NULL beyond the last. */
const char *context_builtin(size_t i);

/* "built-in", "configuration", "administrator". */
const char *context_origin_name(enum context_origin);

/* Adds the built-in ones and those of the database, after the configuration's. 0 or -1.
 */
int context_table_load(void);
/* What is new in the configuration, or gone from it, gets a version and a row. 0 or -1.
 */
int context_table_record(void);

struct msg_conf_context;
/*
 * The configuration was read again: its contexts are collected (NULL, or what is wrong
 * with one), and then take the place of those that there are, with versions and rows; or
 * are thrown away. context_apply: 0, or -1 without memory or database.
 */
const char *context_stage(const struct msg_conf_context *);
int context_apply(void);
void context_unstage(void);

#endif
