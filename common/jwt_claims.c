/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registered claims of a token (RFC 7519 section 4.1); see jwt.h. Runs in judge on
 * claims whose signature has been checked, so their issuer is trusted, not their meaning.
 */
#include "common/jwt.h"

/* Reads a time claim: 1 present, 0 absent, -1 not an integer we can reckon with. */
static int
get_time(const struct json_doc *d, const char *name, int64_t *v)
{
	uint32_t node = json_get(d, json_root(d), name);

	if (node == JSON_NONE)
		return 0;
	/* the bound keeps sums with leeway and skew far from overflow */
	if (json_int64(d, node, v) != 0 || *v < 0 || *v > INT64_MAX / 4)
		return -1;
	return 1;
}

static enum jwt_err
check_times(const struct json_doc *d, const struct jwt_expect *want)
{
	int has_exp, has_nbf, has_iat;
	int64_t exp = 0, nbf = 0, iat = 0;

	has_exp = get_time(d, "exp", &exp);
	has_nbf = get_time(d, "nbf", &nbf);
	has_iat = get_time(d, "iat", &iat);
	if (has_exp != 1 || has_nbf < 0 || has_iat < 0)
		return JWT_E_CLAIMS;
	if (want->now >= exp + want->leeway)
		return JWT_E_EXPIRED;
	if (has_nbf == 1 && want->now + want->leeway < nbf)
		return JWT_E_NOT_YET;
	if (has_iat == 1 && want->now + want->leeway + JWT_IAT_SKEW < iat)
		return JWT_E_NOT_YET;
	if (has_iat == 1 && exp < iat)
		return JWT_E_LIFETIME;
	if (want->max_life > 0 && (has_iat != 1 || exp - iat > want->max_life))
		return JWT_E_LIFETIME;
	return JWT_OK;
}

static enum jwt_err
check_audience(const struct json_doc *d, const char *aud)
{
	uint32_t node = json_get(d, json_root(d), "aud");
	struct json_iter it;
	bool found = false;

	if (json_type(d, node) == JT_STRING)
		return json_str_eq(d, node, aud) ? JWT_OK : JWT_E_AUDIENCE;
	if (node != JSON_NONE && json_type(d, node) != JT_ARRAY)
		return JWT_E_CLAIMS;
	json_iter_init(&it, d, node);
	while (json_iter_next(&it, d)) {
		if (json_type(d, it.value) != JT_STRING)
			return JWT_E_CLAIMS;
		found = found || json_str_eq(d, it.value, aud);
	}
	return found ? JWT_OK : JWT_E_AUDIENCE;
}

enum jwt_err
jwt_check_claims(const struct jwt *t, const struct jwt_expect *want)
{
	const struct json_doc *d = &t->claims;
	enum jwt_err e;
	uint32_t iss;

	if (json_type(d, json_root(d)) != JT_OBJECT)
		return JWT_E_CLAIMS;
	if ((e = check_times(d, want)) != JWT_OK)
		return e;
	iss = json_get(d, json_root(d), "iss");
	if (want->iss != NULL && !json_str_eq(d, iss, want->iss))
		return JWT_E_ISSUER;
	return want->aud == NULL ? JWT_OK : check_audience(d, want->aud);
}
