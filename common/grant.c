/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants: made in the judge, checked by workers and toolhost. The key is in locked
 * memory; the seal is BLAKE2b keyed (RFC 7693 section 2.9), the digest SHA-256.
 */
#include "common/grant.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/proto.h"
#include "common/replay.h"
#include "common/secret.h"
#include "common/sha256.h"

static void
add_span(struct span s)
{
	uint32_t len = __builtin_bswap32((uint32_t)s.len);

	sha256_add(&len, sizeof(len));
	if (s.len > 0)
		sha256_add(s.p, s.len);
}

void
grant_digest_proxy(struct span method, struct span authority, struct span target,
    struct span headers, uint64_t body_len, uint64_t max_body, bool upgrade,
    uint8_t digest[GRANT_DIGEST_LEN])
{
	uint64_t len[3] = {__builtin_bswap64(body_len), __builtin_bswap64(max_body),
	    __builtin_bswap64(upgrade)};

	sha256_begin();
	sha256_add("aegis-proxy-3", 13);
	add_span(method);
	add_span(authority);
	add_span(target);
	add_span(headers);
	sha256_add(len, sizeof(len));
	sha256_end(digest);
}

void
grant_digest_tool(uint32_t server, struct span execution, const void *payload, size_t len,
    uint8_t digest[GRANT_DIGEST_LEN])
{
	server = __builtin_bswap32(server);
	sha256_begin();
	sha256_add("aegis-tool-2", 12);
	sha256_add(&server, sizeof(server));
	add_span(execution);
	sha256_add(payload, len);
	sha256_end(digest);
}

struct seal_job {
	uint8_t text[16 + GRANT_ID_LEN + 8 + GRANT_DIGEST_LEN];
	uint8_t *mac;
};

static int
seal_with(const void *key, size_t len, void *arg)
{
	struct seal_job *job = arg;

	return crypto_generichash(
	    job->mac, GRANT_MAC_LEN, job->text, sizeof(job->text), key, len);
}

static int
compute_mac(
    const struct grant *g, const struct secret *key, const uint8_t *digest, uint8_t *mac)
{
	uint64_t until = __builtin_bswap64(g->not_after_ms);
	struct seal_job job = {.mac = mac};

	memcpy(job.text, g->request_id, 16);
	memcpy(job.text + 16, g->id, GRANT_ID_LEN);
	memcpy(job.text + 32, &until, 8);
	memcpy(job.text + 40, digest, GRANT_DIGEST_LEN);
	return secret_use(key, seal_with, &job);
}

/*
 * A number that counts on from where this process happened to begin, and random octets in
 * stock (one system call for many grants). The number makes what a redeemer has to
 * remember small; nobody needs it to be secret, for the seal is what cannot be made.
 */
static int
next_id(uint8_t id[GRANT_ID_LEN])
{
	static uint8_t stock[8 * 64];
	static uint64_t number;
	static size_t left;

	if (left == 0) {
		if (getrandom(stock, sizeof(stock), 0) != (ssize_t)sizeof(stock))
			return -1;
		left = sizeof(stock);
		if (number == 0) {
			left -= 8;
			memcpy(&number, stock + left, 8);
		}
	}
	left -= 8;
	number++;
	memcpy(id, &number, 8);
	memcpy(id + 8, stock + left, 8);
	return 0;
}

int
grant_seal(struct grant *g, const struct secret *key, uint64_t now_ms,
    const uint8_t digest[GRANT_DIGEST_LEN])
{
	g->not_after_ms = now_ms + GRANT_TTL_MS;
	if (next_id(g->id) == -1)
		return -1;
	return compute_mac(g, key, digest, g->mac) == 0 ? 0 : -1;
}

struct grant_book {
	struct secret *key, *before;
	uint64_t before_until_ms;
	struct replay *used;
};

struct grant_book *
grant_book_new(void)
{
	struct grant_book *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	b->used = replay_new(2 * GRANT_TTL_MS);
	if (b->used == NULL) {
		free(b);
		return NULL;
	}
	return b;
}

void
grant_book_free(struct grant_book *b)
{
	if (b == NULL)
		return;
	secret_free(b->key);
	secret_free(b->before);
	replay_free(b->used);
	free(b);
}

void
grant_book_key_take(struct grant_book *b, struct secret *key, uint64_t now_ms)
{
	secret_free(b->before);
	b->before = b->key;
	b->before_until_ms = now_ms + GRANT_TTL_MS;
	b->key = key;
}

int
grant_book_has_key(const struct grant_book *b)
{
	return b->key != NULL;
}

static int
mac_fits(const struct grant *g, const struct secret *key, const uint8_t *digest)
{
	uint8_t mac[GRANT_MAC_LEN];

	return key != NULL && compute_mac(g, key, digest, mac) == 0 &&
	    sodium_memcmp(mac, g->mac, sizeof(mac)) == 0;
}

enum grant_verdict
grant_redeem(struct grant_book *b, const struct grant *g, uint64_t now_ms,
    const uint8_t digest[GRANT_DIGEST_LEN])
{
	uint64_t number;

	if (b->before != NULL && now_ms > b->before_until_ms) {
		secret_free(b->before);
		b->before = NULL;
	}
	if (!mac_fits(g, b->key, digest) && !mac_fits(g, b->before, digest))
		return GRANT_FORGED;
	if (now_ms > g->not_after_ms || g->not_after_ms > now_ms + 2 * GRANT_TTL_MS)
		return GRANT_LATE;
	memcpy(&number, g->id, sizeof(number));
	return replay_number(b->used, number, now_ms) == 1 ? GRANT_GOOD : GRANT_REUSED;
}

const char *
grant_strverdict(enum grant_verdict v)
{
	switch (v) {
	case GRANT_GOOD:
		return "good";
	case GRANT_FORGED:
		return "not sealed for this request";
	case GRANT_LATE:
		return "too late";
	case GRANT_REUSED:
		return "used before";
	}
	return "unknown";
}
