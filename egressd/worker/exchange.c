/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request from its grant to its completion note. What comes from the gate is believed
 * only as far as the grant seals it; whatever happens, each accepted grant ends in
 * exactly one `done`.
 */
#include "egressd/worker/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/util.h>

#include "common/chan.h"
#include "common/log.h"
#include "common/loop.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/hook.h"
#include "egressd/worker/respond.h"
#include "egressd/worker/socket.h"
#include "egressd/worker/worker.h"

#define SPARE_MAX 64           /* finished exchanges kept for the next requests */
#define SPARE_TEXT (16 * 1024) /* with buffers up to this size */

TAILQ_HEAD(exchange_list, exchange);

static struct exchange_list live = TAILQ_HEAD_INITIALIZER(live);
static struct exchange_list spare = TAILQ_HEAD_INITIALIZER(spare);
static unsigned nlive, nspare, nsockets;

unsigned
exchange_count(void)
{
	return nlive;
}

void
exchange_set_upgrade(struct exchange *ex)
{
	ex->upgrade = true;
	nsockets++;
}

unsigned
exchange_count_sockets(void)
{
	return nsockets;
}

void
exchange_touch(struct exchange *ex)
{
	ex->due_ms = loop_now_ms() + ex->timeout_ms;
}

/* -- beginning and end of the struct -- */

struct exchange *
exchange_new(void)
{
	struct exchange *ex = TAILQ_FIRST(&spare);
	struct buf text;

	if (ex != NULL) {
		TAILQ_REMOVE(&spare, ex, entry);
		nspare--;
		text = ex->text;
		memset(ex, 0, sizeof(*ex));
		ex->text = text;
		buf_reset(&ex->text);
	} else {
		ex = calloc(1, sizeof(*ex));
		if (ex == NULL)
			return NULL;
	}
	ex->up_body.fd = ex->down.fd = -1;
	TAILQ_INSERT_TAIL(&live, ex, entry);
	nlive++;
	return ex;
}

static void
exchange_free(struct exchange *ex)
{
	nsockets -= ex->upgrade;
	socket_free(ex->socket);
	exchange_release(ex);
	upload_close(&ex->up_body);
	download_close(&ex->down);
	buf_wipe_free(&ex->in);
	credential_unref(ex->credential);
	TAILQ_REMOVE(&live, ex, entry);
	nlive--;
	if (ex->text.len > 0)
		explicit_bzero(ex->text.p, ex->text.len);
	if (nspare < SPARE_MAX && ex->text.cap <= SPARE_TEXT) {
		TAILQ_INSERT_HEAD(&spare, ex, entry);
		nspare++;
		return;
	}
	buf_free(&ex->text);
	free(ex);
}

void
exchange_release(struct exchange *ex)
{
	struct upstream *u = ex->up;

	ex->up = NULL;
	if (u == NULL)
		return;
	/* what an old credential allowed, the new one may forbid */
	if (ex->keep && ex->sent_all && u->state == UP_OPEN &&
	    ex->credential == worker_credential)
		upstream_keep(u);
	else
		upstream_close(u);
}

/* -- ends -- */

static void
note_done(struct exchange *ex, enum outcome outcome)
{
	MSG_INIT(done, m);

	if (ex->hook) {
		hook_done(ex, outcome);
		return;
	}
	memcpy(m.request_id, ex->request_id, sizeof(m.request_id));
	memcpy(m.grant, ex->grant, sizeof(m.grant));
	m.outcome = (uint8_t)outcome;
	m.status = ex->status;
	m.bytes_in = ex->bytes_in;
	m.bytes_out = ex->bytes_out;
	m.duration_us = loop_unix_us() - ex->began_us;
	m.detail = span_str(ex->detail);
	report_done(&m);
}

static void
note_end(struct exchange *ex, bool complete)
{
	MSG_INIT(proxy_end, m);

	if (ex->gate == NULL)
		return;
	memcpy(m.request_id, ex->request_id, sizeof(m.request_id));
	m.complete = complete;
	m.bytes = ex->bytes_out;
	chan_note(ex->gate, MSG_proxy_end, &m);
}

int
exchange_finish(struct exchange *ex, enum outcome outcome)
{
	/* a connection in the middle of something carries nothing else */
	if (outcome != OUTCOME_OK)
		ex->keep = false;
	if (ex->state == EX_STREAM) {
		download_close(&ex->down); /* its octets first, then the word on them */
		note_end(ex, outcome == OUTCOME_OK);
	} else if (ex->state == EX_SOCKET) {
		note_end(ex, socket_close(ex));
	}
	note_done(ex, outcome);
	exchange_free(ex);
	return -1;
}

