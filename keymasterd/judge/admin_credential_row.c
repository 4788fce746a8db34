/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of credentials: checks of what was typed, and their JSON. Judge only. */
#include <stdio.h>
#include <string.h>

#include "common/access.h"
#include "common/buf.h"
#include "common/credential_text.h"
#include "common/host.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "common/reference.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/admin_credential.h"
#include "keymasterd/judge/registry.h"

#define DAY_MS 86400000ull
#define DAYS_MAX 36500
#define SOON_MS (7 * DAY_MS)

static int
wrong(char *why, size_t size, const char *what, const char *bad)
{
	if (bad == NULL)
		return 0;
	snprintf(why, size, "The %s %s.", what, bad);
	return -1;
}

int
credential_ttl(struct store_credential *row, uint32_t days, uint64_t now_ms)
{
	if (days > DAYS_MAX)
		return -1;
	row->expires_ms = days == 0 ? 0 : now_ms + days * DAY_MS;
	return 0;
}

static int
inspection_set(struct span s, struct store_credential *row, char *why, size_t size)
{
	if (s.len == 0)
		s = span_str("block");
	if (!span_eq(s, "off") && !span_eq(s, "warn") && !span_eq(s, "block"))
		return wrong(why, size, "body inspection", "is off, warn or block");
	return span_copy(s, row->inspection, sizeof(row->inspection));
}

/* Those of the three lists that are meant. */
static int
limits_set(struct span methods, struct span allow, struct span deny, uint32_t set,
    struct store_credential *row, char *why, size_t size)
{
	const char *bad = NULL;

	if ((set & CREDENTIAL_METHODS) &&
	    (bad = access_methods_text(methods, row->methods, sizeof(row->methods))) !=
		NULL)
		return wrong(why, size, "list of allowed methods", bad);
	if ((set & CREDENTIAL_ALLOW_PATHS) &&
	    (bad = access_paths_text(
		 allow, row->allow_paths, sizeof(row->allow_paths))) != NULL)
		return wrong(why, size, "list of allowed paths", bad);
	if ((set & CREDENTIAL_DENY_PATHS) &&
	    (bad = access_paths_text(deny, row->deny_paths, sizeof(row->deny_paths))) !=
		NULL)
		return wrong(why, size, "list of denied paths", bad);
	return 0;
}

static int
reference_set(struct span text, struct store_credential *row, char *why, size_t size)
{
	struct reference ref;
	const char *bad = text.len > 0 ? reference_parse(text, &ref) : NULL;

	if (bad != NULL) {
		snprintf(why, size, "The reference to the secret: %s.", bad);
		return -1;
	}
	if (span_copy(text, row->secret_ref, sizeof(row->secret_ref)) == -1)
		return wrong(why, size, "reference", "is too long");
	return 0;
}

/* Header and query names belong to their auth types; each gets its usual default. */
static int
auth_check(struct store_credential *row, char *why, size_t size)
{
	struct span type = span_str(row->auth_type);

	if (wrong(why, size, "auth type", check_auth_type(type)) == -1)
		return -1;
	if (span_eq(type, "header")) {
		if (row->header_name[0] == '\0')
			snprintf(row->header_name, sizeof(row->header_name), "%s",
			    credential_header_default(type));
		if (wrong(why, size, "header name",
			check_header_name(span_str(row->header_name))) == -1)
			return -1;
	} else if (row->header_name[0] != '\0') {
		return wrong(
		    why, size, "header name", "goes with the auth type header only");
	}
	if (span_eq(type, "query")) {
		if (row->query_param[0] == '\0')
			snprintf(row->query_param, sizeof(row->query_param), "%s",
			    credential_param_default(type));
		return wrong(why, size, "query parameter",
		    check_query_param(span_str(row->query_param)));
	}
	if (row->query_param[0] != '\0')
		return wrong(
		    why, size, "query parameter", "goes with the auth type query only");
	return 0;
}

