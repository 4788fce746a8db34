/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proxied request, check by check (doc/design.md, "Order of the judge's checks"; the
 * answers are those of spec section 7.4). Judge only, on what agents wrote.
 */
#include "keymasterd/judge/attest_method.h"
#include "keymasterd/judge/authorize.h"

#include <stdio.h>
#include <string.h>

#include "common/access.h"
#include "common/host.h"
#include "common/loop.h"
#include "common/policy.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "common/target.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/limit.h"
#include "keymasterd/judge/sealed.h"
#include "keymasterd/judge/waiting.h"

/* Each check answers the question itself when it refuses, and then returns -1. */
struct ask {
	struct decide d;
	const struct msg_proxy_authorize *m;
	struct target target;
	struct agent *agent;
	struct credential *credential;
	const struct policy_rule *rule;
	char authority[300];
	char retry[48];
};

static struct span
path_only(struct span target)
{
	const char *mark = memchr(target.p, '?', target.len);

	if (mark != NULL)
		target.len = (size_t)(mark - target.p);
	return target;
}

static int
check_target(struct ask *a)
{
	int r = target_parse(a->m->target.p, a->m->target.len, &a->target);

	a->d.row.path = path_only(a->m->target);
	if (r == TARGET_OK || r == TARGET_ERR_NO_SERVICE || r == TARGET_ERR_SERVICE)
		return r;
	a->d.budget = LEDGER_CAUSE_TARGET;
	if (r == TARGET_ERR_TRAVERSAL)
		decide_refuse(&a->d, 400, "path_traversal", "Path traversal detected",
		    NULL, DK_END);
	else if (r == TARGET_ERR_NUL)
		decide_refuse(&a->d, 400, "null_byte", "Null byte in path", NULL, DK_END);
	else if (r == TARGET_ERR_AMBIGUOUS)
		decide_refuse(&a->d, 400, "ambiguous_path", "Ambiguous encoding in path",
		    "Upstreams would read this path in different ways. Send it without "
		    "escaped "
		    "slashes, backslashes, controls or double escapes.",
		    DK_END);
	else
		decide_refuse(&a->d, 400, "bad_target", "Malformed request target",
		    "The target is /{service}/path, with percent escapes where needed.",
		    DK_END);
	return -100;
}

static void
refuse_token(struct ask *a, const char *code, const char *error, const char *hint)
{
	a->d.budget = LEDGER_CAUSE_TOKEN;
	a->d.headers = "WWW-Authenticate: Aegis realm=\"aegis\"\r\n";
	decide_refuse(&a->d, 401, code, error, hint, DK_END);
}

/* The name that stands for a WebSocket is no method of a request. */
static int
check_method(struct ask *a)
{
	const struct msg_proxy_authorize *m = a->m;

	if (m->upgrade ? span_eq(m->method, "GET") && m->body_len == 0
		       : !span_eq(m->method, WEBSOCKET_METHOD))
		return 0;
	a->d.budget = LEDGER_CAUSE_TARGET;
	decide_refuse(&a->d, 400, "bad_method",
	    "A WebSocket begins with GET, without a body", NULL, DK_END);
	return -1;
}

static int
check_agent(struct ask *a)
{
	enum agent_token_state state = TOKEN_UNKNOWN;
	struct attest_ask ask = {.process = a->m->process};
	const char *why;

	if (a->m->token.len > 0)
		a->agent = agent_by_token(a->m->token, judge_now_ms(), &state);
	if (a->agent == NULL && !judge_conf.require_agent_auth)
		return 0;
	if (a->m->token.len == 0) {
		refuse_token(a, "agent_auth_missing", "Agent authentication required",
		    "Send the agent's token in the X-Aegis-Agent header. An operator "
		    "makes one with: "
		    "aegis agent add --name <agent>");
		return -1;
	}
	if (a->agent == NULL) {
		refuse_token(a, "agent_auth_invalid", "Invalid agent token",
		    state == TOKEN_EXPIRED
			? "This run's token has expired. Start a new run."
			: "The token is not known here. A lost or replaced one is made "
			  "anew with: aegis "
			  "agent regenerate --name <agent>");
		return -1;
	}
	a->d.row.agent = span_str(a->agent->row.name);
	a->d.row.tenant = span_str(a->agent->row.tenant);
	ask.agent = a->agent;
	if (attest_by_process.check(&ask, &why) == -1) {
		decide_refuse(&a->d, 403, "process_refused", why,
		    "What it has to be, an operator sees with: aegis agent list", DK_END);
		return -1;
	}
	if (a->agent->in_flight >= judge_conf.max_connections_per_agent) {
		a->d.headers = "Retry-After: 1\r\n";
		decide_refuse(&a->d, 429, "agent_connection_limit",
		    "Too many concurrent requests for this agent",
		    "Wait until requests under way have ended, or raise "
		    "gate.max_connections_per_agent.",
		    DK("agent", a->agent->row.name),
		    DKU("limit", judge_conf.max_connections_per_agent));
		return -1;
	}
	return 0;
}