/* "host:port address" and, when something went wrong, why. */
static void
set_detail(struct exchange *ex, const char *cause)
{
	struct upstream *up = ex->up;
	bool plain =
	    up != NULL && up->address[0] != '\0' && !ex->with_old && cause == NULL;
	char place[HOST_MAX + 8];

	if (ex->to.host[0] == '\0') {
		snprintf(
		    ex->detail, sizeof(ex->detail), "%s", cause != NULL ? cause : "");
		return;
	}
	if (plain && up->detail[0] != '\0') { /* of the request before */
		memcpy(ex->detail, up->detail, sizeof(up->detail));
		return;
	}
	target_text(&ex->to, place, sizeof(place));
	snprintf(ex->detail, sizeof(ex->detail), "%.100s%s%s%s%s%.60s", place,
	    up != NULL && up->address[0] != '\0' ? " " : "",
	    up != NULL ? up->address : "",
	    ex->with_old ? "; the secret before the rotation" : "",
	    cause != NULL ? ": " : "", cause != NULL ? cause : "");
	if (plain) /* 100, a blank and 63 at most */
		memcpy(up->detail, ex->detail, sizeof(up->detail));
}

static void
answer_made(struct exchange *ex, uint32_t status, const char *error,
    const struct respond_kv *kv, size_t n)
{
	MSG_INIT(proxy_head, m);
	struct buf body;

	ex->status = status;
	buf_init(&body);
	if (ex->gate != NULL && respond_made(&body, error, kv, n) == 0) {
		m.status = status;
		m.headers = span_str("content-type: application/json\r\n");
		m.body_len = body.len;
		m.body = span_mem(body.p, body.len);
		m.made = 1;
		ex->bytes_out = body.len;
		chan_answer(ex->gate, ex->reqid, MSG_proxy_head, &m);
	} else if (ex->gate != NULL) {
		chan_answer_error(ex->gate, ex->reqid, 0, "out of memory");
	}
	ex->reqid = 0;
	buf_free(&body);
}

int
exchange_fail(struct exchange *ex, enum outcome outcome, uint32_t status,
    const char *error, const char *cause, const char *hint)
{
	const struct respond_kv kv[] = {
	    {"service", ex->credential != NULL ? ex->credential->service : NULL},
	    {"cause", cause}, {"hint", hint}};

	set_detail(ex, cause);
	if (ex->reqid != 0 && !ex->hook)
		answer_made(ex, status, error, kv, sizeof(kv) / sizeof(kv[0]));
	return exchange_finish(ex, outcome);
}

/* -- connections -- */

int
exchange_begin(struct exchange *ex, bool fresh)
{
	ex->state = EX_OPENING;
	ex->sent = 0;
	ex->head_sent = ex->sent_all = ex->sending_failed = false;
	/* a connection that becomes a WebSocket is no loss to other requests */
	ex->up = upstream_get(&ex->to, fresh || ex->upgrade, !ex->idempotent, ex);
	if (ex->up == NULL)
		return exchange_fail(ex, OUTCOME_UPSTREAM_UNREACHABLE, 502,
		    "Failed to reach upstream service", "out of memory", "Try again.");
	if (ex->up->state != UP_OPEN) {
		upstream_start(
		    ex->up); /* goes on in on_open or on_fail, perhaps it did */
		return -1;
	}
	set_detail(ex, NULL);
	ex->state = EX_HEAD;
	exchange_touch(ex);
	exchange_send(ex);
	return -1;
}

static void
on_open(void *arg)
{
	struct exchange *ex = arg;

	set_detail(ex, NULL);
	ex->state = EX_HEAD;
	exchange_touch(ex);
	exchange_send(ex);
}

static void
on_fail(void *arg, enum upstream_failure what, const char *text)
{
	static const char *const word[] = {
	    [UPSTREAM_RESOLVE] = "resolve",
	    [UPSTREAM_REFUSED] = "address refused",
	    [UPSTREAM_CONNECT] = "connect",
	    [UPSTREAM_TLS] = "tls",
	};
	struct exchange *ex = arg;
	char cause[160];

	if (what == UPSTREAM_REFUSED) {
		LOG_WARN("address.refused", LS("host", ex->to.host), LS("kind", text),
		    exchange_log(ex));
		if (ex->hook) {
			snprintf(cause, sizeof(cause), "address refused: %s", text);
			exchange_fail(ex, OUTCOME_ADDRESS_REFUSED, 502, "", cause, NULL);
			return;
		}
		exchange_fail(ex, OUTCOME_ADDRESS_REFUSED, 502,
		    "Failed to reach upstream service", word[what],
		    "The name leads to a loopback, private or metadata address. If that "
		    "is meant, an operator allows it with: aegis vault update --name "
		    "NAME "
		    "--allow-private");
		return;
	}
	snprintf(cause, sizeof(cause), "%s: %s", word[what], text);
	exchange_fail(ex, OUTCOME_UPSTREAM_UNREACHABLE, 502,
	    "Failed to reach upstream service", cause,
	    what == UPSTREAM_RESOLVE
		? "Check the credential's domains and the name server."
		: what == UPSTREAM_TLS
		? "The upstream's certificate or TLS settings are not acceptable."
		: "The upstream does not accept connections.");
}

