/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of tool servers that belong to one session each: when it is over toolhost is
 * told. Judge only.
 */
#include <sodium.h>
#include <string.h>

#include "common/hex.h"
#include "common/msg.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/redeemer.h"
#include "keymasterd/judge/session.h"
#include "keymasterd/judge/tools.h"

void
tool_execution_of(const char *session, char execution[TOOL_EXECUTION_SIZE])
{
	uint8_t hash[16];

	crypto_generichash(
	    hash, sizeof hash, (const void *)session, strlen(session), NULL, 0);
	memcpy(execution, "mcp-", 4);
	(void)hex_encode(hash, sizeof hash, execution + 4, TOOL_EXECUTION_SIZE - 4);
}

void
tool_execution_end(const char *execution)
{
	struct redeemer *toolhost = redeemer_toolhost();
	MSG_INIT(execution_end, m);

	m.execution = span_str(execution);
	if (toolhost != NULL) /* else it has none */
		(void)chan_note(toolhost->chan, MSG_execution_end, &m);
}

void
tool_executions_end(uint64_t unix_ms)
{
	struct session *s;

	TAILQ_FOREACH (s, &sessions, link) {
		if (!s->has_processes ||
		    (s->state == SESSION_ACTIVE && s->expires_ms > unix_ms))
			continue;
		s->has_processes = false;
		tool_execution_end(s->exec_id);
	}
}
