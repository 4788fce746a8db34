/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to OpenBao and the circuit before them; see bao_session.h. The token is
 * bao_login.c's. Runs in vault.
 */
#include "keymasterd/vault/bao_session.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/loop.h"
#include "keymasterd/vault/bao_login.h"
#include "keymasterd/vault/bao_stats.h"
#include "keymasterd/vault/event.h"

#define CALLS_MAX 256
#define TRY_MS 2000       /* one try */
#define RETRY_MS 50       /* before the second try; twice as long before each further */
#define FAILURES_MAX 3    /* in a row, then the circuit opens */
#define PROBE_MIN_MS 250  /* while it is open: is it back? */
#define PROBE_MAX_MS 1000 /* healed two seconds after it is back */

struct call {
	TAILQ_ENTRY(call) entry;
	const char *method;
	char path[1024], ns[336];
	struct buf body;
	bool once, backend;
	const struct secret *token;
	enum call_state { CALL_WAITS, CALL_SENT, CALL_PAUSES, CALL_CHECKS } state;
	unsigned tries, logins;
	uint64_t due_ms;
	struct event
	    timer; /* CALL_PAUSES: try again; CALL_WAITS and CALL_CHECKS: too late */
	bao_result_fn done;
	void *arg;
};

static TAILQ_HEAD(, call) calls = TAILQ_HEAD_INITIALIZER(calls);
static unsigned ncalls;
static struct bao_session_conf conf;

static struct {
	bool open;
	bool trial; /* it was open, and nothing went well since */
	unsigned failures, probes;
	char why[256];
	struct event timer;
} circuit;

static void call_try(struct call *);

/* Between three quarters and five quarters of it. */
uint32_t
bao_jitter(uint32_t ms)
{
	return ms - ms / 4 + randombytes_uniform(ms / 2 + 1);
}

static int
after(struct event *e, uint32_t ms)
{
	const struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};

	return evtimer_add(e, &tv);
}

static void
call_end(struct call *c, const struct bao_result *r)
{
	evtimer_del(&c->timer);
	TAILQ_REMOVE(&calls, c, entry);
	ncalls--;
	c->done(r, c->arg);
	buf_wipe_free(&c->body);
	free(c);
}

static void
call_fail(struct call *c, enum vault_code code, const char *why)
{
	const struct bao_result r = {.code = code, .why = why};

	call_end(c, &r);
}

/* All that do not wait for an answer on the wire. done may make new calls: start over. */
static void
fail_all(enum vault_code code, const char *why)
{
	struct call *c;
	bool found;

	do {
		found = false;
		TAILQ_FOREACH (c, &calls, entry)
			if (c->state != CALL_SENT) {
				found = true;
				call_fail(c, code, why);
				break;
			}
	} while (found);
}

/* -- the circuit -- */

static void
on_probed(const struct bao_answer *a, void *arg)
{
	uint32_t wait = PROBE_MIN_MS << (circuit.probes < 5 ? circuit.probes : 5);

	(void)arg;
	/* 200 active, 429 standby, 472 and 473 replicas, which pass requests on */
	if (a->outcome == BAO_ANSWERED && a->status != 501 && a->status != 503 &&
	    a->status < 500) {
		/* half open: the token is tried first, and one failure opens it again */
		LOG_INFO("openbao.half_open", LU("probes", circuit.probes));
		circuit.open = false;
		circuit.trial = true;
		circuit.failures = FAILURES_MAX - 1;
		bao_login_check();
		return;
	}
	circuit.probes++;
	(void)after(
	    &circuit.timer, bao_jitter(wait < PROBE_MAX_MS ? wait : PROBE_MAX_MS));
}

static void
on_probe(evutil_socket_t fd, short what, void *arg)
{
	const struct bao_request r = {
	    .method = "GET", .path = "/v1/sys/health", .timeout_ms = TRY_MS};

	(void)fd;
	(void)what;
	bao_http_send(&r, on_probed, arg);
}

bool
bao_circuit_open(void)
{
	return circuit.open;
}

