/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blackboards: what an execution keeps is encrypted for one tenant and one object, which
 * are authenticated with it. Here by a key of each tenant in the vault's own file, in
 * versions: the newest encrypts, all decrypt. Runs in vault only.
 */
#ifndef AEGIS_VAULT_BOARD_H
#define AEGIS_VAULT_BOARD_H

#include "common/buf.h"
#include "keymasterd/vault/provider.h"
#include "keymasterd/vault/store.h"

#define BOARD_OWN "aegis:v" /* how our own texts begin; the version and : follow */
#define BOARD_OPENBAO "vault:v"

/*
 * The associated data, the same for every home of the keys: a constant, then tenant and
 * object, each behind its length. 0 or -1.
 */
int board_aad(const struct vault_object *, struct buf *);
/* The version in "aegis:vN:..." or "vault:vN:...", with what follows it. 0: it is none.
 */
unsigned board_version(struct span text, const char *prefix, struct span *rest);

#define BOARD_VERSIONS_MAX 100 /* of a tenant's key */
#define BOARD_TENANTS_MAX 256  /* that have one */

/*
 * Makes the tenant's first key when there is none. new_key: a new version in any case.
 * VAULT_REFUSED with *why when there would be too many.
 */
enum vault_code board_encrypt(struct store *, const struct vault_object *, int new_key,
    const struct secret *plain, struct buf *out, unsigned *version, const char **why);
/* The plaintext, the caller's; NULL with *code and *why. */
struct secret *board_decrypt(struct store *, const struct vault_object *,
    struct span text, enum vault_code *code, const char **why, unsigned *version);

#endif
