/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References to secrets in OpenBao, as in a configuration. Command line and master check
 * them, vault resolves them. What a reference may hold needs no quoting in a URL, and no
 * segment of it leads upwards: a path cannot leave its mount, nor a mount its namespace.
 */
#ifndef AEGIS_REFERENCE_H
#define AEGIS_REFERENCE_H

#include <stdbool.h>

#include "common/span.h"

#define REFERENCE_VAULT "vault:"
#define REFERENCE_SECRET "secret:"
/* Namespaces of tenants begin so, which mounts must not. */
#define REFERENCE_TENANT "tenant-"
#define REFERENCE_USERNAME "username" /* fields of what is dynamic */
#define REFERENCE_PASSWORD "password"

struct reference {
	char mount[65];   /* "": where tenants' secrets are, by the configuration */
	char path[257];   /* segments with slashes between them */
	char field[129];  /* "": `value`, or the only one there is */
	unsigned version; /* 0: the newest */
	bool dynamic;     /* made anew for each execution, and revoked at its end */
};

/*
 * vault:MOUNT/PATH[#FIELD][@VERSION]: a secret of a KV version 2 engine;
 * secret:PATH[#FIELD][@VERSION]: of the one that the configuration names. Segments and
 * the field are of A-Z a-z 0-9 _ . and -.
 *
 * vault:database/creds/ROLE[#username|#password], or with db for database: a user of a
 * database, made for this; without a field both, with a colon between them. NULL, or
 * what is wrong with it.
 */
const char *reference_parse(struct span text, struct reference *);

#endif
