/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tool calls. The payload is the judged slice, octet for octet, but for two things that
 * the transport needs: the agent's id becomes ours (two agents may use the same one), and
 * line breaks between tokens become spaces (a line is a message).
 */
#include "toolhostd/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/grant.h"
#include "common/json.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/secret.h"
#include "toolhostd/report.h"
#include "toolhostd/server.h"
#include "toolhostd/upcall.h"

#define GRANT_KEY_LEN 32
#define CALLS_PER_SERVER 1024
#define PAYLOAD_MAX (16u * 1024 * 1024)
#define RPC_FAILED (-32000)
#define RPC_CANCELLED (-32800) /* as the Language Server Protocol has it */
#define EVENTS_FREE 1000       /* of one call; more come at EVENTS_A_SECOND at most */
#define EVENTS_A_SECOND 100

static struct grant_book *book;
static struct json_doc doc;
static unsigned ncalls;

int
call_setup(void)
{
	json_init(&doc);
	book = grant_book_new();
	return book == NULL ? -1 : 0;
}

unsigned
call_count(void)
{
	return ncalls;
}

int
call_grant_key(struct chan *judge, uint64_t reqid, void *msg)
{
	struct msg_grant_key *m = msg;
	MSG_INIT(redeemer_ready, ready);

	(void)reqid;
	if (secret_len(m->key) != GRANT_KEY_LEN)
		return -1;
	grant_book_key_take(book, m->key, loop_boot_ms());
	m->key = NULL;
	chan_note(judge, MSG_redeemer_ready, &ready);
	return 0;
}

static void
call_free(struct call *c)
{
	upcall_call_over(c);
	TAILQ_REMOVE(&c->server->calls, c, entry);
	c->server->ncalls--;
	ncalls--;
	buf_free(&c->line);
	free(c);
}

static void
send_result(struct chan *gate, uint64_t reqid, unsigned outcome, unsigned status,
    const char *message, const struct buf *body)
{
	MSG_INIT(tool_result, m);

	if (gate == NULL)
		return;
	m.outcome = (uint8_t)outcome;
	m.status = status;
	m.message = span_str(message);
	if (body != NULL) {
		if (body->len <= INLINE_JSON_MAX)
			m.body = span_mem(body->p, body->len);
		else
			m.big = report_memfd(body->p, body->len);
	}
	chan_answer(gate, reqid, MSG_tool_result, &m);
}

/* The failure as a JSON-RPC error under the agent's id. `message` is our own text. */
static void
send_error(struct call *c, enum outcome outcome, unsigned status, const char *message)
{
	struct buf body;

	buf_init(&body);
	if (buf_printf(&body,
		"{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":%d,\"message\":"
		"\"%s\"}}",
		c->id, outcome == OUTCOME_AGENT_GONE ? RPC_CANCELLED : RPC_FAILED,
		message) == -1)
		buf_reset(&body);
	send_result(c->gate, c->reqid, outcome, status, message, &body);
	buf_free(&body);
}

void
call_fail(struct call *c, enum outcome outcome, unsigned status, const char *message)
{
	if (c->mcp && c->id[0] != '\0')
		send_error(c, outcome, status, message);
	else
		send_result(c->gate, c->reqid, outcome, status, message, NULL);
	report_done(c, outcome, status, 0, message);
	call_free(c);
}

void
call_fail_all(
    struct server *s, enum outcome outcome, unsigned status, const char *message)
{
	struct call *c;

	while ((c = TAILQ_FIRST(&s->calls)) != NULL)
		call_fail(c, outcome, status, message);
}

