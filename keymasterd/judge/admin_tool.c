/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What administrators ask about tool servers. Judge only. JSON:
 *
 *	tool_list	row {server, state, since, pid, instances, restarts, calls,
 *failed, in_flight, message, last_error, room, per_execution, capabilities[], tools[]}
 *tool_test done {server, room, start_ms, attempts[], tools[]}
 */
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/redeemer.h"
#include "keymasterd/judge/tools.h"

#define TRY_MS 50000

static struct buf out;

/* The one test under way: it starts processes, so there is one at a time. */
static struct {
	struct chan *asker; /* NULL: none, or gone */
	uint64_t reqid;
	bool busy;
	char server[65];
} trial;

static void
put_uint(struct jsonw *w, const char *key, uint64_t n)
{
	jsonw_key(w, key);
	jsonw_uint(w, n);
}

static void
put_text(struct jsonw *w, const char *key, const char *text)
{
	if (text[0] != '\0')
		jsonw_key_str(w, key, text);
}

static void
put_names(struct jsonw *w, const struct tool_server *t)
{
	char text[CONTEXT_TOOL_MAX + 2];
	size_t i;

	jsonw_key(w, "capabilities");
	jsonw_arr_open(w);
	for (i = 0; i < t->npatterns; i++) {
		snprintf(text, sizeof text, "%s%s", t->patterns[i].text,
		    t->patterns[i].kind == CONTEXT_PREFIX ? "*" : "");
		jsonw_str(w, text);
	}
	jsonw_arr_close(w);
	jsonw_key(w, "tools");
	jsonw_arr_open(w);
	for (i = 0; i < t->ntools && out.len < 40000; i++)
		jsonw_str(w, t->tools[i].name);
	jsonw_arr_close(w);
}

static void
put_server(struct jsonw *w, const struct tool_server *t)
{
	char time[RFC3339_SIZE];

	jsonw_key_str(w, "server", t->name);
	jsonw_key_str(w, "state", tool_state_name(t->state));
	if (t->since_ms != 0 &&
	    rfc3339_format((int64_t)(t->since_ms / 1000), 0, 0, time, sizeof time) > 0)
		jsonw_key_str(w, "since", time);
	if (t->pid != 0)
		put_uint(w, "pid", t->pid);
	put_uint(w, "processes", t->instances);
	put_uint(w, "restarts", t->restarts);
	put_uint(w, "tool_count", t->ntools);
	put_uint(w, "calls", t->calls);
	put_uint(w, "failed", t->failed);
	put_uint(w, "in_flight", t->in_flight);
	put_text(w, "message", t->message);
	put_text(w, "last_error", t->last_error);
	put_text(w, "room", t->level);
	jsonw_key_str(w, "instances", t->per_execution ? "session" : "shared");
	put_names(w, t);
}

int
admin_tool_list(struct chan *c, uint64_t reqid, void *msg)
{
	const struct tool_server *t;
	struct jsonw w;

	(void)msg;
	TAILQ_FOREACH (t, &tool_servers, link) {
		buf_reset(&out);
		jsonw_init(&w, &out);
		jsonw_obj_open(&w);
		put_server(&w, t);
		jsonw_obj_close(&w);
		if (jsonw_done(&w) != 0 || admin_row(c, reqid, &out) != 0)
			break;
	}
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

/* ---- aegis tool test ---- */

static void
put_raw(struct jsonw *w, const char *key, struct span json)
{
	struct json_doc d;

	/* toolhost's word: it must be JSON before it goes on as JSON */
	json_init(&d);
	if (json.len > 0 && json_parse(&d, json.p, json.len, NULL) == JSON_OK) {
		jsonw_key(w, key);
		jsonw_raw(w, json.p, json.len);
	}
	json_free(&d);
}

static void
on_tried(struct chan *toolhost, enum chan_status status, void *msg, void *arg)
{
	const struct msg_tool_tried *m = msg;
	struct jsonw w;

	(void)toolhost;
	(void)arg;
	trial.busy = false;
	if (trial.asker == NULL)
		return;
	if (status != CHAN_OK) {
		admin_done(trial.asker, trial.reqid, ADMIN_FAILED,
		    "the tool host gave no answer: see the log");
		return;
	}
	buf_reset(&out);
	jsonw_init(&w, &out);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "server", trial.server);
	jsonw_key_bool(&w, "starts", m->code == 0);
	if (m->message.len > 0) {
		jsonw_key(&w, "message");
		jsonw_strn(&w, m->message.p, m->message.len);
	}
	jsonw_key(&w, "room");
	jsonw_strn(&w, m->level.p, m->level.len);
	put_uint(&w, "start_ms", m->start_ms);
	put_raw(&w, "attempts", m->attempts);
	put_raw(&w, "tools", m->tools);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) != 0)
		admin_done(trial.asker, trial.reqid, ADMIN_FAILED,
		    "the answer could not be written");
	else
		admin_result(trial.asker, trial.reqid, &out);
}

int
admin_tool_test(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_tool_test *m = msg;
	const struct tool_server *t = tool_server_named(m->name);
	struct redeemer *toolhost = redeemer_toolhost();
	struct admin_act act = {.event = "tool.test", .detail = m->name};
	MSG_INIT(tool_try, ask);

	if (t == NULL)
		return admin_refuse(c, reqid,
		    "There is no tool server \"%.*s\": aegis tool list shows them.",
		    (int)m->name.len, m->name.p);
	if (trial.busy)
		return admin_refuse(
		    c, reqid, "Another test is under way: try again when it is over.");
	admin_ledger(c, &act);
	ask.server = t->number;
	if (toolhost == NULL ||
	    chan_ask(toolhost->chan, MSG_tool_try, &ask, TRY_MS, on_tried, NULL) == 0) {
		admin_done(c, reqid, ADMIN_FAILED, "The tool host is not running.");
		return 0;
	}
	trial.busy = true;
	trial.asker = c;
	trial.reqid = reqid;
	memcpy(trial.server, t->name, sizeof trial.server);
	return 0;
}

void
admin_tool_forget(struct chan *c)
{
	if (trial.asker == c)
		trial.asker = NULL;
}
