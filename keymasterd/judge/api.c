/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The router of what the judge answers itself, and the small answers. Judge only; target
 * and body are anybody's.
 */
#include "keymasterd/judge/api.h"

#include <stdio.h>
#include <string.h>

#include "common/b64.h"
#include "common/hex.h"
#include "common/jsonw.h"
#include "keymasterd/judge/api_context.h"
#include "keymasterd/judge/api_service.h"
#include "keymasterd/judge/api_session.h"
#include "keymasterd/judge/attest.h"
#include "keymasterd/judge/cluster.h"
#include "keymasterd/judge/collect.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/data_api.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/receipt.h"
#include "keymasterd/judge/seal_error.h"
#include "keymasterd/judge/tools.h"
#include "keymasterd/judge/trust.h"
#include "keymasterd/judge/sealed.h"

#define BODY_ROOM 44000

static void tools_handle(struct api_call *);
static void jwks_handle(struct api_call *);

/* {x} stands for one part of the path. */
static const struct api_path routes[] = {
    {"POST", "/v1/seal/attest", API_ANYONE, attest_handle},
    {"POST", "/v1/smcp/attest", API_ANYONE, attest_handle},
    {"GET", "/v1/seal/tools", API_ANYONE, tools_handle},
    {"GET", "/v1/smcp/tools", API_ANYONE, tools_handle},
    {"GET", "/v1/seal/sessions", API_READER, api_session_list},
    {"POST", "/v1/seal/sessions", API_OPERATOR, api_session_create},
    {"GET", "/v1/seal/sessions/{id}", API_READER, api_session_get},
    {"DELETE", "/v1/seal/sessions/{id}", API_OPERATOR, api_session_delete},
    {"GET", "/v1/security-contexts", API_READER, api_context_list},
    {"POST", "/v1/security-contexts", API_ADMIN, api_context_put},
    {"GET", "/v1/security-contexts/{name}", API_READER, api_context_get},
    {"DELETE", "/v1/security-contexts/{name}", API_ADMIN, api_context_delete},
    {"GET", "/v1/receipts/{id}", API_ANYONE, receipt_handle},
    {"GET", "/v1/services", API_ANYONE, api_services},
    {"GET", "/v1/health", API_ANYONE, api_health},
    {"POST", "/cluster/attest", API_ANYONE, cluster_attest},
    {"POST", "/cluster/invoke", API_ANYONE, cluster_invoke},
    {"GET", "/v1/cluster/nodes", API_READER, cluster_list},
    {"GET", "/.well-known/jwks.json", API_ANYONE, jwks_handle},
    {"GET", "/_aegis/metrics", API_ANYONE, collect_handle},
    {"GET", "/_aegis/stats", API_ANYONE, data_counts},
};

#define ROUTES (sizeof(routes) / sizeof(routes[0]))

static struct buf body;

/* In the words of the established gate, whose clients know no SEAL. */
static void
refuse_plain(struct decide *d, unsigned status, const char *message)
{
	static const struct {
		unsigned status;
		const char *code;
	} codes[] = {{400, "bad_request"}, {401, "user_auth"}, {403, "user_scope"},
	    {404, "not_found"}, {405, "method_not_allowed"}, {429, "too_many"}};
	const char *code = "unavailable";

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (codes[i].status == status)
			code = codes[i].code;
	decide_refuse(d, status, code, message, NULL, DK_END);
}

void
api_refuse(struct decide *d, unsigned code, const char *message)
{
	struct seal_refusal r = {.code = code, .message = message, .flat = true};

	if (d->seal)
		seal_refuse(d, &r);
	else
		refuse_plain(d, code, message);
}

void
api_refuse_person(struct decide *d, unsigned code, const char *why)
{
	d->budget = LEDGER_CAUSE_ATTEST;
	d->row.event = span_str("operator.refused");
	if (code == 401)
		d->headers = "WWW-Authenticate: Bearer\r\n";
	api_refuse(d, code, why);
}

/* Who asks here knows the established gate. */
static bool
is_plain(const struct chan *chan, struct span path)
{
	static const char own[] = "/_aegis/";

	return chan_peer_role(chan) == ROLE_API ||
	    (path.len >= sizeof own - 1 && memcmp(path.p, own, sizeof own - 1) == 0);
}

void
api_answer(struct decide *d, uint32_t status, const void *json, size_t len)
{
	if (d->row.decision == 0)
		d->row.decision = LEDGER_ALLOWED;
	decide_answer(d, status, json, len);
}