/* The whole payload: from the message, or a mapping of the descriptor. */
static int
payload_of(const struct msg_tool_call *m, const uint8_t **p, size_t *len, void **map)
{
	struct stat st;

	*map = NULL;
	if (m->big < 0) {
		*p = (const uint8_t *)m->payload.p;
		*len = m->payload.len;
		return 0;
	}
	if (fstat(m->big, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    st.st_size > PAYLOAD_MAX)
		return -1;
	/* a copy: the gate may still hold the descriptor, sealed or not */
	*len = (size_t)st.st_size;
	*map = malloc(*len);
	if (*map == NULL || pread(m->big, *map, *len, 0) != (ssize_t)*len) {
		free(*map);
		return -1;
	}
	*p = *map;
	return 0;
}

static int
redeem(const struct msg_tool_call *m, const uint8_t *payload, size_t len)
{
	uint8_t digest[GRANT_DIGEST_LEN];
	struct grant g = {.not_after_ms = m->not_after};

	memcpy(g.request_id, m->request_id, sizeof(g.request_id));
	memcpy(g.id, m->grant, sizeof(g.id));
	memcpy(g.mac, m->mac, sizeof(g.mac));
	grant_digest_tool(m->server, m->execution, payload, len, digest);
	return grant_redeem(book, &g, loop_boot_ms(), digest);
}

/* Keeps the lexeme of a JSON value. 0, or -1 when it is too long. */
static int
keep_raw(uint32_t node, char *out, size_t size, size_t *at, size_t *len)
{
	const uint8_t *p;

	if (json_raw(&doc, node, &p, len) == -1 || *len >= size)
		return -1;
	memcpy(out, p, *len);
	out[*len] = '\0';
	*at = (size_t)(p - doc.base);
	return 0;
}

/* What stands in place of [at, at + len). */
struct piece {
	size_t at, len;
	const char *text;
};

/* The octets with other pieces in them, in order. 0 or -1. */
static int
put_with(struct buf *out, const uint8_t *p, size_t len, const struct piece *pieces, int n)
{
	size_t from = 0;
	int i;

	for (i = 0; i < n; i++) {
		if (buf_put(out, p + from, pieces[i].at - from) == -1 ||
		    buf_puts(out, pieces[i].text) == -1)
			return -1;
		from = pieces[i].at + pieces[i].len;
	}
	return buf_put(out, p + from, len - from);
}

/*
 * One line with our number in place of the agent's id, and of its progressToken, which
 * are kept as they stood; two agents may use the same ones. doc holds the payload.
 */
static int
make_line(struct call *c, const uint8_t *p, size_t len)
{
	uint32_t root = json_root(&doc),
		 meta = json_get(&doc, json_get(&doc, root, "params"), "_meta"),
		 token = json_get(&doc, meta, "progressToken");
	char number[24];
	struct piece cut[2], swap;
	int n = 1;

	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)c->number);
	cut[0].text = cut[1].text = number;
	c->cacheable =
	    json_str_eq(&doc, json_get(&doc, root, "method"), "resources/read");
	if (keep_raw(json_get(&doc, root, "id"), c->id, sizeof(c->id), &cut[0].at,
		&cut[0].len) == -1)
		return -1;
	if (json_type(&doc, token) == JT_STRING || json_type(&doc, token) == JT_NUMBER) {
		if (keep_raw(
			token, c->token, sizeof(c->token), &cut[1].at, &cut[1].len) == -1)
			return -1;
		n = 2;
		if (cut[1].at < cut[0].at) {
			swap = cut[0];
			cut[0] = cut[1];
			cut[1] = swap;
		}
	}
	if (put_with(&c->line, p, len, cut, n) == -1)
		return -1;
	mcp_one_line(&c->line);
	return 0;
}

static void
call_send(struct call *c)
{
	int r;

	if (c->mcp && c->log_level != 0)
		mcp_level_want(c->server, c->log_level);
	r = mcp_send(c->server, c->line.p, c->line.len);

	c->sent = true;
	buf_free(&c->line);
	if (r == -1)
		server_fail(c->server, TOOL_UNHEALTHY, "it does not read its input");
}

void
call_send_waiting(struct server *s)
{
	struct call *c, *next;

	for (c = TAILQ_FIRST(&s->calls); c != NULL && s->state == TOOL_RUNNING;
	     c = next) {
		next = TAILQ_NEXT(c, entry); /* a failing server frees its calls */
		if (!c->sent)
			call_send(c);
	}
}