static const char *
tenant_of(const struct ask *a)
{
	return a->agent != NULL ? a->agent->row.tenant : judge_conf.tenant;
}

static int
check_service(struct ask *a, int parsed)
{
	char error[160];
	struct span service = a->target.service;

	/* without agents' tokens anyone may cause these two */
	if (a->agent == NULL)
		a->d.budget = LEDGER_CAUSE_TARGET;
	if (parsed == TARGET_ERR_NO_SERVICE) {
		decide_refuse(&a->d, 400, "no_service", "Missing service name", NULL,
		    DK("usage", "/{service}/path, for example /slack/api/auth.test"));
		return -1;
	}
	if (parsed == TARGET_ERR_SERVICE) {
		decide_refuse(&a->d, 404, "no_credential",
		    "No credential registered for this service",
		    "Names of services consist of letters, digits, _ and -.", DK_END);
		return -1;
	}
	a->d.row.service = service;
	a->d.row.path = a->target.path;
	a->credential = credential_by_service(tenant_of(a), service);
	if (a->credential == NULL) {
		snprintf(error, sizeof(error),
		    "No credential registered for service: %.*s", (int)service.len,
		    service.p);
		decide_refuse(&a->d, 404, "no_credential", error,
		    "An operator adds one with: aegis vault add --name <name> --service "
		    "<service> "
		    "--domains <domains>",
		    DK_END);
		return -1;
	}
	a->d.budget = -1;
	a->d.row.credential = span_str(a->credential->row.name);
	if (a->d.row.tenant.p == NULL)
		a->d.row.tenant = span_str(a->credential->row.tenant);
	return 0;
}

static int
check_expiry(struct decide *d, const struct credential *c)
{
	char when[RFC3339_SIZE], hint[400];

	if (c->row.expires_ms == 0 || c->row.expires_ms > judge_now_ms())
		return 0;
	(void)rfc3339_format((int64_t)(c->row.expires_ms / 1000),
	    (uint32_t)(c->row.expires_ms % 1000) * 1000000, 3, when, sizeof(when));
	snprintf(hint, sizeof(hint),
	    "An operator renews it with: aegis vault rotate --name %s --ttl <days>",
	    c->row.name);
	decide_refuse(d, 403, "credential_expired", "Credential has expired", hint,
	    DK("credential", c->row.name), DK("expiredAt", when));
	return -1;
}

static int
method_is(struct span m, const char *const *list)
{
	for (; *list != NULL; list++)
		if (span_eq(m, *list))
			return 1;
	return 0;
}

bool
credential_allows(const struct credential *c, struct span method)
{
	static const char *const reading[] = {"GET", "HEAD", "OPTIONS", NULL};
	static const char *const writing[] = {"POST", "PUT", "PATCH", "DELETE", NULL};
	const unsigned both = SCOPE_READ | SCOPE_WRITE;

	return (c->scopes & SCOPE_ALL) ||
	    ((c->scopes & SCOPE_READ) && method_is(method, reading)) ||
	    ((c->scopes & SCOPE_WRITE) && method_is(method, writing)) ||
	    ((c->scopes & both) == both && span_eq(method, WEBSOCKET_METHOD));
}

static int
check_scope(struct decide *d, const struct credential *c, struct span method)
{
	char hint[360];

	if (credential_allows(c, method))
		return 0;
	snprintf(hint, sizeof(hint),
	    "read allows GET, HEAD and OPTIONS, write allows POST, PUT, PATCH and "
	    "DELETE, a WebSocket needs both. An "
	    "operator changes them with: aegis vault update --name %s --scopes <scopes>",
	    c->row.name);
	decide_refuse(d, 403, "credential_scope",
	    "Method not permitted by credential scopes", hint, DKS("method", method),
	    DKL("scopes", span_str(c->row.scopes)));
	return -1;
}

