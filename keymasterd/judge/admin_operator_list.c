/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis operator list, revoke: tokens for the API that we gave out. One is good while its
 * row is there (operator.c), so taking the row away ends it at once. Judge only.
 *
 *	operator_list	row {id, name, role, created_at, expires_at}
 *	operator_revoke	done {revoked: how many}
 */
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/operator.h"
#include "keymasterd/judge/turn.h"

#define REVOKE_MAX 64 /* at once */

struct listing {
	struct chan *chan;
	uint64_t reqid;
	int failed;
};

static void
put_time(struct jsonw *w, const char *key, uint64_t ms)
{
	char text[RFC3339_SIZE];

	(void)rfc3339_format((int64_t)(ms / 1000), 0, 0, text, sizeof(text));
	jsonw_key_str(w, key, text);
}

static int
list_one(const struct store_operator *o, void *arg)
{
	struct listing *l = arg;
	struct buf json;
	struct jsonw w;

	if (o->expires_ms <= judge_now_ms())
		return 0;
	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "id", o->jti);
	jsonw_key_str(&w, "name", o->name);
	jsonw_key_str(&w, "role", operator_role_name((enum operator_role)o->role));
	put_time(&w, "created_at", o->created_ms);
	put_time(&w, "expires_at", o->expires_ms);
	jsonw_obj_close(&w);
	l->failed = jsonw_done(&w) == -1 || admin_row(l->chan, l->reqid, &json) == -1;
	buf_free(&json);
	return l->failed;
}

int
admin_operator_list(struct chan *c, uint64_t reqid, void *msg)
{
	struct listing l = {c, reqid, 0};

	(void)msg;
	if (store_operator_each(judge_store, judge_conf.tenant, list_one, &l) == -1)
		l.failed = 1;
	admin_done(c, reqid, l.failed ? ADMIN_FAILED : ADMIN_OK,
	    l.failed ? "The list is too long to be sent at once." : "");
	return 0;
}

struct chosen {
	struct span id, name;
	struct store_operator list[REVOKE_MAX];
	unsigned n;
};

static int
choose(const struct store_operator *o, void *arg)
{
	struct chosen *c = arg;

	if (o->expires_ms > judge_now_ms() &&
	    (c->id.len > 0 ? span_eq(c->id, o->jti) : span_eq(c->name, o->name)))
		c->list[c->n++] = *o;
	return c->n == REVOKE_MAX;
}

int
admin_operator_revoke(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_operator_revoke *m = msg;
	static struct chosen chosen;
	char detail[160];
	struct buf json;
	struct jsonw w;
	unsigned i;

	chosen = (struct chosen){.id = m->id, .name = m->name};
	if ((m->id.len > 0) == (m->name.len > 0))
		return admin_refuse(c, reqid,
		    "Name one token with --id, or all of somebody with --name.");
	if (store_operator_each(judge_store, judge_conf.tenant, choose, &chosen) == -1) {
		admin_done(c, reqid, ADMIN_FAILED, "The database cannot be read.");
		return 0;
	}
	if (chosen.n == 0)
		return admin_refuse(c, reqid,
		    "There is no such token. `aegis operator list` shows those that are "
		    "good.");
	for (i = 0; i < chosen.n; i++) {
		snprintf(detail, sizeof(detail), "%s, role %s, jti %s",
		    chosen.list[i].name,
		    operator_role_name((enum operator_role)chosen.list[i].role),
		    chosen.list[i].jti);
		admin_ledger(c,
		    &(struct admin_act){
			.event = "operator.revoke", .detail = span_str(detail)});
		/* a failure fails the turn, and all is as it was */
		(void)store_operator_revoke(
		    judge_store, judge_conf.tenant, chosen.list[i].jti);
	}
	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key(&w, "revoked");
	jsonw_uint(&w, chosen.n);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) == 0)
		admin_result(c, reqid, &json);
	else
		admin_done(c, reqid, ADMIN_OK, "");
	buf_free(&json);
	return 0;
}
