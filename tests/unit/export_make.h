/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test helper: ledgers as the judge writes them (doc/ledger-format.md), with a key of the
 * test's own, sessions, and what agents signed. Written from the document, with
 * libsodium's SHA-256, so that it shares no code with the verifier but encodings.
 */
#ifndef AEGIS_TESTS_UNIT_EXPORT_MAKE_H
#define AEGIS_TESTS_UNIT_EXPORT_MAKE_H

#include <check.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/hex.h"

#define MAKE_ROWS_MAX 300000
#define MAKE_TIME "2031-05-06T08:00:00.000000Z"
#define MAKE_SESSION "5b1c6e0e-8a55-4b58-9a8f-000000000001"
#define MAKE_TOKEN "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJib3QifQ.c2lnbmF0dXJl"
#define MAKE_REQUEST "000102030405060708090a0b0c0d%04llx"

struct maker {
	const char *chain;
	const uint8_t *secret, *public; /* the ledger's */
	uint8_t agent_secret[64], agent_public[32];
	uint8_t hash[32];
	uint8_t (*leaves)[32]; /* of rows 1.. */
	uint8_t (*hashes)[32]; /* of rows 0.. */
	char **texts;          /* of rows 1..; only with keep_texts */
	int keep_texts;
	uint64_t rows;
	struct buf out;
};

static inline void
make_sha(const void *a, size_t alen, const void *b, size_t blen, uint8_t out[32])
{
	crypto_hash_sha256_state s;

	crypto_hash_sha256_init(&s);
	crypto_hash_sha256_update(&s, a, alen);
	crypto_hash_sha256_update(&s, b, blen);
	crypto_hash_sha256_final(&s, out);
}

/* MTH of RFC 9162 section 2.1.1, as it is defined. */
static inline void
make_root(uint8_t (*leaf)[32], uint64_t n, uint8_t out[32])
{
	uint8_t both[64];
	uint64_t k = 1;

	if (n == 1) {
		memcpy(out, leaf, 32);
		return;
	}
	while (2 * k < n)
		k *= 2;
	make_root(leaf, k, both);
	make_root(leaf + k, n - k, both + 32);
	make_sha("\1", 1, both, 64, out);
}

/* PATH of section 2.1.3.1; the number of nodes. */
static inline size_t
make_path(uint8_t (*leaf)[32], uint64_t m, uint64_t n, uint8_t (*out)[32])
{
	uint64_t k = 1;
	size_t len;

	if (n == 1)
		return 0;
	while (2 * k < n)
		k *= 2;
	len = m < k ? make_path(leaf, m, k, out) : make_path(leaf + k, m - k, n - k, out);
	if (m < k)
		make_root(leaf + k, n - k, out[len]);
	else
		make_root(leaf, k, out[len]);
	return len + 1;
}

static inline void
make_kid(const uint8_t key[32], char kid[17])
{
	uint8_t hash[32];

	crypto_hash_sha256(hash, key, 32);
	hex_encode(hash, 8, kid, 17);
}

static inline void
make_header(struct maker *m)
{
	char hex[65];

	hex_encode(m->hash, 32, hex, sizeof(hex));
	buf_printf(&m->out,
	    "{\"ledger\":\"aegis-2\",\"chain\":\"%s\",\"from\":%llu,\"prev\":\"%s\"}\n",
	    m->chain, (unsigned long long)m->rows + 1, hex);
}

static inline void
make_begin(
    struct maker *m, const char *chain, const uint8_t *secret, const uint8_t *public)
{
	uint8_t seed[32];

	memset(m, 0, sizeof(*m));
	m->chain = chain;
	m->secret = secret;
	m->public = public;
	memset(seed, 9, sizeof(seed));
	crypto_sign_seed_keypair(m->agent_public, m->agent_secret, seed);
	m->leaves = calloc(MAKE_ROWS_MAX, 32);
	m->hashes = calloc(MAKE_ROWS_MAX, 32);
	m->texts = calloc(MAKE_ROWS_MAX, sizeof(*m->texts));
	buf_init(&m->out);
	make_sha("aegis-ledger-1", 14, chain, strlen(chain), m->hash);
	memcpy(m->hashes[0], m->hash, 32);
	make_header(m);
}

static inline void
make_free(struct maker *m)
{
	uint64_t i;

	for (i = 0; i <= m->rows; i++)
		free(m->texts[i]);
	free(m->texts);
	free(m->leaves);
	free(m->hashes);
	buf_free(&m->out);
}

