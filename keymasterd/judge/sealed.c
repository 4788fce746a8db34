/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is vault sealed, and what became of shares; see sealed.h. Judge only; vault's texts are
 * data.
 */
#include "keymasterd/judge/sealed.h"

#include <stdio.h>

#include "common/jsonw.h"
#include "common/log.h"
#include "common/proto.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/waiting.h"

int vault_sealed, vault_sealing;
static unsigned threshold, shares;

static void
tell_gate(struct chan *c, size_t queued, void *arg)
{
	MSG_INIT(vault_state, m);

	(void)queued;
	(void)arg;
	m.sealed = vault_sealed != 0;
	if (chan_peer_role(c) == ROLE_GATE && chan_is_ready(c))
		(void)chan_note(c, MSG_vault_state, &m);
}

void
sealed_gate_ready(struct chan *c, void *owner)
{
	(void)owner;
	if (vault_sealed)
		tell_gate(c, 0, NULL);
}

void
sealed_set(int sealed)
{
	struct credential *c;

	if ((sealed != 0) == (vault_sealed != 0))
		return;
	vault_sealed = sealed != 0;
	chans_each(tell_gate, NULL);
	if (vault_sealed)
		TAILQ_FOREACH (c, &credentials, link)
			waiting_fail(c, "the vault was sealed");
}

void
sealed_learn(const struct msg_vault_key_set *m)
{
	threshold = m->threshold;
	shares = m->shares;
	/* one that has come again while it is being sealed is not open for long */
	if (m->code == VAULT_LOCKED || !vault_sealing)
		sealed_set(m->code == VAULT_LOCKED);
}

int
sealed_never_split(void)
{
	return judge_keys.have && threshold == 0;
}

void
sealed_put(struct jsonw *w)
{
	char text[24];

	jsonw_key_bool(w, "sealed", vault_sealed != 0);
	if (threshold == 0)
		return;
	(void)snprintf(text, sizeof(text), "%u of %u", threshold, shares);
	jsonw_key_str(w, "shares", text);
}

int
sealed_share_event(struct chan *c, uint64_t reqid, void *msg)
{
	static const char *const events[] = {[SHARE_TAKEN] = "unseal.share",
	    [SHARE_REFUSED] = "unseal.refused",
	    [SHARE_FORGOTTEN] = "unseal.forgotten",
	    [SHARE_JOINED] = "vault.unsealed",
	    [SHARE_GIVEN] = "vault.split.given"};
	const struct msg_share_event *m = msg;
	struct ledger_row row = {.kind = LEDGER_ADMIN};
	char detail[64];

	(void)c;
	(void)reqid;
	if (m->event == 0 || m->event >= sizeof(events) / sizeof(events[0])) {
		LOG_WARN("vault.share", LU("unknown", m->event));
		return 0;
	}
	if (m->event == SHARE_GIVEN) {
		threshold = m->threshold;
		shares = m->shares;
	}
	if (m->event == SHARE_GIVEN || m->event == SHARE_JOINED)
		(void)snprintf(
		    detail, sizeof(detail), "%u of %u shares", m->threshold, m->shares);
	else if (m->number != 0)
		(void)snprintf(detail, sizeof(detail), "share %u; %u of %u are there",
		    m->number, m->have, m->threshold);
	else
		(void)snprintf(
		    detail, sizeof(detail), "%u of %u are there", m->have, m->threshold);
	row.event = span_str(events[m->event]);
	row.detail = span_str(detail);
	if (m->peer.len > 0)
		row.peer = m->peer;
	if (m->reason.len > 0)
		row.reason = m->reason;
	(void)ledger_append(&row, NULL);
	return 0;
}