/* A host in the upstream must be one that the domains allow. */
static int
upstream_check(const struct store_credential *row, char *why, size_t size)
{
	static struct credential probe;
	char host[HOST_MAX], *save = NULL, *p;

	memset(&probe, 0, sizeof(probe));
	if (upstream_parse(
		row->upstream, probe.scheme, host, sizeof(host), &probe.port) == -1)
		return wrong(why, size, "upstream",
		    "is https:// or http://, a host and a port if you like: "
		    "http://127.0.0.1:8080");
	if (host[0] == '\0')
		return 0;
	snprintf(probe.pattern_text, sizeof(probe.pattern_text), "%s", row->domains);
	for (p = strtok_r(probe.pattern_text, ",", &save);
	     p != NULL && probe.npatterns < 64; p = strtok_r(NULL, ",", &save))
		probe.patterns[probe.npatterns++] = p;
	if (credential_covers(&probe, host, 0))
		return 0;
	snprintf(why, size,
	    "The upstream's host %s is not among the domains: add it with --domains.",
	    host);
	return -1;
}

int
credential_row_new(const struct msg_credential_add *m, struct store_credential *row,
    char *why, size_t size)
{
	uint64_t now = judge_now_ms();

	memset(row, 0, sizeof(*row));
	if (wrong(why, size, "name", check_identifier(m->name, 128)) == -1 ||
	    wrong(why, size, "service", check_identifier(m->service, 64)) == -1 ||
	    wrong(why, size, "service", check_service_free(m->service)) == -1 ||
	    wrong(why, size, "list of domains",
		check_domains(m->domains, row->domains, sizeof(row->domains))) == -1 ||
	    wrong(why, size, "scopes",
		check_scopes(m->scopes, row->scopes, sizeof(row->scopes))) == -1 ||
	    wrong(why, size, "rate limit",
		check_rate_limit(
		    m->rate_limit, row->rate_limit, sizeof(row->rate_limit))) == -1 ||
	    inspection_set(m->body_inspection, row, why, size) == -1)
		return -1;
	if (limits_set(m->methods, m->allow_paths, m->deny_paths, UINT32_MAX, row, why,
		size) == -1)
		return -1;
	if (credential_ttl(row, m->ttl_days, now) == -1)
		return wrong(why, size, "ttl", "is 0 to 36500 days");
	judge_uuid(row->id);
	snprintf(row->tenant, sizeof(row->tenant), "%s", judge_conf.tenant);
	if (span_copy(m->name, row->name, sizeof(row->name)) == -1 ||
	    span_copy(m->service, row->service, sizeof(row->service)) == -1 ||
	    span_copy(m->auth_type.len > 0 ? m->auth_type : span_str("bearer"),
		row->auth_type, sizeof(row->auth_type)) == -1 ||
	    span_copy(m->header_name, row->header_name, sizeof(row->header_name)) == -1 ||
	    span_copy(m->query_param, row->query_param, sizeof(row->query_param)) == -1 ||
	    span_copy(m->upstream, row->upstream, sizeof(row->upstream)) == -1)
		return wrong(why, size, "text", "is too long");
	if (reference_set(m->secret_ref, row, why, size) == -1)
		return -1;
	row->allow_private = m->allow_private != 0;
	row->created_ms = row->updated_ms = now;
	return auth_check(row, why, size) == -1 || upstream_check(row, why, size) == -1
	    ? -1
	    : 0;
}

