/* SPDX-License-Identifier: Apache-2.0 */
/* Requests under way and their completion rows. Judge only; redeemers' reports are
 * checked. */
#include "keymasterd/judge/flight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/proto.h"
#include "keymasterd/judge/count.h"
#include "keymasterd/judge/map.h"
#include "keymasterd/judge/mcp_forward.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/socket.h"
#include "keymasterd/judge/tools.h"

#define SLACK_MS 5000 /* for the report to arrive */
#define SPARES_MAX 4096

static struct map by_request;
static struct flight_list by_deadline = TAILQ_HEAD_INITIALIZER(by_deadline);
/* of WebSockets that are open: no deadline */
static struct flight_list sockets = TAILQ_HEAD_INITIALIZER(sockets);
static struct flight_list spares = TAILQ_HEAD_INITIALIZER(spares);
static unsigned nspares, count, nsockets;

static void
name_copy(char *out, size_t size, struct span s)
{
	if (s.p == NULL || span_copy(s, out, size) == -1)
		out[0] = '\0';
}

static struct flight *
flight_alloc(void)
{
	struct flight *f = TAILQ_FIRST(&spares);

	if (f == NULL)
		return calloc(1, sizeof(*f));
	TAILQ_REMOVE(&spares, f, link);
	nspares--;
	return f;
}

struct flight *
flight_new(struct redeemer *r, struct agent *agent, const struct ledger_row *row,
    const struct grant *g, uint32_t timeout_ms)
{
	struct flight *f = flight_alloc(), *after;

	if (f == NULL)
		return NULL;
	memcpy(f->request_id, g->request_id, sizeof(f->request_id));
	memcpy(f->grant, g->id, sizeof(f->grant));
	if (map_put(&by_request, f->request_id, sizeof(f->request_id), f) == -1) {
		free(f);
		return NULL;
	}
	f->redeemer = r;
	f->agent = agent;
	f->refused = 0;
	f->open = 0;
	f->socket = NULL;
	f->method = count_method(row->method);
	f->started_us = loop_unix_us();
	f->deadline_ms = loop_now_ms() + GRANT_TTL_MS + timeout_ms + SLACK_MS;
	name_copy(f->tenant, sizeof(f->tenant), row->tenant);
	name_copy(f->agent_name, sizeof(f->agent_name), row->agent);
	name_copy(f->service, sizeof(f->service), row->service);
	name_copy(f->credential, sizeof(f->credential), row->credential);
	name_copy(f->tool, sizeof(f->tool), row->tool);
	name_copy(f->server, sizeof(f->server), row->server);
	name_copy(f->session, sizeof(f->session), row->session);
	name_copy(f->detail, sizeof(f->detail), row->detail);
	/* time-outs are nearly all the same, so the place is nearly always the end */
	TAILQ_FOREACH_REVERSE(after, &by_deadline, flight_list, link)
	if (after->deadline_ms <= f->deadline_ms)
		break;
	if (after != NULL)
		TAILQ_INSERT_AFTER(&by_deadline, after, f, link);
	else
		TAILQ_INSERT_HEAD(&by_deadline, f, link);
	TAILQ_INSERT_TAIL(&r->flights, f, of_peer);
	r->live++;
	count++;
	if (f->server[0] != '\0')
		tool_call_begun(f->server);
	if (agent != NULL) {
		agent->in_flight++;
		agent->refs++;
	}
	return f;
}

static void
flight_end(struct flight *f)
{
	mcp_call_over(f->request_id);
	if (f->server[0] != '\0')
		tool_call_over(f->server);
	map_del(&by_request, f->request_id, sizeof(f->request_id));
	TAILQ_REMOVE(f->open ? &sockets : &by_deadline, f, link);
	nsockets -= f->open;
	socket_free(f->socket);
	TAILQ_REMOVE(&f->redeemer->flights, f, of_peer);
	f->redeemer->live--;
	count--;
	agent_release(f->agent);
	if (nspares < SPARES_MAX) {
		TAILQ_INSERT_HEAD(&spares, f, link);
		nspares++;
	} else {
		free(f);
	}
}

static struct span
name_span(const char *s)
{
	return s[0] != '\0' ? span_str(s) : (struct span){NULL, 0};
}

static void
row_begin(struct ledger_row *row, const struct flight *f, unsigned outcome)
{
	*row = (struct ledger_row){.kind = LEDGER_COMPLETION,
	    .tenant = name_span(f->tenant),
	    .request = f->request_id,
	    .agent = name_span(f->agent_name),
	    .service = name_span(f->service),
	    .credential = name_span(f->credential),
	    .tool = name_span(f->tool),
	    .server = name_span(f->server),
	    .session = name_span(f->session),
	    .reason = span_str(ledger_outcome_name(outcome)),
	    .has_duration = 1,
	    .duration_us = loop_unix_us() - f->started_us};
}

