/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: envelopes. What is read is checked against its own claims; nothing was
 * signed with this key, so nothing may ever verify; and the way through the session table
 * ends in a refusal with a code.
 */
#include <stdlib.h>
#include <string.h>

#include "common/replay.h"
#include "keymasterd/judge/attest_key.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/seal_verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

struct judge_conf judge_conf;
struct store *judge_store;
int judge_stopping;
struct judge_keys judge_keys;

/* RFC 8032 test 1024; its secret is public, but no fuzzer and no vector signs with it */
static const uint8_t pub[32] = {0x27, 0x81, 0x17, 0xfc, 0x14, 0x4c, 0x72, 0x34, 0x0f,
    0x67, 0xd0, 0xf2, 0x31, 0x6e, 0x83, 0x86, 0xce, 0xff, 0xbf, 0x2b, 0x24, 0x28, 0xc9,
    0xc5, 0x1f, 0xef, 0x7c, 0x59, 0x7f, 0x1d, 0x42, 0x6e};

static void
enter_session(const char *id, const char *exec_id, const char *token)
{
	struct store_session row = {.tenant = "t",
	    .sub = "8a9f7b3c-4d5e-4f7a-8b9c-0d1e2f3a4b5c",
	    .context = "read-only-research",
	    .state = SESSION_ACTIVE,
	    .expires_ms = UINT64_MAX};

	must(span_copy(span_str(id), row.id, sizeof row.id) == 0);
	must(span_copy(span_str(exec_id), row.exec_id, sizeof row.exec_id) == 0);
	memcpy(row.public_key, pub, sizeof pub);
	judge_sha256(token, strlen(token), row.token_hash);
	must(session_enter(&row) != NULL);
}

static void
check_read(struct seal_envelope *e, const uint8_t *data, size_t size)
{
	if (seal_envelope_read(e, data, size) != SEAL_FORM_GOOD) {
		must(e->fault != NULL);
		return;
	}
	must(e->payload_off < size && e->payload_raw.len <= size - e->payload_off);
	must(memcmp(data + e->payload_off, e->payload_raw.p, e->payload_raw.len) == 0);
	must(e->payload_raw.p[0] == '{' && e->id.p != NULL && e->id.len > 0);
	must(e->method[0] != '\0' && e->token.len > 0);
	must(seal_envelope_verify(e, pub, true) == -1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct seal_envelope e;
	static struct replay *replay;
	static struct jwt_key key = {.alg = JWT_EDDSA};
	static const struct jwt_keyset keys = {&key, 1};
	struct seal_world world = {.unix_ms = 1771338721000,
	    .mono_ms = 1,
	    .window_s = 30,
	    .issuer = "seal-gateway",
	    .audience = "seal-gateway",
	    .keys = &keys};
	struct seal_checked checked;
	struct seal_refusal r;
	uint8_t k[32];

	if (replay == NULL) {
		must((replay = replay_new(62000)) != NULL);
		memcpy(key.ed25519, pub, sizeof pub);
		seal_envelope_init(&e);
		enter_session("1", "e", "aaa.bbb.ccc");
		enter_session("2", "f", "d");
	}
	world.replay = replay;
	check_read(&e, data, size);
	must(seal_verify(&e, data, size, &world, &checked, &r) == -1);
	must(r.code >= 1000 && r.code <= 1006 && r.message != NULL);
	must(checked.stage != SEAL_STAGE_SIGNED);
	(void)attest_key_read(span_mem(data, size), k);
	return 0;
}
