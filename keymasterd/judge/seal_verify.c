/* SPDX-License-Identifier: Apache-2.0 */
/* Verifies envelopes, in the judge, on anybody's bytes. */
#include "keymasterd/judge/seal_verify.h"

#include <string.h>

#include "common/replay.h"
#include "common/sha256.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/seal_marks.h"
#include "keymasterd/judge/trust.h"

#define TOKEN_LIFE_MAX 86400 /* seconds, the protocol's limit */

static struct jwt token; /* scratch, keeps its memory */

static int
refuse(struct seal_refusal *r, unsigned code, const char *message, const char *reason)
{
	r->code = code;
	r->message = message;
	r->reason = reason;
	return -1;
}

/* Finds the session by what the token says of itself; the token is not verified here. */
static int
find_session(const struct seal_envelope *e, const uint8_t hash[32], struct session **out,
    struct seal_refusal *r)
{
	char exec_id[65], tenant[STORE_TENANT_MAX];
	uint32_t root;
	size_t len;

	if ((*out = session_by_token(hash)) != NULL)
		return 0;
	if (jwt_header_claims_split(&token, (const char *)e->token.p, e->token.len) !=
	    JWT_OK)
		return refuse(r, SEAL_TOKEN, "The security token is not a JWT of ours",
		    "malformed_token");
	root = json_root(&token.claims);
	if (json_str_copy(&token.claims, json_get(&token.claims, root, "tenant_id"),
		tenant, sizeof tenant, NULL) != 0)
		(void)span_copy(span_str(judge_conf.tenant), tenant, sizeof tenant);
	if (json_str_copy(&token.claims, json_get(&token.claims, root, "exec_id"),
		exec_id, sizeof exec_id, &len) != 0 ||
	    (*out = session_by_exec(tenant, span_mem(exec_id, len))) == NULL)
		return refuse(
		    r, SEAL_NO_SESSION, "There is no such session", "unknown_session");
	return 0;
}

static bool
claim_is(const char *name, const char *value)
{
	return json_str_eq(&token.claims,
	    json_get(&token.claims, json_root(&token.claims), name), value);
}

static bool
claim_there(const char *name)
{
	return json_get(&token.claims, json_root(&token.claims), name) != JSON_NONE;
}

int
seal_token_check(const char *text, size_t len, const struct seal_world *world,
    struct jwt *t, struct seal_token *out, struct seal_refusal *r)
{
	struct jwt_expect want = {.now = (int64_t)(world->unix_ms / 1000),
	    .max_life = TOKEN_LIFE_MAX,
	    .leeway = world->leeway_s,
	    .iss = world->issuer,
	    .aud = world->audience};
	const struct jwt_keyset *keys = world->keys;
	char iss[257];
	enum jwt_err err;

	memset(out, 0, sizeof *out);
	err = jwt_header_claims_split(t, text, len);
	if (err == JWT_OK &&
	    json_str_copy(&t->claims, json_get(&t->claims, json_root(&t->claims), "iss"),
		iss, sizeof iss, NULL) == 0)
		out->issuer = trust_find(ISSUER_AGENTS, iss);
	if (out->issuer != NULL) {
		want.iss = out->issuer->issuer;
		want.aud = out->issuer->audience;
		want.leeway = out->issuer->leeway_s;
		keys = &out->issuer->set;
	} else if (keys == NULL) {
		r->status = 503;
		return refuse(
		    r, 503, "The token keys are not there yet", SEAL_UNMARKED_KEYS);
	}
	if (err == JWT_OK)
		err = jwt_verify(t, text, len, keys);
	if (err == JWT_OK)
		err = jwt_check_claims(t, &want);
	if (err == JWT_OK || err == JWT_E_EXPIRED)
		(void)json_int64(&t->claims,
		    json_get(&t->claims, json_root(&t->claims), "exp"), &out->exp);
	out->ends = out->exp + want.leeway;
	if (err == JWT_E_EXPIRED)
		return refuse(r, SEAL_EXPIRED, "The security token has expired",
		    SEAL_UNMARKED_EXPIRED);
	if (err != JWT_OK)
		return refuse(r, SEAL_TOKEN, jwt_strerror(err), SEAL_UNMARKED_REFUSED);
	return 0;
}

/* The token is this session's and says so. One of our own is the one that the session was
 * made with; other issuers may renew theirs. */
static int
check_binding(const struct session *s, const struct seal_token *t, const uint8_t hash[32],
    struct seal_refusal *r)
{
	uint32_t root = json_root(&token.claims),
		 wid = json_get(&token.claims, root, "wid");

