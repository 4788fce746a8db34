/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses, for workers, which have no resolver. getaddrinfo(3) blocks, so a
 * few threads call it; they share nothing with the loop but two queues. What it says is
 * not judged here: the worker refuses forbidden addresses itself.
 */
#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <nss.h>
#include <pthread.h>
#include <resolv.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/stats.h"
#include "egressd/dispatcher/dispatcher.h"

#define THREADS 8
#define RUNNING_MAX 2 /* of them for one worker, so that none starves the others */
#define JOBS_MAX 256  /* names looked up or to be */
#define WAITERS_MAX 4096
#define TIMEOUT_MS 5000
#define POSITIVE_MS 5000
#define NEGATIVE_MS 1000
#define MEMORY 256 /* names */
#define ADDRESS_OCTETS 18
#define ADDRESSES_MAX 16

/* A worker as far as this file is concerned. */
struct asker {
	unsigned refs;    /* its door and its jobs; the loop's alone */
	unsigned running; /* threads at work for it; under the lock */
};

/* One question. The loop's alone. */
struct waiter {
	STAILQ_ENTRY(waiter) entry;
	struct chan *chan;
	uint64_t reqid;
	resolve_fn fn; /* NULL: a message to chan */
	void *arg;
	uint64_t due_ms;
};

/* One name, however many want to know. */
struct job {
	TAILQ_ENTRY(job) queued;       /* todo or ready; under the lock */
	bool taken;                    /* by a thread; under the lock */
	TAILQ_ENTRY(job) entry;        /* all; the loop's alone */
	STAILQ_HEAD(, waiter) waiters; /* the loop's alone */
	struct asker *asker;           /* who asked first */
	char host[257];
	int code; /* of getaddrinfo */
	size_t len;
	uint8_t octets[ADDRESSES_MAX * ADDRESS_OCTETS];
};

TAILQ_HEAD(job_queue, job);

/* Between the loop and the threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static pthread_cond_t begun = PTHREAD_COND_INITIALIZER;
static int nthreads;
static struct job_queue todo = TAILQ_HEAD_INITIALIZER(todo);
static struct job_queue ready = TAILQ_HEAD_INITIALIZER(ready);
static int wake_fd = -1;

/* The loop's. */
static struct job_queue all = TAILQ_HEAD_INITIALIZER(all);
static unsigned njobs, nwaiters;
static uint64_t resolved_n[2]; /* found, not found */
static struct event *wake;
static struct {
	char host[257]; /* "": free */
	uint64_t until_ms;
	int code;
	size_t len;
	uint8_t octets[ADDRESSES_MAX * ADDRESS_OCTETS];
} memory[MEMORY];

/* -- threads -- */