void
bao_circuit_good(void)
{
	circuit.failures = 0;
	if (!circuit.trial)
		return;
	circuit.trial = false;
	LOG_INFO("openbao.back", LU("probes", circuit.probes));
	event_tell(OPENBAO_BACK, "OpenBao answers again");
}

void
bao_circuit_bad(const struct bao_answer *a)
{
	if (a->outcome == BAO_ANSWERED && a->status == 503)
		snprintf(circuit.why, sizeof(circuit.why),
		    "OpenBao is sealed or has no active node (503)");
	else if (a->outcome == BAO_ANSWERED)
		snprintf(circuit.why, sizeof(circuit.why),
		    "OpenBao is in trouble (status %d)", a->status);
	else
		snprintf(circuit.why, sizeof(circuit.why),
		    "OpenBao cannot be reached: %s", a->text);
	if (circuit.open || ++circuit.failures < FAILURES_MAX)
		return;
	LOG_ERROR("openbao.away", LS("why", circuit.why));
	if (!circuit.trial)
		event_tell(OPENBAO_AWAY, circuit.why);
	circuit.open = true;
	if (!circuit.trial)
		circuit.probes = 0;
	(void)after(&circuit.timer, bao_jitter(PROBE_MIN_MS));
	fail_all(VAULT_AWAY, circuit.why);
}

/* -- calls -- */

static bool
is_trouble(const struct bao_answer *a)
{
	return a->outcome != BAO_ANSWERED || a->status >= 500 || a->status == 429;
}

static const char *
late_text(void)
{
	if (bao_login_trouble() != NULL)
		return bao_login_trouble();
	return circuit.failures > 0 ? circuit.why : "OpenBao did not answer in time";
}

/* Later, if there is time; else now with what went wrong. */
static void
call_again(struct call *c, const struct bao_answer *a)
{
	uint32_t wait = bao_jitter(RETRY_MS << (c->tries < 6 ? c->tries - 1 : 5));

	if (circuit.open || loop_now_ms() + wait >= c->due_ms ||
	    (c->once && a->outcome != BAO_UNSENT && a->outcome != BAO_ANSWERED) ||
	    after(&c->timer, wait) == -1) {
		call_fail(c, VAULT_AWAY, circuit.why);
		return;
	}
	c->state = CALL_PAUSES;
}

static void
on_answer(const struct bao_answer *a, void *arg)
{
	struct call *c = arg;
	struct bao_result r = {.code = VAULT_OK, .status = a->status, .body = a->body};

	if (a->outcome == BAO_BUSY) {
		call_fail(c, VAULT_AWAY, a->text);
		return;
	}
	if (c->backend && (a->outcome == BAO_LATE || a->outcome == BAO_BROKEN)) {
		r.code = VAULT_AWAY;
		r.why = a->text;
		r.unanswered = 1;
		if (a->outcome == BAO_BROKEN)
			bao_circuit_bad(a);
		call_end(c, &r);
		return;
	}
	if (is_trouble(a) && !(c->backend && a->status == 500)) {
		c->state = CALL_SENT; /* not to be failed with the others */
		bao_circuit_bad(a);
		call_again(c, a);
		return;
	}
	bao_circuit_good();
	if (a->status == 500) {
		r.code = VAULT_AWAY;
		r.why = "the server behind OpenBao is in trouble";
		call_end(c, &r);
		return;
	}
	if (a->status == 403 && c->logins == 0 && c->token == NULL) {
		/* the token's end, or the policy? */
		c->logins++;
		c->state = CALL_CHECKS;
		(void)after(&c->timer,
		    c->due_ms > loop_now_ms() ? (uint32_t)(c->due_ms - loop_now_ms())
					      : 1);
		bao_login_check();
		return;
	}
	if (a->status == 404)
		bao_login_doubt();
	if (a->status == 403) {
		r.code = VAULT_DENIED;
		r.why = "OpenBao does not allow it: the policy of the AppRole must "
			"give read on this path";
	} else if (a->status >= 300 && a->status != 404) {
		r.code = VAULT_REFUSED;
		r.why = "OpenBao refuses it as malformed";
	}
	call_end(c, &r);
}

