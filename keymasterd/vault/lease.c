/* SPDX-License-Identifier: Apache-2.0 */
/* The life of leases; see lease.h. Runs in vault. */
#include "keymasterd/vault/lease.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/reference.h"
#include "common/secret.h"
#include "keymasterd/vault/bao_login.h"
#include "keymasterd/vault/lease_bao.h"
#include "keymasterd/vault/lease_journal.h"
#include "keymasterd/vault/lease_report.h"
#include "keymasterd/vault/lease_table.h"

#define AT_ONCE 4 /* that are being obtained; the database's work does not scale */
#define LOST_WAIT_MS \
	3000             /* before the end of one whose answer was lost: let it be made */
#define AGAIN_MIN_MS 200 /* after a renewal that failed */
#define AGAIN_MAX_MS 5000
#define REMIND_MS 2000 /* toolhost of a replacement */
#define RESTORED_MS 200
#define TOKEN_OPEN_MS 60000 /* then new leases hang on a new one */
#define ALIVE_MAX 4096

static uint8_t run[LEASE_RUN_LEN];
static uint32_t alive[ALIVE_MAX];
static size_t nalive;
static bool started;

static void obtain_next(void);
static void on_timer(evutil_socket_t, short, void *);

/* -- those who wait for it -- */

struct joined {
	const struct secret *username, *password;
	uint8_t *out;
	size_t max, len;
};

static int
add_octets(const void *p, size_t len, void *arg)
{
	struct joined *j = arg;

	if (len > j->max - j->len)
		return -1;
	memcpy(j->out + j->len, p, len);
	j->len += len;
	return 0;
}

static long
fill_joined(void *p, size_t max, void *arg)
{
	struct joined *j = arg;

	j->out = p;
	j->max = max;
	if ((j->username != NULL && secret_use(j->username, add_octets, j) != 0) ||
	    (j->username != NULL && j->password != NULL && add_octets(":", 1, j) != 0) ||
	    (j->password != NULL && secret_use(j->password, add_octets, j) != 0))
		return -1;
	return (long)j->len;
}

static void
answer(const struct lease *l, const struct lease_waiter *w, const struct vault_answer *no)
{
	struct joined j = {0};
	char name[LEASE_NAME_SIZE];
	struct vault_answer a = {.code = VAULT_OK,
	    .open = w->username && !w->password,
	    .lease = name,
	    .lease_s = l->ttl_s};

	if (no != NULL) {
		w->done(no, w->arg);
		return;
	}
	lease_name(l, name);
	j.username = w->username ? l->username : NULL;
	j.password = w->password ? l->password : NULL;
	a.secret = secret_new_fill(
	    secret_len(j.username) + 1 + secret_len(j.password), fill_joined, &j);
	if (a.secret == NULL)
		a = (struct vault_answer){.code = VAULT_IO};
	w->done(&a, w->arg);
	secret_free(a.secret);
}

static void
answer_all(struct lease *l, const struct vault_answer *no)
{
	struct lease_waiter *w;

	while ((w = TAILQ_FIRST(&l->waiters)) != NULL) {
		TAILQ_REMOVE(&l->waiters, w, entry);
		answer(l, w, no);
		free(w);
	}
}

/* -- renewal -- */

static void
plan(struct lease *l, uint64_t ms)
{
	const struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};

	event_del(&l->timer);
	if (evtimer_add(&l->timer, &tv) == -1)
		LOG_ERROR("lease.timer", LS("error", "no memory"));
}

/* At half of its time, a little earlier, so that not all are renewed together. */
static void
plan_renewal(struct lease *l, uint32_t ttl_s)
{
	uint32_t half = ttl_s > UINT32_MAX / 1000 ? UINT32_MAX / 2 : ttl_s * 500;

	l->ends_ms = loop_now_ms() + (uint64_t)ttl_s * 1000;
	plan(l, half - half / 8 + bao_jitter(half / 16));
}

/* Whoever holds it needs another one: toolhost starts a new process beside that one. */
static void
replace(struct lease *l, const char *why)
{
	MSG_INIT(tool_old, m);

	if (!l->old) {
		LOG_INFO("lease.old", LU("lease", l->number), LS("server", l->server),
		    LS("execution", l->execution), LS("why", why));
		lease_totals.replaced++;
		lease_report_changed();
	}
	l->old = true;
	m.instance = l->instance;
	if (proc_master() != NULL)
		(void)chan_note(proc_master(), MSG_tool_old, &m);
	plan(l, REMIND_MS);
}

