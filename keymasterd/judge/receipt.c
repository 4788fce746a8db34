/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks for a receipt, and for which row. Looking for a request and for its completion
 * goes some thousand rows at a time, so that deciding does not wait for it. A row that
 * the asker may not see is answered as if there were none. Judge only.
 */
#include "keymasterd/judge/receipt.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/hex.h"
#include "common/jsonw.h"
#include "common/loop.h"
#include "common/proto.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/attest.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger_find.h"
#include "keymasterd/judge/ledger_scan.h"
#include "keymasterd/judge/seal_error.h"

#define ASKING_MAX 8
#define SLICE 4096  /* rows a turn */
#define PIECE 49000 /* octets of a message to the command line */

struct asking {
	struct chan *chan; /* NULL: gone, nobody waits */
	uint64_t reqid;    /* of an administrator */
	int http;
	struct decide d; /* of HTTP */
	char id[API_ARG_MAX], peer[128], oper[129], path[160];
	char tenant[STORE_TENANT_MAX];
	char agent[65];    /* whose rows alone; "": of the whole tenant */
	uint64_t since_ms; /* and none from before there was this agent */
	uint64_t seq, completion;
	uint64_t after; /* rows up to here were looked at for the completion */
	char pattern[96];
	struct event *again;
	TAILQ_ENTRY(asking) link;
};

static TAILQ_HEAD(, asking) askings = TAILQ_HEAD_INITIALIZER(askings);

static void
end(struct asking *a)
{
	TAILQ_REMOVE(&askings, a, link);
	if (a->again != NULL)
		event_free(a->again);
	free(a);
}

/* ---- answers ---- */

static void
refuse(struct asking *a, unsigned status, uint32_t code, const char *what)
{
	if (a->chan != NULL && a->http) {
		a->d.row.event = span_str("receipt.refused");
		a->d.budget = LEDGER_CAUSE_ATTEST;
		api_refuse(&a->d, status, what);
	} else if (a->chan != NULL) {
		admin_done(a->chan, a->reqid, code, what);
	}
	end(a);
}

static void
unknown(struct asking *a)
{
	refuse(a, 404, ADMIN_REFUSED,
	    "There is no such row. Name the request by its id of 32 digits "
	    "(X-Aegis-Request-Id) or the row by its number.");
}

static void
give_http(struct asking *a, struct buf *text)
{
	if (text->len > API_BODY_MAX) {
		/* the row without its completion */
		buf_reset(text);
		if (receipt_make(text, a->seq, 0) == -1 || text->len > API_BODY_MAX) {
			refuse(a, 413, ADMIN_FAILED,
			    "The receipt is too long for this door; \"aegis ledger "
			    "receipt\" gives it");
			return;
		}
	}
	if (a->agent[0] != '\0')
		a->d.row.kind = 0; /* its own */
	a->d.row.event = span_str("receipt.read");
	a->d.row.detail = span_str(a->id);
	api_answer(&a->d, 200, text->p, text->len);
	end(a);
}

static void
give_admin(struct asking *a, const struct buf *text)
{
	struct buf piece, none;
	size_t at, n;

	buf_init(&none);
	for (at = 0; at < text->len; at += n) {
		n = text->len - at < PIECE ? text->len - at : PIECE;
		piece = (struct buf){text->p + at, n, n};
		if (admin_row(a->chan, a->reqid, &piece) == -1) {
			refuse(a, 503, ADMIN_FAILED, "The receipt could not be sent.");
			return;
		}
	}
	admin_done(a->chan, a->reqid, ADMIN_OK, "");
	end(a);
}

static void
give(struct asking *a)
{
	struct buf text;

	buf_init(&text);
	if (receipt_make(&text, a->seq, a->completion) == -1)
		refuse(a, 503, ADMIN_FAILED, "The ledger could not be read.");
	else if (a->http)
		give_http(a, &text);
	else
		give_admin(a, &text);
	buf_free(&text);
}

/* ---- the checkpoint ---- */

