/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions of tool servers to agents. MCP over stdio does not say to which call a
 * question belongs, and one server works for many agents, so only a call that is alone on
 * its server can have one: else the question could reach the wrong agent. toolhostd;
 * hostile on both sides, so each side sees ids of ours only.
 */
#include "toolhostd/upcall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/chan.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/proc.h"
#include "toolhostd/call.h"
#include "toolhostd/server.h"

#define ASK_TIMEOUT_MS 5000
#define OPEN_MAX_CALL 16
#define ID_PREFIX "aegis-"
#define RPC_NO_METHOD (-32601)
#define RPC_REFUSED (-32000)

struct upcall {
	TAILQ_ENTRY(upcall) entry;
	struct call *call;
	uint64_t number;
	uint32_t instance; /* of the server's process that asked */
	char id[256];      /* the server's id as it stood */
	struct buf line;   /* for the agent, until the judge permits it */
	uint64_t ask;      /* open question to the judge */
};

static TAILQ_HEAD(, upcall) upcalls = TAILQ_HEAD_INITIALIZER(upcalls);
static uint64_t last_number;

static void
upcall_free(struct upcall *u)
{
	TAILQ_REMOVE(&upcalls, u, entry);
	buf_free(&u->line);
	free(u);
}

static struct upcall *
find_number(uint64_t number)
{
	struct upcall *u;

	TAILQ_FOREACH (u, &upcalls, entry)
		if (u->number == number)
			return u;
	return NULL;
}

void
upcall_refuse(struct server *s, const char *id, int code, const char *message)
{
	struct jsonw w;
	struct buf line;

	buf_init(&line);
	jsonw_init(&w, &line);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "jsonrpc", "2.0");
	jsonw_key(&w, "id");
	jsonw_raw(&w, id, strlen(id));
	jsonw_key(&w, "error");
	jsonw_obj_open(&w);
	jsonw_key_int(&w, "code", code);
	jsonw_key_str(&w, "message", message);
	jsonw_obj_close(&w);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) == 0)
		(void)mcp_send(s, line.p, line.len);
	buf_free(&line);
}

static void
on_permit(struct chan *judge, enum chan_status status, void *msg, void *arg)
{
	const struct msg_client_permit *m = msg;
	struct upcall *u = arg;
	char why[257] = "the judge cannot be asked";

	(void)judge;
	u->ask = 0;
	if (status == CHAN_OK && m->permitted == 1 &&
	    call_event(u->call, &u->line, true) == 0) {
		buf_free(&u->line);
		return;
	}
	if (status == CHAN_OK)
		(void)span_copy(m->message, why, sizeof(why));
	upcall_refuse(u->call->server, u->id, RPC_REFUSED, why);
	upcall_free(u);
}

/* The request as the agent gets it: our id in place of the server's. */
static int
make_line(struct upcall *u, const struct json_doc *d, uint32_t id)
{
	const uint8_t *p;
	size_t len, at;

	if (json_raw(d, id, &p, &len) == -1 || len >= sizeof(u->id))
		return -1;
	memcpy(u->id, p, len);
	u->id[len] = '\0';
	at = (size_t)(p - d->base);
	if (buf_put(&u->line, d->base, at) == -1 ||
	    buf_printf(
		&u->line, "\"" ID_PREFIX "%llu\"", (unsigned long long)u->number) == -1 ||
	    buf_put(&u->line, p + len, d->len - at - len) == -1)
		return -1;
	mcp_one_line(&u->line);
	return 0;
}

static unsigned
count_of(const struct call *c)
{
	const struct upcall *u;
	unsigned n = 0;

	TAILQ_FOREACH (u, &upcalls, entry)
		n += u->call == c;
	return n;
}

/* Why this question cannot be passed on, or NULL. */
static const char *
unfit(struct server *s, const struct call *c)
{
	if (proc_peer(ROLE_JUDGE) == NULL)
		return "the judge cannot be asked";
	if (c == NULL)
		return s->ncalls > 1
		    ? "several calls are under way: it is not known "
		      "whose question this is"
		    : "no agent that could be asked has a call under way";
	return count_of(c) >= OPEN_MAX_CALL ? "too many questions at once" : NULL;
}