int
call_take(struct chan *gate, uint64_t reqid, void *msg)
{
	static const struct json_limits limits = {.size = PAYLOAD_MAX};
	const struct msg_tool_call *m = msg;
	struct server *s = NULL;
	const uint8_t *payload;
	struct call *c = NULL, refused = {.began_us = loop_unix_us()};
	void *map = NULL;
	size_t len;
	bool full;
	int verdict;

	memcpy(refused.request_id, m->request_id, sizeof(refused.request_id));
	memcpy(refused.grant, m->grant, sizeof(refused.grant));
	if (payload_of(m, &payload, &len, &map) == -1)
		return -1;
	refused.bytes_in = len;
	verdict = redeem(m, payload, len);
	if (verdict == GRANT_GOOD &&
	    (s = server_for(m->server, m->execution, &full)) == NULL && full) {
		report_done(
		    &refused, OUTCOME_TOOL_DOWN, 503, 0, "too many processes of it");
		send_result(gate, reqid, OUTCOME_TOOL_DOWN, 503,
		    "other sessions use all processes of this tool server; try later",
		    NULL);
		goto out;
	}
	if (verdict != GRANT_GOOD || s == NULL) {
		/* the judge gave no such grant: somebody in the gate's place tries */
		LOG_WARN("grant.refused", LS("why", grant_strverdict(verdict)),
		    LX("request", m->request_id, 16));
		report_done(
		    &refused, OUTCOME_GRANT_REFUSED, 403, 0, grant_strverdict(verdict));
		send_result(gate, reqid, OUTCOME_GRANT_REFUSED, 403,
		    "the grant is not valid", NULL);
		goto out;
	}
	if (json_parse(&doc, payload, len, &limits) != JSON_OK) {
		report_done(&refused, OUTCOME_TOOL_BROKEN, 400, 0, "not JSON");
		send_result(gate, reqid, OUTCOME_TOOL_BROKEN, 400,
		    "the payload is not a JSON-RPC request", NULL);
		goto out;
	}
	if (m->mcp && json_get(&doc, json_root(&doc), "method") == JSON_NONE) {
		/* the agent answers a question of the server */
		verdict = upcall_answer(s, &doc);
		report_done(&refused, verdict == 0 ? OUTCOME_OK : OUTCOME_TOOL_DOWN, 202,
		    0, verdict == 0 ? "" : "the server does not wait for it any more");
		send_result(gate, reqid, OUTCOME_OK, 202, "", NULL);
		goto out;
	}
	if (s->ncalls >= CALLS_PER_SERVER || (c = calloc(1, sizeof(*c))) == NULL) {
		report_done(
		    &refused, OUTCOME_TOOL_DOWN, 503, 0, "too many calls at once");
		send_result(gate, reqid, OUTCOME_TOOL_DOWN, 503,
		    "the tool server has too many calls under way; try again", NULL);
		goto out;
	}
	*c = refused;
	c->server = s;
	c->gate = gate;
	c->reqid = reqid;
	c->number = ++s->last_id;
	c->mcp = m->mcp;
	c->log_level = m->log_level;
	c->max_response = m->max_response == 0 ? s->max_output : m->max_response;
	c->due_ms = loop_now_ms() +
	    (m->timeout_ms == 0 || m->timeout_ms > s->call_timeout_ms ? s->call_timeout_ms
								      : m->timeout_ms);
	buf_init(&c->line);
	TAILQ_INSERT_TAIL(&s->calls, c, entry);
	s->ncalls++;
	LOG_DEBUG("tool.call", LS("server", s->name),
	    LX("request", c->request_id, sizeof(c->request_id)));
	s->used_ms = loop_now_ms();
	ncalls++;
	if (make_line(c, payload, len) == -1) {
		call_fail(
		    c, OUTCOME_TOOL_BROKEN, 400, "the payload is not a JSON-RPC request");
		goto out;
	}
	if (s->state == TOOL_RUNNING)
		call_send(c);
	else if (s->state == TOOL_STOPPED || loop_now_ms() >= s->retry_at_ms)
		server_start(s);
	else if (s->state == TOOL_FAILED && s->successor == NULL)
		call_fail(c, OUTCOME_TOOL_DOWN, 503,
		    "the tool server does not start; try later");
out:
	free(map);
	return 0;
}

struct call *
call_find(struct server *s, uint64_t number)
{
	struct call *c;

	TAILQ_FOREACH (c, &s->calls, entry)
		if (c->number == number && c->sent)
			return c;
	return NULL;
}

uint64_t
call_most_wanted(const struct server *s)
{
	const struct call *c;
	uint64_t most = 0;

	if (TAILQ_EMPTY(&s->calls))
		return s->max_output;
	TAILQ_FOREACH (c, &s->calls, entry)
		if (c->max_response > most)
			most = c->max_response;
	return most;
}

struct call *
call_sole(struct server *s)
{
	struct call *c = TAILQ_FIRST(&s->calls);

	return c != NULL && TAILQ_NEXT(c, entry) == NULL && c->sent && c->mcp &&
		c->gate != NULL
	    ? c
	    : NULL;
}