	if (!claim_is("exec_id", s->exec_id) || !claim_is("sub", s->sub) ||
	    !claim_is("scp", s->context) ||
	    (claim_there("tenant_id") && !claim_is("tenant_id", s->tenant)) ||
	    json_type(&token.claims, wid) != JT_STRING ||
	    json_str_eq(&token.claims, wid, ""))
		return refuse(r, SEAL_TOKEN, "The security token is not this session's",
		    "token_mismatch");
	if (t->issuer == NULL && memcmp(hash, s->token_hash, sizeof s->token_hash) != 0)
		return refuse(r, SEAL_TOKEN, "The session has another security token",
		    "token_mismatch");
	return 0;
}

void
seal_mark(struct span session_id, const uint8_t signature[64], uint8_t mark[32])
{
	sha256_two(session_id.p, session_id.len, signature, 64, mark);
}

bool
seal_unmarked(struct span detail)
{
	static const char at[] = SEAL_UNMARKED_EXPIRED_AT;

	return span_eq(detail, SEAL_UNMARKED_EXPIRED) ||
	    span_eq(detail, SEAL_UNMARKED_REFUSED) ||
	    span_eq(detail, SEAL_UNMARKED_KEYS) ||
	    (detail.len > sizeof at - 1 && memcmp(detail.p, at, sizeof at - 1) == 0);
}

int
seal_verify(struct seal_envelope *e, const void *p, size_t len,
    const struct seal_world *world, struct seal_checked *out, struct seal_refusal *r)
{
	int64_t now = (int64_t)(world->unix_ms / 1000);
	struct seal_token seen;
	uint8_t hash[32], mark[32];
	struct session *s;
	bool known;

	*out = (struct seal_checked){.stage = SEAL_STAGE_FORM};
	*r = (struct seal_refusal){.code = 0};
	if (seal_envelope_read(e, p, len) != SEAL_FORM_GOOD) {
		r->request = e->id;
		return refuse(r, SEAL_MALFORMED, e->fault, "malformed");
	}
	r->request = e->id;
	if (!seal_envelope_fresh(e, now, world->window_s))
		return refuse(
		    r, SEAL_EXPIRED, "The timestamp is not of now", "stale_timestamp");

	judge_sha256(e->token.p, e->token.len, hash);
	if (find_session(e, hash, &s, r) != 0)
		return -1;
	out->session = s;
	out->stage = SEAL_STAGE_SESSION;
	if (seal_envelope_verify(e, s->public_key, world->compat_spaced) != 0)
		return refuse(
		    r, SEAL_SIGNATURE, "The signature is not the session's", "signature");
	out->stage = SEAL_STAGE_SIGNED;
	out->own_token = memcmp(hash, s->token_hash, sizeof hash) == 0;

	known = s->token_verified && s->verified_with == world->generation &&
	    memcmp(hash, s->verified_hash, sizeof hash) == 0;
	if (!known) {
		if (seal_token_check((const char *)e->token.p, e->token.len, world,
			&token, &seen, r) != 0) {
			out->expired_at = r->code == SEAL_EXPIRED ? seen.exp : 0;
			return -1;
		}
	} else if (now >= s->token_exp) {
		out->expired_at = s->token_exp;
		return refuse(r, SEAL_EXPIRED, "The security token has expired",
		    SEAL_UNMARKED_EXPIRED);
	}
	if (world->jti_once && s->state == SESSION_USED)
		return refuse(r, SEAL_EXPIRED, "The security token was good for one call",
		    "replay");

	seal_mark(span_str(s->id), e->signature, mark);
	if (replay_stamped(world->replay, mark, world->mono_ms, e->timestamp) != 1)
		return refuse(r, SEAL_EXPIRED,
		    e->timestamp > replay_horizon(world->replay)
			? "This envelope has been received before"
			: "The gate's clock went back: this may have been received "
			  "before",
		    "replay");
	seal_marks_note(mark);

	if (!known) {
		if (check_binding(s, &seen, hash, r) != 0)
			return -1;
		s->token_exp = seen.ends;
		memcpy(s->verified_hash, hash, sizeof hash);
		s->verified_with = world->generation;
		s->token_verified = true;
	}
	if (s->state == SESSION_REVOKED)
		return refuse(r, SEAL_REVOKED, "The session was revoked", "revoked");
	if (world->unix_ms >= s->expires_ms + 1000 * (uint64_t)world->leeway_s) {
		out->expired_at = (int64_t)(s->expires_ms / 1000);
		return refuse(r, SEAL_EXPIRED, "The session is over", "session_expired");
	}
	return 0;
}