void
upcall_take(struct server *s, const struct json_doc *d)
{
	uint32_t root = json_root(d), id = json_get(d, root, "id");
	struct call *c = call_sole(s);
	struct upcall *u = calloc(1, sizeof(*u));
	MSG_INIT(client_ask, m);
	char method[65] = "";
	const char *why;

	if (u == NULL)
		return;
	u->call = c;
	u->number = ++last_number;
	u->instance = s->instance;
	buf_init(&u->line);
	TAILQ_INSERT_TAIL(&upcalls, u, entry);
	if (make_line(u, d, id) == -1) {
		upcall_free(u); /* an id that nobody needs to answer */
		return;
	}
	(void)json_str_copy(d, json_get(d, root, "method"), method, sizeof(method), NULL);
	if (strcmp(method, "sampling/createMessage") != 0 &&
	    strcmp(method, "elicitation/create") != 0) {
		upcall_refuse(s, u->id, RPC_NO_METHOD, "not offered");
		upcall_free(u);
		return;
	}
	if ((why = unfit(s, c)) != NULL) {
		upcall_refuse(s, u->id, RPC_REFUSED, why);
		upcall_free(u);
		return;
	}
	memcpy(m.request_id, c->request_id, sizeof(m.request_id));
	m.number = u->number;
	m.method = span_str(method);
	m.bytes = d->len;
	u->ask = chan_ask(
	    proc_peer(ROLE_JUDGE), MSG_client_ask, &m, ASK_TIMEOUT_MS, on_permit, u);
	if (u->ask == 0) {
		upcall_refuse(s, u->id, RPC_REFUSED, "the judge cannot be asked");
		upcall_free(u);
	}
}

void
upcall_cancelled(struct server *s, const struct json_doc *d)
{
	uint32_t id = json_get(d, json_get(d, json_root(d), "params"), "requestId");
	const uint8_t *p;
	struct upcall *u;
	struct buf line;
	size_t len;

	if (json_raw(d, id, &p, &len) == -1)
		return;
	TAILQ_FOREACH (u, &upcalls, entry)
		if (u->call->server == s && strlen(u->id) == len &&
		    memcmp(u->id, p, len) == 0)
			break;
	if (u == NULL)
		return;
	buf_init(&line);
	if (u->ask == 0 &&
	    buf_printf(&line,
		"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":"
		"{\"requestId\":\"" ID_PREFIX "%llu\"}}",
		(unsigned long long)u->number) == 0)
		(void)call_event(u->call, &line, true);
	buf_free(&line);
	if (u->ask != 0)
		chan_forget(proc_peer(ROLE_JUDGE), u->ask);
	upcall_free(u);
}

int
upcall_answer(struct server *s, const struct json_doc *d)
{
	uint32_t id = json_get(d, json_root(d), "id");
	char text[40], *end;
	struct upcall *u;
	const uint8_t *p;
	struct buf line;
	size_t len, at;
	int r = -1;

	if (json_str_copy(d, id, text, sizeof(text), NULL) == -1 ||
	    strncmp(text, ID_PREFIX, sizeof(ID_PREFIX) - 1) != 0 ||
	    json_raw(d, id, &p, &len) == -1)
		return -1;
	u = find_number(strtoull(text + sizeof(ID_PREFIX) - 1, &end, 10));
	if (u == NULL || *end != '\0' || u->ask != 0 ||
	    u->call->server->number != s->number ||
	    strcmp(u->call->server->execution, s->execution) != 0)
		return -1;
	s = u->call->server; /* the process that asked, if it still lives */
	if (u->instance != s->instance)
		return -1;
	at = (size_t)(p - d->base);
	buf_init(&line);
	if (buf_put(&line, d->base, at) == 0 &&
	    buf_put(&line, u->id, strlen(u->id)) == 0 &&
	    buf_put(&line, p + len, d->len - at - len) == 0) {
		mcp_one_line(&line);
		r = mcp_send(s, line.p, line.len);
	}
	buf_free(&line);
	upcall_free(u);
	return r;
}

void
upcall_call_over(struct call *c)
{
	struct upcall *u, *next;

	for (u = TAILQ_FIRST(&upcalls); u != NULL; u = next) {
		next = TAILQ_NEXT(u, entry);
		if (u->call != c)
			continue;
		if (u->ask != 0 && proc_peer(ROLE_JUDGE) != NULL)
			chan_forget(proc_peer(ROLE_JUDGE), u->ask);
		if (u->instance == c->server->instance)
			upcall_refuse(
			    c->server, u->id, RPC_REFUSED, "the call has ended");
		upcall_free(u);
	}
}
