/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the roles.  Used by every process; trusts nothing and needs
 * nothing.
 */
#include "common/role.h"

#include <string.h>

static const struct role_info role_table[ROLE_MAX] = {
    [ROLE_NONE] = {"none", "aegis", NULL, 0},
    [ROLE_MASTER] = {"master", "aegis: master", NULL, 0},
    [ROLE_GATE] = {"gate", "gated: gate", "aegis-gate", 1},
    [ROLE_JUDGE] = {"judge", "keymasterd: judge", "aegis-judge", 2},
    [ROLE_VAULT] = {"vault", "keymasterd: vault", "aegis-vault", 3},
    [ROLE_DISPATCH] = {"dispatcher", "egressd: dispatcher", "aegis-dispatch", 4},
    [ROLE_WORKER] = {"worker", "egressd: worker", "aegis-worker", 5},
    [ROLE_TOOLHOST] = {"toolhost", "toolhostd: toolhost", "aegis-toolhost", 6},
    [ROLE_TOOLEXEC] = {"toolexec", "toolhostd: toolexec", "aegis-tool", 7},
    [ROLE_ADMIN] = {"admin", "aegis: admin", NULL, 0},
    [ROLE_API] = {"api", "gated: api", "aegis-api", 8},
};

const struct role_info *
role_info(enum role role)
{
	if ((unsigned int)role >= ROLE_MAX)
		return &role_table[ROLE_NONE];
	return &role_table[role];
}

const char *
role_name(enum role role)
{
	return role_info(role)->name;
}

enum role
role_from_name(const char *name)
{
	int i;

	if (name == NULL)
		return ROLE_NONE;
	for (i = ROLE_NONE + 1; i < ROLE_MAX; i++)
		if (strcmp(role_table[i].name, name) == 0)
			return (enum role)i;
	return ROLE_NONE;
}
