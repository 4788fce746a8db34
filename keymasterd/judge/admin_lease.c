/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis vault leases: vault is asked for one after the other, each is a row of the
 * answer. And the counts that vault tells. Judge only.
 */

#include "common/buf.h"
#include "common/chan.h"
#include "common/jsonw.h"
#include "common/proc.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/act.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"

#define VAULT_MS 10000

static struct msg_lease_counts counts;

static void ask(struct act *, uint64_t after);

static void
put_time(struct jsonw *w, const char *key, uint64_t seconds)
{
	char text[RFC3339_SIZE];

	if (seconds != 0 && seconds < INT64_MAX &&
	    rfc3339_format((int64_t)seconds, 0, 0, text, sizeof(text)) >= 0)
		jsonw_key_str(w, key, text);
}

static int
put_row(const struct act *l, const struct msg_lease_item *m)
{
	static const char *const states[] = {[LEASE_WAITS] = "waits",
	    [LEASE_ASKED] = "asked",
	    [LEASE_HELD] = "held",
	    [LEASE_ENDING] = "ending"};
	struct jsonw w;
	struct buf json;
	int r;

	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "state",
	    m->state >= LEASE_WAITS && m->state <= LEASE_ENDING ? states[m->state] : "?");
	jsonw_key(&w, "server");
	jsonw_strn(&w, m->server.p, m->server.len);
	jsonw_key(&w, "execution");
	jsonw_strn(&w, m->execution.p, m->execution.len);
	jsonw_key(&w, "reference");
	jsonw_strn(&w, m->reference.p, m->reference.len);
	jsonw_key(&w, "lease");
	jsonw_strn(&w, m->lease.p, m->lease.len);
	jsonw_key_int(&w, "process", m->instance);
	put_time(&w, "obtained_at", m->born_s);
	put_time(&w, "ends_at", m->ends_s);
	jsonw_key_int(&w, "renewals", m->renewals);
	jsonw_key_int(&w, "tries", m->tries);
	jsonw_key(&w, "trouble");
	jsonw_strn(&w, m->trouble.p, m->trouble.len);
	jsonw_obj_close(&w);
	r = jsonw_done(&w) == 0 ? admin_row(l->chan, l->reqid, &json) : -1;
	buf_free(&json);
	return r;
}

static void
on_item(struct chan *vault, enum chan_status status, void *msg, void *arg)
{
	const struct msg_lease_item *m = msg;
	struct act *l = arg;

	(void)vault;
	if (status != CHAN_OK || m->code != VAULT_OK)
		act_end(l, ADMIN_FAILED, "Vault did not answer; try again.");
	else if (l->chan == NULL || m->number == 0)
		act_end(l, ADMIN_OK, "");
	else if (put_row(l, m) == -1)
		act_end(l, ADMIN_FAILED, "The list is too long to be sent at once.");
	else
		ask(l, m->number);
}

static void
ask(struct act *l, uint64_t after)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	MSG_INIT(lease_next, m);

	m.after = after;
	if (vault == NULL ||
	    chan_ask(vault, MSG_lease_next, &m, VAULT_MS, on_item, l) == 0)
		act_end(l, ADMIN_FAILED, "Vault is not running. See `aegis status`.");
}

int
admin_lease_list(struct chan *c, uint64_t reqid, void *msg)
{
	struct act *l = act_new(c, reqid, "lease.list", sizeof(*l));

	(void)msg;
	if (l != NULL)
		ask(l, 0);
	return 0;
}

/* -- counts -- */

int
peer_lease_counts(struct chan *vault, uint64_t reqid, void *msg)
{
	(void)vault;
	(void)reqid;
	counts = *(const struct msg_lease_counts *)msg;
	return 0;
}

const struct msg_lease_counts *
lease_counts(void)
{
	return &counts;
}

void
lease_counts_put(struct jsonw *w)
{
	jsonw_key(w, "leases");
	jsonw_obj_open(w);
	jsonw_key_int(w, "open", counts.open);
	jsonw_key_int(w, "ending", counts.ending);
	jsonw_key_int(w, "obtained", (int64_t)counts.obtained);
	jsonw_key_int(w, "renewed", (int64_t)counts.renewed);
	jsonw_key_int(w, "replaced", (int64_t)counts.replaced);
	jsonw_key_int(w, "revoked", (int64_t)counts.revoked);
	jsonw_key_int(w, "failed", (int64_t)counts.failed);
	jsonw_obj_close(w);
}
