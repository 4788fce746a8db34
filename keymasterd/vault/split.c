/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splitting and joining a master key; see split.h. Runs in vault. The file of a split is
 * not authenticated, since who reads it has no key yet: a changed one makes right shares
 * be refused, and whatever was joined must open the vault file.
 */
#include "keymasterd/vault/split.h"

#include <errno.h>
#include <libgfshare.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "common/wire.h"
#include "keymasterd/vault/file.h"

#define MAGIC_LEN 8
#define VERSION 1
#define HEADER_LEN (MAGIC_LEN + 4 + 1 + 1 + SHARE_GROUP_LEN + 8)

_Static_assert(HEADER_LEN + SHARE_MAX * SHARE_HASH_LEN <= SPLIT_FILE_MAX, "it fits");

static const char magic[MAGIC_LEN + 1] = "AEGISSPL";

const char *
split_refuses_numbers(unsigned threshold, unsigned shares)
{
	if (threshold < 2)
		return "at least two shares have to be needed: one alone is the key";
	if (shares < threshold)
		return "more shares would be needed than there are";
	if (shares > SHARE_MAX)
		return "there can be 255 shares at most";
	return NULL;
}

/* The library's coefficients, all octets alike: zeros too, so a share tells nothing. */
static void
fill_random(unsigned char *p, unsigned int len)
{
	randombytes_buf(p, len);
}

static void
number_all(uint8_t numbers[SHARE_MAX])
{
	for (unsigned i = 0; i < SHARE_MAX; i++)
		numbers[i] = (uint8_t)(i + 1);
}

struct making {
	const struct secret *key;
	struct split *s;
};

/* secret_use() callback; the library wants to be able to write */
static int
copy_key(const void *p, size_t len, void *arg)
{
	if (len != SHARE_LEN)
		return -1;
	memcpy(arg, p, SHARE_LEN);
	return 0;
}

/* secret_new_fill() callback: the texts, each with a line feed. */
static long
fill_texts(void *p, size_t max, void *arg)
{
	const struct making *m = arg;
	struct split *s = m->s;
	struct share share = {.threshold = s->threshold};
	uint8_t numbers[SHARE_MAX], octets[SHARE_LEN];
	gfshare_ctx *ctx;
	char *out = p;

	(void)max;
	number_all(numbers);
	memcpy(share.group, s->group, sizeof(share.group));
	gfshare_fill_rand = fill_random;
	ctx = gfshare_ctx_init_enc(numbers, s->shares, s->threshold, SHARE_LEN);
	if (ctx == NULL || secret_use(m->key, copy_key, octets) == -1) {
		if (ctx != NULL)
			gfshare_ctx_free(ctx);
		return -1;
	}
	gfshare_ctx_enc_setsecret(ctx, octets);
	for (unsigned i = 0; i < s->shares; i++, out += SHARE_TEXT_LEN + 1) {
		gfshare_ctx_enc_getshare(ctx, (uint8_t)i, octets);
		share.number = numbers[i];
		share_write(out, &share, octets, s->hashes[i]);
		out[SHARE_TEXT_LEN] = '\n';
	}
	gfshare_ctx_free(ctx); /* which overwrites what it frees */
	sodium_memzero(octets, sizeof(octets));
	return out - (char *)p;
}

struct secret *
split_make(const struct secret *key, unsigned threshold, unsigned shares, uint64_t now_s,
    struct split *out)
{
	struct making m = {key, out};

	if (split_refuses_numbers(threshold, shares) != NULL)
		return NULL;
	memset(out, 0, sizeof(*out));
	out->threshold = (uint8_t)threshold;
	out->shares = (uint8_t)shares;
	out->made_s = now_s;
	randombytes_buf(out->group, sizeof(out->group));
	return secret_new_fill((size_t)shares * (SHARE_TEXT_LEN + 1), fill_texts, &m);
}

const char *
split_refuses(const struct split *s, const struct share *share)
{
	if (sodium_memcmp(s->group, share->group, SHARE_GROUP_LEN) != 0)
		return "this share is of another split, or of another vault: take those "
		       "that were given out last";
	if (share->number > s->shares || share->threshold != s->threshold ||
	    sodium_memcmp(s->hashes[share->number - 1], share->hash, SHARE_HASH_LEN) != 0)
		return "this share was not given out by this vault";
	return NULL;
}

