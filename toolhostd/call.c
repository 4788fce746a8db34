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

#define GRANT_KEY_LEN 32
#define CALLS_PER_SERVER 1024
#define PAYLOAD_MAX (16u * 1024 * 1024)

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
	grant_book_key_take(book, m->key, loop_unix_ms());
	m->key = NULL;
	chan_note(judge, MSG_redeemer_ready, &ready);
	return 0;
}

static void
call_free(struct call *c)
{
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

void
call_fail(struct call *c, enum outcome outcome, unsigned status, const char *message)
{
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
	if (grant_digest_tool(m->server, payload, len, digest) == -1)
		return GRANT_FORGED;
	return grant_redeem(book, &g, loop_unix_ms(), digest);
}

/* One line with our id in it; keeps the agent's id as it stood. */
static int
make_line(struct call *c, const uint8_t *p, size_t len)
{
	static const struct json_limits limits = {.size = PAYLOAD_MAX};
	const uint8_t *id;
	char number[24];
	size_t id_len, at, i;
	int n;

	if (json_parse(&doc, p, len, &limits) != JSON_OK ||
	    json_raw(&doc, json_get(&doc, json_root(&doc), "id"), &id, &id_len) == -1 ||
	    id_len >= sizeof(c->id))
		return -1;
	memcpy(c->id, id, id_len);
	c->id[id_len] = '\0';
	at = (size_t)(id - p);
	n = snprintf(number, sizeof(number), "%llu", (unsigned long long)c->number);
	if (buf_put(&c->line, p, at) == -1 ||
	    buf_put(&c->line, number, (size_t)n) == -1 ||
	    buf_put(&c->line, id + id_len, len - at - id_len) == -1)
		return -1;
	for (i = 0; i < c->line.len; i++)
		if (c->line.p[i] == '\n' || c->line.p[i] == '\r')
			c->line.p[i] =
			    ' '; /* never inside a string: JSON forbids it there */
	return 0;
}

static void
call_send(struct call *c)
{
	int r = mcp_send(c->server, c->line.p, c->line.len);

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
	const struct msg_tool_call *m = msg;
	struct server *s = server_find(m->server);
	const uint8_t *payload;
	struct call *c = NULL, refused = {.began_us = loop_unix_us()};
	void *map = NULL;
	size_t len;
	int verdict;

	memcpy(refused.request_id, m->request_id, sizeof(refused.request_id));
	memcpy(refused.grant, m->grant, sizeof(refused.grant));
	if (payload_of(m, &payload, &len, &map) == -1)
		return -1;
	refused.bytes_in = len;
	verdict = redeem(m, payload, len);
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
	c->max_response = m->max_response == 0 ? s->max_output : m->max_response;
	c->due_ms = loop_now_ms() +
	    (m->timeout_ms == 0 || m->timeout_ms > s->call_timeout_ms ? s->call_timeout_ms
								      : m->timeout_ms);
	buf_init(&c->line);
	TAILQ_INSERT_TAIL(&s->calls, c, entry);
	s->ncalls++;
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
	else if (s->state == TOOL_FAILED)
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

void
call_answer(struct call *c, const uint8_t *line, size_t len, size_t id_at, size_t id_len)
{
	struct buf body;

	if (len > c->max_response) {
		call_fail(c, OUTCOME_TOO_LARGE, 403,
		    "the tool's answer is larger than allowed");
		return;
	}
	buf_init(&body);
	if (buf_put(&body, line, id_at) == -1 ||
	    buf_put(&body, c->id, strlen(c->id)) == -1 ||
	    buf_put(&body, line + id_at + id_len, len - id_at - id_len) == -1) {
		call_fail(c, OUTCOME_TOOL_BROKEN, 502, "out of memory");
	} else {
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