static void
over(struct lease *l)
{
	event_del(&l->timer);
	if (!l->busy)
		lease_queue_put(l, 0);
}

static void
on_renewed(void *who, const struct lease_reply *r)
{
	uint64_t now = loop_now_ms(), again;
	struct lease *l = who;

	l->busy = false;
	if (l->over) {
		lease_queue_put(l, 0);
		return;
	}
	snprintf(l->trouble, sizeof(l->trouble), "%s", r->why != NULL ? r->why : "");
	lease_report(l, ACCESS_RENEW, r->code, r->why);
	if (r->result == LEASE_DONE) {
		l->renewals++;
		l->tries = 0;
		lease_totals.renewed++;
		lease_report_changed();
		plan_renewal(l, r->ttl_s);
		/* less than it was new with: max TTL is near */
		if (r->ttl_s + 1 + l->ttl_s / 16 < l->ttl_s || !r->renewable)
			replace(l, "it cannot be renewed for as long as it was");
		else if (l->token->ends_s <
		    loop_unix_ms() / 1000 + 2 * (uint64_t)l->ttl_s)
			replace(l, "the token that it hangs on ends");
		return;
	}
	lease_totals.failed++;
	lease_report_changed();
	LOG_WARN("lease.renew", LU("lease", l->number), LS("server", l->server),
	    LS("why", r->why), LU("tries", l->tries));
	if (r->result == LEASE_GONE || r->result == LEASE_REFUSED || now >= l->ends_ms) {
		l->lost = r->result == LEASE_GONE;
		replace(l,
		    r->result == LEASE_GONE          ? "it has ended"
			: r->result == LEASE_REFUSED ? "OpenBao does not renew it"
						     : "it could not be renewed in time");
		return;
	}
	again = bao_jitter(AGAIN_MIN_MS << (l->tries < 5 ? l->tries : 5));
	l->tries++;
	plan(l, again < AGAIN_MAX_MS ? again : AGAIN_MAX_MS);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct lease *l = arg;

	(void)fd;
	(void)what;
	if (l->old) { /* until its process has gone */
		replace(l, "");
		return;
	}
	l->busy = true;
	lease_bao_renew(l, on_renewed);
}

/* -- obtaining -- */

/* It may have been made without our knowing its id: it goes with its token, so whatever
 * else hangs on that has to leave it. */
static void
abandon(struct lease *lost)
{
	struct lease *l;

	lost->token->closed = true;
	lease_queue_put(lost, LOST_WAIT_MS);
	TAILQ_FOREACH (l, &leases, entry)
		if (l->token == lost->token && l->state == LEASE_HELD && !l->over &&
		    !l->old)
			replace(l, "its token is to be revoked");
}

static void
fail(struct lease *l, const struct lease_reply *r)
{
	const struct vault_answer no = {.code = r->code, .why = r->why};

	LOG_WARN("lease.obtain", LU("lease", l->number), LS("server", l->server),
	    LS("path", l->path), LS("why", r->why));
	lease_totals.failed++;
	snprintf(l->trouble, sizeof(l->trouble), "%s", r->why != NULL ? r->why : "");
	answer_all(l, &no);
	if (r->result == LEASE_UNKNOWN && l->token != NULL) {
		abandon(l);
	} else {
		if (l->token != NULL)
			lease_journal_drop(l);
		lease_free(l);
	}
	lease_report_changed();
}

static void
on_read(void *who, const struct lease_reply *r)
{
	struct lease *l = who;

	l->busy = false;
	l->token->reading--;
	if (r->result != LEASE_DONE) {
		if (r->code == VAULT_DENIED) /* of the policy, or the token is no more */
			l->token->closed = true;
		fail(l, r);
		obtain_next();
		return;
	}
	l->ttl_s = r->ttl_s;
	l->state = LEASE_HELD;
	lease_totals.obtained++;
	(void)lease_journal_put(l, 0); /* if that is lost: its token is known */
	LOG_INFO("lease.obtain", LU("lease", l->number), LS("server", l->server),
	    LS("execution", l->execution), LS("path", l->path), LU("ttl_s", l->ttl_s));
	answer_all(l, NULL);
	lease_report_changed();
	if (l->over) {
		lease_queue_put(l, 0);
	} else {
		plan_renewal(l, l->ttl_s);
		if (!r->renewable || l->token->closed)
			l->old = true; /* the timer says it then */
	}
	obtain_next();
}

