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
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "egressd/dispatcher/dispatcher.h"

#define THREADS 4
#define QUEUE_MAX 256
#define TIMEOUT_MS 5000
#define POSITIVE_MS 5000
#define NEGATIVE_MS 1000
#define MEMORY 256 /* names */
#define ADDRESS_OCTETS 18
#define ADDRESSES_MAX 16

struct job {
	STAILQ_ENTRY(job) queued; /* todo or ready */
	TAILQ_ENTRY(job) entry;   /* all, the loop's alone */
	struct chan *chan;        /* NULL: nobody waits any more; the loop's alone */
	uint64_t reqid;
	uint64_t due_ms;
	char host[257];
	int code; /* of getaddrinfo */
	size_t len;
	uint8_t octets[ADDRESSES_MAX * ADDRESS_OCTETS];
};

STAILQ_HEAD(job_queue, job);

/* Between the loop and the threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static pthread_cond_t begun = PTHREAD_COND_INITIALIZER;
static unsigned nthreads;
static struct job_queue todo = STAILQ_HEAD_INITIALIZER(todo);
static struct job_queue ready = STAILQ_HEAD_INITIALIZER(ready);
static int wake_fd = -1;

/* The loop's. */
static TAILQ_HEAD(, job) all = TAILQ_HEAD_INITIALIZER(all);
static unsigned nall;
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

static void
look_up(struct job *j)
{
	const struct addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL, *a;

	j->code = getaddrinfo(j->host, NULL, &hints, &list);
	if (j->code != 0)
		return;
	for (a = list; a != NULL; a = a->ai_next)
		add_address(j, a->ai_addr);
	freeaddrinfo(list);
	if (j->len == 0)
		j->code = EAI_NONAME;
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
		while ((j = STAILQ_FIRST(&todo)) == NULL)
			pthread_cond_wait(&more, &lock);
		STAILQ_REMOVE_HEAD(&todo, queued);
		pthread_mutex_unlock(&lock);
		look_up(j);
		pthread_mutex_lock(&lock);
		STAILQ_INSERT_TAIL(&ready, j, queued);
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
	/* a thread's beginning takes calls that the box does not have: wait for its end */
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

static size_t
memory_place(const char *host)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *host != '\0'; host++)
		h = (h ^ (uint8_t)*host) * 16777619u;
	return h % MEMORY;
}

static void
remember(const struct job *j)
{
	size_t i = memory_place(j->host);

	memcpy(memory[i].host, j->host, sizeof(j->host));
	memory[i].until_ms = loop_now_ms() + (j->code == 0 ? POSITIVE_MS : NEGATIVE_MS);
	memory[i].code = j->code;
	memory[i].len = j->len;
	memcpy(memory[i].octets, j->octets, j->len);
}

static void
on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct job_queue done = STAILQ_HEAD_INITIALIZER(done);
	struct job *j;
	uint64_t n;

	(void)what;
	(void)arg;
	if (read((int)fd, &n, sizeof(n)) == -1 && errno != EAGAIN)
		LOG_ERROR("resolve.wake", LE("error", errno));
	pthread_mutex_lock(&lock);
	STAILQ_CONCAT(&done, &ready);
	pthread_mutex_unlock(&lock);
	while ((j = STAILQ_FIRST(&done)) != NULL) {
		STAILQ_REMOVE_HEAD(&done, queued);
		TAILQ_REMOVE(&all, j, entry);
		nall--;
		remember(j);
		if (j->chan != NULL)
			answer(j->chan, j->reqid, j->code, j->octets, j->len);
		free(j);
	}
}

int
resolve_listen(void)
{
	wake = event_new(loop_base(), wake_fd, EV_READ | EV_PERSIST, on_ready, NULL);
	return wake == NULL ? -1 : event_add(wake, NULL);
}

/* -- questions -- */

int
resolve_ask(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_resolve *m = msg;
	uint64_t now = loop_now_ms();
	struct job *j;
	size_t i;

	j = nall < QUEUE_MAX ? calloc(1, sizeof(*j)) : NULL;
	if (j == NULL || span_copy(m->host, j->host, sizeof(j->host)) == -1 ||
	    j->host[0] == '\0') {
		free(j);
		answer(c, reqid, EAI_AGAIN, NULL, 0);
		return 0;
	}
	i = memory_place(j->host);
	if (now < memory[i].until_ms && strcmp(memory[i].host, j->host) == 0) {
		free(j);
		answer(c, reqid, memory[i].code, memory[i].octets, memory[i].len);
		return 0;
	}
	j->chan = c;
	j->reqid = reqid;
	j->due_ms = now + TIMEOUT_MS;
	TAILQ_INSERT_TAIL(&all, j, entry);
	nall++;
	pthread_mutex_lock(&lock);
	STAILQ_INSERT_TAIL(&todo, j, queued);
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
	return 0;
}

void
resolve_forget(struct chan *c)
{
	struct job *j;

	TAILQ_FOREACH (j, &all, entry)
		if (j->chan == c)
			j->chan = NULL;
}

void
resolve_sweep(uint64_t now)
{
	struct job *j;

	TAILQ_FOREACH (j, &all, entry) {
		if (j->due_ms > now)
			break; /* they are in the order of their coming */
		if (j->chan != NULL)
			answer(j->chan, j->reqid, EAI_AGAIN, NULL, 0);
		j->chan = NULL;
	}
}
