/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in OpenBao's answers. Runs in vault. */
#ifndef AEGIS_VAULT_BAO_JSON_H
#define AEGIS_VAULT_BAO_JSON_H

#include "common/json.h"

struct secret;

/*
 * A string of at most max octets, of which one is for a NUL that nobody counts; it is
 * copied into the memory for secrets and nowhere else. The caller frees. NULL: there is
 * no such string, or no memory.
 */
struct secret *bao_json_secret(const struct json_doc *, uint32_t node, size_t max);

#endif
