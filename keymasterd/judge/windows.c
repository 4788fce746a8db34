/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate windows across restarts. Those that changed are saved every few seconds together
 * with the number of the ledger's last row; what came after it is counted again from the
 * ledger itself at the next start. So a kill loses nothing, and deciding writes nothing
 * but its row. Judge only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_find.h"
#include "keymasterd/judge/ledger_int.h"
#include "keymasterd/judge/ledger_scan.h"
#include "keymasterd/judge/limit.h"
#include "keymasterd/judge/policies.h"
#include "keymasterd/judge/registry_int.h"
#include "keymasterd/judge/turn.h"

#define META_KEY "windows_seq"

static uint64_t saved_seq, saving_seq;

static int
load_one(const char *tenant, const char *key, const void *blob, size_t len, void *arg)
{
	uint64_t now = judge_limit_ms();
	struct credential *c;
	struct agent *a;
	struct limiter *l = NULL;

	(void)arg;
	if (strncmp(key, "agent:", 6) == 0) {
		a = agent_by_id(tenant, key + 6);
		l = a != NULL ? a->limiter : NULL;
	} else if (strncmp(key, "credential:", 11) == 0) {
		c = credential_by_id(tenant, key + 11);
		l = c != NULL ? c->limiter : NULL;
	} else if (strncmp(key, "policy:", 7) == 0) {
		l = policy_window(span_str(key + 7));
	}
	if (l != NULL && limiter_load(l, blob, len, now) == -1)
		LOG_ERROR("window.load", LS("key", key));
	return 0;
}

/* Did this row take from the limits? Requests that were refused afterwards say so. */
static int
counts(struct span text)
{
	if (!span_eq(ledger_text_get(text, "kind"), "decision"))
		return 0;
	/* attestations and SEAL's lists take from no limit: they name neither */
	if (!ledger_text_has(text, "service") && !ledger_text_has(text, "tool"))
		return 0;
	return span_eq(ledger_text_get(text, "decision"), "allowed") ||
	    ledger_text_has(text, "counted");
}

/* "rule 2 0123456789abcdef": the window of that key. */
static struct limiter *
window_of(struct span policy)
{
	const size_t len = POLICY_KEY_SIZE - 1;

	if (policy.len < len + 6 || memcmp(policy.p, "rule ", 5) != 0)
		return NULL;
	return policy_window(span_mem(policy.p + policy.len - len, len));
}

static int
replay_row(const struct ledger_line *row, void *arg)
{
	char tenant[STORE_TENANT_MAX];
	uint64_t now = judge_limit_ms(), ms;
	struct credential *c;
	struct agent *a;
	struct limiter *l;
	struct span name;

	(void)arg;
	if (!counts(row->text) ||
	    span_copy(ledger_text_get(row->text, "tenant"), tenant, sizeof(tenant)) ==
		-1 ||
	    (ms = ledger_text_ms(row->text)) == 0)
		return 0;
	name = ledger_text_get(row->text, "agent");
	a = name.len > 0 ? agent_by_name(tenant, name) : NULL;
	if (a != NULL && a->limiter != NULL)
		limiter_count_past(a->limiter, ms, now);
	name = ledger_text_get(row->text, "credential");
	c = name.len > 0 ? credential_by_name(tenant, name) : NULL;
	if (c != NULL && c->limiter != NULL)
		limiter_count_past(c->limiter, ms, now);
	l = window_of(ledger_text_get(row->text, "policy"));
	if (l != NULL)
		limiter_count_past(l, ms, now);
	return 0;
}

int
windows_load(void)
{
	char text[24];
	uint64_t seq = 0;
	int r;

	if (store_window_each(judge_store, load_one, NULL) == -1)
		return -1;
	r = store_meta_get(judge_store, META_KEY, text, sizeof(text));
	if (r == -1)
		return -1;
	if (r == 0)
		seq = strtoull(text, NULL, 10);
	saved_seq = seq;
	return ledger_each(seq, UINT64_MAX, 0, replay_row, NULL);
}

static int
save_one(struct limiter *l, const char *tenant, const char *kind, const char *id)
{
	static struct buf blob;
	char key[64];

	buf_reset(&blob);
	snprintf(key, sizeof(key), "%s:%s", kind, id);
	if (limiter_dump(l, &blob) == -1 ||
	    store_window_put(judge_store, tenant, key, blob.p, blob.len) == -1)
		return -1;
	limiter_dirty_set(l, 0);
	return 0;
}

static int bad_policy;

static void
save_policy(struct limiter *l, const char *key)
{
	bad_policy |= save_one(l, judge_conf.tenant, "policy", key);
}

/* What was saved in a turn that failed has to be saved again. */
static void
saved(int ok, void *arg)
{
	struct credential *c;
	struct agent *a;

	(void)arg;
	if (ok) {
		saved_seq = saving_seq;
		return;
	}
	TAILQ_FOREACH (a, &agents, link)
		if (a->limiter != NULL)
			limiter_dirty_set(a->limiter, 1);
	TAILQ_FOREACH (c, &credentials, link)
		if (c->limiter != NULL)
			limiter_dirty_set(c->limiter, 1);
	policy_windows_unsaved();
}

void
windows_save(void)
{
	struct credential *c;
	struct agent *a;
	char text[24];
	int bad = 0;

	if (ledger_seq_pending() == saved_seq)
		return;
	TAILQ_FOREACH (a, &agents, link)
		if (a->limiter != NULL && limiter_dirty(a->limiter))
			bad |= save_one(a->limiter, a->row.tenant, "agent", a->row.id);
	TAILQ_FOREACH (c, &credentials, link)
		if (c->limiter != NULL && limiter_dirty(c->limiter))
			bad |=
			    save_one(c->limiter, c->row.tenant, "credential", c->row.id);
	bad_policy = 0;
	policy_windows_dirty(save_policy);
	bad |= bad_policy;
	saving_seq = ledger_seq_pending();
	turn_then(saved, NULL);
	snprintf(text, sizeof(text), "%" PRIu64, saving_seq);
	if (bad == 0)
		(void)store_meta_set(judge_store, META_KEY, text);
}