/* The next row with these members at its end, and evidence behind its hash. */
static inline void
make_row(struct maker *m, const char *members, const char *evidence)
{
	static struct buf text;
	uint64_t seq = m->rows + 1;
	char hex[65];

	ck_assert_uint_lt(seq, MAKE_ROWS_MAX);
	buf_reset(&text);
	buf_printf(&text,
	    "{\"seq\":%llu,\"time\":\"2031-05-06T07:08:09.%06lluZ\",\"chain\":\"%s\","
	    "\"tenant\":\"default\",\"kind\":\"decision\",\"request\":\"" MAKE_REQUEST
	    "\",\"agent\":\"bot-%llu\","
	    "\"path\":\"/a\\\"b/%llu\",\"decision\":\"allowed\",\"status\":200%s}",
	    (unsigned long long)seq, (unsigned long long)seq % 1000000, m->chain,
	    (unsigned long long)seq % 65536, (unsigned long long)seq % 7,
	    (unsigned long long)seq, members);
	make_sha(m->hash, 32, text.p, text.len, m->hash);
	make_sha("\0", 1, m->hash, 32, m->leaves[m->rows]);
	m->rows = seq;
	memcpy(m->hashes[seq], m->hash, 32);
	if (m->keep_texts)
		m->texts[seq] = strndup((char *)text.p, text.len);
	hex_encode(m->hash, 32, hex, sizeof(hex));
	buf_printf(&m->out, "{\"row\":%.*s,\"hash\":\"%s\"%s}\n", (int)text.len, text.p,
	    hex, evidence);
}

static inline void
make_session(struct maker *m)
{
	char members[512], evidence[256], key[64], hash[65];
	uint8_t digest[32];

	make_sha(MAKE_TOKEN, strlen(MAKE_TOKEN), "", 0, digest);
	hex_encode(digest, 32, hash, sizeof(hash));
	b64_encode(B64_STD, m->agent_public, 32, key, sizeof(key));
	snprintf(members, sizeof(members),
	    ",\"session\":\"" MAKE_SESSION "\",\"key\":\"%s\",\"token\":\"%s\"", key,
	    hash);
	snprintf(evidence, sizeof(evidence), ",\"token\":\"" MAKE_TOKEN "\"");
	make_row(m, members, evidence);
}

/* A call that the session signed; forged: somebody else did. */
enum make_form { MAKE_PLAIN, MAKE_UTF16, MAKE_OTHER_TOKEN, MAKE_BARE };
static const char *const make_forms[] = {"", "utf16", "plain", ""};

static inline void
make_call_of(struct maker *m, enum make_form form, int forged, const char *payload)
{
	char octets[600], members[512], evidence[900], proof[96], hash[65];
	uint8_t digest[32], signature[64], other[64], unused[32];
	int n;

	n = snprintf(octets, sizeof(octets),
	    "{\"payload\":%s,\"security_token\":\"%s\",\"timestamp\":1936000000}",
	    payload, form == MAKE_OTHER_TOKEN ? "e30.e30.c2ln" : MAKE_TOKEN);
	crypto_sign_keypair(unused, other);
	crypto_sign_detached(signature, NULL, (uint8_t *)octets, (unsigned long long)n,
	    forged ? other : m->agent_secret);
	b64_encode(B64_STD, signature, 64, proof, sizeof(proof));
	make_sha(octets, (size_t)n, "", 0, digest);
	hex_encode(digest, 32, hash, sizeof(hash));
	snprintf(members, sizeof(members),
	    ",\"session\":\"" MAKE_SESSION "\",\"proof\":\"%s\",\"signed\":\"%s\"", proof,
	    hash);
	evidence[0] = '\0';
	if (form == MAKE_PLAIN)
		snprintf(evidence, sizeof(evidence),
		    ",\"signed\":{\"payload\":%s,\"timestamp\":1936000000}", payload);
	else if (form != MAKE_BARE) {
		char *q = evidence +
		    snprintf(evidence, sizeof(evidence),
			",\"signed\":{\"form\":\"%s\",\"text\":\"", make_forms[form]);
		const char *p;

		for (p = octets; *p != '\0'; *q++ = *p++)
			if (*p == '"')
				*q++ = '\\';
		memcpy(q, "\"}", 3);
	}
	make_row(m, members, evidence);
}

static inline void
make_call(struct maker *m, enum make_form form, int forged)
{
	char payload[256];

	snprintf(payload, sizeof(payload),
	    "{\"id\":\"req-%llu\",\"jsonrpc\":\"2.0\",\"method\":\"tools/call\"}",
	    (unsigned long long)m->rows);
	make_call_of(m, form, forged, payload);
}

static inline void
make_checkpoint_of(struct maker *m, uint64_t seq)
{
	char text[320], head[65], top[65], kid[17], signature[96];
	uint8_t octets[64], root[32];
	int n;

	make_root(m->leaves, seq, root);
	hex_encode(m->hashes[seq], 32, head, sizeof(head));
	hex_encode(root, 32, top, sizeof(top));
	make_kid(m->public, kid);
	n = snprintf(text, sizeof(text), "aegis-checkpoint-2\n%s\n%llu\n%s\n%s\n%s\n",
	    m->chain, (unsigned long long)seq, head, top, MAKE_TIME);
	crypto_sign_detached(
	    octets, NULL, (const uint8_t *)text, (unsigned long long)n, m->secret);
	b64_encode(B64_STD, octets, 64, signature, sizeof(signature));
	buf_printf(&m->out,
	    "{\"checkpoint\":{\"chain\":\"%s\",\"seq\":%llu,\"head\":\"%s\",\"root\":\"%"
	    "s\","
	    "\"time\":\"" MAKE_TIME "\",\"kid\":\"%s\"},\"signature\":\"%s\"}\n",
	    m->chain, (unsigned long long)seq, head, top, kid, signature);
}

static inline void
make_checkpoint(struct maker *m)
{
	make_checkpoint_of(m, m->rows);
}

#endif
