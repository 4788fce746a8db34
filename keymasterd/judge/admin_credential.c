/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault add, update, rotate, remove, list. What is to be sealed, and the secret, the
 * command line has brought to vault itself; the judge names vault that offer. Row first;
 * vault is asked once the row is committed, the database follows when vault has said yes.
 * Removing goes the other way round (peers.c says why). Judge only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/credential_text.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/proto.h"
#include "keymasterd/judge/act.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/admin_credential.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/redeemer.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/turn.h"
#include "keymasterd/judge/vault_drop.h"
#include "keymasterd/judge/vault_mark.h"

#define VAULT_MS 30000 /* its key derivation may be slow when it starts */

enum act_kind { ACT_ADD = 1, ACT_UPDATE, ACT_ROTATE };

struct change {
	struct act act;
	enum act_kind kind;
	uint8_t offer[16]; /* what the administrator brought to vault */
	int replace;
	uint32_t grace_s;
	struct store_credential row;
};

static const char *const events[] = {
    "", "credential.add", "credential.update", "credential.rotate"};

/* One change of a credential at a time: each starts from the row as it is. */
static int
refuse_busy(struct chan *c, uint64_t reqid)
{
	return admin_refuse(c, reqid,
	    "Another change of this credential is under way. Try again in a moment.");
}

static void
change_finish(struct change *a)
{
	int r = store_credential_put(judge_store, &a->row);

	if (r == STORE_EXISTS) {
		act_fail(
		    &a->act, "The name or the service is taken by another credential.");
		return;
	}
	turn_touched();
	if (r == 0 && credential_set(&a->row) == NULL) {
		store_poison(judge_store, "out of memory");
		r = -1;
	}
	act_end(&a->act, r == 0 ? ADMIN_OK : ADMIN_FAILED, "");
}

static void change_ask(struct change *);

static void
on_vault(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	const struct msg_vault_done *m = msg;
	struct change *a = arg;

	(void)c;
	/* even if it is not known whether vault did it: the worker learns that from vault
	 */
	if (status != CHAN_OK || m->code == VAULT_OK)
		redeemer_renew(a->row.tenant, a->row.name);
	if (status != CHAN_OK) {
		act_fail(&a->act,
		    "Vault did not answer. Whether it holds the new values is not known: "
		    "do this "
		    "again.");
		return;
	}
	if (m->code == VAULT_EXISTS && a->kind == ACT_ADD && !a->replace) {
		/* left behind by an add or a removal that was cut short: nobody could use
		 * it */
		a->replace = 1;
		change_ask(a);
		return;
	}
	if (m->code != VAULT_OK) {
		act_fail(&a->act, act_vault_why(m));
		return;
	}
	vault_mark_saved(m->saves);
	change_finish(a);
}

static void
change_ask(struct change *a)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	char scheme[8];
	MSG_INIT(credential_seal, m);

	if (vault == NULL ||
	    upstream_parse(a->row.upstream, scheme, NULL, 0, &m.port) == -1) {
		act_fail(&a->act, "Vault is not running. See `aegis status`.");
		return;
	}
	m.tenant = span_str(a->row.tenant);
	m.name = span_str(a->row.name);
	m.service = span_str(a->row.service);
	m.domains = span_str(a->row.domains);
	m.auth_type = span_str(a->row.auth_type);
	m.header_name = span_str(a->row.header_name);
	m.query_param = span_str(a->row.query_param);
	m.scheme = span_str(scheme);
	m.allow_private = (uint8_t)a->row.allow_private;
	m.methods = span_str(a->row.methods);
	m.allow_paths = span_str(a->row.allow_paths);
	m.deny_paths = span_str(a->row.deny_paths);
	m.replace = (uint8_t)a->replace;
	m.secret_ref = span_str(a->row.secret_ref);
	m.grace_s = a->grace_s;
	memcpy(m.offer, a->offer, sizeof(m.offer));
	if (chan_ask(vault, MSG_credential_seal, &m, VAULT_MS, on_vault, a) == 0)
		act_fail(&a->act,
		    "Vault could not be asked: too many open files or no memory.");
}

static void
change_go(int committed, void *arg)
{
	struct change *a = arg;

	if (committed)
		change_ask(a);
	else
		act_end(&a->act, ADMIN_FAILED, "");
}

