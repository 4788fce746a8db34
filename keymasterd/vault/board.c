/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blackboards under keys of our own; see board.h. Runs in vault, on octets of whoever may
 * ask: AES-256-GCM tells what was not written here, or for somebody else.
 */
#include "keymasterd/vault/board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/log.h"
#include "common/secret.h"
#include "keymasterd/vault/seal.h"

#define VERSION_DIGITS 10 /* names sort as their numbers do */

static int
put_part(struct buf *out, struct span s)
{
	const uint8_t len[4] = {(uint8_t)(s.len >> 24), (uint8_t)(s.len >> 16),
	    (uint8_t)(s.len >> 8), (uint8_t)s.len};

	return buf_put(out, len, sizeof(len)) == -1 || buf_put(out, s.p, s.len) == -1 ? -1
										      : 0;
}

int
board_aad(const struct vault_object *o, struct buf *out)
{
	return buf_puts(out, "aegis-board-1") == -1 || put_part(out, o->tenant) == -1 ||
		put_part(out, o->object) == -1
	    ? -1
	    : 0;
}

unsigned
board_version(struct span text, const char *prefix, struct span *rest)
{
	size_t n = strlen(prefix), i;
	unsigned version = 0;

	if (text.len <= n || memcmp(text.p, prefix, n) != 0 || text.p[n] == '0')
		return 0;
	for (i = n; i < text.len && i < n + 9 && text.p[i] >= '0' && text.p[i] <= '9';
	     i++)
		version = version * 10 + (unsigned)(text.p[i] - '0');
	if (i == n || i == text.len || text.p[i] != ':')
		return 0;
	*rest = span_mem(text.p + i + 1, text.len - i - 1);
	return version;
}

static const struct record *
find_key(const struct store *st, struct span tenant, unsigned version)
{
	char name[VERSION_DIGITS + 1];

	(void)snprintf(name, sizeof(name), "%0*u", VERSION_DIGITS, version);
	return store_find(st, RECORD_BOARD_KEY, tenant, span_str(name));
}

static unsigned
newest(const struct store *st, struct span tenant)
{
	unsigned version = 0;

	while (find_key(st, tenant, version + 1) != NULL)
		version++;
	return version;
}

/* The file has room for many records, and no key is ever dropped. */
static const char *
too_many(const struct store *st, unsigned version)
{
	char first[VERSION_DIGITS + 1];
	size_t i, tenants = 0;

	if (version > BOARD_VERSIONS_MAX)
		return "this tenant's key may have no more versions: encrypt without a "
		       "new one";
	(void)snprintf(first, sizeof(first), "%0*u", VERSION_DIGITS, 1u);
	for (i = 0; version == 1 && i < st->n; i++)
		tenants += st->records[i]->kind == RECORD_BOARD_KEY &&
		    span_eq(st->records[i]->meta.name, first);
	return tenants >= BOARD_TENANTS_MAX
	    ? "too many tenants have a key here: keep them in OpenBao "
	      "(secrets.openbao.transit_keys.blackboard)"
	    : NULL;
}

static enum vault_code
make_key(struct store *st, struct span tenant, unsigned version)
{
	struct secret *key = secret_new_random(RECORD_KEY_LEN);
	struct credential meta = {.tenant = tenant};
	struct record *rec = NULL;
	char name[VERSION_DIGITS + 1];

	(void)snprintf(name, sizeof(name), "%0*u", VERSION_DIGITS, version);
	meta.name = span_str(name);
	if (key != NULL)
		rec = record_seal(
		    st->keys.record, RECORD_BOARD_KEY, st->counter + 1, &meta, key);
	secret_free(key);
	return rec != NULL && store_put(st, rec) == STORE_OK ? VAULT_OK : VAULT_IO;
}

enum vault_code
board_encrypt(struct store *st, const struct vault_object *o, int new_key,
    const struct secret *plain, struct buf *out, unsigned *version, const char **why)
{
	size_t n = secret_len(plain) + SEAL_TAG_LEN;
	const struct record *rec;
	struct secret *key = NULL;
	enum vault_code code = VAULT_OK;
	struct buf aad, sealed;

	buf_init(&aad);
	buf_init(&sealed);
	*version = newest(st, o->tenant);
	*why = NULL;
	if (new_key || *version == 0) {
		*why = too_many(st, ++*version);
		code = *why == NULL ? make_key(st, o->tenant, *version) : VAULT_REFUSED;
	}
	if (code != VAULT_OK)
		goto out;
	code = VAULT_IO;
	rec = find_key(st, o->tenant, *version);
	key = rec != NULL ? record_open(st->keys.record, rec) : NULL;
	if (key == NULL || board_aad(o, &aad) == -1 ||
	    buf_reserve(&sealed, SEAL_NONCE_LEN + n) == -1 ||
	    seal_close(key, aad.p, aad.len, plain, sealed.p, sealed.p + SEAL_NONCE_LEN) ==
		-1)
		goto out;
	if (buf_printf(out, BOARD_OWN "%u:", *version) == 0 &&
	    b64_put(B64_STD, out, sealed.p, SEAL_NONCE_LEN + n) == 0)
		code = VAULT_OK;
out:
	secret_free(key);
	buf_free(&aad);
	buf_free(&sealed);
	return code;
}

struct secret *
board_decrypt(struct store *st, const struct vault_object *o, struct span text,
    enum vault_code *code, const char **why, unsigned *version)
{
	const struct record *rec;
	struct secret *key = NULL, *plain = NULL;
	struct buf aad, sealed;
	struct span rest;

	buf_init(&aad);
	buf_init(&sealed);
	*code = VAULT_REFUSED;
	*why = "it is not what vault has encrypted";
	*version = board_version(text, BOARD_OWN, &rest);
	if (*version == 0 || b64_put_decoded(B64_STD, &sealed, rest.p, rest.len) == -1 ||
	    sealed.len <= SEAL_NONCE_LEN + SEAL_TAG_LEN)
		goto out;
	*why = "it was not encrypted for this tenant and object, or it was changed";
	rec = find_key(st, o->tenant, *version);
	if (rec == NULL)
		goto out;
	key = record_open(st->keys.record, rec);
	if (key == NULL || board_aad(o, &aad) == -1) {
		*code = VAULT_IO;
		goto out;
	}
	plain = seal_open(key, aad.p, aad.len, sealed.p, sealed.p + SEAL_NONCE_LEN,
	    sealed.len - SEAL_NONCE_LEN);
	if (plain != NULL)
		*code = VAULT_OK;
out:
	secret_free(key);
	buf_free(&aad);
	buf_free(&sealed);
	return plain;
}
