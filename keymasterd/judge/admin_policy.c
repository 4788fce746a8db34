/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What administrators ask about policies. Judge only. JSON:
 *
 *	policy_list	row {agent, rules, services[], mode, since, sha256}
 *	policies_reload	done {reloaded, message, errors, sha256}: errors a line each
 */
#include "common/buf.h"
#include "common/jsonw.h"
#include "common/proc.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/policies.h"
#include "keymasterd/judge/turn.h"

#define RELOAD_MS 20000

static struct {
	struct chan *asker; /* NULL: none, or gone */
	uint64_t reqid;
	bool busy;
} reloading;

static void
put_policy(struct jsonw *w, const struct policy *p)
{
	char since[RFC3339_SIZE];
	size_t i, k;

	jsonw_key_str(w, "agent", p->agent);
	jsonw_key_int(w, "rules", (int64_t)p->nrules);
	jsonw_key(w, "services");
	jsonw_arr_open(w);
	for (i = 0; i < p->nrules; i++) {
		for (k = 0;
		     k < i && strcmp(p->rules[k].service, p->rules[i].service) != 0; k++)
			;
		if (k == i)
			jsonw_str(w, p->rules[i].service);
	}
	jsonw_arr_close(w);
	jsonw_key_str(w, "mode", policy_mode_name(policies_now()->mode));
	if (rfc3339_format((int64_t)(policies_now()->since_ms / 1000),
		(uint32_t)(policies_now()->since_ms % 1000) * 1000000, 3, since,
		sizeof(since)) > 0)
		jsonw_key_str(w, "since", since);
	jsonw_key_str(w, "sha256", policies_now()->sha256);
}

int
admin_policy_list(struct chan *c, uint64_t reqid, void *msg)
{
	struct buf out;
	struct jsonw w;
	size_t i;

	(void)msg;
	buf_init(&out);
	for (i = 0; i < policies_now()->n; i++) {
		buf_reset(&out);
		jsonw_init(&w, &out);
		jsonw_obj_open(&w);
		put_policy(&w, policies_now()->v[i]);
		jsonw_obj_close(&w);
		if (jsonw_done(&w) != 0 || admin_row(c, reqid, &out) == -1)
			break;
	}
	buf_free(&out);
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

static void
on_reloaded(struct chan *master, enum chan_status status, void *msg, void *arg)
{
	const struct msg_policy_reloaded *m = msg;
	struct buf out;
	struct jsonw w;
	char text[1001];

	(void)master;
	(void)arg;
	reloading.busy = false;
	if (reloading.asker == NULL)
		return;
	if (status != CHAN_OK) {
		admin_done(reloading.asker, reloading.reqid, ADMIN_FAILED,
		    "The master gave no answer: see the log.");
		return;
	}
	if (span_copy(m->message, text, sizeof(text)) == -1)
		text[0] = '\0';
	buf_init(&out);
	jsonw_init(&w, &out);
	jsonw_obj_open(&w);
	jsonw_key_bool(&w, "reloaded", m->code == 0);
	jsonw_key_str(&w, "message", text);
	jsonw_key(&w, "errors");
	jsonw_strn(&w, m->errors.p, m->errors.len);
	jsonw_key_str(&w, "sha256", policies_now()->sha256);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) != 0)
		buf_reset(&out);
	turn_admin_done(reloading.asker, reloading.reqid,
	    m->code == 0 ? ADMIN_OK : ADMIN_REFUSED, m->code == 0 ? "" : text,
	    span_mem(out.p, out.len));
	buf_free(&out);
}

int
admin_policies_reload(struct chan *c, uint64_t reqid, void *msg)
{
	struct admin_act act = {.event = "policy.reload"};
	MSG_INIT(policy_reload, ask);

	(void)msg;
	if (reloading.busy)
		return admin_refuse(
		    c, reqid, "Another reload is under way: try again when it is over.");
	admin_ledger(c, &act);
	if (proc_master() == NULL ||
	    chan_ask(proc_master(), MSG_policy_reload, &ask, RELOAD_MS, on_reloaded,
		NULL) == 0) {
		admin_done(c, reqid, ADMIN_FAILED, "The master could not be asked.");
		return 0;
	}
	reloading.busy = true;
	reloading.asker = c;
	reloading.reqid = reqid;
	return 0;
}

void
policies_forget(const struct chan *c)
{
	if (reloading.asker == c)
		reloading.asker = NULL;
}