static void
call_try(struct call *c)
{
	uint64_t now = loop_now_ms();
	struct bao_request r = {.method = c->method,
	    .path = c->path,
	    .ns = c->ns,
	    .token = c->token != NULL ? c->token : bao_login_token(),
	    .body = span_mem(c->body.p, c->body.len),
	    .once = c->once};

	evtimer_del(&c->timer);
	if (now >= c->due_ms) {
		call_fail(c, VAULT_AWAY, late_text());
		return;
	}
	if (r.token == NULL) {
		c->state = CALL_WAITS;
		(void)after(&c->timer, (uint32_t)(c->due_ms - now));
		bao_login_wanted();
		return;
	}
	c->tries++;
	c->state = CALL_SENT;
	r.timeout_ms =
	    c->due_ms - now < TRY_MS || c->backend ? (uint32_t)(c->due_ms - now) : TRY_MS;
	bao_http_send(&r, on_answer, c);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct call *c = arg;

	(void)fd;
	(void)what;
	if (c->state == CALL_PAUSES)
		call_try(c);
	else
		call_fail(c, VAULT_AWAY, late_text());
}

/* Those that waited for a token, or for the word that theirs is good. */
void
bao_session_ready(void)
{
	struct call *c;
	bool found;

	do {
		found = false;
		TAILQ_FOREACH (c, &calls, entry)
			if (c->state == CALL_WAITS || c->state == CALL_CHECKS) {
				found = true;
				call_try(c);
				break;
			}
	} while (found && bao_login_token() != NULL);
}

void
bao_session_failed(enum vault_code code, const char *why)
{
	fail_all(code, why);
}

void
bao_session_call(const struct bao_call *spec, bao_result_fn done, void *arg)
{
	struct bao_result r = {.code = VAULT_AWAY, .why = circuit.why};
	struct call *c;

	if (circuit.open) {
		done(&r, arg);
		return;
	}
	c = ncalls < CALLS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (c == NULL) {
		r.why = "too many questions to OpenBao at once";
		done(&r, arg);
		return;
	}
	buf_init(&c->body);
	c->method = spec->method;
	c->once = spec->once != 0;
	c->backend = spec->backend != 0;
	c->token = spec->token;
	c->done = done;
	c->arg = arg;
	c->due_ms = loop_now_ms() + BAO_CALL_MS;
	if (span_copy(span_str(spec->path), c->path, sizeof(c->path)) == -1 ||
	    span_copy(span_str(spec->ns != NULL ? spec->ns : conf.ns), c->ns,
		sizeof(c->ns)) == -1 ||
	    buf_put(&c->body, spec->body.p, spec->body.len) == -1 ||
	    evtimer_assign(&c->timer, loop_base(), on_timer, c) == -1) {
		buf_wipe_free(&c->body);
		free(c);
		r = (struct bao_result){.code = VAULT_REFUSED, .why = "too long"};
		done(&r, arg);
		return;
	}
	TAILQ_INSERT_TAIL(&calls, c, entry);
	ncalls++;
	call_try(c);
}

void
bao_session_setup(const struct bao_session_conf *c)
{
	conf = *c;
	bao_login_setup(&conf);
}

void
bao_session_changed(const struct bao_session_conf *c)
{
	bool other =
	    strcmp(conf.mount, c->mount) != 0 || strcmp(conf.role_id, c->role_id) != 0;

	conf = *c;
	bao_login_again(other);
}

void
bao_session_start(void)
{
	(void)evtimer_assign(&circuit.timer, loop_base(), on_probe, NULL);
	bao_stats_start();
	bao_login_start();
}

void
bao_session_stop(void (*done)(void))
{
	bao_login_stop(done);
}

void
bao_session_close(void)
{
	bao_http_close();
	fail_all(VAULT_AWAY, "vault ends");
	bao_login_close();
}
