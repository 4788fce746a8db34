/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of operators; see operator.h. Judge only; the token is anybody's until its
 * signature has been checked. The issuer it claims to be of chooses the keys, never the
 * other way round, and every issuer has an audience that no agent's token has.
 */
#include "keymasterd/judge/operator.h"

#include <string.h>

#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/trust.h"

static struct jwt token; /* scratch, keeps its memory */

static const char *const names[] = {"", "readonly", "operator", "admin"};

const char *
operator_role_name(enum operator_role role)
{
	return role <= OPERATOR_ADMIN ? names[role] : "";
}

/* Is this text among the lines? */
static bool
listed(const char *lines, const char *text, size_t len)
{
	const char *end;

	for (; (end = strchr(lines, '\n')) != NULL; lines = end + 1)
		if ((size_t)(end - lines) == len && memcmp(lines, text, len) == 0)
			return true;
	return false;
}

/* The claim itself, or the one that dots lead to. */
static uint32_t
find_claim(const char *name)
{
	const struct json_doc *d = &token.claims;
	uint32_t node = json_get(d, json_root(d), name);
	const char *dot;

	if (node != JSON_NONE)
		return node;
	for (node = json_root(d); (dot = strchr(name, '.')) != NULL; name = dot + 1) {
		node = json_getn(d, node, name, (size_t)(dot - name));
		if (json_type(d, node) != JT_OBJECT)
			return JSON_NONE;
	}
	return json_get(d, node, name);
}

static enum operator_role
role_of_text(const struct trust_issuer *t, uint32_t node)
{
	char text[257];
	size_t len;

	if (json_type(&token.claims, node) != JT_STRING ||
	    json_str_copy(&token.claims, node, text, sizeof(text), &len) != 0)
		return 0;
	for (unsigned role = OPERATOR_ADMIN; role >= OPERATOR_READONLY; role--) {
		if (t == NULL ? strcmp(text, names[role]) == 0
			      : listed(t->roles[role], text, len))
			return (enum operator_role)role;
	}
	return 0;
}

/* The greatest role of the claim, 0 for none. */
static enum operator_role
role_of(const struct trust_issuer *t)
{
	uint32_t node = find_claim(t == NULL ? "aegis_role" : t->role_claim);
	enum operator_role best = 0, one;
	struct json_iter it;

	if (json_type(&token.claims, node) != JT_ARRAY)
		return role_of_text(t, node);
	json_iter_init(&it, &token.claims, node);
	while (json_iter_next(&it, &token.claims))
		if ((one = role_of_text(t, it.value)) > best)
			best = one;
	return best;
}

/* Text of a claim; 1 when it is absent, -1 when it is no short text. Line ends and the
 * like are in none: tables join names with them. */
static int
text_of(const char *name, char *out, size_t size)
{
	uint32_t node = find_claim(name);
	size_t len;

	out[0] = '\0';
	if (node == JSON_NONE)
		return 1;
	if (json_type(&token.claims, node) != JT_STRING ||
	    json_str_copy(&token.claims, node, out, size, &len) != 0 || len == 0)
		return -1;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
			return -1;
	return 0;
}

static unsigned
refused(enum jwt_err e, const char **why)
{
	*why = e == JWT_E_EXPIRED ? "The operator's token has expired"
				  : "The operator's token is not acceptable";
	return 401;
}

/* Signature, issuer, audience, times. Fills in whose token it is; NULL: our own. */
static unsigned
verify(struct span text, const struct trust_issuer **whose, const char **why)
{
	struct jwt_expect want = {.now = (int64_t)(judge_now_ms() / 1000)};
	const struct jwt_keyset *set;
	char issuer[257];
	enum jwt_err e;

	*whose = NULL;
	if ((e = jwt_header_claims_split(&token, text.p, text.len)) != JWT_OK ||
	    text_of("iss", issuer, sizeof(issuer)) != 0)
		return refused(e, why);
	*whose = trust_find(ISSUER_OPERATORS, issuer);
	if (*whose != NULL) {
		set = &(*whose)->set;
		want.iss = (*whose)->issuer;
		want.aud = (*whose)->audience;
		want.leeway = (*whose)->leeway_s;
		/* keys are chosen by kid: a token has to name one */
		if (!token.has_kid)
			return refused(JWT_E_KEY, why);
	} else {
		set = trust_own();
		want.iss = judge_conf.issuer;
		want.aud = TRUST_AUD_OPERATORS;
		want.max_life = 86400;
		if (set->n == 0) {
			*why = "The keys are not there yet";
			return 503;
		}
	}
	if ((e = jwt_verify(&token, text.p, text.len, set)) != JWT_OK ||
	    (e = jwt_check_claims(&token, &want)) != JWT_OK)
		return refused(e, why);
	return 0;
}

/* One of ours counts until it is revoked: on the host that gave it out, since others with
 * the same key do not know of it. */
static unsigned
still_good(struct operator_who *op, const char **why)
{
	int r;

	if (text_of("jti", op->jti, sizeof(op->jti)) != 0)
		return refused(JWT_E_CLAIMS, why);
	r = store_operator_revoked(judge_store, op->tenant, op->jti);
	if (r == 0)
		return 0;
	*why = r > 0 ? "The operator's token was revoked" : "The database cannot be read";
	return r > 0 ? 401 : 503;
}

unsigned
operator_read(struct span authorization, struct operator_who *op, const char **why)
{
	const struct trust_issuer *whose;
	struct span text = authorization;
	unsigned status;
	int64_t exp = 0;
	int absent;

	memset(op, 0, sizeof(*op));
	if (text.len < 8 || !span_ieq(span_mem(text.p, 7), "bearer ")) {
		*why = "This needs an operator's token: Authorization: Bearer ...; "
		       "\"aegis operator token\" makes one";
		return 401;
	}
	for (text = span_mem(text.p + 7, text.len - 7); text.len > 0 && text.p[0] == ' ';)
		text = span_mem(text.p + 1, text.len - 1);
	if ((status = verify(text, &whose, why)) != 0)
		return status;
	absent = text_of(whose != NULL ? whose->tenant_claim : "tenant_id", op->tenant,
	    sizeof(op->tenant));
	if (absent < 0 || text_of("sub", op->name, sizeof(op->name)) != 0)
		return refused(JWT_E_CLAIMS, why);
	if (absent > 0)
		(void)span_copy(
		    span_str(judge_conf.tenant), op->tenant, sizeof(op->tenant));
	if (whose == NULL && (status = still_good(op, why)) != 0)
		return status;
	if ((op->role = role_of(whose)) == 0) {
		*why = "The operator's token holds no role that is known here";
		return 403;
	}
	(void)json_int64(&token.claims, find_claim("exp"), &exp);
	op->until_s = (uint64_t)exp + (whose != NULL ? whose->leeway_s : 0);
	op->generation = trust_generation();
	return 0;
}

bool
operator_counts(const struct operator_who *op)
{
	return op->generation == trust_generation() &&
	    judge_now_ms() / 1000 < op->until_s &&
	    (op->jti[0] == '\0' ||
		store_operator_revoked(judge_store, op->tenant, op->jti) == 0);
}