/* Percent-decodes; 0, or -1: malformed, NUL or too long. */
static int
decode(const char *p, const char *end, char *out, size_t size)
{
	size_t n = 0;

	for (; p < end; p++) {
		char c = *p;

		if (c == '%') {
			if (end - p < 3 || hex_decode(p + 1, 2, &c, 1) != 1 || c == '\0')
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

int
api_query_get(struct span query, const char *name, char *out, size_t size)
{
	const char *p = query.p, *end, *amp, *eq;

	if (query.len == 0)
		return -1;
	for (end = p + query.len; p < end; p = amp + 1) {
		if ((amp = memchr(p, '&', (size_t)(end - p))) == NULL)
			amp = end;
		eq = memchr(p, '=', (size_t)(amp - p));
		if (eq != NULL && span_eq(span_mem(p, (size_t)(eq - p)), name))
			return decode(eq + 1, amp, out, size);
	}
	return -1;
}

static void
finish(struct decide *d, const struct jsonw *w)
{
	if (jsonw_done(w) != 0)
		api_refuse(d, 503, "The answer could not be written");
	else
		api_answer(d, 200, body.p, body.len);
}

/*
 * What a SecurityContext offers. Names and descriptions of tools are nobody else's
 * business, so a list takes an agent that may use the context, or an operator; where to
 * attest and to call is told to everybody.
 */
static void
tools_handle(struct api_call *c)
{
	struct decide *d = c->d;
	struct context_entry *entry = NULL;
	char name[STORE_CONTEXT_MAX] = "";
	const struct agent *agent = NULL;
	const char *why = NULL;
	struct operator_who op;
	struct jsonw w;
	bool named, more;

	named = api_query_get(c->query, "security_context", name, sizeof name) == 0 ||
	    (c->m->context.len > 0 && span_copy(c->m->context, name, sizeof name) == 0);
	if (named && (agent = attest_agent(c->m, &why)) != NULL) {
		d->row.agent = span_str(agent->row.name);
		c->tenant = agent->row.tenant;
	} else if (named && operator_read(c->m->authorization, &op, &why) == 0) {
		d->row.oper = span_str(op.name);
		c->tenant = op.tenant;
	} else if (named) {
		d->budget = LEDGER_CAUSE_ATTEST;
		api_refuse(d, SEAL_WORKLOAD,
		    "A list of tools takes an agent's or an operator's token");
		return;
	}
	d->row.tenant = span_str(c->tenant);
	if (named) {
		d->row.context = span_str(name);
		entry = context_find(c->tenant, span_str(name));
		if (entry == NULL || (agent != NULL && !agent_may_context(agent, name))) {
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
	if (!named)
		d->row.kind = 0;
	finish(d, &w);
}

/* RFC 7517 and RFC 8037: the keys that verify security tokens, the one that signs first.
 * Public, so no row. */
static void
jwks_handle(struct api_call *c)
{
	struct decide *d = c->d;
	const struct jwt_keyset *set = trust_own();
	char x[B64_SIZE(32)], n[B64_SIZE(512)];
	struct jsonw w;

	if (set->n == 0) {
		api_refuse(d, 503, "The keys are not there yet");
		return;
	}
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key(&w, "keys");
	jsonw_arr_open(&w);
	for (size_t i = 0; i < set->n; i++) {
		(void)b64_encode(B64_URL, set->keys[i].ed25519, 32, x, sizeof x);
		jsonw_obj_open(&w);
		jsonw_key_str(&w, "kty", "OKP");
		jsonw_key_str(&w, "crv", "Ed25519");
		jsonw_key_str(&w, "use", "sig");
		jsonw_key_str(&w, "alg", "EdDSA");
		jsonw_key_str(&w, "kid", set->keys[i].kid);
		jsonw_key_str(&w, "x", x);
		jsonw_obj_close(&w);
	}
	if (trust_node_modulus().len > 0) {
		(void)b64_encode(B64_URL, trust_node_modulus().p,
		    trust_node_modulus().len, n, sizeof n);
		jsonw_obj_open(&w);
		jsonw_key_str(&w, "kty", "RSA");
		jsonw_key_str(&w, "use", "sig");
		jsonw_key_str(&w, "alg", "RS256");
		jsonw_key_str(&w, "kid", trust_nodes()->keys[0].kid);
		jsonw_key_str(&w, "n", n);
		jsonw_key_str(&w, "e", "AQAB");
		jsonw_obj_close(&w);
	}
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

/* Does the path fit? What stands for {x} goes to arg, "" when it cannot be read. */
static bool
fits(const char *pattern, struct span path, char arg[API_ARG_MAX])
{
	const char *p = path.p, *end = path.p + path.len, *slash;

	arg[0] = '\0';
	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '{') {
			if (p == end || *p++ != *pattern)
				return false;
			continue;
		}
		if ((slash = memchr(p, '/', (size_t)(end - p))) == NULL)
			slash = end;
		if (slash == p)
			return false;
		if (decode(p, slash, arg, API_ARG_MAX) != 0)
			arg[0] = '\0';
		p = slash;
		pattern = strchr(pattern, '}');
	}
	return p == end;
}

/* GET answers HEAD as well; the gate leaves the body out. */
static bool
method_fits(const struct api_path *r, struct span method)
{
	return span_eq(method, r->method) ||
	    (span_eq(method, "HEAD") && strcmp(r->method, "GET") == 0);
}

/* 404, or 405 with every method of this path. */
static void
refuse_route(
    struct decide *d, struct span path, const struct api_path *paths, size_t npaths)
{
	char header[96] = "Allow: ", arg[API_ARG_MAX];
	size_t n = strlen(header);

	for (size_t i = 0; i < npaths; i++)
		if (fits(paths[i].path, path, arg) && n + 12 < sizeof header)
			n += (size_t)snprintf(header + n, sizeof header - n, "%s%s",
			    n > 7 ? ", " : "", paths[i].method);
	d->budget = LEDGER_CAUSE_ATTEST;
	if (n == 7) {
		api_refuse(d, 404, "There is nothing at this path");
		return;
	}
	(void)snprintf(header + n, sizeof header - n, "\r\n");
	d->headers = header;
	api_refuse(d, 405, "This path knows other methods");
}

/* Lets the asker in, or answers. 0 or -1. */
static int
admit(struct api_call *c, enum api_who who, struct operator_who *op)
{
	struct decide *d = c->d;
	const char *why = NULL;
	unsigned status;

	if (who == API_AGENT && (c->agent = attest_agent(c->m, &why)) == NULL) {
		d->budget = LEDGER_CAUSE_ATTEST;
		api_refuse(d, SEAL_WORKLOAD, why);
		return -1;
	}
	if (c->agent != NULL) {
		c->tenant = c->agent->row.tenant;
		d->row.agent = span_str(c->agent->row.name);
	}
	if (who >= API_READER) {
		if ((status = operator_read(c->m->authorization, op, &why)) != 0) {
			api_refuse_person(d, status, why);
			return -1;
		}
		c->op = op;
		c->tenant = op->tenant;
		d->row.oper = span_str(op->name);
	}
	d->row.tenant = span_str(c->tenant);
	if ((who == API_OPERATOR && op->role < OPERATOR_OPERATOR) ||
	    (who == API_ADMIN && op->role < OPERATOR_ADMIN)) {
		api_refuse(d, 403, "The operator's role does not allow this");
		return -1;
	}
	return 0;
}

static void
run(struct api_call *c, const struct api_path *r)
{
	struct operator_who op = {.role = 0};

	if (!span_eq(c->m->method, "GET") && !span_eq(c->m->method, "HEAD") &&
	    c->m->body.len > 0 && !is_json(c->m->content_type)) {
		c->d->budget = LEDGER_CAUSE_ATTEST;
		api_refuse(c->d, 415, "Content-Type must be application/json");
	} else if (admit(c, r->who, &op) == 0) {
		r->fn(c);
	}
}

/* Numbers are for operators, who want to see them now; so is the data API. */
static int
refuse_sealed(struct decide *d, const struct chan *chan, struct span path)
{
	static const char own[] = "/_aegis/";

	if (chan_peer_role(chan) != ROLE_GATE ||
	    (path.len >= sizeof(own) - 1 && memcmp(path.p, own, sizeof(own) - 1) == 0))
		return 0;
	d->budget = LEDGER_CAUSE_SEALED;
	api_refuse(d, 503, SEALED_ERROR ". " SEALED_HINT);
	return 1;
}

int
api_route(struct chan *chan, uint64_t reqid, const struct msg_api_request *m,
    const struct api_path *paths, size_t npaths)
{
	struct span path = m->target;
	const char *mark = memchr(path.p, '?', path.len);
	struct api_call c = {.m = m, .tenant = judge_conf.tenant};
	struct decide d;

	if (mark != NULL) {
		c.query = span_mem(mark + 1, path.len - (size_t)(mark + 1 - path.p));
		path.len = (size_t)(mark - path.p);
	}
	decide_begin(&d, chan, reqid, m->peer);
	c.d = &d;
	d.seal = !is_plain(chan, path);
	d.row.method = m->method;
	d.row.path = path;
	if (judge_stopping) {
		d.budget = LEDGER_CAUSE_ATTEST;
		api_refuse(&d, 503, "Shutting down");
		return 0;
	}
	if (vault_sealed && refuse_sealed(&d, chan, path))
		return 0;
	for (size_t i = 0; i < npaths; i++)
		if (method_fits(&paths[i], m->method) &&
		    fits(paths[i].path, path, c.arg)) {
			run(&c, &paths[i]);
			return 0;
		}
	refuse_route(&d, path, paths, npaths);
	return 0;
}

int
api_request(struct chan *chan, uint64_t reqid, void *msg)
{
	return api_route(chan, reqid, msg, routes, ROUTES);
}
