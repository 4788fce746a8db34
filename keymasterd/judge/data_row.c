/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of the ledger in the words of the established gate. Values are copied as they are
 * escaped in the row. Judge only.
 */
#include <string.h>

#include "common/jsonw.h"
#include "keymasterd/judge/data_api.h"
#include "keymasterd/judge/ledger_find.h"
#include "keymasterd/judge/registry.h"

/* A member's string with its quotes and escapes; len 0 when it is absent. */
static struct span
raw(struct span text, const char *mark)
{
	const char *p = memmem(text.p, text.len, mark, strlen(mark)), *start;
	const char *end = text.p + text.len;

	if (p == NULL)
		return span_str("");
	start = p + strlen(mark) - 1;
	for (p = start + 1; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p < end ? span_mem(start, (size_t)(p + 1 - start)) : span_str("");
}

static void
put(struct jsonw *w, const char *key, struct span value)
{
	if (value.len == 0)
		return;
	jsonw_key(w, key);
	jsonw_raw(w, value.p, value.len);
}

#define RAW(text, member) raw((text), ",\"" member "\":\"")

void
data_row(struct jsonw *w, const char *tenant, uint64_t seq, struct span text,
    unsigned status, uint64_t duration_us)
{
	struct span kind = ledger_text_get(text, "kind");
	struct span decision = ledger_text_get(text, "decision");
	bool decided = span_eq(kind, "decision");
	const struct credential *c =
	    credential_by_name(tenant, ledger_text_get(text, "credential"));
	const struct agent *a = agent_by_name(tenant, ledger_text_get(text, "agent"));
	const struct token *token = a != NULL ? token_find(a, "") : NULL;

	jsonw_obj_open(w);
	jsonw_key(w, "id");
	jsonw_uint(w, seq);
	put(w, "timestamp", RAW(text, "time"));
	put(w, "requestId", RAW(text, "request"));
	if (c != NULL)
		jsonw_key_str(w, "credentialId", c->row.id);
	put(w, "credentialName", RAW(text, "credential"));
	put(w, "service", RAW(text, "service"));
	put(w, "targetDomain", RAW(text, "domain"));
	put(w, "method", RAW(text, "method"));
	put(w, "path", RAW(text, "path"));
	put(w, "tool", RAW(text, "tool"));
	put(w, "server", RAW(text, "server"));
	put(w, "event", RAW(text, "event"));
	jsonw_key(w, "status");
	if (decided && decision.len > 0)
		jsonw_strn(w, decision.p, decision.len);
	else
		jsonw_str(w, span_eq(kind, "completion") ? "completed" : "system");
	put(w, "code", RAW(text, "code"));
	put(w, span_eq(decision, "blocked") ? "blockedReason" : "reason",
	    RAW(text, "reason"));
	if (status != 0) {
		jsonw_key(w, "responseCode");
		jsonw_uint(w, status);
	}
	if (duration_us != 0) {
		jsonw_key(w, "durationUs");
		jsonw_uint(w, duration_us);
	}
	put(w, "agentName", RAW(text, "agent"));
	if (token != NULL)
		jsonw_key_str(w, "agentTokenPrefix", token->row.prefix);
	jsonw_key_str(w, "channel", ledger_text_has(text, "tool") ? "mcp" : "gate");
	jsonw_obj_close(w);
}
