/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in OpenBao a tenant's things are: the platform's in the namespace of the
 * configuration, those of a tenant in tenant-SLUG below it. Runs in vault in front of
 * OpenBao. A namespace is made of the configuration and the tenant alone; nothing that a
 * reference says gets into it.
 */
#ifndef AEGIS_VAULT_BAO_PLACE_H
#define AEGIS_VAULT_BAO_PLACE_H

#include "common/reference.h"
#include "common/span.h"

#define BAO_NAMESPACE_SIZE 336

/* Takes copies. 0, or -1: too long. */
int bao_place_setup(struct span name_space, struct span kv_mount);
/*
 * The namespace of a tenant, "" for the root. NULL, or why this one has none: a slug is
 * 1 to 63 of a-z 0-9 and -, which does not come first.
 */
const char *bao_place_of(struct span tenant, char out[BAO_NAMESPACE_SIZE]);
/* Reads a reference; a secret: one gets its mount. NULL, or what is wrong with it. */
const char *bao_place_reference(struct span text, struct reference *);

#endif
