/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook add, list, remove, check-expiry. The secret went to vault by the command line's
 * own door; vault seals it when asked here, after the row is committed. Judge only.
 *
 *	webhook_list	row {id, url, events, label, allow_private, created_at, pending,
 *			dead}, or of the dead {id, webhook, event, created_at, attempts,
 *			last}
 *	webhook_check	row {credential, service, status, ...}, done {queued}
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/proc.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/act.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/hook.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/turn.h"
#include "keymasterd/judge/vault_drop.h"
#include "keymasterd/judge/vault_mark.h"

#define VAULT_MS 30000
#define HOOKS_MAX 64

struct adding {
	struct act act;
	uint8_t offer[16];
	struct store_hook row;
};

static void
on_vault(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	const struct msg_vault_done *m = msg;
	struct adding *a = arg;

	(void)c;
	if (status != CHAN_OK) {
		act_fail(&a->act, "Vault did not answer: do this again.");
		return;
	}
	if (m->code != VAULT_OK) {
		act_fail(&a->act, act_vault_why(m));
		return;
	}
	vault_mark_saved(m->saves);
	turn_touched();
	if (store_hook_put(judge_store, &a->row) != 0 || hook_set(&a->row) == NULL) {
		store_poison(judge_store, "a webhook could not be written");
		act_end(&a->act, ADMIN_FAILED, "");
		return;
	}
	act_end(&a->act, ADMIN_OK, "");
}

static void
act_go(int committed, void *arg)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	char name[sizeof(HOOK_NAME) + HOOK_ID_LEN];
	struct adding *a = arg;
	struct hook_url url;
	MSG_INIT(credential_seal, m);

	if (!committed || hook_url_parse(span_str(a->row.url), &url) != NULL) {
		act_end(&a->act, ADMIN_FAILED, "");
		return;
	}
	snprintf(name, sizeof(name), HOOK_NAME "%s", a->row.id);
	m.tenant = span_str(a->row.tenant);
	m.name = m.service = span_str(name);
	m.domains = span_str(url.host);
	m.auth_type = span_str("webhook");
	m.scheme = span_str(url.scheme);
	m.port = url.port;
	m.allow_private = (uint8_t)a->row.allow_private;
	memcpy(m.offer, a->offer, sizeof(m.offer));
	if (vault == NULL ||
	    chan_ask(vault, MSG_credential_seal, &m, VAULT_MS, on_vault, a) == 0)
		act_fail(&a->act, "Vault is not running. See `aegis status`.");
}

static const char *
check_id(struct span id)
{
	size_t i;

	for (i = 0; i < id.len; i++)
		if (strchr("0123456789abcdef", id.p[i]) == NULL || id.p[i] == '\0')
			return "wrong";
	return id.len == HOOK_ID_LEN ? NULL : "wrong";
}

int
hook_add(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_webhook_add *m = msg;
	struct store_hook row = {.created_ms = judge_now_ms()};
	char detail[HOST_MAX + 128], port[12];
	struct hook_url url;
	const char *why;
	struct span bad;
	struct adding *a;

	if (check_id(m->id) != NULL || hook_find(judge_conf.tenant, m->id) != NULL)
		return admin_refuse(c, reqid, "Another webhook has this id: try again.");
	if ((why = hook_url_parse(m->url, &url)) != NULL ||
	    span_copy(m->url, row.url, sizeof(row.url)) == -1)
		return admin_refuse(
		    c, reqid, "The URL cannot be used: %s.", why != NULL ? why : "long");
	row.events = hook_events(m->events, &bad);
	if (row.events == 0)
		return admin_refuse(c, reqid,
		    "\"%.*s\" is no event. There are blocked_request, credential_expiry, "
		    "rate_limit_exceeded, agent_auth_failure, body_inspection and "
		    "ledger_checkpoint.",
		    (int)bad.len, bad.len > 0 ? bad.p : "");
	if (hook_count() >= HOOKS_MAX)
		return admin_refuse(
		    c, reqid, "There are %d webhooks already.", HOOKS_MAX);
	if ((a = act_new(c, reqid, "webhook.add", sizeof(*a))) == NULL)
		return 0;
	snprintf(row.tenant, sizeof(row.tenant), "%s", judge_conf.tenant);
	(void)span_copy(m->id, row.id, sizeof(row.id));
	(void)span_copy(m->label, row.label, sizeof(row.label));
	row.allow_private = m->allow_private != 0;
	memcpy(a->offer, m->offer, sizeof(a->offer));
	a->row = row;
	a->act.detail = span_str(a->row.id);
	/* what comes after the host may be a secret */
	snprintf(port, sizeof(port), ":%u", url.port);
	snprintf(detail, sizeof(detail), "%s %s://%s%s%s", row.id, url.scheme, url.host,
	    url.port != 0 ? port : "", row.allow_private ? "; allow private" : "");
	admin_ledger(
	    c, &(struct admin_act){.event = a->act.event, .detail = span_str(detail)});
	turn_then(act_go, a);
	return 0;
}

