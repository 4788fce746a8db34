/* SPDX-License-Identifier: Apache-2.0 */
/*
 * webhook test: one delivery to one webhook, at once, and what came of it. It is in no
 * queue and is not repeated. Judge only.
 *
 *	webhook_test	done {delivered, status, duration_ms, detail}
 */
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/loop.h"
#include "common/msg.h"
#include "common/proto.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/hook.h"
#include "keymasterd/judge/hook_test.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/redeemer.h"

#define WORKER_MS 8000 /* for it to start */
#define SEND_MS 10000
#define ANSWER_MS 15000

struct test {
	struct chan *chan; /* NULL: gone */
	uint64_t reqid;
	uint64_t until_ms;
	int sent;
	char hook[HOOK_ID_LEN + 1];
	TAILQ_ENTRY(test) link;
};

static TAILQ_HEAD(, test) tests = TAILQ_HEAD_INITIALIZER(tests);

static void
test_end(struct test *t)
{
	TAILQ_REMOVE(&tests, t, link);
	free(t);
}

static void
result(struct test *t, bool delivered, uint32_t status, uint64_t us, const char *detail)
{
	struct jsonw w;
	struct buf json;

	if (t->chan == NULL)
		return;
	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key_bool(&w, "delivered", delivered);
	jsonw_key(&w, "status");
	jsonw_uint(&w, status);
	jsonw_key(&w, "duration_ms");
	jsonw_uint(&w, us / 1000);
	jsonw_key_str(&w, "detail", detail);
	jsonw_obj_close(&w);
	admin_result(t->chan, t->reqid, &json);
	buf_free(&json);
}

static void
on_sent(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	const struct msg_hook_sent *m = msg;
	struct test *t = arg;
	char detail[400];
	uint32_t code = status == CHAN_OK && m->outcome == OUTCOME_OK ? m->status : 0;

	(void)c;
	hook_outcome(status, m, detail, sizeof(detail));
	result(t, code >= 200 && code <= 299, code,
	    status == CHAN_OK ? m->duration_us : 0, detail);
	test_end(t);
}

static void
test_send(struct test *t, const struct hook *h, struct redeemer *worker)
{
	static const char details[] =
	    "{\"test\":true,\"service\":\"test-service\",\"reason\":\"test_event\","
	    "\"message\":\"A test from aegis webhook test\"}";
	uint32_t event = h->row.events & -h->row.events;
	char id[STORE_ID_MAX];
	struct buf body;
	MSG_INIT(hook_send, m);

	judge_uuid(id);
	buf_init(&body);
	if (hook_body(&body, id, event, span_str(details)) == 0) {
		m.delivery = span_str(id);
		m.event = span_str(hook_event_name(event));
		m.target = span_str(h->url.target);
		m.body = span_mem(body.p, body.len);
		m.timeout_ms = SEND_MS;
		t->sent =
		    chan_ask(worker->chan, MSG_hook_send, &m, ANSWER_MS, on_sent, t) != 0;
	}
	buf_free(&body);
}

int
hook_test(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_webhook_test *m = msg;
	struct hook *h = hook_find(judge_conf.tenant, m->id);
	struct test *t;

	if (h == NULL)
		return admin_refuse(c, reqid,
		    "There is no webhook %.*s. See them with: aegis webhook list",
		    (int)m->id.len, m->id.len > 0 ? m->id.p : "");
	if ((t = calloc(1, sizeof(*t))) == NULL) {
		admin_done(c, reqid, ADMIN_FAILED, "The judge has no memory left.");
		return 0;
	}
	admin_ledger(c, &(struct admin_act){.event = "webhook.test", .detail = m->id});
	t->chan = c;
	t->reqid = reqid;
	t->until_ms = loop_now_ms() + WORKER_MS;
	memcpy(t->hook, h->row.id, sizeof(t->hook));
	TAILQ_INSERT_TAIL(&tests, t, link);
	return 0;
}

void
hook_test_tick(void)
{
	struct test *t, *next;
	struct redeemer *worker;
	const char *why;
	struct hook *h;

	for (t = TAILQ_FIRST(&tests); t != NULL; t = next) {
		next = TAILQ_NEXT(t, link);
		if (t->sent)
			continue;
		h = hook_find(judge_conf.tenant, span_str(t->hook));
		worker = h != NULL && t->chan != NULL ? hook_worker(h) : NULL;
		if (worker != NULL)
			test_send(t, h, worker);
		why = h != NULL ? redeemer_failure(h->row.tenant, h->name)
				: "the webhook is gone";
		if (!t->sent &&
		    (t->chan == NULL || why != NULL || loop_now_ms() >= t->until_ms)) {
			result(t, false, 0, 0,
			    why != NULL ? why : "its worker did not start in time");
			test_end(t);
		}
	}
}

void
hook_test_gone(const struct chan *c)
{
	struct test *t;

	TAILQ_FOREACH (t, &tests, link)
		if (t->chan == c)
			t->chan = NULL;
}