int
credential_row_change(const struct msg_credential_update *m, struct store_credential *row,
    char *why, size_t size)
{
	uint64_t now = judge_now_ms();

	if (m->set == 0)
		return wrong(why, size, "update", "names nothing to change");
	if ((m->set & CREDENTIAL_DOMAINS) &&
	    wrong(why, size, "list of domains",
		check_domains(m->domains, row->domains, sizeof(row->domains))) == -1)
		return -1;
	if ((m->set & CREDENTIAL_SCOPES) &&
	    wrong(why, size, "scopes",
		check_scopes(m->scopes, row->scopes, sizeof(row->scopes))) == -1)
		return -1;
	if ((m->set & CREDENTIAL_RATE_LIMIT) &&
	    wrong(why, size, "rate limit",
		check_rate_limit(
		    m->rate_limit, row->rate_limit, sizeof(row->rate_limit))) == -1)
		return -1;
	if ((m->set & CREDENTIAL_INSPECTION) &&
	    inspection_set(m->body_inspection, row, why, size) == -1)
		return -1;
	if (limits_set(
		m->methods, m->allow_paths, m->deny_paths, m->set, row, why, size) == -1)
		return -1;
	if ((m->set & CREDENTIAL_TTL) && credential_ttl(row, m->ttl_days, now) == -1)
		return wrong(why, size, "ttl", "is 0 to 36500 days");
	if (m->set & CREDENTIAL_AUTH_TYPE) {
		if (span_copy(m->auth_type, row->auth_type, sizeof(row->auth_type)) == -1)
			return wrong(why, size, "auth type", "is too long");
		/* names of the type before go with it */
		row->header_name[0] = row->query_param[0] = '\0';
	}
	if (((m->set & CREDENTIAL_HEADER_NAME) &&
		span_copy(m->header_name, row->header_name, sizeof(row->header_name)) ==
		    -1) ||
	    ((m->set & CREDENTIAL_QUERY_PARAM) &&
		span_copy(m->query_param, row->query_param, sizeof(row->query_param)) ==
		    -1) ||
	    ((m->set & CREDENTIAL_UPSTREAM) &&
		span_copy(m->upstream, row->upstream, sizeof(row->upstream)) == -1))
		return wrong(why, size, "text", "is too long");
	if (m->set & CREDENTIAL_PRIVATE)
		row->allow_private = m->allow_private != 0;
	if ((m->set & CREDENTIAL_REFERENCE) &&
	    (m->secret_ref.len == 0 ||
		reference_set(m->secret_ref, row, why, size) == -1))
		return m->secret_ref.len == 0 ? wrong(why, size, "reference", "is empty")
					      : -1;
	row->updated_ms = now;
	return auth_check(row, why, size) == -1 || upstream_check(row, why, size) == -1
	    ? -1
	    : 0;
}

const char *
time_text(uint64_t ms, char out[32])
{
	if (ms == 0 ||
	    rfc3339_format(
		(int64_t)(ms / 1000), (uint32_t)(ms % 1000) * 1000000, 3, out, 32) < 0)
		out[0] = '\0';
	return out;
}

static void
put_time(struct jsonw *w, const char *key, uint64_t ms)
{
	char text[32];

	if (ms != 0)
		jsonw_key_str(w, key, time_text(ms, text));
}

static void
put_if(struct jsonw *w, const char *key, const char *value)
{
	if (value[0] != '\0')
		jsonw_key_str(w, key, value);
}

int
credential_row_json(const struct store_credential *row, struct buf *out)
{
	uint64_t now = judge_now_ms();
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "name", row->name);
	jsonw_key_str(&w, "service", row->service);
	jsonw_key_list(&w, "domains", row->domains);
	jsonw_key_str(&w, "auth_type", row->auth_type);
	put_if(&w, "header_name", row->header_name);
	put_if(&w, "query_param", row->query_param);
	jsonw_key_list(&w, "scopes", row->scopes);
	put_if(&w, "rate_limit", row->rate_limit);
	if (row->methods[0] != '\0')
		jsonw_key_list(&w, "allow_methods", row->methods);
	if (row->allow_paths[0] != '\0')
		jsonw_key_list(&w, "allow_paths", row->allow_paths);
	if (row->deny_paths[0] != '\0')
		jsonw_key_list(&w, "deny_paths", row->deny_paths);
	jsonw_key_str(&w, "body_inspection", row->inspection);
	put_if(&w, "upstream", row->upstream);
	put_if(&w, "secret_ref", row->secret_ref);
	jsonw_key_bool(&w, "allow_private", row->allow_private != 0);
	jsonw_key_str(&w, "status",
	    row->expires_ms == 0 || row->expires_ms > now + SOON_MS ? "active"
		: row->expires_ms <= now                            ? "expired"
								    : "expiring_soon");
	put_time(&w, "expires_at", row->expires_ms);
	put_time(&w, "created_at", row->created_ms);
	put_time(&w, "updated_at", row->updated_ms);
	put_time(&w, "rotated_at", row->rotated_ms);
	if (row->grace_ms > now)
		put_time(&w, "grace_until", row->grace_ms);
	jsonw_obj_close(&w);
	return jsonw_done(&w);
}