int
call_event(struct call *c, const struct buf *line, bool must)
{
	uint64_t seconds = (loop_unix_us() - c->began_us) / 1000000;
	MSG_INIT(tool_event, m);

	if (c->gate == NULL || line->len > c->max_response)
		return -1;
	if (!must && c->events >= EVENTS_FREE + seconds * EVENTS_A_SECOND) {
		LOG_DEBUG("tool.events", LS("server", c->server->name),
		    LX("request", c->request_id, sizeof(c->request_id)));
		return -1;
	}
	c->events++;
	memcpy(m.request_id, c->request_id, sizeof(m.request_id));
	if (line->len <= INLINE_JSON_MAX)
		m.data = span_mem(line->p, line->len);
	else if ((m.big = report_memfd(line->p, line->len)) == -1)
		return -1;
	return chan_note(c->gate, MSG_tool_event, &m);
}

/* Since 2026-07-28 every result says that it is one; our servers are older. */
static const char *
result_more(const struct call *c)
{
	return c->cacheable ? "\"resultType\":\"complete\",\"ttlMs\":0,"
			      "\"cacheScope\":\"private\","
			    : "\"resultType\":\"complete\",";
}

void
call_answer(struct call *c, const uint8_t *line, size_t len, size_t id_at, size_t id_len,
    size_t result_at)
{
	const struct piece id = {id_at, id_len, c->id},
			   more = {result_at, 0, result_more(c)};
	struct buf body;

	if (len > c->max_response) {
		call_fail(c, OUTCOME_TOO_LARGE, 403,
		    "the tool's answer is larger than allowed");
		return;
	}
	buf_init(&body);
	if (c->mcp != TOOL_MCP_2026 || result_at == 0
		? put_with(&body, line, len, &id, 1)
		: put_with(&body, line, len,
		      id_at < result_at ? (const struct piece[]){id, more}
					: (const struct piece[]){more, id},
		      2)) {
		call_fail(c, OUTCOME_TOOL_BROKEN, 502, "out of memory");
	} else {
		mcp_one_line(&body);
		c->server->served = true;
		send_result(c->gate, c->reqid, OUTCOME_OK, 200, "", &body);
		report_done(c, OUTCOME_OK, 200, body.len, "");
		call_free(c);
	}
	buf_free(&body);
}

/* Tells the server that nobody waits any more. */
static void
send_cancelled(struct call *c, const char *why)
{
	char line[160];
	int n;

	if (!c->sent)
		return;
	n = snprintf(line, sizeof(line),
	    "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":"
	    "{\"requestId\":%llu,\"reason\":\"%s\"}}",
	    (unsigned long long)c->number, why);
	(void)mcp_send(c->server, line, (size_t)n);
}

int
call_cancel(struct chan *gate, uint64_t reqid, void *msg)
{
	const struct msg_tool_cancel *m = msg;
	struct server *s;
	struct call *c;

	(void)reqid;
	TAILQ_FOREACH (s, &servers, entry)
		TAILQ_FOREACH (c, &s->calls, entry)
			if (c->gate == gate &&
			    memcmp(c->request_id, m->request_id, sizeof(c->request_id)) ==
				0) {
				send_cancelled(c, "the caller is gone");
				call_fail(
				    c, OUTCOME_AGENT_GONE, 499, "the agent is gone");
				return 0;
			}
	return 0; /* it was answered a moment ago */
}

int
call_withdraw(struct chan *judge, uint64_t reqid, void *msg)
{
	const struct msg_tool_withdraw *m = msg;
	struct server *s;
	struct call *c;

	(void)judge;
	(void)reqid;
	TAILQ_FOREACH (s, &servers, entry)
		TAILQ_FOREACH (c, &s->calls, entry)
			if (memcmp(c->request_id, m->request_id, sizeof(c->request_id)) ==
			    0) {
				send_cancelled(c, "cancelled by the caller");
				call_fail(
				    c, OUTCOME_AGENT_GONE, 499, "cancelled by the agent");
				return 0;
			}
	return 0;
}

void
call_gate_gone(struct chan *gate)
{
	struct call *c, *next;
	struct server *s;

	TAILQ_FOREACH (s, &servers, entry)
		for (c = TAILQ_FIRST(&s->calls); c != NULL; c = next) {
			next = TAILQ_NEXT(c, entry);
			if (c->gate != gate)
				continue;
			send_cancelled(c, "the caller is gone");
			c->gate = NULL;
			call_fail(c, OUTCOME_AGENT_GONE, 499, "the gate is gone");
		}
}

void
call_tick(struct server *s, uint64_t now_ms)
{
	struct call *c, *next;

	for (c = TAILQ_FIRST(&s->calls); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (now_ms < c->due_ms)
			continue;
		send_cancelled(c, "time is up");
		call_fail(
		    c, OUTCOME_TOOL_TIMEOUT, 504, "the tool did not answer in time");
	}
}
