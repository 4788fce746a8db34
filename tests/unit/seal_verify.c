/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envelopes: form, freshness, signature, token, replay, binding, state, each with the
 * code it must answer; every one-bit change of vector V7; and keys in all spellings.
 */
#include "keymasterd/judge/seal_verify.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/replay.h"
#include "keymasterd/judge/attest_key.h"
#include "keymasterd/judge/judge.h"
#include "tests/unit/vectors.h"

#define NOW 1771338721 /* 2026-02-17T14:32:01Z */
#define EXEC_ID "0d7a5c1e-1111-4222-8333-444455556666"
#define SUB "8a9f7b3c-4d5e-4f7a-8b9c-0d1e2f3a4b5c"

/* What main.c and peers.c define in the daemon. */
struct judge_conf judge_conf;
struct store *judge_store;
int judge_stopping;
struct judge_keys judge_keys;

static struct seal_envelope envelope;
static struct replay *replay;
static uint8_t agent_pub[32], agent_key[64], gate_pub[32], gate_key[64];
static struct jwt_key key = {.kid = "k1", .alg = JWT_EDDSA};
static struct jwt_keyset keys = {&key, 1};
static struct session *session;
static struct seal_world world;
static struct seal_checked checked;
static struct seal_refusal refusal;
static char token[2048], wire[8192];

static const char payload[] =
    "{\"jsonrpc\":\"2.0\",\"id\":\"req-1\",\"method\":\"ping\"}";
static const char canon_payload[] =
    "{\"id\":\"req-1\",\"jsonrpc\":\"2.0\",\"method\":\"ping\"}";
static const char good_claims[] =
    "{\"sub\":\"" SUB
    "\",\"scp\":\"c\",\"wid\":\"w\",\"iat\":1771338000,\"exp\":1771339000,"
    "\"iss\":\"i\",\"aud\":\"a\",\"exec_id\":\"" EXEC_ID "\",\"tenant_id\":\"t\"}";

static void
make_token(const char *claims, const uint8_t sign_key[64], const char *kid)
{
	struct buf b;
	uint8_t sig[64];

	buf_init(&b);
	ck_assert_int_eq(
	    jwt_build_signing_input(&b, JWT_EDDSA, kid, claims, strlen(claims)), 0);
	crypto_sign_detached(sig, NULL, b.p, b.len, sign_key);
	ck_assert_int_eq(jwt_append_sig(&b, sig, sizeof sig), 0);
	ck_assert_uint_lt(b.len, sizeof token);
	memcpy(token, b.p, b.len);
	token[b.len] = '\0';
	buf_free(&b);
}

/* An envelope with this timestamp text; signed for `unix_s` by `sign_key`. */
static void
make_wire(const char *stamp, int64_t unix_s, const uint8_t sign_key[64])
{
	char canon[4096], sig64[B64_SIZE(64)];
	uint8_t sig[64];
	int n;

	n = snprintf(canon, sizeof canon,
	    "{\"payload\":%s,\"security_token\":\"%s\",\"timestamp\":%lld}",
	    canon_payload, token, (long long)unix_s);
	crypto_sign_detached(
	    sig, NULL, (uint8_t *)canon, (unsigned long long)n, sign_key);
	ck_assert_int_eq(b64_encode(B64_STD, sig, 64, sig64, sizeof sig64), 88);
	n = snprintf(wire, sizeof wire,
	    "{\"protocol\":\"seal/v1\",\"security_token\":\"%s\",\"signature\":\"%s\","
	    "\"payload\":%s,\"timestamp\":%s,\"container_id\":\"x\"}",
	    token, sig64, payload, stamp);
	ck_assert_int_lt(n, (int)sizeof wire);
}

static int
verify(void)
{
	return seal_verify(&envelope, wire, strlen(wire), &world, &checked, &refusal);
}

