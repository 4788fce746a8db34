/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis operator token: vault signs a token for the API. Row first, then the question to
 * vault. Judge only; who asks was let in by user id.
 *
 *	operator_token	done {token, name, role, tenant, expires_at}
 */
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/act.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/operator.h"
#include "keymasterd/judge/turn.h"

#define VAULT_MS 10000
#define TTL_MAX 86400

struct token {
	struct act act;
	enum operator_role role;
	char name[65], jti[STORE_ID_MAX];
	uint64_t iat, exp;
};

static void
token_fail(struct token *t, const char *message)
{
	/* nobody has it */
	(void)store_operator_revoke(judge_store, judge_conf.tenant, t->jti);
	act_end(&t->act, ADMIN_FAILED, message);
}

static void
on_signed(struct chan *vault, enum chan_status status, void *msg, void *arg)
{
	const struct msg_token_signed *m = msg;
	char expires[RFC3339_SIZE];
	struct token *t = arg;
	struct jsonw w;
	struct buf json;

	(void)vault;
	if (status != CHAN_OK || m->code != 0) {
		token_fail(t, "Tokens cannot be signed at the moment; try again.");
		return;
	}
	(void)rfc3339_format((int64_t)t->exp, 0, 0, expires, sizeof(expires));
	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key(&w, "token");
	jsonw_strn(&w, m->token.p, m->token.len);
	jsonw_key_str(&w, "name", t->name);
	jsonw_key_str(&w, "role", operator_role_name(t->role));
	jsonw_key_str(&w, "tenant", judge_conf.tenant);
	jsonw_key_str(&w, "expires_at", expires);
	jsonw_obj_close(&w);
	act_result(&t->act, &json);
	buf_wipe_free(&json);
}

static void
ask_vault(int ok, void *arg)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	struct token *t = arg;
	MSG_INIT(operator_sign, m);

	m.tenant = span_str(judge_conf.tenant);
	m.sub = span_str(t->name);
	m.jti = span_str(t->jti);
	m.issuer = span_str(judge_conf.issuer);
	m.role = (uint8_t)t->role;
	m.iat = t->iat;
	m.exp = t->exp;
	if (!ok)
		token_fail(t, "The ledger's row could not be written.");
	else if (vault == NULL ||
	    chan_ask(vault, MSG_operator_sign, &m, VAULT_MS, on_signed, t) == 0)
		token_fail(t, "Tokens cannot be signed at the moment; try again.");
}

/* Where it can be taken back; before vault signs it, so that none is unknown. */
static void
keep(const struct token *t)
{
	struct store_operator row = {.role = (unsigned)t->role,
	    .created_ms = judge_now_ms(),
	    .expires_ms = t->exp * 1000};

	snprintf(row.tenant, sizeof(row.tenant), "%s", judge_conf.tenant);
	snprintf(row.jti, sizeof(row.jti), "%s", t->jti);
	snprintf(row.name, sizeof(row.name), "%s", t->name);
	/* a failure fails the turn */
	(void)store_operator_purge(judge_store, judge_conf.tenant, judge_now_ms());
	(void)store_operator_add(judge_store, &row);
}

int
admin_operator_token(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_operator_token *m = msg;
	char detail[200];
	struct token *t;

	if (m->role < OPERATOR_READONLY || m->role > OPERATOR_ADMIN || m->ttl_s < 1 ||
	    m->ttl_s > TTL_MAX)
		return admin_refuse(c, reqid,
		    "a token is for readonly, operator or admin, and for a day at most");
	if (check_identifier(m->name, 64) != NULL)
		return admin_refuse(c, reqid,
		    "name the operator with letters, digits, _ and -: it stands in the "
		    "ledger");
	if ((t = act_new(c, reqid, "operator.token", sizeof(*t))) == NULL)
		return 0;
	t->role = (enum operator_role)m->role;
	(void)span_copy(m->name, t->name, sizeof(t->name));
	judge_uuid(t->jti);
	t->iat = judge_now_ms() / 1000;
	t->exp = t->iat + m->ttl_s;
	snprintf(detail, sizeof(detail), "%s, role %s, %u s, jti %s", t->name,
	    operator_role_name(t->role), m->ttl_s, t->jti);
	admin_ledger(
	    c, &(struct admin_act){.event = t->act.event, .detail = span_str(detail)});
	keep(t);
	turn_then(ask_vault, t);
	return 0;
}
