/* SPDX-License-Identifier: Apache-2.0 */
/* What `aegis status` and `aegis doctor` ask. No secrets, no tokens. Judge only. */
#include <string.h>

#include "common/admin_door.h"
#include "common/buf.h"
#include "common/hex.h"
#include "common/jsonw.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/flight.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/openbao.h"
#include "keymasterd/judge/policies.h"
#include "keymasterd/judge/redeemer.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/sealed.h"
#include "keymasterd/judge/tools.h"
#include "keymasterd/judge/vault_mark.h"

#define SOON_MS (7ull * 86400000)

static void
put_uint(struct jsonw *w, const char *key, uint64_t n)
{
	jsonw_key(w, key);
	jsonw_uint(w, n);
}

static void
put_credentials(struct jsonw *w)
{
	uint64_t now = judge_now_ms(), total = 0, expired = 0, soon = 0;
	struct credential *c;

	TAILQ_FOREACH (c, &credentials, link) {
		total++;
		if (c->row.expires_ms != 0 && c->row.expires_ms <= now)
			expired++;
		else if (c->row.expires_ms != 0 && c->row.expires_ms <= now + SOON_MS)
			soon++;
	}
	jsonw_key(w, "credentials");
	jsonw_obj_open(w);
	put_uint(w, "total", total);
	put_uint(w, "active", total - expired - soon);
	put_uint(w, "expired", expired);
	put_uint(w, "expiring_soon", soon);
	jsonw_obj_close(w);
}

static void
put_ledger(struct jsonw *w)
{
	char head[65];

	(void)hex_encode(ledger_head(), 32, head, sizeof(head));
	jsonw_key(w, "ledger");
	jsonw_obj_open(w);
	jsonw_key_str(w, "chain", ledger_chain());
	put_uint(w, "rows", ledger_seq());
	jsonw_key_str(w, "head", head);
	put_uint(w, "signed", ledger_signed_seq());
	put_uint(w, "lost", ledger_lost());
	jsonw_obj_close(w);
}

static void
put_vault(struct jsonw *w)
{
	char pub[65];

	jsonw_key(w, "vault");
	jsonw_obj_open(w);
	jsonw_key_bool(w, "ready",
	    !vault_sealed && proc_peer(ROLE_VAULT) != NULL && judge_keys.have);
	sealed_put(w);
	if (judge_keys.have) {
		put_uint(w, "credentials", judge_keys.credentials);
		put_uint(w, "saves_missing", vault_mark_missing());
		lease_counts_put(w);
		jsonw_key_str(w, "token_kid", judge_keys.token_kid);
		jsonw_key_str(w, "ledger_kid", judge_keys.ledger_kid);
		(void)hex_encode(judge_keys.ledger_pub, 32, pub, sizeof(pub));
		jsonw_key_str(w, "ledger_pub", pub);
		(void)hex_encode(judge_keys.token_pub, 32, pub, sizeof(pub));
		jsonw_key_str(w, "token_pub", pub);
	}
	jsonw_obj_close(w);
}

static void
put_time(struct jsonw *w, const char *key, uint64_t ms)
{
	char text[RFC3339_SIZE];

	if (rfc3339_format((int64_t)(ms / 1000), (uint32_t)(ms % 1000) * 1000000, 3, text,
		sizeof(text)) > 0)
		jsonw_key_str(w, key, text);
}

static void
put_policies(struct jsonw *w)
{
	const struct policy_set *p = policies_now();

	jsonw_key(w, "policies");
	jsonw_obj_open(w);
	jsonw_key_str(w, "mode", policy_mode_name(p->mode));
	if (p->mode != POLICY_OFF) {
		put_uint(w, "total", p->n);
		jsonw_key_str(w, "source", p->source);
		jsonw_key_str(w, "sha256", p->sha256);
		put_time(w, "since", p->since_ms);
	}
	if (p->refused[0] != '\0') {
		jsonw_key_str(w, "refused", p->refused);
		put_time(w, "refused_at", p->refused_ms);
	}
	jsonw_obj_close(w);
}

static void
put_tools(struct jsonw *w)
{
	const struct tool_server *t;

	jsonw_key(w, "tool_servers");
	jsonw_arr_open(w);
	TAILQ_FOREACH (t, &tool_servers, link) {
		jsonw_obj_open(w);
		jsonw_key_str(w, "server", t->name);
		jsonw_key_str(w, "state", tool_state_name(t->state));
		put_uint(w, "processes", t->instances);
		put_uint(w, "restarts", t->restarts);
		put_uint(w, "tool_count", t->ntools);
		jsonw_obj_close(w);
	}
	jsonw_arr_close(w);
}

int
admin_status(struct chan *c, uint64_t reqid, void *msg)
{
	struct agent *a;
	struct jsonw w;
	struct buf json;
	unsigned n = 0;

	(void)msg;
	TAILQ_FOREACH (a, &agents, link)
		n++;
	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "version", PACKAGE_VERSION);
	jsonw_key_str(&w, "tenant", judge_conf.tenant);
	jsonw_key_str(&w, "gate_url", judge_conf.gate_url);
	put_uint(&w, "uptime_s", (loop_now_ms() - judge_born_ms()) / 1000);
	jsonw_key_bool(&w, "require_agent_auth", judge_conf.require_agent_auth != 0);
	jsonw_key_bool(&w, "stopping", judge_stopping != 0);
	put_ledger(&w);
	put_vault(&w);
	jsonw_key(&w, "openbao");
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "state", openbao_state());
	jsonw_key_str(&w, "why", openbao_why());
	jsonw_obj_close(&w);
	put_credentials(&w);
	put_policies(&w);
	put_uint(&w, "agents", n);
	put_uint(&w, "in_flight", flight_count());
	put_uint(&w, "workers", redeemer_count(ROLE_WORKER, 1));
	jsonw_key_bool(&w, "dispatcher", proc_peer(ROLE_DISPATCH) != NULL);
	jsonw_key_bool(&w, "toolhost", redeemer_toolhost() != NULL);
	put_tools(&w);
	put_uint(&w, "administrators", admin_door_count());
	jsonw_obj_close(&w);
	admin_result(c, reqid, &json);
	buf_free(&json);
	return 0;
}