static void
enter_session(void)
{
	struct store_session row = {.id = "s1",
	    .tenant = "t",
	    .sub = SUB,
	    .context = "c",
	    .exec_id = EXEC_ID,
	    .state = SESSION_ACTIVE,
	    .created_ms = 1771338000000,
	    .expires_ms = 1771339000000};

	memcpy(row.public_key, agent_pub, 32);
	judge_sha256(token, strlen(token), row.token_hash);
	ck_assert_ptr_nonnull(session = session_enter(&row));
}

static void
setup(void)
{
	uint8_t seed[32];

	ck_assert_int_ge(sodium_init(), 0);
	memset(seed, 1, sizeof seed);
	crypto_sign_seed_keypair(agent_pub, agent_key, seed);
	memset(seed, 2, sizeof seed);
	crypto_sign_seed_keypair(gate_pub, gate_key, seed);
	memcpy(key.ed25519, gate_pub, 32);
	seal_envelope_init(&envelope);
	ck_assert_ptr_nonnull(replay = replay_new(62000));
	world = (struct seal_world){.unix_ms = NOW * 1000ull + 500,
	    .mono_ms = 1000,
	    .window_s = 30,
	    .issuer = "i",
	    .audience = "a",
	    .keys = &keys,
	    .replay = replay};
	make_token(good_claims, gate_key, "k1");
	enter_session();
	make_wire("\"2026-02-17T14:32:01.999Z\"", NOW, agent_key);
}

static void
teardown(void)
{
	seal_envelope_free(&envelope);
	replay_free(replay);
}

static void
expect(unsigned code, const char *reason)
{
	ck_assert_int_eq(verify(), -1);
	ck_assert_msg(refusal.code == code, "code %u (%s), expected %u", refusal.code,
	    refusal.message, code);
	if (reason != NULL)
		ck_assert_str_eq(refusal.reason, reason);
}

START_TEST(good)
{
	ck_assert_int_eq(verify(), 0);
	ck_assert_ptr_eq(checked.session, session);
	ck_assert_int_eq(checked.stage, SEAL_STAGE_SIGNED);
	ck_assert(session->token_verified);
	ck_assert_int_eq(envelope.signed_order, CANON_UTF8);
	ck_assert(envelope.signed_payload.len > 2 &&
	    envelope.signed_payload.p[envelope.signed_payload.len - 1] == '}' &&
	    memcmp(envelope.signed_payload.p + envelope.signed_payload.len,
		",\"security_token\":\"", 19) == 0);
	ck_assert_int_eq(session->token_exp, 1771339000);
	ck_assert_str_eq(envelope.method, "ping");
	ck_assert(span_eq(envelope.id, "\"req-1\""));
	ck_assert(span_eq(envelope.payload_raw, payload));
	ck_assert_int_eq(
	    memcmp(wire + envelope.payload_off, payload, sizeof payload - 1), 0);
	expect(SEAL_EXPIRED, "replay");
	/* the token is known now and needs no key any more */
	world.keys = NULL;
	make_wire("1771338722", NOW + 1, agent_key);
	ck_assert_int_eq(verify(), 0);
}
END_TEST

/* The protocol's name and what else stands in an envelope are not signed. */
START_TEST(alias)
{
	char *p = strstr(wire, "seal/v1");

	memcpy(p, "smcp/v1", 7);
	ck_assert_int_eq(verify(), 0);
	memcpy(p, "seal/v2", 7);
	expect(SEAL_MALFORMED, "malformed");
	ck_assert(span_eq(refusal.request, "\"req-1\""));
}
END_TEST