/* What the credential itself is limited to; the worker holds the same, sealed. */
static int
check_access(struct ask *a)
{
	const struct store_credential *row = &a->credential->row;
	const char *why;
	char hint[300];
	enum access_verdict v;

	v = access_check(
	    a->credential->access, a->d.row.method, a->target.path, a->m->headers, &why);
	if (v == ACCESS_GOOD)
		return 0;
	snprintf(hint, sizeof(hint),
	    "%s%sAn operator changes that with: aegis vault update --name %s %s",
	    why != NULL ? why : "",
	    why != NULL ? " may turn the request into another. " : "", row->name,
	    v == ACCESS_METHOD ? "--allow-methods <list>"
			       : "--allow-paths <list> --deny-paths <list>");
	if (v == ACCESS_METHOD)
		decide_refuse(&a->d, 403, "credential_method",
		    "Method not permitted by this credential", hint,
		    DKS("method", a->d.row.method),
		    DKL("allowed", span_str(row->methods)));
	else
		decide_refuse(&a->d, 403, "credential_path",
		    "Path not permitted by this credential", hint,
		    DKS("path", a->target.path),
		    DKL("allowed", span_str(row->allow_paths)),
		    DKL("denied", span_str(row->deny_paths)));
	return -1;
}

static int
check_grant(struct decide *d, const struct credential *c, const struct agent *agent)
{
	char hint[300];

	if (!judge_conf.require_agent_auth || (agent != NULL && grant_has(agent, c)))
		return 0;
	snprintf(hint, sizeof(hint),
	    "An operator grants it with: aegis agent grant --agent %s --credential %s",
	    agent != NULL ? agent->row.name : "<agent>", c->row.name);
	decide_refuse(d, 403, "agent_scope",
	    "Agent not granted access to this credential", hint,
	    DK("agent", agent != NULL ? agent->row.name : ""),
	    DK("credential", c->row.name));
	return -1;
}

/* All windows are looked at before any is counted in. */
static int
check_rates(struct ask *a)
{
	struct limiter *of_agent = a->agent != NULL ? a->agent->limiter : NULL;
	struct limiter *of_credential = a->credential->limiter, *of_policy;
	uint64_t now = judge_limit_ms();
	uint32_t wait;

	of_policy = authorize_policy_rate(&a->d, a->rule, now, &wait);
	if (wait != 0) {
		snprintf(a->retry, sizeof(a->retry), "Retry-After: %u\r\n", wait);
		a->d.headers = a->retry;
		decide_refuse(&a->d, 429, "policy_rate_limit",
		    "Policy rate limit exceeded", NULL, DK("agent", a->agent->row.name),
		    DK("limit", a->rule->rate_text), DKU("retryAfter", wait));
		return -1;
	}
	if (of_agent != NULL && (wait = limiter_check(of_agent, now)) != 0) {
		snprintf(a->retry, sizeof(a->retry), "Retry-After: %u\r\n", wait);
		a->d.headers = a->retry;
		decide_refuse(&a->d, 429, "agent_rate_limit", "Agent rate limit exceeded",
		    NULL, DK("agent", a->agent->row.name),
		    DK("limit", a->agent->row.rate_limit), DKU("retryAfter", wait));
		return -1;
	}
	if (of_credential != NULL && (wait = limiter_check(of_credential, now)) != 0) {
		snprintf(a->retry, sizeof(a->retry), "Retry-After: %u\r\n", wait);
		a->d.headers = a->retry;
		decide_refuse(&a->d, 429, "credential_rate_limit", "Rate limit exceeded",
		    NULL, DK("credential", a->credential->row.name),
		    DK("limit", a->credential->row.rate_limit), DKU("retryAfter", wait));
		return -1;
	}
	a->d.row.counted = 1;
	if (of_policy != NULL)
		limiter_take(of_policy, now);
	if (of_agent != NULL)
		limiter_take(of_agent, now);
	if (of_credential != NULL)
		limiter_take(of_credential, now);
	return 0;
}