static void
read_on(struct lease *l, struct lease_token *t)
{
	static const struct lease_reply unsaved = {.result = LEASE_FAILED,
	    .code = VAULT_IO,
	    .why = "the lease could not be written down: is the disk full?"};

	lease_token_use(l, t);
	l->state = LEASE_ASKED;
	/* from here on there may be a lease: the disk knows first */
	if (lease_journal_put(l, 1) == -1) {
		fail(l, &unsaved);
		return;
	}
	l->busy = true;
	t->reading++;
	lease_bao_read(l, on_read);
}

static void
on_token(void *who, const struct lease_reply *r)
{
	struct lease_token *t = who;
	struct lease *l, *next;

	t->asking = false;
	if (r->result == LEASE_DONE) {
		t->ends_s = loop_unix_ms() / 1000 + r->ttl_s;
		t->closes_ms = loop_now_ms() + TOKEN_OPEN_MS;
		lease_journal_token(t, 0);
	} else {
		for (l = TAILQ_FIRST(&leases); l != NULL; l = next) {
			next = TAILQ_NEXT(l, entry);
			if (l->state == LEASE_WAITS && strcmp(l->ns, t->ns) == 0)
				fail(l, r);
		}
		lease_token_free(t); /* what hangs on it? nothing */
	}
	obtain_next();
}

/* A token that new leases of this namespace may hang on, or that is being made. */
static struct lease_token *
token_for(const char *ns)
{
	struct lease_token *t;

	TAILQ_FOREACH (t, &lease_tokens, entry)
		if (strcmp(t->ns, ns) == 0 && (t->asking || lease_token_is_open(t)))
			return t;
	return NULL;
}

/* One step further. False: nothing can be done now. */
static bool
obtain_one(void)
{
	struct lease_token *t = NULL;
	struct lease *l;
	unsigned n = 0;

	TAILQ_FOREACH (l, &leases, entry)
		n += l->state == LEASE_ASKED;
	if (n >= AT_ONCE)
		return false;
	TAILQ_FOREACH (l, &leases, entry) {
		if (l->state != LEASE_WAITS)
			continue;
		t = token_for(l->ns);
		if (t == NULL || !t->asking)
			break;
	}
	if (l == NULL)
		return false;
	if (t != NULL) {
		read_on(l, t);
		return true;
	}
	t = lease_token_get(l->ns, "");
	if (t == NULL)
		return false;
	t->asking = true;
	lease_bao_token(t, on_token);
	return true;
}

static void
obtain_next(void)
{
	static bool inside;

	if (inside) /* the loop below goes on */
		return;
	inside = true;
	while (obtain_one())
		;
	inside = false;
	lease_queue_run(); /* a token may be left with nothing on it */
}

static bool
is_ours(const struct lease *l, uint32_t instance)
{
	return l->instance == instance && memcmp(l->run, run, sizeof(run)) == 0;
}

static struct lease *
find(const struct vault_holder *h, const char *path)
{
	struct lease *l;

	TAILQ_FOREACH (l, &leases, entry)
		if (is_ours(l, h->instance) && l->state != LEASE_ENDING && !l->over &&
		    strcmp(l->path, path) == 0)
			return l;
	return NULL;
}

static struct lease *
make(const struct vault_holder *h, const char *path, const char *ns)
{
	struct lease *l = lease_new();

	if (l == NULL)
		return NULL;
	memcpy(l->run, run, sizeof(l->run));
	l->instance = h->instance;
	if (span_copy(h->tenant, l->tenant, sizeof(l->tenant)) == -1 ||
	    span_copy(h->server, l->server, sizeof(l->server)) == -1 ||
	    span_copy(h->execution, l->execution, sizeof(l->execution)) == -1 ||
	    span_copy(span_str(path), l->path, sizeof(l->path)) == -1 ||
	    span_copy(span_str(ns), l->ns, sizeof(l->ns)) == -1 ||
	    evtimer_assign(&l->timer, loop_base(), on_timer, l) == -1) {
		lease_free(l);
		return NULL;
	}
	return l;
}