static const struct {
	const char *stamp;
	int64_t at;
	unsigned code; /* 0: good */
} stamps[] = {
    {"\"2026-02-17T14:32:01Z\"", NOW, 0},
    {"\"2026-02-17T14:32:01.000Z\"", NOW, 0},
    {"\"2026-02-17T14:32:01.123456789Z\"", NOW, 0},
    {"\"2026-02-17T15:32:01+01:00\"", NOW, 0},
    {"\"2026-02-17T14:32:01+00:00\"", NOW, 0},
    {"1771338721", NOW, 0},
    {"1771338691", NOW - 30, 0},
    {"1771338751", NOW + 30, 0},
    {"1771338690", NOW - 31, SEAL_EXPIRED},
    {"1771338752", NOW + 31, SEAL_EXPIRED},
    {"\"2026-02-17T14:31:30Z\"", NOW - 31, SEAL_EXPIRED},
    {"0", 0, SEAL_EXPIRED},
    {"1771338722", NOW, SEAL_SIGNATURE},
    {"1771338721.0", NOW, SEAL_MALFORMED},
    {"1.771338721e9", NOW, SEAL_MALFORMED},
    {"-1", NOW, SEAL_MALFORMED},
    {"\"1771338721\"", NOW, SEAL_MALFORMED},
    {"\"2026-02-17 14:32:01Z\"", NOW, SEAL_MALFORMED},
    {"\"2026-02-17T14:32:01\"", NOW, SEAL_MALFORMED},
    {"\"2026-02-17T14:32:01.1234567890Z\"", NOW, SEAL_MALFORMED},
    {"\"2026-02-30T14:32:01Z\"", NOW, SEAL_MALFORMED},
    {"\"\"", NOW, SEAL_MALFORMED},
    {"null", NOW, SEAL_MALFORMED},
    {"true", NOW, SEAL_MALFORMED},
    {"99999999999999999999", NOW, SEAL_MALFORMED},
};

START_TEST(timestamps)
{
	make_wire(stamps[_i].stamp, stamps[_i].at, agent_key);
	if (stamps[_i].code == 0)
		ck_assert_int_eq(verify(), 0);
	else
		expect(stamps[_i].code, NULL);
}
END_TEST

/* Whole envelopes that are no envelopes. */
static const char *const malformed[] = {
    "",
    "[]",
    "{}",
    "null",
    "{\"protocol\":\"seal/v1\"}",
    "{\"payload\":{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}}",
    "{\"payload\":[],\"protocol\":\"seal/v1\"}",
};

/* Changes of the good envelope: text and what it becomes. */
static const char *const broken[][2] = {
    {"\"jsonrpc\":\"2.0\"", "\"jsonrpc\":\"1.0\""},
    {"\"jsonrpc\":\"2.0\",", ""},
    {"\"id\":\"req-1\",", ""},
    {"\"id\":\"req-1\"", "\"id\":null"},
    {"\"id\":\"req-1\"", "\"id\":1.5"},
    {"\"id\":\"req-1\"", "\"id\":1e3"},
    {"\"id\":\"req-1\"", "\"id\":[]"},
    {"\"id\":\"req-1\"", "\"id\":true"},
    {"\"id\":\"req-1\"", "\"id\":1,\"id\":1"},
    {"\"id\":\"req-1\"", "\"id\":\"\\u0000\""},
    {"\"id\":\"req-1\"", "\"id\":\"\\ud800\""},
    {"\"method\":\"ping\"", "\"method\":1"},
    {"\"method\":\"ping\"", "\"method\":\"\""},
    {",\"method\":\"ping\"", ""},
    {"\"signature\":\"", "\"signature\":\"A"},
    {"\"signature\":\"", "\"signature\":\"====\",\"x\":\""},
    {"\"signature\":\"", "\"signature\":null,\"x\":\""},
    {"\"security_token\":\"", "\"security_token\":\"\",\"x\":\""},
    {"\"security_token\":\"", "\"security_token\":1,\"x\":\""},
    {"\"protocol\":\"seal/v1\",", ""},
    {"\"protocol\":\"seal/v1\"", "\"protocol\":\"SEAL/v1\""},
    {"\"protocol\":\"seal/v1\"", "\"protocol\":1"},
    {"\"container_id\"", "\"protocol\""},
    {"\"container_id\":\"x\"}", "\"container_id\":\"x\"}}"},
    {"\"container_id\":\"x\"}", "\"container_id\":\"x\""},
};