/* Where the credential may go, and what of its guard is not as it is by default. */
static void
describe(const struct store_credential *row, char *out, size_t size)
{
	char until[32];

	snprintf(out, size, "%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s", row->domains,
	    row->secret_ref[0] != '\0' ? "; secret at " : "", row->secret_ref,
	    row->upstream[0] != '\0' ? "; upstream " : "", row->upstream,
	    row->allow_private ? "; allow private" : "", "; body inspection ",
	    row->inspection, row->rate_limit[0] != '\0' ? "; rate limit " : "",
	    row->rate_limit, row->methods[0] != '\0' ? "; methods " : "", row->methods,
	    row->allow_paths[0] != '\0' ? "; paths " : "", row->allow_paths,
	    row->deny_paths[0] != '\0' ? "; denied paths " : "", row->deny_paths,
	    row->grace_ms != 0 ? "; the secret before is kept until " : "",
	    time_text(row->grace_ms, until));
}

/* Row, then vault if it has to know (offer is not NULL), else the database at once. */
static int
change_begin(struct chan *c, uint64_t reqid, enum act_kind kind,
    const struct store_credential *row, const uint8_t *offer)
{
	static char detail[sizeof(row->domains) + sizeof(row->upstream) +
	    sizeof(row->secret_ref) + 2400];
	struct change *a = act_new(c, reqid, events[kind], sizeof(*a));

	if (a == NULL)
		return 0;
	a->kind = kind;
	if (offer != NULL)
		memcpy(a->offer, offer, sizeof(a->offer));
	a->replace = kind != ACT_ADD;
	a->row = *row;
	if (kind == ACT_ROTATE && row->grace_ms > row->rotated_ms)
		a->grace_s = (uint32_t)((row->grace_ms - row->rotated_ms) / 1000);
	a->act.credential = span_str(a->row.name);
	describe(row, detail, sizeof(detail));
	admin_ledger(c,
	    &(struct admin_act){.event = a->act.event,
		.service = span_str(a->row.service),
		.credential = span_str(a->row.name),
		.detail = span_str(detail)});
	if (offer != NULL)
		turn_then(change_go, a);
	else
		change_finish(a);
	return 0;
}

int
admin_credential_add(struct chan *c, uint64_t reqid, void *msg)
{
	static struct store_credential row;
	const struct msg_credential_add *m = msg;
	char why[512];

	if (act_changes(m->name))
		return refuse_busy(c, reqid);
	if (credential_row_new(m, &row, why, sizeof(why)) == -1)
		return admin_refuse(c, reqid, "%s", why);
	if (credential_by_name(row.tenant, m->name) != NULL)
		return admin_refuse(c, reqid,
		    "There is a credential named %s already. Change it with `aegis vault "
		    "update`, its "
		    "secret with `aegis vault rotate`.",
		    row.name);
	if (credential_by_service(row.tenant, m->service) != NULL)
		return admin_refuse(c, reqid,
		    "Service %s has the credential %s already: a service has one "
		    "credential.",
		    row.service, credential_by_service(row.tenant, m->service)->row.name);
	return change_begin(c, reqid, ACT_ADD, &row, m->offer);
}

int
admin_credential_update(struct chan *c, uint64_t reqid, void *msg)
{
	static struct store_credential row;
	const struct msg_credential_update *m = msg;
	struct credential *old = credential_by_name(judge_conf.tenant, m->name);
	char why[512];

	if (old == NULL)
		return admin_refuse(c, reqid,
		    "There is no credential named %.*s. See them with: aegis vault list",
		    (int)m->name.len, m->name.p);
	if (act_changes(m->name))
		return refuse_busy(c, reqid);
	row = old->row;
	if (credential_row_change(m, &row, why, sizeof(why)) == -1)
		return admin_refuse(c, reqid, "%s", why);
	return change_begin(c, reqid, ACT_UPDATE, &row,
	    (m->set & CREDENTIAL_SEALED) != 0 ? m->offer : NULL);
}