void
lease_get(const struct vault_holder *h, struct span text, vault_done_fn done, void *arg)
{
	struct vault_answer no = {.code = VAULT_BAD_REFERENCE};
	struct lease_waiter *w;
	struct reference ref;
	struct lease *l = NULL;
	char path[330], ns[BAO_NAMESPACE_SIZE];

	no.why = reference_parse(text, &ref);
	if (no.why == NULL && (no.why = bao_place_of(h->tenant, ns)) != NULL)
		no.code = VAULT_DENIED;
	if (no.why == NULL && !started) {
		no.code = VAULT_IO;
		no.why = "leases cannot be written down; vault's log says why";
	}
	w = no.why == NULL ? calloc(1, sizeof(*w)) : NULL;
	if (w == NULL) {
		done(&no, arg);
		return;
	}
	w->username = strcmp(ref.field, REFERENCE_PASSWORD) != 0;
	w->password = strcmp(ref.field, REFERENCE_USERNAME) != 0;
	w->done = done;
	w->arg = arg;
	snprintf(path, sizeof(path), "%s/%s", ref.mount, ref.path);
	l = find(h, path);
	if (l == NULL)
		l = make(h, path, ns);
	no.code = VAULT_IO;
	if (l == NULL)
		no.why =
		    "too many leases wait to be revoked: is OpenBao's database away?";
	else if (l->state == LEASE_HELD && l->password == NULL)
		no.why = "this lease was handed over already";
	if (no.why != NULL) {
		done(&no, arg);
		free(w);
	} else if (l->state == LEASE_HELD) {
		answer(l, w, NULL);
		free(w);
	} else {
		TAILQ_INSERT_TAIL(&l->waiters, w, entry);
		obtain_next();
	}
}

void
lease_handed(uint32_t instance)
{
	struct lease *l;

	TAILQ_FOREACH (l, &leases, entry)
		if (is_ours(l, instance) && l->state == LEASE_HELD)
			lease_wipe(l);
}

void
lease_ended(uint32_t instance)
{
	static const struct vault_answer no = {.code = VAULT_REFUSED};
	struct lease *l, *next;

	for (l = TAILQ_FIRST(&leases); l != NULL; l = next) {
		next = TAILQ_NEXT(l, entry);
		if (!is_ours(l, instance) || l->over || l->state == LEASE_ENDING)
			continue;
		l->over = true;
		if (l->state == LEASE_HELD)
			over(l);
		else if (!l->busy) { /* it has not had its turn */
			answer_all(l, &no);
			lease_free(l);
		}
	}
	lease_report_changed();
}

/* -- start and end -- */

int
lease_alive(uint32_t instance)
{
	if (nalive == ALIVE_MAX)
		return -1;
	alive[nalive++] = instance;
	return 0;
}

void
lease_run(const uint8_t id[16])
{
	memcpy(run, id, sizeof(run));
}

/* Does whoever holds it live? */
static bool
goes_on(const struct lease *l)
{
	size_t i;

	if (l->state != LEASE_HELD || memcmp(l->run, run, sizeof(run)) != 0)
		return false;
	for (i = 0; i < nalive; i++)
		if (alive[i] == l->instance)
			return true;
	return false;
}

int
lease_start(int dirfd)
{
	unsigned kept = 0, ending = 0;
	struct lease_token *t;
	struct lease *l, *other;

	lease_queue_start();
	if (lease_journal_open(dirfd) == -1) {
		LOG_ERROR("lease.journal", LE("error", errno),
		    LS("effect", "no dynamic credentials"));
		return -1;
	}
	started = true;
	TAILQ_FOREACH (t, &lease_tokens, entry)
		t->closed = true;
	TAILQ_FOREACH (l, &leases, entry) {
		(void)evtimer_assign(&l->timer, loop_base(), on_timer, l);
		if (goes_on(l)) {
			/* how long it still lasts the renewal says */
			l->ends_ms = loop_now_ms() + (uint64_t)l->ttl_s * 1000;
			plan(l, bao_jitter(RESTORED_MS));
			TAILQ_FOREACH (other, &leases, entry)
				l->old |=
				    other->token == l->token && other->id[0] == '\0';
			kept++;
		} else {
			lease_queue_put(l, l->id[0] == '\0' ? LOST_WAIT_MS : 0);
			ending++;
		}
	}
	lease_queue_run(); /* tokens that nothing hangs on */
	if (kept + ending > 0)
		LOG_INFO("lease.restored", LU("kept", kept), LU("to_revoke", ending));
	lease_report_changed();
	return 0;
}

void
lease_close(void)
{
	struct lease_token *t;
	struct lease *l;

	lease_queue_close();
	lease_report_close();
	while ((l = TAILQ_FIRST(&leases)) != NULL)
		lease_free(l);
	while ((t = TAILQ_FIRST(&lease_tokens)) != NULL)
		lease_token_free(t);
	lease_journal_close();
	started = false;
}