static void
add_address(struct job *j, const struct sockaddr *sa)
{
	uint8_t *p = j->octets + j->len;

	if (j->len + ADDRESS_OCTETS > sizeof(j->octets))
		return;
	memset(p, 0, ADDRESS_OCTETS);
	if (sa->sa_family == AF_INET) {
		p[0] = 4;
		memcpy(
		    p + 2, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		p[0] = 6;
		memcpy(p + 2, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr,
		    16);
	} else {
		return;
	}
	j->len += ADDRESS_OCTETS;
}

/*
 * A name with a dot is asked for as it is: `search` of resolv.conf(5) would lead
 * api.example, if it is gone, to api.example.DOMAIN, which is somebody else's. (A dot at
 * its end would do the same for DNS, but not for hosts(5).) The thread's resolver is set
 * up anew each time, since libc follows no change of the file once an option was set.
 */
static int
set_up_resolver(const char *host)
{
	if (_res.options & RES_INIT)
		res_nclose(&_res);
	if (res_ninit(&_res) == -1)
		return -1;
	if (strchr(host, '.') != NULL)
		_res.options &= ~(unsigned long)RES_DNSRCH;
	return 0;
}

static void
look_up(struct job *j)
{
	const struct addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL, *a;

	j->code = set_up_resolver(j->host) == -1
	    ? EAI_AGAIN
	    : getaddrinfo(j->host, NULL, &hints, &list);
	if (j->code != 0)
		return;
	for (a = list; a != NULL; a = a->ai_next)
		add_address(j, a->ai_addr);
	freeaddrinfo(list);
	if (j->len == 0)
		j->code = EAI_NONAME;
}

/* The next job whose worker does not keep too many threads busy already; lock held. */
static struct job *
job_take(void)
{
	struct job *j;

	TAILQ_FOREACH (j, &todo, queued)
		if (j->asker->running < RUNNING_MAX)
			break;
	if (j != NULL) {
		TAILQ_REMOVE(&todo, j, queued);
		j->taken = true;
		j->asker->running++;
	}
	return j;
}

static void *
work(void *arg)
{
	static const uint64_t one = 1;
	struct job *j;

	(void)arg;
	pthread_mutex_lock(&lock);
	nthreads++;
	pthread_cond_signal(&begun);
	for (;;) {
		while ((j = job_take()) == NULL)
			pthread_cond_wait(&more, &lock);
		pthread_mutex_unlock(&lock);
		look_up(j);
		pthread_mutex_lock(&lock);
		j->asker->running--;
		TAILQ_INSERT_TAIL(&ready, j, queued);
		if (write(wake_fd, &one, sizeof(one)) == -1 && errno != EAGAIN)
			LOG_ERROR("resolve.wake", LE("error", errno));
	}
	return NULL;
}

int
resolve_init(void)
{
	/* only what is inside libc: other modules would have to be loaded later */
	if (__nss_configure_lookup("hosts", "files dns") != 0)
		return -1;
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return wake_fd == -1 ? -1 : 0;
}

void
resolve_start_threads(void)
{
	pthread_t t;

	for (int i = 0; i < THREADS; i++) {
		if (pthread_create(&t, NULL, work, NULL) != 0)
			fatalx("no threads for the resolver");
		pthread_detach(t);
	}
	/* a thread's beginning takes calls that the box does not have: wait for its end
	 */
	pthread_mutex_lock(&lock);
	while (nthreads < THREADS)
		pthread_cond_wait(&begun, &lock);
	pthread_mutex_unlock(&lock);
}

/* -- answers -- */

static void
answer(struct chan *c, uint64_t reqid, int code, const uint8_t *octets, size_t len)
{
	MSG_INIT(resolved, m);

	if (code != 0) {
		m.code = (uint32_t)(code < 0 ? -code : code);
		m.message = span_str(gai_strerror(code));
	} else {
		m.addresses = span_mem(octets, len);
	}
	chan_answer(c, reqid, MSG_resolved, &m);
}

static void
tell(const struct waiter *w, int code, const uint8_t *octets, size_t len)
{
	if (w->fn != NULL)
		w->fn(w->arg, code, octets, len);
	else
		answer(w->chan, w->reqid, code, octets, len);
}

static size_t
memory_place(const char *host)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *host != '\0'; host++)
		h = (h ^ (uint8_t)*host) * 16777619u;
	return h % MEMORY;
}

void
resolve_numbers(struct buf *b)
{
	(void)metrics_put(b, METRIC_resolves, "ok", resolved_n[0]);
	(void)metrics_put(b, METRIC_resolves, "failed", resolved_n[1]);
	(void)metrics_put(b, METRIC_resolving, NULL, njobs);
}

static void
remember(const struct job *j)
{
	size_t i = memory_place(j->host);

	resolved_n[j->code != 0]++;
	memcpy(memory[i].host, j->host, sizeof(j->host));
	memory[i].until_ms = loop_now_ms() + (j->code == 0 ? POSITIVE_MS : NEGATIVE_MS);
	memory[i].code = j->code;
	memory[i].len = j->len;
	memcpy(memory[i].octets, j->octets, j->len);
}

static void
asker_unref(struct asker *a)
{
	if (--a->refs == 0)
		free(a);
}

static void
waiter_drop(struct job *j, struct waiter *w)
{
	STAILQ_REMOVE(&j->waiters, w, waiter, entry);
	nwaiters--;
	free(w);
}

static void
job_free(struct job *j)
{
	struct waiter *w;

	while ((w = STAILQ_FIRST(&j->waiters)) != NULL)
		waiter_drop(j, w);
	TAILQ_REMOVE(&all, j, entry);
	njobs--;
	asker_unref(j->asker);
	free(j);
}

static void
on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct job_queue done = TAILQ_HEAD_INITIALIZER(done);
	struct waiter *w;
	struct job *j;
	uint64_t n;

	(void)what;
	(void)arg;
	if (read((int)fd, &n, sizeof(n)) == -1 && errno != EAGAIN)
		LOG_ERROR("resolve.wake", LE("error", errno));
	pthread_mutex_lock(&lock);
	TAILQ_CONCAT(&done, &ready, queued);
	pthread_mutex_unlock(&lock);
	while ((j = TAILQ_FIRST(&done)) != NULL) {
		TAILQ_REMOVE(&done, j, queued);
		remember(j);
		STAILQ_FOREACH (w, &j->waiters, entry)
			tell(w, j->code, j->octets, j->len);
		job_free(j);
	}
}

