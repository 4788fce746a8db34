/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCP over standard input and output: a message a line. Calls wait for upstreams, so each
 * has a thread; everything else is answered in turn.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bridge/rpc.h"
#include "bridge/serve.h"

#define CALLS_MAX 16
#define PIECE 65536

struct job {
	const char *token;
	struct buf message;
};

static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t room;

/* A line, whole, between those of other threads. */
static void
put_line(struct buf *out)
{
	size_t done = 0;
	ssize_t n;

	if (out->len == 0 || buf_put(out, "\n", 1) == -1)
		return;
	pthread_mutex_lock(&out_lock);
	while (done < out->len) {
		n = write(STDOUT_FILENO, out->p + done, out->len - done);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(0); /* nobody listens any more */
		done += (size_t)n;
	}
	pthread_mutex_unlock(&out_lock);
}

static void
answer(const char *token, const struct buf *message)
{
	struct buf out;
	bool began;

	buf_init(&out);
	if (rpc_answer(token, span_mem(message->p, message->len), &out, &began) == 0)
		put_line(&out);
	buf_free(&out);
}

static void *
work(void *arg)
{
	struct job *job = arg;

	answer(job->token, &job->message);
	buf_free(&job->message);
	free(job);
	sem_post(&room);
	return NULL;
}

/* Starts a thread, or does it here when none can be had. */
static void
dispatch(const char *token, const char *line, size_t len)
{
	struct job *job = calloc(1, sizeof(*job));
	pthread_t thread;

	if (job == NULL || buf_put(&job->message, line, len) == -1) {
		free(job);
		return;
	}
	job->token = token;
	while (sem_wait(&room) == -1)
		;
	if (rpc_takes_time(span_mem(line, len)) &&
	    pthread_create(&thread, NULL, work, job) == 0) {
		pthread_detach(thread);
		return;
	}
	(void)work(job);
}

/* All whole lines of in; what is left of the last one stays. */
static void
take_lines(const char *token, struct buf *in)
{
	char *p = (char *)in->p, *end = p + in->len, *nl;

	while (p < end && (nl = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		size_t len = (size_t)(nl - p);

		if (len > 0 && p[len - 1] == '\r')
			len--;
		if (len > 0)
			dispatch(token, p, len);
		p = nl + 1;
	}
	in->len = (size_t)(end - p);
	if (in->len > 0)
		memmove(in->p, p, in->len);
}

int
serve_stdio(const char *token)
{
	struct buf in;
	ssize_t n;

	buf_init(&in);
	if (sem_init(&room, 0, CALLS_MAX) == -1)
		return 1;
	for (;;) {
		if (in.len > RPC_MESSAGE_MAX || buf_reserve(&in, PIECE) == -1) {
			fprintf(stderr, "aegis: a message is longer than %u octets\n",
			    RPC_MESSAGE_MAX);
			return 1;
		}
		n = read(STDIN_FILENO, in.p + in.len, PIECE);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		in.len += (size_t)n;
		take_lines(token, &in);
	}
	for (int i = 0; i < CALLS_MAX; i++) /* calls under way end first */
		while (sem_wait(&room) == -1)
			;
	buf_free(&in);
	return n == 0 ? 0 : 1;
}