START_TEST(forms)
{
	char good_wire[sizeof wire];
	const char *at;

	for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
		snprintf(wire, sizeof wire, "%s", malformed[i]);
		expect(SEAL_MALFORMED, "malformed");
	}
	make_wire("1771338721", NOW, agent_key);
	memcpy(good_wire, wire, sizeof wire);
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		ck_assert_ptr_nonnull(at = strstr(good_wire, broken[i][0]));
		snprintf(wire, sizeof wire, "%.*s%s%s", (int)(at - good_wire), good_wire,
		    broken[i][1], at + strlen(broken[i][0]));
		expect(SEAL_MALFORMED, "malformed");
	}
	memcpy(wire, good_wire, sizeof wire);
	ck_assert_int_eq(verify(), 0);
}
END_TEST

START_TEST(signatures)
{
	char *p;

	make_wire("1771338721", NOW, gate_key);
	expect(SEAL_SIGNATURE, "signature");
	ck_assert_int_eq(checked.stage, SEAL_STAGE_SESSION);
	make_wire("1771338721", NOW, agent_key);
	p = strstr(wire, "ping");
	memcpy(p, "pong", 4);
	expect(SEAL_SIGNATURE, "signature");
	ck_assert_uint_eq(replay_count(replay), 0);
}
END_TEST

/* Claims of tokens that vault never made, and what they get. */
static const struct {
	const char *claims;
	unsigned code;
	const char *reason;
} tokens[] = {
    {"{\"exec_id\":\"nobody\"}", SEAL_NO_SESSION, "unknown_session"},
    {"{\"exec_id\":1}", SEAL_NO_SESSION, "unknown_session"},
    {"{}", SEAL_NO_SESSION, "unknown_session"},
#define CLAIMS(sub, scp, wid, times, iss, aud, tenant)                                \
	"{\"sub\":\"" sub "\",\"scp\":\"" scp "\"," wid times ",\"iss\":\"" iss "\"," \
	"\"aud\":\"" aud "\",\"exec_id\":\"" EXEC_ID "\",\"tenant_id\":\"" tenant "\"}"
#define WID "\"wid\":\"w\","
#define TIMES "\"iat\":1771338000,\"exp\":1771339001"
    {CLAIMS(SUB, "c", WID, "\"iat\":1771338000,\"exp\":1771338721", "i", "a", "t"),
	SEAL_EXPIRED, "token_expired"},
    {CLAIMS(SUB, "c", WID, "\"iat\":1771338000,\"exp\":1771338720", "i", "a", "t"),
	SEAL_EXPIRED, "token_expired"},
    {CLAIMS(SUB, "c", WID, "\"iat\":1771338000", "i", "a", "t"), SEAL_TOKEN, NULL},
    {CLAIMS(SUB, "c", WID, "\"iat\":1771339721,\"exp\":1771339999", "i", "a", "t"),
	SEAL_TOKEN, NULL},
    {CLAIMS(SUB, "c", WID, "\"iat\":1771338000,\"exp\":1779999999", "i", "a", "t"),
	SEAL_TOKEN, NULL},
    {CLAIMS(SUB, "c", WID, TIMES ",\"nbf\":1771338900", "i", "a", "t"), SEAL_TOKEN, NULL},
    {CLAIMS(SUB, "c", WID, TIMES, "x", "a", "t"), SEAL_TOKEN, "token_refused"},
    {CLAIMS(SUB, "c", WID, TIMES, "i", "x", "t"), SEAL_TOKEN, "token_refused"},
    {CLAIMS("other", "c", WID, TIMES, "i", "a", "t"), SEAL_TOKEN, "token_mismatch"},
    {CLAIMS(SUB, "d", WID, TIMES, "i", "a", "t"), SEAL_TOKEN, "token_mismatch"},
    {CLAIMS(SUB, "c", "\"wid\":\"\",", TIMES, "i", "a", "t"), SEAL_TOKEN,
	"token_mismatch"},
    {CLAIMS(SUB, "c", "", TIMES, "i", "a", "t"), SEAL_TOKEN, "token_mismatch"},
    /* another tenant's execution of this name is another execution */
    {CLAIMS(SUB, "c", WID, TIMES, "i", "a", "u"), SEAL_NO_SESSION, "unknown_session"},
    /* right in every claim, but not the token that the session got */
    {CLAIMS(SUB, "c", WID, TIMES, "i", "a", "t"), SEAL_TOKEN, "token_mismatch"},
};

