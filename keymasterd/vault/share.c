/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a share; see share.h. Runs in vault on what somebody has typed: nothing of
 * it is believed before its checksum is right.
 */
#include "keymasterd/vault/share.h"

#include <sodium.h>
#include <string.h>

#include "common/hex.h"
#include "common/secret.h"

#define VERSION 1
#define HEAD_LEN (1 + 1 + 1 + SHARE_GROUP_LEN) /* number, version, threshold, group */
#define CHECK_LEN 4
#define RAW_LEN (HEAD_LEN + SHARE_LEN + CHECK_LEN)
#define PREFIX_LEN (sizeof(SHARE_PREFIX) - 1)

static const char not_a_share[] =
    "this is not a share: one begins with " SHARE_PREFIX " and has 99 characters";
static const char mistyped[] = "this share was mistyped: its checksum is wrong";

/* Of everything but the checksum: its front is that, and `salt` tells the two uses apart.
 */
static void
hash_of(const uint8_t *raw, const char *salt, uint8_t hash[SHARE_HASH_LEN])
{
	crypto_generichash_state st;

	(void)crypto_generichash_init(&st, NULL, 0, SHARE_HASH_LEN);
	(void)crypto_generichash_update(&st, (const uint8_t *)salt, strlen(salt));
	(void)crypto_generichash_update(&st, raw, HEAD_LEN + SHARE_LEN);
	(void)crypto_generichash_final(&st, hash, SHARE_HASH_LEN);
	sodium_memzero(&st, sizeof(st));
}

static void
checksum(const uint8_t *raw, uint8_t check[CHECK_LEN])
{
	uint8_t hash[SHARE_HASH_LEN];

	hash_of(raw, "aegis-share-check-1", hash);
	memcpy(check, hash, CHECK_LEN);
}

static int
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* All octets of a text, the number's first. NULL, or what is wrong. */
static const char *
decode(const char *p, size_t len, uint8_t raw[RAW_LEN])
{
	while (len > 0 && is_blank(p[0])) {
		p++;
		len--;
	}
	while (len > 0 && is_blank(p[len - 1]))
		len--;
	if (len < PREFIX_LEN || memcmp(p, SHARE_PREFIX, PREFIX_LEN) != 0)
		return not_a_share;
	if (len != SHARE_TEXT_LEN)
		return "this share is not whole: it has 99 characters";
	p += PREFIX_LEN;
	if (hex_decode(p, 2, raw, 1) != 1 || p[2] != '_' ||
	    hex_decode(p + 3, 2 * (RAW_LEN - 1), raw + 1, RAW_LEN - 1) != RAW_LEN - 1)
		return mistyped;
	return NULL;
}

static const char *
take(const uint8_t raw[RAW_LEN], struct share *out)
{
	uint8_t check[CHECK_LEN];

	checksum(raw, check);
	if (sodium_memcmp(check, raw + HEAD_LEN + SHARE_LEN, CHECK_LEN) != 0)
		return mistyped;
	if (raw[1] != VERSION)
		return "this share was made by a newer version of Aegis";
	if (raw[0] == 0 || raw[2] < 2)
		return not_a_share;
	out->number = raw[0];
	out->threshold = raw[2];
	memcpy(out->group, raw + 3, SHARE_GROUP_LEN);
	hash_of(raw, "aegis-share-1", out->hash);
	out->octets = secret_new(raw + HEAD_LEN, SHARE_LEN);
	return out->octets != NULL ? NULL : "vault has no memory for it";
}

struct reading {
	struct share *out;
	const char *why;
};

/* secret_use() callback */
static int
read_text(const void *p, size_t len, void *arg)
{
	struct reading *r = arg;
	uint8_t raw[RAW_LEN];

	r->why = decode(p, len, raw);
	if (r->why == NULL)
		r->why = take(raw, r->out);
	sodium_memzero(raw, sizeof(raw));
	return 0;
}

const char *
share_read(const struct secret *text, struct share *out)
{
	struct reading r = {out, not_a_share};

	memset(out, 0, sizeof(*out));
	(void)secret_use(text, read_text, &r);
	return r.why;
}

void
share_end(struct share *s)
{
	secret_free(s->octets);
	memset(s, 0, sizeof(*s));
}

void
share_write(
    char *out, const struct share *s, const uint8_t *octets, uint8_t hash[SHARE_HASH_LEN])
{
	char text[2 * RAW_LEN + 1];
	uint8_t raw[RAW_LEN] = {s->number, VERSION, s->threshold};

	memcpy(raw + 3, s->group, SHARE_GROUP_LEN);
	memcpy(raw + HEAD_LEN, octets, SHARE_LEN);
	checksum(raw, raw + HEAD_LEN + SHARE_LEN);
	hash_of(raw, "aegis-share-1", hash);
	(void)hex_encode(raw, sizeof(raw), text, sizeof(text));
	memcpy(out, SHARE_PREFIX, PREFIX_LEN);
	memcpy(out + PREFIX_LEN, text, 2);
	out[PREFIX_LEN + 2] = '_';
	memcpy(out + PREFIX_LEN + 3, text + 2, 2 * (RAW_LEN - 1));
	sodium_memzero(raw, sizeof(raw));
	sodium_memzero(text, sizeof(text));
}