int
admin_credential_rotate(struct chan *c, uint64_t reqid, void *msg)
{
	static struct store_credential row;
	const struct msg_credential_rotate *m = msg;
	struct credential *old = credential_by_name(judge_conf.tenant, m->name);
	uint64_t now = judge_now_ms();

	if (old == NULL)
		return admin_refuse(c, reqid,
		    "There is no credential named %.*s. See them with: aegis vault list",
		    (int)m->name.len, m->name.p);
	if (act_changes(m->name))
		return refuse_busy(c, reqid);
	if (old->row.secret_ref[0] != '\0')
		return admin_refuse(c, reqid,
		    "The secret of %s is not in the vault, but at %s: change it there, "
		    "and "
		    "workers have it within 20 seconds, or at once after `aegis vault "
		    "refresh --name %s`. `aegis vault update --name %s --secret-ref "
		    "REFERENCE` names another place.",
		    old->row.name, old->row.secret_ref, old->row.name, old->row.name);
	row = old->row;
	row.rotated_ms = row.updated_ms = now;
	if (m->grace_s > CREDENTIAL_GRACE_MAX_S)
		return admin_refuse(c, reqid, "The grace period is 8760 hours at most.");
	row.grace_ms = m->grace_s > 0 ? now + (uint64_t)m->grace_s * 1000 : 0;
	if (m->ttl_days != UINT32_MAX && credential_ttl(&row, m->ttl_days, now) == -1)
		return admin_refuse(c, reqid, "The ttl is 0 to 36500 days.");
	return change_begin(c, reqid, ACT_ROTATE, &row, m->offer);
}

/*
 * Vault wipes them by itself, whatever becomes of us; here it is written down that their
 * time is over, which is all we know. Not while something else is done to the credential:
 * that begins with the row as it was.
 */
void
credential_grace_tick(void)
{
	static struct store_credential row;
	uint64_t now = judge_now_ms();
	struct credential *c;

	TAILQ_FOREACH (c, &credentials, link) {
		struct ledger_row r = {.kind = LEDGER_SYSTEM,
		    .tenant = span_str(c->row.tenant),
		    .event = span_str("credential.grace_over"),
		    .service = span_str(c->row.service),
		    .credential = span_str(c->row.name),
		    .detail = span_str("the time of the secret before is over")};

		if (c->row.grace_ms == 0 || c->row.grace_ms > now ||
		    act_changes(span_str(c->row.name)))
			continue;
		row = c->row;
		row.grace_ms = 0;
		if (ledger_append(&r, NULL) == -1)
			return;
		turn_touched();
		if (store_credential_put(judge_store, &row) == 0)
			c->row.grace_ms = 0;
	}
}

/* ---- remove: database first, so that a leftover is one that nobody can use ---- */

int
admin_credential_remove(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_credential_remove *m = msg;
	struct credential *old = credential_by_name(judge_conf.tenant, m->name);
	char key[64];

	if (old == NULL)
		return admin_refuse(c, reqid,
		    "There is no credential named %.*s. See them with: aegis vault list",
		    (int)m->name.len, m->name.p);
	if (act_changes(m->name))
		return refuse_busy(c, reqid);
	if (vault_drop_later(old->row.tenant, old->row.name) == -1) {
		admin_done(c, reqid, ADMIN_FAILED, "The judge has no memory left.");
		return 0;
	}
	admin_ledger(c,
	    &(struct admin_act){.event = "credential.remove",
		.service = span_str(old->row.service),
		.credential = span_str(old->row.name)});
	snprintf(key, sizeof(key), "credential:%s", old->row.id);
	turn_touched();
	if (store_credential_delete(judge_store, old->row.tenant, old->row.id) == 0 &&
	    store_window_delete(judge_store, old->row.tenant, key) == 0)
		credential_forget(old);
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

int
admin_credential_list(struct chan *c, uint64_t reqid, void *msg)
{
	struct credential *cred;
	struct buf json;

	(void)msg;
	buf_init(&json);
	TAILQ_FOREACH (cred, &credentials, link) {
		if (strcmp(cred->row.tenant, judge_conf.tenant) != 0)
			continue;
		buf_reset(&json);
		if (credential_row_json(&cred->row, &json) == -1 ||
		    admin_row(c, reqid, &json) == -1)
			break;
	}
	buf_free(&json);
	admin_done(c, reqid, cred == NULL ? ADMIN_OK : ADMIN_FAILED,
	    cred == NULL ? "" : "The list is too long to be sent at once.");
	return 0;
}