START_TEST(claims)
{
	make_token(tokens[_i].claims, gate_key, "k1");
	make_wire("1771338721", NOW, agent_key);
	expect(tokens[_i].code, tokens[_i].reason);
	ck_assert(!session->token_verified);
}
END_TEST

START_TEST(token_signatures)
{
	make_token(good_claims, agent_key, "k1"); /* signed by the agent itself */
	make_wire("1771338721", NOW, agent_key);
	expect(SEAL_TOKEN, "token_refused");
	make_token(good_claims, gate_key, "k2");
	make_wire("1771338721", NOW, agent_key);
	expect(SEAL_TOKEN, "token_refused");
	snprintf(token, sizeof token, "aaa.bbb.ccc");
	make_wire("1771338721", NOW, agent_key);
	expect(SEAL_TOKEN, "malformed_token");
	/* {"alg":"none"}.{} */
	snprintf(token, sizeof token, "eyJhbGciOiJub25lIn0.e30.");
	make_wire("1771338721", NOW, agent_key);
	expect(SEAL_TOKEN, "malformed_token");
	make_token(good_claims, gate_key, "k1");
	make_wire("1771338721", NOW, agent_key);
	world.keys = NULL;
	ck_assert_int_eq(verify(), -1);
	ck_assert_uint_eq(refusal.code, 503);
	world.keys = &keys;
	ck_assert_int_eq(verify(), 0);
}
END_TEST

START_TEST(states)
{
	session->state = SESSION_REVOKED;
	expect(SEAL_REVOKED, "revoked");
	expect(SEAL_EXPIRED, "replay"); /* marked although it was refused */
	session->state = SESSION_ACTIVE;
	session->expires_ms = world.unix_ms;
	make_wire("1771338722", NOW + 1, agent_key);
	expect(SEAL_EXPIRED, "session_expired");
	session->expires_ms = world.unix_ms + 1;
	make_wire("1771338723", NOW + 2, agent_key);
	ck_assert_int_eq(verify(), 0);
	world.unix_ms = 1771339000000;
	session->expires_ms = world.unix_ms + 1;
	make_wire("1771339000", 1771339000, agent_key);
	expect(SEAL_EXPIRED, "token_expired");
}
END_TEST

/* As long as an envelope is fresh its mark is there, wherever in the window it came from.
 */
START_TEST(replays)
{
	for (int64_t at = NOW - 30; at <= NOW + 30; at += 15) {
		char stamp[32];

		snprintf(stamp, sizeof stamp, "%lld", (long long)at);
		make_wire(stamp, at, agent_key);
		world.unix_ms = NOW * 1000ull;
		world.mono_ms += 100000;
		ck_assert_int_eq(verify(), 0);
		for (; world.unix_ms / 1000 <= (uint64_t)at + 30; world.unix_ms += 1000) {
			expect(SEAL_EXPIRED, "replay");
			world.mono_ms += 1000;
		}
		expect(SEAL_EXPIRED, "stale_timestamp");
	}
}
END_TEST

/* Every bit of a whole envelope, token and time too, through all checks. What nobody
 * signs is only what nobody reads. */
START_TEST(every_bit)
{
	char *extra;
	size_t len, bit;

	make_wire("1771338721", NOW, agent_key);
	extra = strstr(wire, ",\"container_id\"");
	ck_assert_ptr_nonnull(extra);
	memcpy(extra, "}", 2);
	len = strlen(wire);
	for (bit = 0; bit < len * 8; bit++) {
		wire[bit / 8] ^= (char)(1u << bit % 8);
		ck_assert_msg(
		    seal_verify(&envelope, wire, len, &world, &checked, &refusal) == -1,
		    "accepted: %s", wire);
		wire[bit / 8] ^= (char)(1u << bit % 8);
	}
	ck_assert_uint_gt(bit, 4000);
	ck_assert_int_eq(verify(), 0);
}
END_TEST

