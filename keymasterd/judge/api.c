/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The router of what the judge answers itself, and the small answers. Judge only; target
 * and body are anybody's.
 */
#include "keymasterd/judge/api.h"

#include <string.h>

#include "common/b64.h"
#include "common/hex.h"
#include "common/jsonw.h"
#include "keymasterd/judge/attest.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/seal_error.h"
#include "keymasterd/judge/tools.h"

#define BODY_ROOM 44000

typedef void (*api_fn)(
    struct decide *, const struct msg_api_request *, struct span query);

static void tools_handle(struct decide *, const struct msg_api_request *, struct span);
static void jwks_handle(struct decide *, const struct msg_api_request *, struct span);

/* One method a path, so Allow is that method. */
static const struct {
	const char *path, *method;
	api_fn fn;
} routes[] = {
    {"/v1/seal/attest", "POST", attest_handle},
    {"/v1/smcp/attest", "POST", attest_handle},
    {"/v1/seal/tools", "GET", tools_handle},
    {"/v1/smcp/tools", "GET", tools_handle},
    {"/.well-known/jwks.json", "GET", jwks_handle},
};

static struct buf body;

void
api_refuse(struct decide *d, unsigned code, const char *message)
{
	struct seal_refusal r = {.code = code, .message = message, .flat = true};

	seal_refuse(d, &r);
}

int
api_query_get(struct span query, const char *name, char *out, size_t size)
{
	const char *p = query.p, *end = query.p + query.len, *amp, *eq;
	size_t n = 0;

	for (; p < end; p = amp + 1) {
		if ((amp = memchr(p, '&', (size_t)(end - p))) == NULL)
			amp = end;
		eq = memchr(p, '=', (size_t)(amp - p));
		if (eq == NULL || !span_eq(span_mem(p, (size_t)(eq - p)), name))
			continue;
		for (p = eq + 1; p < amp; p++) {
			char c = *p;

			if (c == '%') {
				if (amp - p < 3 || hex_decode(p + 1, 2, &c, 1) != 1 ||
				    c == '\0')
					return -1;
				p += 2;
			}
			if (n + 1 >= size)
				return -1;
			out[n++] = c;
		}
		out[n] = '\0';
		return 0;
	}
	return -1;
}

static void
finish(struct decide *d, const struct jsonw *w)
{
	if (jsonw_done(w) != 0)
		api_refuse(d, 503, "The answer could not be written");
	else
		decide_answer(d, 200, body.p, body.len);
}

/*
 * What a SecurityContext offers. Names and descriptions of tools are nobody else's
 * business, so it takes an agent that may use the context.
 */
static void
tools_handle(struct decide *d, const struct msg_api_request *m, struct span query)
{
	struct context_entry *entry = NULL;
	char name[STORE_CONTEXT_MAX];
	const struct agent *agent;
	const char *why = NULL;
	struct jsonw w;
	bool named, more;

	if ((agent = attest_agent(m, &why)) == NULL) {
		d->budget = LEDGER_CAUSE_ATTEST;
		api_refuse(d, SEAL_WORKLOAD, why);
		return;
	}
	d->row.agent = span_str(agent->row.name);
	d->row.tenant = span_str(agent->row.tenant);
	named = api_query_get(query, "security_context", name, sizeof name) == 0;
	if (named) {
		d->row.context = span_str(name);
		entry = context_find(agent->row.tenant, span_str(name));
		if (entry == NULL || !agent_may_context(agent, name)) {
			api_refuse(d, SEAL_SCOPE,
			    "This SecurityContext is not available to the workload");
			return;
		}
	}
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "protocol", "seal/v1");
	jsonw_key_str(&w, "attestation_endpoint", "/v1/seal/attest");
	jsonw_key_str(&w, "invoke_endpoint", "/v1/seal/invoke");
	jsonw_key_str(&w, "security_context", named ? name : NULL);
	jsonw_key(&w, "tools");
	jsonw_arr_open(&w);
	if (entry != NULL)
		(void)tools_write(&w, entry->rules, NULL, 0, BODY_ROOM, &more);
	jsonw_arr_close(&w);
	jsonw_obj_close(&w);
	d->row.decision = LEDGER_ALLOWED;
	finish(d, &w);
}

/* RFC 7517 and RFC 8037: the key that signs security tokens. Public, so no row. */
static void
jwks_handle(struct decide *d, const struct msg_api_request *m, struct span query)
{
	char x[B64_SIZE(32)];
	struct jsonw w;

	(void)m;
	(void)query;
	if (!judge_keys.have) {
		api_refuse(d, 503, "The keys are not there yet");
		return;
	}
	(void)b64_encode(B64_URL, judge_keys.token_pub, 32, x, sizeof x);
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key(&w, "keys");
	jsonw_arr_open(&w);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "kty", "OKP");
	jsonw_key_str(&w, "crv", "Ed25519");
	jsonw_key_str(&w, "use", "sig");
	jsonw_key_str(&w, "alg", "EdDSA");
	jsonw_key_str(&w, "kid", judge_keys.token_kid);
	jsonw_key_str(&w, "x", x);
	jsonw_obj_close(&w);
	jsonw_arr_close(&w);
	jsonw_obj_close(&w);
	d->row.kind = 0;
	finish(d, &w);
}

/* The media type without parameters. */
static bool
is_json(struct span type)
{
	size_t n = 0;

	while (n < type.len && type.p[n] != ';' && type.p[n] != ' ' && type.p[n] != '\t')
		n++;
	return span_ieq(span_mem(type.p, n), "application/json");
}

int
api_request(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_api_request *m = msg;
	struct span path = m->target, query = {NULL, 0};
	const char *mark = memchr(path.p, '?', path.len), *allow = NULL;
	char header[64];
	struct decide d;

	if (mark != NULL) {
		query = span_mem(mark + 1, path.len - (size_t)(mark + 1 - path.p));
		path.len = (size_t)(mark - path.p);
	}
	decide_begin(&d, c, reqid, m->peer);
	d.seal = 1;
	d.row.method = m->method;
	d.row.path = path;
	if (judge_stopping) {
		d.budget = LEDGER_CAUSE_ATTEST;
		api_refuse(&d, 503, "Shutting down");
		return 0;
	}
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		if (!span_eq(path, routes[i].path))
			continue;
		allow = routes[i].method;
		if (!span_eq(m->method, allow))
			continue;
		if (span_eq(m->method, "POST") && !is_json(m->content_type)) {
			d.budget = LEDGER_CAUSE_ATTEST;
			api_refuse(&d, 415, "Content-Type must be application/json");
			return 0;
		}
		routes[i].fn(&d, m, query);
		return 0;
	}
	d.budget = LEDGER_CAUSE_ATTEST;
	if (allow == NULL) {
		api_refuse(&d, 404, "There is nothing at this path");
		return 0;
	}
	memcpy(header, "Allow: ", 7);
	(void)span_copy(span_str(allow), header + 7, sizeof header - 7 - 2);
	memcpy(header + 7 + strlen(allow), "\r\n", 3);
	d.headers = header;
	api_refuse(&d, 405, "This path knows another method");
	return 0;
}
