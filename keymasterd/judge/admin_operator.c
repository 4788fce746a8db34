/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis operator token: vault signs a token for the API. Row first, then the question to
 * vault. Judge only; who asks was let in by user id.
 *
 *	operator_token	done {token, name, role, tenant, expires_at}
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/operator.h"
#include "keymasterd/judge/turn.h"

#define VAULT_MS 10000
#define TTL_MAX 86400

struct act {
	struct chan *chan; /* NULL: the administrator is gone */
	uint64_t reqid;
	enum operator_role role;
	char name[65], jti[STORE_ID_MAX];
	uint64_t iat, exp;
	TAILQ_ENTRY(act) link;
};

static TAILQ_HEAD(, act) acts = TAILQ_HEAD_INITIALIZER(acts);

void
operator_act_gone(const struct chan *c)
{
	struct act *a;

	TAILQ_FOREACH (a, &acts, link)
		if (a->chan == c)
			a->chan = NULL;
}

static void
act_end(struct act *a, const char *message)
{
	if (a->chan != NULL)
		admin_done(a->chan, a->reqid, ADMIN_FAILED, message);
	/* nobody has it */
	(void)store_operator_revoke(judge_store, judge_conf.tenant, a->jti);
	TAILQ_REMOVE(&acts, a, link);
	free(a);
}

static void
on_signed(struct chan *vault, enum chan_status status, void *msg, void *arg)
{
	const struct msg_token_signed *m = msg;
	char expires[RFC3339_SIZE];
	struct act *a = arg;
	struct jsonw w;
	struct buf json;

	(void)vault;
	if (status != CHAN_OK || m->code != 0) {
		act_end(a, "Tokens cannot be signed at the moment; try again.");
		return;
	}
	if (a->chan != NULL) {
		(void)rfc3339_format((int64_t)a->exp, 0, 0, expires, sizeof(expires));
		buf_init(&json);
		jsonw_init(&w, &json);
		jsonw_obj_open(&w);
		jsonw_key(&w, "token");
		jsonw_strn(&w, m->token.p, m->token.len);
		jsonw_key_str(&w, "name", a->name);
		jsonw_key_str(&w, "role", operator_role_name(a->role));
		jsonw_key_str(&w, "tenant", judge_conf.tenant);
		jsonw_key_str(&w, "expires_at", expires);
		jsonw_obj_close(&w);
		admin_result(a->chan, a->reqid, &json);
		buf_wipe_free(&json);
	}
	TAILQ_REMOVE(&acts, a, link);
	free(a);
}

static void
ask_vault(int ok, void *arg)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	struct act *a = arg;
	MSG_INIT(operator_sign, m);

	m.tenant = span_str(judge_conf.tenant);
	m.sub = span_str(a->name);
	m.jti = span_str(a->jti);
	m.issuer = span_str(judge_conf.issuer);
	m.role = (uint8_t)a->role;
	m.iat = a->iat;
	m.exp = a->exp;
	if (!ok)
		act_end(a, "The ledger's row could not be written.");
	else if (vault == NULL ||
	    chan_ask(vault, MSG_operator_sign, &m, VAULT_MS, on_signed, a) == 0)
		act_end(a, "Tokens cannot be signed at the moment; try again.");
}

/* Where it can be taken back; before vault signs it, so that none is unknown. */
static void
keep(const struct act *a)
{
	struct store_operator row = {.role = (unsigned)a->role,
	    .created_ms = judge_now_ms(),
	    .expires_ms = a->exp * 1000};

	snprintf(row.tenant, sizeof(row.tenant), "%s", judge_conf.tenant);
	snprintf(row.jti, sizeof(row.jti), "%s", a->jti);
	snprintf(row.name, sizeof(row.name), "%s", a->name);
	/* a failure fails the turn */
	(void)store_operator_purge(judge_store, judge_conf.tenant, judge_now_ms());
	(void)store_operator_add(judge_store, &row);
}

int
admin_operator_token(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_operator_token *m = msg;
	char detail[200];
	struct act *a;

	if (m->role < OPERATOR_READONLY || m->role > OPERATOR_ADMIN || m->ttl_s < 1 ||
	    m->ttl_s > TTL_MAX)
		return admin_refuse(c, reqid,
		    "a token is for readonly, operator or admin, and for a day at most");
	if (check_identifier(m->name, 64) != NULL)
		return admin_refuse(c, reqid,
		    "name the operator with letters, digits, _ and -: it stands in the "
		    "ledger");
	if ((a = calloc(1, sizeof(*a))) == NULL)
		return admin_refuse(c, reqid, "out of memory");
	a->chan = c;
	a->reqid = reqid;
	a->role = (enum operator_role)m->role;
	(void)span_copy(m->name, a->name, sizeof(a->name));
	judge_uuid(a->jti);
	a->iat = judge_now_ms() / 1000;
	a->exp = a->iat + m->ttl_s;
	TAILQ_INSERT_TAIL(&acts, a, link);
	snprintf(detail, sizeof(detail), "%s, role %s, %u s, jti %s", a->name,
	    operator_role_name(a->role), m->ttl_s, a->jti);
	admin_ledger(c,
	    &(struct admin_act){.event = "operator.token", .detail = span_str(detail)});
	keep(a);
	turn_then(ask_vault, a);
	return 0;
}
