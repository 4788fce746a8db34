/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis key: the keys of tokens. Row first, then the question to vault, whose answer
 *names the new key before any token signed by it can come. Judge only; who asks was let
 *in by user id.
 *
 *	token_key_rotate	done {kid}
 *	token_key_list	row {kid, state: signs|verifies, retires_at}
 */
#include <stdio.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/proc.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/act.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/operator.h"
#include "keymasterd/judge/trust.h"
#include "keymasterd/judge/turn.h"
#include "keymasterd/judge/vault_mark.h"

#define VAULT_MS 10000
#define OVERLAP_MAX (30u * 86400)

struct rotation {
	struct act act;
	uint32_t overlap_s;
};

static void
rotated(struct act *a)
{
	struct jsonw w;
	struct buf json;

	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "kid", judge_keys.token_kid);
	jsonw_obj_close(&w);
	act_result(a, &json);
	buf_free(&json);
}

static void
on_rotated(struct chan *vault, enum chan_status status, void *msg, void *arg)
{
	const struct msg_vault_key_set *m = msg;
	char message[300];

	(void)vault;
	if (status != CHAN_OK) {
		act_end(arg, ADMIN_FAILED,
		    "Vault did not answer; aegis key list shows which key is in force.");
	} else if (trust_keys_take(m) == -1 || m->code != 0) {
		(void)snprintf(message, sizeof(message), "The key was not changed: %.*s.",
		    (int)m->message.len, m->message.p);
		act_end(arg, ADMIN_FAILED, message);
	} else {
		vault_mark_saved(m->saves);
		rotated(arg);
	}
}

static void
ask_vault(int ok, void *arg)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	const struct rotation *r = arg;
	MSG_INIT(key_rotate, m);

	m.overlap_s = r->overlap_s;
	if (!ok)
		act_end(arg, ADMIN_FAILED, "The ledger's row could not be written.");
	else if (vault == NULL ||
	    chan_ask(vault, MSG_key_rotate, &m, VAULT_MS, on_rotated, arg) == 0)
		act_end(
		    arg, ADMIN_FAILED, "Vault cannot be asked at the moment; try again.");
}

int
admin_token_key_rotate(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_token_key_rotate *m = msg;
	char detail[160];
	struct rotation *r;

	if (m->overlap_s > OVERLAP_MAX)
		return admin_refuse(
		    c, reqid, "the old key may verify for 30 days at most");
	if (act_pending("key.rotate"))
		return admin_refuse(c, reqid, "another rotation is under way");
	if ((r = act_new(c, reqid, "key.rotate", sizeof(*r))) == NULL)
		return 0;
	r->overlap_s = m->overlap_s;
	(void)snprintf(detail, sizeof(detail), "key %s verifies for %u s more",
	    judge_keys.token_kid, m->overlap_s);
	admin_ledger(
	    c, &(struct admin_act){.event = r->act.event, .detail = span_str(detail)});
	turn_then(ask_vault, r);
	return 0;
}

static int
send_row(struct chan *c, uint64_t reqid, const char *kid, uint64_t retires_s)
{
	char text[RFC3339_SIZE];
	struct jsonw w;
	struct buf json;
	int r;

	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "kid", kid);
	jsonw_key_str(&w, "state", retires_s == 0 ? "signs" : "verifies");
	if (retires_s != 0 &&
	    rfc3339_format((int64_t)retires_s, 0, 0, text, sizeof(text)) > 0)
		jsonw_key_str(&w, "retires_at", text);
	jsonw_obj_close(&w);
	r = admin_row(c, reqid, &json);
	buf_free(&json);
	return r;
}

int
admin_token_key_list(struct chan *c, uint64_t reqid, void *msg)
{
	(void)msg;
	if (judge_keys.have && send_row(c, reqid, judge_keys.token_kid, 0) == 0)
		for (size_t i = 0; i < judge_keys.nold; i++)
			if (send_row(c, reqid, judge_keys.old[i].kid,
				judge_keys.old[i].retires_s) != 0)
				break;
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}