static void
on_sealed(int status, const char *message, void *arg)
{
	struct asking *a = arg;
	char what[200];

	if (a->chan == NULL) {
		end(a);
	} else if (status != 0) {
		snprintf(what, sizeof(what), "The ledger's head was not signed: %.150s.",
		    message);
		refuse(a, 503, ADMIN_FAILED, what);
	} else {
		give(a);
	}
}

static void
seal(struct asking *a)
{
	uint64_t last = a->completion > a->seq ? a->completion : a->seq;

	if (last <= ledger_signed_seq())
		give(a);
	else
		ledger_checkpoint(on_sealed, a);
}

/* ---- the completion ---- */

static int
look(const struct ledger_line *l, void *arg)
{
	struct asking *a = arg;

	if (memmem(l->text.p, l->text.len, a->pattern, strlen(a->pattern)) == NULL)
		return 0;
	a->completion = l->seq;
	return 1;
}

static void
look_on(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = {0, 1000};
	struct asking *a = arg;
	uint64_t until = a->after + SLICE;

	(void)fd;
	(void)what;
	if (a->chan == NULL) {
		end(a);
		return;
	}
	if (ledger_each(a->after, until, 0, look, a) == -1) {
		refuse(a, 503, ADMIN_FAILED, "The ledger could not be read.");
		return;
	}
	if (a->completion == 0 && until < ledger_seq()) {
		a->after = until;
		if (event_add(a->again, &soon) == 0)
			return;
	}
	seal(a);
}

/* ---- the row ---- */

/* An agent sees its requests; not what administrators did about it. */
static bool
may_see(const struct asking *a, struct span text)
{
	struct span kind = ledger_text_get(text, "kind");

	if (!span_eq(ledger_text_get(text, "tenant"), a->tenant))
		return false;
	return a->agent[0] == '\0' ||
	    (span_eq(ledger_text_get(text, "agent"), a->agent) &&
		(span_eq(kind, "decision") || span_eq(kind, "completion")) &&
		ledger_text_ms(text) >= a->since_ms);
}

/* Only what was granted is completed later. */
static bool
has_completion(struct asking *a, struct span text)
{
	struct span request = ledger_text_get(text, "request");

	if (request.len == 0 || !ledger_text_has(text, "judged") ||
	    !span_eq(ledger_text_get(text, "kind"), "decision"))
		return false;
	snprintf(a->pattern, sizeof(a->pattern),
	    ",\"kind\":\"completion\",\"request\":\"%.*s\"", (int)request.len, request.p);
	return true;
}

static void
on_row(uint64_t seq, void *arg)
{
	struct asking *a = arg;
	struct ledger_line line;
	struct buf octets;
	bool seen, completed;

	if (a->chan == NULL) {
		end(a);
		return;
	}
	buf_init(&octets);
	seen = seq > 0 && seq <= ledger_seq() &&
	    ledger_row_get(seq, &line, &octets) == 0 && may_see(a, line.text);
	completed = seen && has_completion(a, line.text);
	buf_free(&octets);
	a->seq = a->after = seq;
	if (!seen) {
		unknown(a);
		return;
	}
	a->again = completed ? evtimer_new(loop_base(), look_on, a) : NULL;
	if (a->again != NULL)
		look_on(-1, 0, a);
	else
		seal(a);
}

/* The number of a row, 0 when it is none. */
static uint64_t
row_number(const char *id)
{
	uint64_t n = 0;

	if (id[0] == '0' || strlen(id) > 19)
		return 0;
	for (; *id >= '0' && *id <= '9'; id++)
		n = 10 * n + (uint64_t)(*id - '0');
	return *id == '\0' ? n : 0;
}

static void
begin(struct asking *a, struct span id)
{
	uint8_t request[16];

	TAILQ_INSERT_TAIL(&askings, a, link);
	if (span_copy(id, a->id, sizeof(a->id)) == -1)
		a->id[0] = '\0';
	if (strlen(a->id) != 32)
		on_row(row_number(a->id), a);
	else if (hex_decode(a->id, 32, request, 16) != 16)
		unknown(a);
	else if (ledger_find_request(request, on_row, a) == -1)
		refuse(a, 503, ADMIN_FAILED, "The judge has no memory left.");
}

