/* SPDX-License-Identifier: Apache-2.0 */
/* Doors between children, from common/edges.def. The master. */
#ifndef AEGIS_LINK_H
#define AEGIS_LINK_H

#include "common/role.h"

struct child;

/* Makes every door between this child and the configured others. */
void link_child(struct child *);

/* Is there a door between two such processes? */
int link_has_edge(enum role, enum role);

#endif