static void
put_time(struct jsonw *w, const char *key, uint64_t ms)
{
	char when[RFC3339_SIZE];

	(void)rfc3339_format(
	    (int64_t)(ms / 1000), (uint32_t)(ms % 1000) * 1000000, 3, when, sizeof(when));
	jsonw_key_str(w, key, when);
}

static void
hook_json(const struct hook *h, struct buf *json)
{
	uint64_t pending = 0, dead = 0, next;
	struct jsonw w;
	unsigned i;

	(void)store_delivery_count(
	    judge_store, h->row.tenant, h->row.id, &pending, &dead, &next);
	jsonw_init(&w, json);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "id", h->row.id);
	jsonw_key_str(&w, "url", h->row.url);
	jsonw_key(&w, "events");
	jsonw_arr_open(&w);
	for (i = 0; i < HOOK_EVENTS; i++)
		if (h->row.events & 1u << i)
			jsonw_str(&w, hook_event_name(1u << i));
	jsonw_arr_close(&w);
	if (h->row.label[0] != '\0')
		jsonw_key_str(&w, "label", h->row.label);
	jsonw_key_bool(&w, "allow_private", h->row.allow_private != 0);
	if (h->row.created_ms != 0)
		put_time(&w, "created_at", h->row.created_ms);
	jsonw_key_bool(&w, "configured", h->row.created_ms == 0);
	jsonw_key(&w, "pending");
	jsonw_uint(&w, pending);
	jsonw_key(&w, "dead");
	jsonw_uint(&w, dead);
	jsonw_obj_close(&w);
}

struct listing {
	struct chan *chan;
	uint64_t reqid;
};

static int
list_dead(const struct store_delivery *d, void *arg)
{
	const struct listing *l = arg;
	struct jsonw w;
	struct buf json;
	int r;

	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "id", d->id);
	jsonw_key_str(&w, "webhook", d->hook);
	jsonw_key_str(&w, "event", hook_event_name(d->event));
	put_time(&w, "created_at", d->created_ms);
	jsonw_key(&w, "attempts");
	jsonw_uint(&w, d->attempts);
	jsonw_key_str(&w, "last", d->last);
	jsonw_obj_close(&w);
	r = admin_row(l->chan, l->reqid, &json);
	buf_free(&json);
	return r == 0 ? 0 : 1;
}

int
hook_list(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_webhook_list *m = msg;
	struct listing l = {c, reqid};
	struct hook *h;
	struct buf json;
	int r = 0;

	if (m->dead) {
		r = store_delivery_dead(judge_store, judge_conf.tenant, list_dead, &l);
		admin_done(c, reqid, r == 0 ? ADMIN_OK : ADMIN_FAILED,
		    r == 0 ? "" : "The database could not be read.");
		return 0;
	}
	buf_init(&json);
	TAILQ_FOREACH (h, &hooks, link) {
		if (strcmp(h->row.tenant, judge_conf.tenant) != 0)
			continue;
		buf_reset(&json);
		hook_json(h, &json);
		if ((r = admin_row(c, reqid, &json)) == -1)
			break;
	}
	buf_free(&json);
	admin_done(c, reqid, r == 0 ? ADMIN_OK : ADMIN_FAILED,
	    r == 0 ? "" : "The list is too long to be sent at once.");
	return 0;
}

int
hook_remove(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_webhook_remove *m = msg;
	struct hook *h = hook_find(judge_conf.tenant, m->id);

	if (h == NULL)
		return admin_refuse(c, reqid,
		    "There is no webhook %.*s. See them with: aegis webhook list",
		    (int)m->id.len, m->id.len > 0 ? m->id.p : "");
	if (h->row.created_ms == 0)
		return admin_refuse(c, reqid,
		    "This webhook is in the configuration: take it out of there.");
	if (vault_drop_later(h->row.tenant, h->name) == -1) {
		admin_done(c, reqid, ADMIN_FAILED, "The judge has no memory left.");
		return 0;
	}
	admin_ledger(c,
	    &(struct admin_act){
		.event = "webhook.remove", .detail = span_str(h->row.id)});
	turn_touched();
	if (store_hook_delete(judge_store, h->row.tenant, h->row.id) == 0)
		hook_forget(h);
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

static void
check_row(const void *p, size_t len, void *arg)
{
	const struct listing *l = arg;
	struct buf json;

	buf_init(&json);
	if (buf_put(&json, p, len) == 0)
		(void)admin_row(l->chan, l->reqid, &json);
	buf_free(&json);
}

int
hook_check(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_webhook_check *m = msg;
	struct listing l = {c, reqid};
	struct buf json;
	int n;

	if (m->days > 3650)
		return admin_refuse(c, reqid, "The threshold is 0 to 3650 days.");
	n = hook_expiring(m->days, check_row, &l);
	if (n == -1) {
		admin_done(c, reqid, ADMIN_FAILED, "The database could not be written.");
		return 0;
	}
	buf_init(&json);
	(void)buf_printf(&json, "{\"queued\":%d}", n);
	admin_result(c, reqid, &json);
	buf_free(&json);
	return 0;
}
