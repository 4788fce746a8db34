/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secret environment variables of tool servers, as configured: a reference to a
 * credential, or the value itself. Runs in vault only.
 */
#ifndef AEGIS_VAULT_TOOLENV_H
#define AEGIS_VAULT_TOOLENV_H

#include <stdbool.h>

#include "common/span.h"

struct secret;

struct toolenv {
	char server[65], variable[129];
	char reference[513];  /* secret:NAME, or "" */
	struct secret *value; /* when there is no reference */
};

/*
 * Adds a variable; takes value (which may be NULL) unless it fails. 0, or -1 when a text
 * is too long, server or variable is empty, or there is no memory.
 */
int toolenv_add(struct span server, struct span variable, struct span reference,
    struct secret *value);

/* Variable number `index` of a server, in the order of configuration; NULL at the end. */
const struct toolenv *toolenv_get(const char *server, unsigned index);

/* A reference to a credential that is made for each process. */
bool toolenv_is_dynamic(const struct toolenv *);

/* Number n of all servers' variables together; NULL at the end. */
const struct toolenv *toolenv_at(size_t n);

void toolenv_clear(void);

#endif
