/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AccessContext rows; see access.h. Vault knows what was asked for and for which
 * execution; whose execution that is, and which request waits for a credential, is known
 * here. Vault is believed, but its texts are data.
 */
#include "keymasterd/judge/access.h"

#include <stdio.h>

#include "common/buf.h"
#include "common/chan.h"
#include "common/hex.h"
#include "common/proto.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/session.h"
#include "keymasterd/judge/waiting.h"

static const char *
code_name(uint32_t code)
{
	static const char *const names[] = {[VAULT_OK] = "ok",
	    [VAULT_MISSING] = "missing",
	    [VAULT_TOO_LARGE] = "too_large",
	    [VAULT_IO] = "error",
	    [VAULT_LOCKED] = "sealed",
	    [VAULT_BAD_REFERENCE] = "bad_reference",
	    [VAULT_REFUSED] = "refused",
	    [VAULT_AWAY] = "away",
	    [VAULT_DENIED] = "denied"};

	return code < sizeof(names) / sizeof(names[0]) && names[code] != NULL
	    ? names[code]
	    : "error";
}

/* What was asked for and why, for people; secrets are not in the note. */
static void
describe(struct buf *out, const struct msg_access_context *m, const uint8_t *request)
{
	static const char *const acts[] = {
	    "", "", "renewed: ", "revoked: ", "encrypted: ", "decrypted: "};
	char hex[2 * REQUEST_ID_LEN + 1];

	(void)buf_printf(out, "%s%.*s", m->act <= ACCESS_DECRYPT ? acts[m->act] : "",
	    (int)m->reference.len, m->reference.p != NULL ? m->reference.p : "");
	if (m->version != 0)
		(void)buf_printf(out, "; version %u", m->version);
	if (m->cached)
		(void)buf_printf(out, "; from the cache");
	if (m->lease.len > 0)
		(void)buf_printf(out, "; lease %.*s for %u s", (int)m->lease.len,
		    m->lease.p, m->lease_s);
	if (m->use == ACCESS_TOOL)
		(void)buf_printf(out, "; variable %.*s of a tool server",
		    (int)m->variable.len, m->variable.p != NULL ? m->variable.p : "");
	else if (m->use == ACCESS_ADMIN || m->use == ACCESS_BOARD)
		(void)buf_printf(out, "; for an administrator");
	else if (request != NULL &&
	    hex_encode(request, REQUEST_ID_LEN, hex, sizeof(hex)) != -1)
		(void)buf_printf(out, "; for request %s", hex);
	else
		(void)buf_printf(out, "; for proxied requests");
}

int
access_context(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_access_context *m = msg;
	const struct ledger_row *first = NULL;
	const struct credential *cred;
	const struct session *s = NULL;
	const struct agent *agent;
	char tenant[STORE_TENANT_MAX];
	struct ledger_row row = {.kind = LEDGER_SYSTEM,
	    .event = span_str("AccessContext"),
	    .code = span_str(code_name(m->code)),
	    .has_duration = 1,
	    .duration_us = m->latency_us};
	struct buf detail;

	(void)c;
	(void)reqid;
	if (span_copy(m->tenant, tenant, sizeof(tenant)) == -1)
		return -1;
	if (m->tenant.len > 0)
		row.tenant = m->tenant;
	if (m->execution.len > 0) {
		row.exec = m->execution;
		s = session_by_exec(tenant, m->execution);
	}
	if (s != NULL) {
		row.session = span_str(s->id);
		row.context = span_str(s->context);
		row.workload = span_str(s->sub);
		agent = agent_by_id(s->tenant, s->agent_id);
		if (agent != NULL)
			row.agent = span_str(agent->row.name);
	}
	if (m->use == ACCESS_TOOL)
		row.server = m->subject;
	else if (m->use != ACCESS_BOARD)
		row.credential = m->subject;
	if (m->use == ACCESS_PROXY) {
		cred = credential_by_name(tenant, m->subject);
		if (cred != NULL)
			row.service = span_str(cred->row.service);
		first = cred != NULL ? waiting_first(cred) : NULL;
		if (first != NULL)
			row.agent = first->agent;
	}
	if (m->reason.len > 0)
		row.reason = m->reason;
	buf_init(&detail);
	describe(&detail, m, first != NULL ? first->request : NULL);
	row.detail = span_mem(detail.p, detail.len);
	(void)ledger_append(&row, NULL);
	buf_free(&detail);
	return 0;
}