int
resolve_listen(void)
{
	wake = event_new(loop_base(), wake_fd, EV_READ | EV_PERSIST, on_ready, NULL);
	return wake == NULL ? -1 : event_add(wake, NULL);
}

/* -- questions -- */

void *
resolve_peer(struct chan *c, uint32_t instance, const char *tenant, const char *name)
{
	struct asker *a = calloc(1, sizeof(*a));

	(void)instance;
	(void)tenant;
	(void)name;
	if (a == NULL)
		chan_drop(c, "out of memory");
	else
		a->refs = 1;
	return a;
}

/* The job for this name, a new one if there is none; NULL when there are too many. */
static struct job *
job_get(struct asker *asker, const char *host)
{
	struct job *j;

	TAILQ_FOREACH (j, &all, entry)
		if (strcmp(j->host, host) == 0)
			return j;
	j = njobs < JOBS_MAX ? calloc(1, sizeof(*j)) : NULL;
	if (j == NULL)
		return NULL;
	memcpy(j->host, host, strlen(host) + 1);
	STAILQ_INIT(&j->waiters);
	j->asker = asker;
	asker->refs++;
	TAILQ_INSERT_TAIL(&all, j, entry);
	njobs++;
	pthread_mutex_lock(&lock);
	TAILQ_INSERT_TAIL(&todo, j, queued);
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
	return j;
}

static int
wait_for(struct asker *asker, const struct waiter *wanted, const char *host)
{
	struct waiter *w = nwaiters < WAITERS_MAX ? calloc(1, sizeof(*w)) : NULL;
	struct job *j = w != NULL ? job_get(asker, host) : NULL;

	if (j == NULL) {
		free(w);
		return -1;
	}
	*w = *wanted;
	w->due_ms = loop_now_ms() + TIMEOUT_MS;
	STAILQ_INSERT_TAIL(&j->waiters, w, entry);
	nwaiters++;
	return 0;
}

/* From memory, or later. */
static void
look_for(struct asker *asker, const struct waiter *w, const char *host)
{
	size_t i = memory_place(host);

	if (loop_now_ms() < memory[i].until_ms && strcmp(memory[i].host, host) == 0)
		tell(w, memory[i].code, memory[i].octets, memory[i].len);
	else if (wait_for(asker, w, host) == -1)
		tell(w, EAI_AGAIN, NULL, 0);
}

void
resolve_for(
    struct asker *asker, struct chan *c, const char *host, resolve_fn fn, void *arg)
{
	const struct waiter w = {.chan = c, .fn = fn, .arg = arg};

	look_for(asker, &w, host);
}

int
resolve_ask(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_resolve *m = msg;
	const struct waiter w = {.chan = c, .reqid = reqid};
	char host[257];

	if (span_copy(m->host, host, sizeof(host)) == -1 || host[0] == '\0') {
		answer(c, reqid, EAI_NONAME, NULL, 0);
		return 0;
	}
	look_for(chan_owner(c), &w, host);
	return 0;
}

/* Nobody wants to know any more: it need not be looked up, unless it is right now. */
static void
job_abandon(struct job *j)
{
	bool taken;

	pthread_mutex_lock(&lock);
	taken = j->taken;
	if (!taken)
		TAILQ_REMOVE(&todo, j, queued);
	pthread_mutex_unlock(&lock);
	if (!taken)
		job_free(j);
}

/* Tells and drops the waiters whose time is over, or those of a door that is shut. */
static void
prune(const struct chan *gone, uint64_t now)
{
	struct job *j, *next_job;
	struct waiter *w, *next;

	for (j = TAILQ_FIRST(&all); j != NULL; j = next_job) {
		next_job = TAILQ_NEXT(j, entry);
		for (w = STAILQ_FIRST(&j->waiters); w != NULL; w = next) {
			next = STAILQ_NEXT(w, entry);
			if (w->chan != gone && w->due_ms > now)
				continue;
			if (w->chan != gone)
				tell(w, EAI_AGAIN, NULL, 0);
			waiter_drop(j, w);
		}
		if (STAILQ_EMPTY(&j->waiters))
			job_abandon(j);
	}
}

void
resolve_gone(struct chan *c, void *owner)
{
	struct asker *a = owner;

	prune(c, 0);
	if (a != NULL)
		asker_unref(a);
}

void
resolve_sweep(uint64_t now)
{
	if (njobs > 0)
		prune(NULL, now);
}