struct joining {
	const struct share *shares;
	unsigned n;
};

/* secret_new_fill() callback */
static long
fill_joined(void *p, size_t max, void *arg)
{
	const struct joining *j = arg;
	uint8_t numbers[SHARE_MAX], octets[SHARE_LEN];
	gfshare_ctx *ctx;

	if (max != SHARE_LEN)
		return -1;
	for (unsigned i = 0; i < j->n; i++)
		numbers[i] = j->shares[i].number;
	gfshare_fill_rand = fill_random;
	ctx = gfshare_ctx_init_dec(numbers, j->n, SHARE_LEN);
	if (ctx == NULL)
		return -1;
	for (unsigned i = 0; i < j->n; i++) {
		(void)secret_use(j->shares[i].octets, copy_key, octets);
		gfshare_ctx_dec_giveshare(ctx, (uint8_t)i, octets);
	}
	gfshare_ctx_dec_extract(ctx, p);
	gfshare_ctx_free(ctx);
	sodium_memzero(octets, sizeof(octets));
	return SHARE_LEN;
}

struct secret *
split_join(const struct share *shares, unsigned n)
{
	struct joining j = {shares, n};

	return n < 2 || n > SHARE_MAX ? NULL
				      : secret_new_fill(SHARE_LEN, fill_joined, &j);
}

/* ---- the file ---- */

int
split_decode(const uint8_t *p, size_t len, struct split *s)
{
	union { /* the reader could write, to wipe secrets; there are none here */
		const uint8_t *p;
		uint8_t *writable;
	} octets = {.p = p};
	struct wire_r r = {.p = octets.writable, .len = len};
	uint8_t m[MAGIC_LEN];
	uint32_t version;

	memset(s, 0, sizeof(*s));
	wire_get_fix(&r, m, sizeof(m));
	version = wire_get_u32(&r);
	s->threshold = wire_get_u8(&r);
	s->shares = wire_get_u8(&r);
	wire_get_fix(&r, s->group, sizeof(s->group));
	s->made_s = wire_get_u64(&r);
	for (unsigned i = 0; i < s->shares; i++)
		wire_get_fix(&r, s->hashes[i], SHARE_HASH_LEN);
	if (!r.failed && r.off == r.len && memcmp(m, magic, MAGIC_LEN) == 0 &&
	    version == VERSION && split_refuses_numbers(s->threshold, s->shares) == NULL)
		return 0;
	memset(s, 0, sizeof(*s));
	return -1;
}

int
split_load(int dirfd, const char *name, struct split *s)
{
	char file[96];
	uint8_t *p;
	size_t len;
	int r;

	memset(s, 0, sizeof(*s));
	(void)snprintf(file, sizeof(file), "%s.split", name);
	if (file_read(dirfd, file, SPLIT_FILE_MAX, &p, &len) == -1)
		return -1;
	r = split_decode(p, len, s);
	free(p);
	if (r == -1)
		errno = EINVAL;
	return r;
}

int
split_save(int dirfd, const char *name, const struct split *s)
{
	uint8_t octets[SPLIT_FILE_MAX];
	struct wire_w w = {.p = octets, .cap = sizeof(octets)};
	char file[96], temp[96];

	(void)snprintf(file, sizeof(file), "%s.split", name);
	(void)snprintf(temp, sizeof(temp), ".%s.split.new", name);
	wire_put_fix(&w, magic, MAGIC_LEN);
	wire_put_u32(&w, VERSION);
	wire_put_u8(&w, s->threshold);
	wire_put_u8(&w, s->shares);
	wire_put_fix(&w, s->group, sizeof(s->group));
	wire_put_u64(&w, s->made_s);
	for (unsigned i = 0; i < s->shares; i++)
		wire_put_fix(&w, s->hashes[i], SHARE_HASH_LEN);
	if (w.failed) {
		errno = EINVAL;
		return -1;
	}
	return file_replace(dirfd, file, temp, w.p, w.len);
}
