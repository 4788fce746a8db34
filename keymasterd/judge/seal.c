/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SEAL half's start, clock, and the acts elsewhere that end sessions. Judge only.
 */
#include <string.h>

#include "common/log.h"
#include "keymasterd/judge/attest.h"
#include "keymasterd/judge/cluster.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/mcp_session.h"
#include "keymasterd/judge/seal_invoke.h"
#include "keymasterd/judge/seal_marks.h"
#include "keymasterd/judge/session.h"
#include "keymasterd/judge/session_rate.h"
#include "keymasterd/judge/tools.h"
#include "keymasterd/judge/trust.h"

#define SAVE_TICKS 5 /* seconds */

int
seal_init(void)
{
	return context_table_load() != 0 || session_table_load() != 0 ||
		session_rates_load() != 0 || cluster_load() != 0 ||
		seal_invoke_init() != 0
	    ? -1
	    : 0;
}

int
seal_started(void)
{
	return context_table_record();
}

void
seal_tick(uint64_t unix_ms)
{
	static unsigned ticks;

	trust_tick(unix_ms);
	tool_executions_end(unix_ms);
	session_table_tick(unix_ms);
	if (++ticks % SAVE_TICKS == 0) {
		session_rates_save();
		seal_marks_save();
	}
}

void
session_revoke_row(struct session *s, const char *reason)
{
	const struct agent *agent = agent_by_id(s->tenant, s->agent_id);
	struct ledger_row row = {.kind = LEDGER_SYSTEM,
	    .tenant = span_str(s->tenant),
	    .event = span_str("SessionRevoked"),
	    .exec = span_str(s->exec_id),
	    .agent = span_str(agent != NULL ? agent->row.name : s->sub),
	    .context = span_str(s->context),
	    .session = span_str(s->id),
	    .reason = span_str(reason)};

	if (s->state == SESSION_REVOKED)
		return;
	(void)ledger_append(&row, NULL);
	session_revoke(s, reason);
}

static void
revoke_all_of(const char *tenant, const char *agent_id, const char *reason)
{
	struct session *s;

	TAILQ_FOREACH (s, &sessions, link)
		if (strcmp(s->agent_id, agent_id) == 0 && strcmp(s->tenant, tenant) == 0)
			session_revoke_row(s, reason);
}

void
session_agent_removed(const char *tenant, const char *agent_id)
{
	revoke_all_of(tenant, agent_id, "agent removed");
	mcp_agent_changed(agent_id, NULL);
	attest_agent_gone(agent_id);
}

void
session_agent_renewed(const char *tenant, const char *agent_id)
{
	revoke_all_of(tenant, agent_id, "agent token replaced");
	mcp_agent_changed(agent_id, NULL);
}

void
session_agent_changed(const char *tenant, const char *agent_id)
{
	revoke_all_of(tenant, agent_id, "agent's process changed");
}

void
session_run_ended(const char *tenant, const char *agent_id, const char *run)
{
	struct session *s;

	TAILQ_FOREACH (s, &sessions, link)
		if (s->run[0] != '\0' && strcmp(s->run, run) == 0 &&
		    strcmp(s->agent_id, agent_id) == 0 && strcmp(s->tenant, tenant) == 0)
			session_revoke_row(s, "run ended");
}

void
session_context_revoked(const char *tenant, const char *agent_id, const char *context)
{
	struct session *s;

	mcp_agent_changed(agent_id, context);
	TAILQ_FOREACH (s, &sessions, link)
		if (strcmp(s->agent_id, agent_id) == 0 &&
		    strcmp(s->tenant, tenant) == 0 && strcmp(s->context, context) == 0)
			session_revoke_row(s, "context withdrawn from the agent");
}