/* ---- vector V7 and its changes ---- */

static void
vector_wire(const struct vectors *v, uint32_t node, char *out, size_t size)
{
	char *t = vectors_text(v, node, "token", NULL),
	     *s = vectors_text(v, node, "signature_b64", NULL),
	     *p = vectors_text(v, node, "payload_wire", NULL);
	const uint8_t *stamp;
	size_t len;
	int n;

	ck_assert_int_eq(
	    json_raw(&v->doc, json_get(&v->doc, node, "timestamp"), &stamp, &len), 0);
	n = snprintf(out, size,
	    "{\"protocol\":\"seal/v1\",\"security_token\":\"%s\",\"signature\":\"%s\","
	    "\"payload\":%s,\"timestamp\":%.*s}",
	    t, s, p, (int)len, (const char *)stamp);
	ck_assert_int_lt(n, (int)size);
	free(t);
	free(s);
	free(p);
}

START_TEST(vector_flips)
{
	struct vectors v;
	uint8_t pub[32], sig[64];
	struct json_iter it;
	size_t len, refused_form = 0, refused_sig = 0;
	char *name, *p, *q;

	vectors_load(&v);
	json_iter_init(&it, &v.doc, json_get(&v.doc, json_root(&v.doc), "vectors"));
	while (json_iter_next(&it, &v.doc)) {
		name = vectors_text(&v, it.value, "name", NULL);
		if (strncmp(name, "V7 ", 3) == 0) {
			free(name);
			break;
		}
		free(name);
	}
	vector_wire(&v, it.value, wire, sizeof wire);
	vectors_hex(&v, it.value, "public_hex", pub, sizeof pub);
	vectors_free(&v);
	len = strlen(wire);
	ck_assert_int_eq(seal_envelope_read(&envelope, wire, len), SEAL_FORM_GOOD);
	ck_assert_int_eq(seal_envelope_verify(&envelope, pub, false), 0);
	memcpy(sig, envelope.signature, sizeof sig);
	for (unsigned bit = 0; bit < 512; bit++) {
		memcpy(envelope.signature, sig, sizeof sig);
		envelope.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(seal_envelope_verify(&envelope, pub, true), -1);
	}
	p = strstr(wire, "\"signature\"");
	q = strstr(wire, ",\"timestamp\"");
	ck_assert(p != NULL && q != NULL && p < q);
	/* every bit of signature and payload as they stand on the wire */
	for (; p < q; p++)
		for (unsigned bit = 0; bit < 8; bit++) {
			*p ^= (char)(1u << bit);
			if (seal_envelope_read(&envelope, wire, len) != SEAL_FORM_GOOD)
				refused_form++;
			else if (seal_envelope_verify(&envelope, pub, true) != 0)
				refused_sig++;
			else
				ck_abort_msg("accepted: %s", wire);
			*p ^= (char)(1u << bit);
		}
	ck_assert_uint_gt(refused_form, 100);
	ck_assert_uint_gt(refused_sig, 100);
	ck_assert_int_eq(seal_envelope_read(&envelope, wire, len), SEAL_FORM_GOOD);
	ck_assert_int_eq(seal_envelope_verify(&envelope, pub, false), 0);
}
END_TEST

