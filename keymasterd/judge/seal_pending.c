/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Until the SEAL half is linked in: every question it would answer is refused. Each of
 * these gives way to the real function of the same name.
 */
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/decide.h"
#include "keymasterd/judge/judge.h"

#define WEAK __attribute__((weak))

static int
refuse(struct chan *c, uint64_t reqid, struct span peer)
{
	struct decide d;

	decide_begin(&d, c, reqid, peer);
	d.budget = LEDGER_CAUSE_HTTP;
	decide_refuse(
	    &d, 404, "not_found", "Nothing is served at this path", NULL, DK_END);
	return 0;
}

WEAK int
seal_authorize(struct chan *c, uint64_t reqid, void *msg)
{
	return refuse(c, reqid, ((struct msg_seal_authorize *)msg)->peer);
}

WEAK int
api_request(struct chan *c, uint64_t reqid, void *msg)
{
	return refuse(c, reqid, ((struct msg_api_request *)msg)->peer);
}

WEAK int
tool_catalogue(struct chan *c, uint64_t reqid, void *msg)
{
	(void)c;
	(void)reqid;
	(void)msg;
	return 0;
}

#define PENDING(name)                                                              \
	WEAK int name(struct chan *c, uint64_t reqid, void *msg)                   \
	{                                                                          \
		(void)msg;                                                         \
		return admin_refuse(c, reqid, "This build has no SEAL sessions."); \
	}
PENDING(admin_context_put)
PENDING(admin_context_list)
PENDING(admin_context_show)
PENDING(admin_context_remove)
PENDING(admin_context_test)
PENDING(admin_session_list)
PENDING(admin_session_revoke)
PENDING(admin_tool_list)

WEAK int
seal_conf_context(void *msg)
{
	(void)msg;
	return 0;
}

WEAK int
seal_conf_tool(void *msg)
{
	(void)msg;
	return 0;
}

WEAK int
seal_init(void)
{
	return 0;
}

WEAK void
seal_gate_gone(const struct chan *c)
{
	(void)c;
}

WEAK void
seal_tick(uint64_t unix_ms)
{
	(void)unix_ms;
}

WEAK void
session_agent_removed(const char *tenant, const char *agent_id)
{
	(void)tenant;
	(void)agent_id;
}

WEAK void
session_context_revoked(const char *tenant, const char *agent_id, const char *context)
{
	(void)tenant;
	(void)agent_id;
	(void)context;
}