static void
on_io(void *arg, short what)
{
	struct exchange *ex = arg;

	if (ex->state == EX_SOCKET) {
		socket_go(ex);
		return;
	}
	/* TLS may need either to do the other; a stream asks to be called again this way
	 */
	if (ex->up->stream.ssl != NULL || ex->state == EX_STREAM)
		what = EV_READ | EV_WRITE;
	if ((what & EV_WRITE) && exchange_send(ex) == -1)
		return;
	if (what & EV_READ)
		exchange_receive(ex);
}

/* RFC 9110 9.2.2, and only if not an octet of an answer came. */
static bool
may_retry(const struct exchange *ex)
{
	return ex->up->reused && !ex->answered && !ex->retried && !ex->up_body.taken &&
	    (ex->idempotent || ex->sent == 0) && ex->gate != NULL &&
	    !(ex->up_body.streamed && ex->up_body.fd < 0);
}

int
exchange_lost(struct exchange *ex)
{
	if (may_retry(ex)) {
		ex->retried = true;
		upstream_close(ex->up);
		ex->up = NULL;
		return exchange_begin(ex, true);
	}
	if (ex->answered)
		return exchange_fail(ex, OUTCOME_UPSTREAM_BROKEN, 502,
		    "Upstream sent an answer that cannot be passed on",
		    "the answer broke off", NULL);
	return exchange_fail(ex, OUTCOME_UPSTREAM_BROKEN, 502,
	    "Failed to reach upstream service", "closed without an answer",
	    ex->idempotent ? NULL
			   : "The request may have had its effect; it was not repeated.");
}

int
exchange_init(const char **why)
{
	static const struct upstream_user user = {on_open, on_fail, on_io};

	return upstream_init(&user, why);
}

/* -- ends from outside -- */

static struct exchange *
find(const struct chan *gate, const uint8_t id[REQUEST_ID_LEN])
{
	struct exchange *ex;

	TAILQ_FOREACH (ex, &live, entry)
		if (ex->gate == gate && memcmp(ex->request_id, id, REQUEST_ID_LEN) == 0)
			return ex;
	return NULL;
}

struct log_kv
exchange_log(const struct exchange *ex)
{
	return ex->hook ? (struct log_kv){NULL, LOG_KIND_STR, {.u = 0}}
			: LX("request", ex->request_id, sizeof(ex->request_id));
}

int
exchange_cancel(struct chan *gate, uint64_t reqid, void *msg)
{
	const struct msg_proxy_cancel *m = msg;
	struct exchange *ex = find(gate, m->request_id);

	(void)reqid;
	if (ex != NULL && ex->state == EX_SOCKET)
		socket_agent_gone(ex);
	else if (ex != NULL) /* else it ended while the note was on its way */
		exchange_fail(
		    ex, OUTCOME_AGENT_GONE, 499, "The request was cancelled", NULL, NULL);
	return 0;
}

/* A gate's word counts for what it opened, the judge's for all. */
int
exchange_socket_end(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_socket_end *m = msg;
	struct exchange *ex;

	(void)reqid;
	TAILQ_FOREACH (ex, &live, entry)
		if (memcmp(ex->request_id, m->request_id, REQUEST_ID_LEN) == 0 &&
		    (ex->gate == c || chan_peer_role(c) == ROLE_JUDGE))
			break;
	if (ex != NULL && ex->state == EX_SOCKET)
		socket_end(ex, m->why);
	return 0;
}

void
exchange_sockets(void (*fn)(struct exchange *, const void *), const void *arg)
{
	struct exchange *ex, *next;

	for (ex = TAILQ_FIRST(&live); ex != NULL; ex = next) {
		next = TAILQ_NEXT(ex, entry);
		if (ex->state == EX_SOCKET)
			fn(ex, arg);
	}
}

void
exchange_gate_gone(struct chan *gate)
{
	struct exchange *ex, *next;

	for (ex = TAILQ_FIRST(&live); ex != NULL; ex = next) {
		next = TAILQ_NEXT(ex, entry);
		if (ex->gate != gate)
			continue;
		ex->gate = NULL;
		ex->reqid = 0;
		exchange_finish(ex, OUTCOME_AGENT_GONE);
	}
}

void
exchange_sweep(uint64_t now)
{
	struct exchange *ex, *next;

	for (ex = TAILQ_FIRST(&live); ex != NULL; ex = next) {
		next = TAILQ_NEXT(ex, entry);
		if (ex->state == EX_OPENING || now < ex->due_ms)
			continue; /* connections have a time-out of their own */
		if (ex->state == EX_SOCKET)
			socket_due(ex);
		else if (ex->down.waiting || ex->up_body.waiting)
			exchange_fail(ex, OUTCOME_AGENT_GONE, 408,
			    "The request's body did not come in time", NULL, NULL);
		else
			exchange_fail(ex, OUTCOME_UPSTREAM_TIMEOUT, 504,
			    "Upstream request timed out", NULL, NULL);
	}
}