static int
check_domain(struct ask *a)
{
	const struct credential *c = a->credential;
	char host[HOST_MAX], hint[300];
	struct span asked =
	    a->m->has_target_host ? a->m->target_host : span_str(c->authority);
	uint16_t port = 0;

	a->d.row.domain = asked;
	if (!a->m->has_target_host && asked.len == 0) {
		decide_refuse(&a->d, 400, "target_missing", "X-Target-Host is required",
		    "The credential may go to more than one host: name one in the header "
		    "X-Target-Host.",
		    DKL("allowed", span_str(c->row.domains)));
		return -1;
	}
	if (host_normalise(asked.p, asked.len, host, &port) > 0 &&
	    credential_covers(c, host, port) &&
	    credential_authority(c, host, port, a->authority, sizeof(a->authority)) ==
		0) {
		a->d.row.domain = span_str(a->authority);
		return 0;
	}
	snprintf(hint, sizeof(hint),
	    "Domain guard: blocked. Target domain not in credential allowlist. Update "
	    "domains: "
	    "aegis vault update --name %s --domains <d>",
	    c->row.name);
	decide_refuse(&a->d, 403, "domain_guard", "Domain not in credential allowlist",
	    hint, DKS("requested", asked), DKL("allowed", span_str(c->row.domains)));
	return -1;
}

static int
check_length(struct ask *a)
{
	uint64_t len = a->m->body_len;

	if (len == BODY_LEN_UNKNOWN || len <= judge_conf.max_body_bytes)
		return 0;
	a->d.close = 1;
	decide_refuse(&a->d, 413, "body_too_large", "Request body too large",
	    "Send less at once, or raise gate.max_body_size.", DKU("received", len),
	    DKU("limit", judge_conf.max_body_bytes));
	return -1;
}

int
authorize_again(struct decide *d, struct credential *c, struct agent *agent)
{
	if (agent != NULL && agent->gone) {
		decide_refuse(
		    d, 401, "agent_auth_invalid", "Invalid agent token", NULL, DK_END);
		return -1;
	}
	return check_expiry(d, c) == -1 || check_scope(d, c, d->row.method) == -1 ||
		check_grant(d, c, agent) == -1
	    ? -1
	    : 0;
}

static void
grant(struct ask *a)
{
	static char upstream[8192];
	struct decide_proxy p = {.method = a->m->method,
	    .authority = span_str(a->authority),
	    .headers = a->m->headers,
	    .body_len = a->m->body_len,
	    .inspect = a->credential->inspect,
	    .agent = a->agent,
	    .upgrade = a->m->upgrade,
	    .process = a->m->process};
	ssize_t n = target_upstream(&a->target, upstream, sizeof(upstream));

	if (n < 0) {
		decide_refuse(
		    &a->d, 414, "bad_target", "Request target too long", NULL, DK_END);
		return;
	}
	p.target = span_mem(upstream, (size_t)n);
	if (p.upgrade && a->agent != NULL)
		judge_sha256(a->m->token.p, a->m->token.len, p.token);
	if (a->credential->worker != NULL)
		decide_grant_proxy(&a->d, a->credential->worker, &p);
	else
		waiting_add(&a->d, a->credential, &p);
}

int
proxy_authorize(struct chan *c, uint64_t reqid, void *msg)
{
	struct ask a;
	int parsed;

	a.m = msg;
	a.agent = NULL;
	a.credential = NULL;
	memset(&a.target, 0, sizeof(a.target));
	decide_begin(&a.d, c, reqid, a.m->peer);
	a.d.row.method = a.m->upgrade ? span_str(WEBSOCKET_METHOD) : a.m->method;
	if (judge_stopping) {
		a.d.close = 1;
		decide_refuse(&a.d, 503, "shutting_down", "Aegis Gate is shutting down",
		    NULL, DK_END);
		return 0;
	}
	if (vault_sealed) {
		a.d.budget = LEDGER_CAUSE_SEALED;
		a.d.row.path = path_only(a.m->target);
		decide_refuse(&a.d, 503, SEALED_CODE, SEALED_ERROR, SEALED_HINT,
		    DK("status", "sealed"));
		return 0;
	}
	parsed = check_target(&a);
	if (parsed == -100 || check_method(&a) == -1 || check_agent(&a) == -1 ||
	    check_service(&a, parsed) == -1 || check_expiry(&a.d, a.credential) == -1 ||
	    check_scope(&a.d, a.credential, a.d.row.method) == -1 ||
	    check_access(&a) == -1 || check_grant(&a.d, a.credential, a.agent) == -1 ||
	    authorize_policy(&a.d, a.agent, a.m->headers, &a.rule) == -1 ||
	    check_rates(&a) == -1 || check_domain(&a) == -1 || check_length(&a) == -1)
		return 0;
	grant(&a);
	return 0;
}
