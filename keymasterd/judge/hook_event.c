/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From refusals, expiries and checkpoints to events, in the words of the established
 * gate. What agents sent is escaped by the writer. Judge only.
 */
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/decide.h"
#include "keymasterd/judge/hook.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/redact.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/turn.h"

#define DAY_MS 86400000ull

static const char *const names[HOOK_EVENTS] = {"blocked_request", "credential_expiry",
    "rate_limit_exceeded", "agent_auth_failure", "body_inspection", "ledger_checkpoint"};

const char *
hook_event_name(uint32_t bit)
{
	unsigned i;

	for (i = 0; i < HOOK_EVENTS; i++)
		if (bit == 1u << i)
			return names[i];
	return "";
}

/* Which event a refusal is; 0: none, such as a malformed request. */
static const struct {
	const char *code;
	uint32_t event;
	const char *say; /* of a limit its type; of agents' tokens the reason */
} codes[] = {
    {"no_credential", HOOK_BLOCKED, NULL},
    {"credential_scope", HOOK_BLOCKED, NULL},
    {"agent_scope", HOOK_BLOCKED, NULL},
    {"policy_violation", HOOK_BLOCKED, NULL},
    {"credential_method", HOOK_BLOCKED, NULL},
    {"credential_path", HOOK_BLOCKED, NULL},
    {"domain_guard", HOOK_BLOCKED, NULL},
    {"target_missing", HOOK_BLOCKED, NULL},
    {"process_refused", HOOK_BLOCKED, NULL},
    {"credential_expired", HOOK_EXPIRY, NULL},
    {"policy_rate_limit", HOOK_RATE, "policy"},
    {"agent_rate_limit", HOOK_RATE, "agent"},
    {"credential_rate_limit", HOOK_RATE, "credential"},
    {"agent_auth_missing", HOOK_AUTH, "Missing X-Aegis-Agent header"},
    {"agent_auth_invalid", HOOK_AUTH, "Invalid agent token"},
    {"body_inspection", HOOK_INSPECTION, NULL},
};

static void
put(struct jsonw *w, const char *key, struct span s)
{
	if (s.len == 0)
		return;
	jsonw_key(w, key);
	jsonw_strn(w, s.p, s.len);
}

/* The refusal's own members, some under the name they have in events. */
static void
put_more(struct jsonw *w, const struct decide_kv *kv, size_t n)
{
	static const char *const said[] = {"agent", "credential", "method", "mode"};
	const char *key;
	size_t i, j;

	for (i = 0; i < n && kv[i].key != NULL; i++) {
		for (j = 0; j < 4 && strcmp(kv[i].key, said[j]) != 0; j++)
			;
		if (j < 4)
			continue;
		key = strcmp(kv[i].key, "requested") == 0 ? "targetDomain"
		    : strcmp(kv[i].key, "allowed") == 0   ? "allowedDomains"
		    : strcmp(kv[i].key, "reason") == 0    ? "detail"
							  : kv[i].key;
		jsonw_key(w, key);
		if (kv[i].kind == DECIDE_UINT)
			jsonw_uint(w, kv[i].u);
		else if (kv[i].kind == DECIDE_LIST)
			jsonw_list(w, kv[i].s);
		else
			jsonw_strn(w, kv[i].s.p, kv[i].s.len);
	}
}

/* The service in a target that was refused before it was looked for. */
static struct span
asked_for(struct span path)
{
	size_t n = 1;

	while (n < path.len && path.p[n] != '/')
		n++;
	return path.len > 1 ? span_mem(path.p + 1, n - 1) : span_str("");
}

void
hook_refused(
    const struct decide *d, struct span code, const struct decide_kv *kv, size_t n)
{
	const struct ledger_row *r = &d->row;
	char tenant[STORE_TENANT_MAX];
	struct span path;
	struct jsonw w;
	struct buf b;
	size_t i;

	if (TAILQ_EMPTY(&hooks))
		return;
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (span_eq(code, codes[i].code))
			break;
	if (i == sizeof(codes) / sizeof(codes[0]))
		return;
	if (r->tenant.p == NULL || span_copy(r->tenant, tenant, sizeof(tenant)) == -1)
		snprintf(tenant, sizeof(tenant), "%s", judge_conf.tenant);
	path = r->path.p != NULL ? redact_path(r->path) : span_str("");
	buf_init(&b);
	jsonw_init(&w, &b);
	jsonw_obj_open(&w);
	put(&w, "service", codes[i].event == HOOK_AUTH ? asked_for(path) : r->service);
	if (codes[i].event == HOOK_RATE)
		jsonw_key_str(&w, "type", codes[i].say);
	else
		put(&w, "reason", codes[i].say != NULL ? span_str(codes[i].say) : code);
	put(&w, "agent", r->agent);
	put(&w, "credential", r->credential);
	put(&w, "method", r->method);
	put(&w, "path", path);
	put_more(&w, kv, n);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) == 0)
		hook_tell(tenant, codes[i].event, span_mem(b.p, b.len));
	buf_free(&b);
}

int
hook_body(struct buf *out, const char *id, uint32_t event, struct span details)
{
	uint64_t ms = judge_now_ms();
	char when[RFC3339_SIZE];
	struct jsonw w;

	(void)rfc3339_format(
	    (int64_t)(ms / 1000), (uint32_t)(ms % 1000) * 1000000, 3, when, sizeof(when));
	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "id", id);
	jsonw_key_str(&w, "event", hook_event_name(event));
	jsonw_key_str(&w, "timestamp", when);
	jsonw_key(&w, "details");
	jsonw_raw(&w, details.p, details.len);
	jsonw_obj_close(&w);
	return jsonw_done(&w);
}

static void
expiry_json(struct buf *b, const struct credential *c, uint64_t now)
{
	bool over = c->row.expires_ms <= now;
	char when[RFC3339_SIZE];
	struct jsonw w;

	(void)rfc3339_format((int64_t)(c->row.expires_ms / 1000),
	    (uint32_t)(c->row.expires_ms % 1000) * 1000000, 3, when, sizeof(when));
	jsonw_init(&w, b);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "credential", c->row.name);
	jsonw_key_str(&w, "service", c->row.service);
	jsonw_key_str(&w, over ? "expiredAt" : "expiresAt", when);
	jsonw_key_str(&w, "status", over ? "expired" : "expiring_soon");
	jsonw_key(&w, "daysRemaining");
	jsonw_uint(&w, over ? 0 : (c->row.expires_ms - now + DAY_MS - 1) / DAY_MS);
	jsonw_obj_close(&w);
}

int
hook_expiring(
    unsigned days, void (*fn)(const void *json, size_t len, void *arg), void *arg)
{
	uint64_t now = judge_now_ms();
	struct credential *c;
	struct buf b;
	int told = 0, r;

	buf_init(&b);
	TAILQ_FOREACH (c, &credentials, link) {
		if (c->row.expires_ms == 0 || c->row.expires_ms > now + days * DAY_MS)
			continue;
		buf_reset(&b);
		expiry_json(&b, c, now);
		if (fn != NULL)
			fn(b.p, b.len, arg);
		if (TAILQ_EMPTY(&hooks))
			continue;
		r = store_hook_told(judge_store, c->row.tenant, c->row.id, now / DAY_MS);
		if (r == -1) {
			told = -1;
			break;
		}
		if (r == STORE_EXISTS)
			continue;
		hook_tell(c->row.tenant, HOOK_EXPIRY, span_mem(b.p, b.len));
		told++;
	}
	buf_free(&b);
	return told;
}