/* V1 is no JSON-RPC call we refuse; V4 and V9 differ in order, V10 in spacing. */
START_TEST(vector_forms)
{
	struct vectors v;
	struct json_iter it;
	uint8_t pub[32];
	unsigned n = 0;
	char *name;

	vectors_load(&v);
	json_iter_init(&it, &v.doc, json_get(&v.doc, json_root(&v.doc), "vectors"));
	while (json_iter_next(&it, &v.doc)) {
		bool boot;

		if (json_get(&v.doc, it.value, "payload_wire") == JSON_NONE)
			continue; /* V11 is a node's */
		name = vectors_text(&v, it.value, "name", NULL);
		boot = strncmp(name, "V10", 3) == 0;
		vector_wire(&v, it.value, wire, sizeof wire);
		vectors_hex(&v, it.value, "public_hex", pub, sizeof pub);
		ck_assert_msg(
		    seal_envelope_read(&envelope, wire, strlen(wire)) == SEAL_FORM_GOOD,
		    "%s: %s", name, envelope.fault);
		ck_assert_msg(
		    seal_envelope_verify(&envelope, pub, false) == (boot ? -1 : 0), "%s",
		    name);
		ck_assert_msg(
		    seal_envelope_verify(&envelope, pub, true) == 0, "%s", name);
		pub[0] ^= 1;
		ck_assert_int_eq(seal_envelope_verify(&envelope, pub, true), -1);
		free(name);
		n++;
	}
	ck_assert_uint_eq(n, 10);
	vectors_free(&v);
}
END_TEST

/* ---- keys of attestations ---- */

#define KEY_HEX "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define KEY_B64 "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define KEY_SPKI "MCowBQYDK2VwAyEA" KEY_B64

static const char *const good_keys[] = {
    KEY_HEX,
    "D75A980182B10AB7D54BFED3C964073A0EE172F3DAA62325AF021A68F707511A",
    KEY_B64 "=",
    KEY_B64,
    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    KEY_SPKI "=",
    "-----BEGIN PUBLIC KEY-----\n" KEY_SPKI "=\n-----END PUBLIC KEY-----\n",
    "-----BEGIN PUBLIC KEY-----\r\n" KEY_SPKI "=\r\n-----END PUBLIC KEY-----",
    KEY_B64 "=\n",
};

static const char *const bad_keys[] = {
    "",
    "=",
    "x",
    KEY_HEX "00",
    "d75a98",
    "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUR",
    KEY_B64 "AA",
    KEY_B64 "==x",
    "!1qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "-----BEGIN PUBLIC KEY-----\n" KEY_SPKI "=",
    "-----BEGIN PRIVATE KEY-----\n" KEY_SPKI "=\n-----END PRIVATE KEY-----",
    "MCowBQYDK2VuAyEA" KEY_B64 "=", /* X25519 */
    /* points of small order, and not canonical ones */
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
};

START_TEST(key_forms)
{
	uint8_t want[32], got[32];

	ck_assert_int_eq(hex_decode(KEY_HEX, 64, want, sizeof want), 32);
	for (size_t i = 0; i < sizeof good_keys / sizeof good_keys[0]; i++) {
		memset(got, 0, sizeof got);
		ck_assert_msg(attest_key_read(span_str(good_keys[i]), got) == 0, "%s",
		    good_keys[i]);
		ck_assert_int_eq(memcmp(got, want, 32), 0);
	}
	for (size_t i = 0; i < sizeof bad_keys / sizeof bad_keys[0]; i++)
		ck_assert_msg(
		    attest_key_read(span_str(bad_keys[i]), got) == -1, "%s", bad_keys[i]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("seal_verify");
	TCase *tc = tcase_create("seal_verify");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, good);
	tcase_add_test(tc, alias);
	tcase_add_loop_test(tc, timestamps, 0, sizeof stamps / sizeof stamps[0]);
	tcase_add_test(tc, forms);
	tcase_add_test(tc, signatures);
	tcase_add_loop_test(tc, claims, 0, sizeof tokens / sizeof tokens[0]);
	tcase_add_test(tc, token_signatures);
	tcase_add_test(tc, states);
	tcase_add_test(tc, replays);
	tcase_add_test(tc, every_bit);
	tcase_add_test(tc, vector_flips);
	tcase_add_test(tc, vector_forms);
	tcase_add_test(tc, key_forms);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