/* Ended without a report. */
static void
flight_close(struct flight *f, enum outcome outcome, const char *detail)
{
	struct ledger_row row;

	row_begin(&row, f, outcome);
	if (detail != NULL)
		row.detail = span_str(detail);
	if (!f->refused)
		(void)ledger_append(&row, NULL);
	count_done(f, outcome, 0, row.duration_us);
	flight_end(f);
}

void
flight_cancel(const uint8_t request_id[16])
{
	struct flight *f = map_get(&by_request, request_id, 16);

	if (f != NULL)
		flight_end(f);
}

void
flight_redeemer_gone(struct redeemer *r)
{
	while (!TAILQ_EMPTY(&r->flights))
		flight_close(TAILQ_FIRST(&r->flights), OUTCOME_LOST, NULL);
}

void
flight_tick(void)
{
	struct flight *f;

	while ((f = TAILQ_FIRST(&by_deadline)) != NULL && f->deadline_ms <= loop_now_ms())
		flight_close(f, OUTCOME_UNREDEEMED,
		    "no report came in time; if one comes later, its row replaces this "
		    "one");
}

int
flight_socket_open(
    struct redeemer *r, const uint8_t request_id[16], const uint8_t grant[GRANT_ID_LEN])
{
	struct flight *f = map_get(&by_request, request_id, 16);
	struct ledger_row row;

	if (f == NULL || f->redeemer != r || f->socket == NULL || f->open ||
	    memcmp(f->grant, grant, sizeof(f->grant)) != 0)
		return -1;
	TAILQ_REMOVE(&by_deadline, f, link);
	f->open = 1;
	TAILQ_INSERT_TAIL(&sockets, f, link);
	nsockets++;
	row_begin(&row, f, OUTCOME_OK);
	row.kind = LEDGER_SYSTEM; /* the completion comes at its end */
	row.event = span_str("websocket.open");
	row.status = 101;
	(void)ledger_append(&row, NULL);
	return 0;
}

void
flight_sockets(void (*fn)(struct flight *, void *), void *arg)
{
	struct flight *f, *next;

	for (f = TAILQ_FIRST(&sockets); f != NULL; f = next) {
		next = TAILQ_NEXT(f, link);
		fn(f, arg);
	}
}

unsigned
flight_sockets_open(void)
{
	return nsockets;
}

void
flight_name(const uint8_t request_id[16], struct ledger_row *row)
{
	const struct flight *f = map_get(&by_request, request_id, 16);

	if (f == NULL)
		return;
	row->tenant = name_span(f->tenant);
	row->agent = name_span(f->agent_name);
	row->service = name_span(f->service);
	row->credential = name_span(f->credential);
}

unsigned
flight_count(void)
{
	return count;
}

unsigned
flight_same(struct span session, const char *detail)
{
	const struct flight *f;
	unsigned n = 0;

	TAILQ_FOREACH (f, &by_deadline, link)
		n += span_eq(session, f->session) && strcmp(f->detail, detail) == 0;
	return n;
}

/* A report about something that is not, or no longer, under way there. */
static void
stray(const struct redeemer *r, const struct msg_done *m)
{
	struct ledger_row row = {.kind = LEDGER_COMPLETION,
	    .tenant = name_span(r->tenant),
	    .request = m->request_id,
	    .credential = name_span(r->role == ROLE_WORKER ? r->name : ""),
	    .code = span_str("late_or_unknown"),
	    .status = m->status,
	    .reason = span_str(ledger_outcome_name(m->outcome)),
	    .has_bytes = 1,
	    .has_duration = 1,
	    .bytes_in = m->bytes_in,
	    .bytes_out = m->bytes_out,
	    .duration_us = m->duration_us,
	    .detail = m->detail};

	(void)ledger_append_budget(
	    &row, LEDGER_CAUSE_PEER, role_name(r->role), r->instance);
}

int
redeemer_done(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_done *m = msg;
	struct redeemer *r = chan_owner(c);
	struct flight *f = map_get(&by_request, m->request_id, sizeof(m->request_id));
	struct ledger_row row;

	(void)reqid;
	if (f == NULL || f->redeemer != r ||
	    memcmp(f->grant, m->grant, sizeof(f->grant)) != 0) {
		stray(r, m);
		return 0;
	}
	row_begin(&row, f, m->outcome);
	row.status = m->status;
	row.has_bytes = 1;
	row.bytes_in = m->bytes_in;
	row.bytes_out = m->bytes_out;
	row.duration_us = m->duration_us;
	if (m->detail.len > 0)
		row.detail = m->detail;
	if (m->outcome != OUTCOME_GRANT_REFUSED) {
		(void)ledger_append(&row, NULL);
		count_done(f, m->outcome, m->status, m->duration_us);
		flight_end(f);
		return 0;
	}
	/* a forged use of a good grant does not use it up, so a gate can make as many as
	 * it likes */
	if (ledger_append_budget(
		&row, LEDGER_CAUSE_GRANT, role_name(r->role), r->instance) == 0)
		f->refused = 1;
	return 0;
}
