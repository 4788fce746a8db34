/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications of the judge to MCP clients. Judge only. */
#include "keymasterd/judge/mcp_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/chan.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "keymasterd/judge/context_eval.h"
#include "keymasterd/judge/mcp_forward.h"
#include "keymasterd/judge/turn.h"

/* A stream whose row waits for the commit. */
struct opening {
	TAILQ_ENTRY(opening) link;
	struct chan *chan; /* NULL: its door is shut */
	char session[MCP_SESSION_ID_LEN + 1];
	uint8_t stream[16];
};

static TAILQ_HEAD(, opening) openings = TAILQ_HEAD_INITIALIZER(openings);

static void
send_event(struct mcp_session *s, struct span data, uint8_t last)
{
	MSG_INIT(mcp_event, m);

	if (s->gate == NULL)
		return;
	memcpy(m.stream, s->stream, sizeof(m.stream));
	m.last = last;
	m.data = data;
	(void)chan_note(s->gate, MSG_mcp_event, &m);
}

void
mcp_stream_close(struct mcp_session *s)
{
	send_event(s, span_mem("", 0), 1);
	s->gate = NULL;
}

static void
opened(int ok, void *arg)
{
	struct opening *o = arg;
	struct mcp_session *s;

	TAILQ_REMOVE(&openings, o, link);
	TAILQ_FOREACH (s, &mcp_sessions, link)
		if (ok && o->chan != NULL && strcmp(s->id, o->session) == 0) {
			s->gate = o->chan;
			memcpy(s->stream, o->stream, sizeof(s->stream));
			break;
		}
	free(o);
}

void
mcp_stream_grant(struct mcp *c)
{
	struct opening *o = calloc(1, sizeof(*o));
	MSG_INIT(decision, m);

	if (o == NULL) {
		mcp_error(c, 503, RPC_INTERNAL, "503", "Out of memory");
		return;
	}
	mcp_stream_close(c->s);
	o->chan = c->d.chan;
	memcpy(o->session, c->s->id, sizeof(o->session));
	memcpy(o->stream, c->d.request_id, sizeof(o->stream));
	c->d.row.decision = LEDGER_ALLOWED;
	c->d.row.status = 200;
	(void)ledger_append(&c->d.row, NULL);
	m.verdict = VERDICT_STREAM;
	memcpy(m.request_id, c->d.request_id, sizeof(m.request_id));
	turn_decision(c->d.chan, c->d.reqid, &m, 0);
	TAILQ_INSERT_TAIL(&openings, o, link);
	turn_then(opened, o);
}

int
mcp_stream_gone(struct chan *chan, uint64_t reqid, void *msg)
{
	const struct msg_mcp_gone *m = msg;
	struct mcp_session *s;

	(void)reqid;
	TAILQ_FOREACH (s, &mcp_sessions, link)
		if (s->gate == chan &&
		    memcmp(s->stream, m->stream, sizeof(s->stream)) == 0)
			s->gate = NULL;
	return 0;
}

void
mcp_stream_gate_gone(const struct chan *chan)
{
	struct mcp_session *s;
	struct opening *o;

	TAILQ_FOREACH (s, &mcp_sessions, link)
		if (s->gate == chan)
			s->gate = NULL;
	TAILQ_FOREACH (o, &openings, link)
		if (o->chan == chan)
			o->chan = NULL;
}

/* Does the session's context permit anything of this list? */
static bool
concerns(const struct mcp_session *s, const struct tool_server *t, const char *what)
{
	const struct context_entry *e = context_find(s->tenant, span_str(s->context));
	size_t i;

	if (e == NULL)
		return false;
	if (strcmp(what, "resources") == 0)
		return mcp_may(e, t, "resources/read");
	if (strcmp(what, "prompts") == 0)
		return mcp_may(e, t, "prompts/get");
	for (i = 0; i < t->ntools; i++)
		if (context_names_tool(e->rules, span_str(t->tools[i].name)))
			return true;
	return false;
}

void
mcp_list_changed(const struct tool_server *t, const char *what)
{
	struct mcp_session *s;
	char text[96];
	int n = snprintf(text, sizeof(text),
	    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/%s/list_changed\"}", what);

	TAILQ_FOREACH (s, &mcp_sessions, link)
		if (s->gate != NULL && concerns(s, t, what))
			send_event(s, span_mem(text, (size_t)n), 0);
}

int
mcp_resource_updated(struct chan *chan, uint64_t reqid, void *msg)
{
	const struct msg_resource_updated *m = msg;
	static struct buf text;
	struct mcp_session *s;
	struct jsonw w;

	(void)chan;
	(void)reqid;
	buf_reset(&text);
	jsonw_init(&w, &text);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "jsonrpc", "2.0");
	jsonw_key_str(&w, "method", "notifications/resources/updated");
	jsonw_key(&w, "params");
	jsonw_obj_open(&w);
	jsonw_key(&w, "uri");
	jsonw_strn(&w, m->uri.p, m->uri.len);
	jsonw_obj_close(&w);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) != 0)
		return 0;
	TAILQ_FOREACH (s, &mcp_sessions, link)
		if (s->gate != NULL && mcp_session_subscribed(s, m->server, m->uri))
			send_event(s, span_mem(text.p, text.len), 0);
	return 0;
}