/* ---- who asks ---- */

/* Searching costs time: few at once, and one for each agent. */
static bool
too_many(const char *tenant, const char *agent)
{
	struct asking *a;
	unsigned n = 0;

	TAILQ_FOREACH (a, &askings, link) {
		if (agent != NULL && strcmp(a->agent, agent) == 0 &&
		    strcmp(a->tenant, tenant) == 0)
			return true;
		n++;
	}
	return n >= ASKING_MAX;
}

int
admin_ledger_receipt(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_ledger_receipt *m = msg;
	struct asking *a = too_many("", NULL) ? NULL : calloc(1, sizeof(*a));

	if (a == NULL)
		return admin_refuse(c, reqid,
		    "Too many receipts are being made at once; try again in a moment.");
	a->chan = c;
	a->reqid = reqid;
	(void)span_copy(span_str(judge_conf.tenant), a->tenant, sizeof(a->tenant));
	begin(a, m->id);
	return 0;
}

/* The answer may come in a later turn: nothing of it may point into the message. */
static void
keep_question(struct asking *a, const struct api_call *c, const struct agent *agent,
    const struct operator_who *op)
{
	a->chan = c->d->chan;
	a->http = 1;
	(void)span_copy(c->m->peer, a->peer, sizeof(a->peer));
	(void)snprintf(a->path, sizeof(a->path), "/v1/receipts/%s", c->arg);
	if (agent != NULL) {
		(void)span_copy(
		    span_str(agent->row.tenant), a->tenant, sizeof(a->tenant));
		(void)span_copy(span_str(agent->row.name), a->agent, sizeof(a->agent));
		a->since_ms = agent->row.created_ms;
	} else {
		(void)span_copy(span_str(op->tenant), a->tenant, sizeof(a->tenant));
		(void)span_copy(span_str(op->name), a->oper, sizeof(a->oper));
	}
	a->d = *c->d;
	a->d.row = (struct ledger_row){.kind = LEDGER_DECISION,
	    .tenant = span_str(a->tenant),
	    .method = span_str("GET"),
	    .path = span_str(a->path),
	    .peer = span_str(a->peer)};
	if (agent != NULL)
		a->d.row.agent = span_str(a->agent);
	else
		a->d.row.oper = span_str(a->oper);
}

void
receipt_handle(struct api_call *c)
{
	const struct agent *agent;
	struct operator_who op = {.role = 0};
	const char *why = NULL;
	unsigned status = 0;
	struct asking *a;

	agent = attest_agent(c->m, &why);
	if (agent == NULL && c->m->authorization.len > 0)
		status = operator_read(c->m->authorization, &op, &why);
	if (agent == NULL && (status != 0 || c->m->authorization.len == 0)) {
		c->d->budget = LEDGER_CAUSE_ATTEST;
		c->d->row.event = span_str("receipt.refused");
		api_refuse(c->d, status == 0 ? 401 : status,
		    "A receipt takes the token of the agent whose row it is, or an "
		    "operator's");
		return;
	}
	if (too_many(agent != NULL ? agent->row.tenant : op.tenant,
		agent != NULL ? agent->row.name : NULL) ||
	    (a = calloc(1, sizeof(*a))) == NULL) {
		struct seal_refusal busy = {.code = 429,
		    .message = "Too many receipts are being made at once",
		    .flat = true,
		    .retry_after = 1};

		c->d->budget = LEDGER_CAUSE_ATTEST;
		c->d->row.event = span_str("receipt.refused");
		seal_refuse(c->d, &busy);
		return;
	}
	keep_question(a, c, agent, &op);
	begin(a, span_str(c->arg));
}

void
receipt_gone(const struct chan *c)
{
	struct asking *a;

	TAILQ_FOREACH (a, &askings, link)
		if (a->chan == c)
			a->chan = NULL;
}
