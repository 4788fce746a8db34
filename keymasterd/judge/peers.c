/* SPDX-License-Identifier: Apache-2.0 */
/* Doors that open and shut, and the rows about broken permit tables. Judge only. */
#include "keymasterd/judge/peers.h"

#include <stdio.h>
#include <string.h>

#include "common/admin_door.h"
#include "common/log.h"
#include "common/msg.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/collect.h"
#include "keymasterd/judge/data_api.h"
#include "keymasterd/judge/hook.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/mcp_stream.h"
#include "keymasterd/judge/permit.h"
#include "keymasterd/judge/receipt.h"
#include "keymasterd/judge/process.h"
#include "keymasterd/judge/redeemer.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/sealed.h"
#include "keymasterd/judge/trust.h"
#include "keymasterd/judge/turn.h"
#include "keymasterd/judge/vault_mark.h"
#include "keymasterd/judge/waiting.h"

#define ASK_MS 10000

struct judge_keys judge_keys;

static void
violation_row(const char *who, const struct chan *seen_by, uint32_t instance,
    unsigned type, struct span reason)
{
	enum role by = seen_by != NULL ? chan_peer_role(seen_by) : ROLE_JUDGE;
	const struct msg_desc *desc = msg_desc_get(type);
	char detail[256];
	struct ledger_row row = {.kind = LEDGER_SYSTEM,
	    .event = span_str("permit.refused"),
	    .code = span_str(desc != NULL ? desc->name : "unknown"),
	    .reason = reason};

	snprintf(detail, sizeof(detail), "%s %u sent type 0x%04x to %s", who, instance,
	    type, role_name(by));
	row.detail = span_str(detail);
	/* whoever reports it may have made it up */
	(void)ledger_append_budget(&row, LEDGER_CAUSE_PEER, role_name(by),
	    seen_by != NULL ? chan_peer_instance(seen_by) : 0);
}

int
peer_permit_refused(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_permit_refused *m = msg;

	(void)reqid;
	violation_row(role_name((enum role)m->role), c, m->instance, m->type, m->reason);
	return 0;
}

void
peer_violation(enum role role, uint32_t instance, unsigned type, const char *reason)
{
	violation_row(role_name(role), NULL, instance, type, span_str(reason));
}

int
peer_child_ended(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_child_ended *m = msg;
	char detail[256];
	struct ledger_row row = {.kind = LEDGER_SYSTEM,
	    .event = span_str("process.ended"),
	    .code = span_str(m->too_often ? "accuses_too_often" : "accused"),
	    .reason = m->reason};

	(void)c;
	(void)reqid;
	if (m->too_often)
		snprintf(detail, sizeof(detail),
		    "%s %u, which had others ended too often",
		    role_name((enum role)m->role), m->instance);
	else
		snprintf(detail, sizeof(detail), "%s %u, at the word of %s %u",
		    role_name((enum role)m->role), m->instance,
		    role_name((enum role)m->by_role), m->by_instance);
	row.detail = span_str(detail);
	(void)ledger_append(&row, NULL);
	return 0;
}

static void
gate_gone(struct chan *c, void *owner)
{
	(void)owner;
	waiting_forget(c);
	seal_gate_gone(c);
	process_gate_gone(c);
	mcp_stream_gate_gone(c);
	receipt_gone(c);
	collect_gate_gone(c);
	data_gate_gone(c);
	turn_forget(c);
}

/*
 * Vault's file and the database are two files. The judge's row comes second when a
 * credential is made and goes first when one is removed, so after a crash vault may hold
 * one that nobody can use (the next `vault add` of that name replaces it), never the
 * other way round. If it is the other way round, a file was put back from a backup.
 */
static void
compare_counts(void)
{
	struct ledger_row row = {.kind = LEDGER_SYSTEM, .event = span_str("vault.drift")};
	struct credential *cred;
	char detail[160];
	uint32_t n = 0;

	TAILQ_FOREACH (cred, &credentials, link)
		n++;
	n += hook_count();
	if (n == judge_keys.credentials)
		return;
	snprintf(detail, sizeof(detail),
	    "the database knows %u credentials, vault holds %u: compare with `aegis "
	    "vault list`",
	    n, judge_keys.credentials);
	LOG_WARN("vault.drift", LU("database", n), LU("vault", judge_keys.credentials));
	row.detail = span_str(detail);
	(void)ledger_append(&row, NULL);
}

static void
on_keys(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	const struct msg_vault_key_set *m = msg;

	(void)c;
	(void)arg;
	if (status == CHAN_OK)
		sealed_learn(m);
	if (vault_sealed) {
		admin_serves();
		return;
	}
	if (status != CHAN_OK || m->code != 0 || trust_keys_take(m) == -1) {
		LOG_ERROR(
		    "vault.keys", LS("error", "vault did not name its public keys"));
		return;
	}
	compare_counts();
	vault_mark_opened(m->saves);
	admin_serves();
}

int
peer_token_keys(struct chan *c, uint64_t reqid, void *msg)
{
	struct ledger_row row = {.kind = LEDGER_SYSTEM, .event = span_str("key.changed")};
	const struct msg_token_keys *m = msg;
	char detail[100];

	(void)c;
	(void)reqid;
	if (trust_token_keys(m) == -1)
		return -1;
	snprintf(detail, sizeof(detail), "security tokens are signed by key %s",
	    judge_keys.token_kid);
	row.detail = span_str(detail);
	(void)ledger_append(&row, NULL);
	return 0;
}

static void
vault_ready(struct chan *c, void *owner)
{
	MSG_INIT(vault_keys, m);

	(void)owner;
	(void)chan_ask(c, MSG_vault_keys, &m, ASK_MS, on_keys, NULL);
}

static void
vault_gone(struct chan *c, void *owner)
{
	(void)c;
	(void)owner;
	/* its public keys stay: tokens of running sessions can still be checked */
	LOG_WARN("vault.gone",
	    LS("effect", "nothing can be signed or sealed until it is back"));
}

const struct proc_peer_row judge_peers[] = {
    {ROLE_GATE, permit_judge_gate, NULL, sealed_gate_ready, gate_gone},
    {ROLE_API, permit_judge_api, NULL, NULL, gate_gone},
    {ROLE_WORKER, permit_judge_worker, worker_peer, redeemer_hello, redeemer_gone},
    {ROLE_TOOLHOST, permit_judge_toolhost, toolhost_peer, redeemer_hello, redeemer_gone},
    {ROLE_DISPATCH, permit_judge_dispatch, NULL, NULL, NULL},
    {ROLE_VAULT, permit_judge_vault, NULL, vault_ready, vault_gone},
    {ROLE_NONE, NULL, NULL, NULL, NULL},
};
