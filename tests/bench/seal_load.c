/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends SEAL calls over N keep-alive connections as fast as they are answered: bodies
 * prepared in a file, one a line; or, signed as they are sent, those of many sessions
 * that it attests first. Prints a JSON object with rate, p50, p99 and what failed.
 *
 *	seal_load HOST PORT CONNECTIONS FILE
 *	seal_load HOST PORT CONNECTIONS SESSIONS CONTEXT
 *	seal_load verify
 *
 * The second form reads lines: the agent's token, then numbers of calls to make. The
 *third says how many signatures libsodium verifies in a second of CPU.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/seal_sessions.h"

#define MAX 1000

struct conn {
	int fd;
	double sent;
	size_t number; /* of the request under way */
	size_t have;
	char in[65536];
};

static char **bodies;    /* of a file */
static size_t nsessions; /* or generated */
static int attesting;
static size_t nbodies, next_body, done, bad;
static double *took;
static char example[400];
static struct conn conns[MAX];

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
load(const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t cap = 0, room = 0;
	ssize_t n;

	if (f == NULL)
		die(path);
	while ((n = getline(&line, &cap, f)) > 0) {
		if (nbodies == room) {
			room = room == 0 ? 1024 : room * 2;
			bodies = realloc(bodies, room * sizeof(*bodies));
			if (bodies == NULL)
				die("memory");
		}
		if (line[n - 1] == '\n')
			line[--n] = '\0';
		if (asprintf(&bodies[nbodies++],
			"POST /v1/seal/invoke HTTP/1.1\r\nHost: "
			"localhost\r\nContent-Type: "
			"application/json\r\nContent-Length: %zd\r\n\r\n%s",
			n, line) == -1)
			die("memory");
	}
	free(line);
	fclose(f);
}

/* The request with this number; *own: to be freed. */
static char *
body(size_t number, int *own)
{
	char *p;

	*own = bodies == NULL;
	if (!*own)
		return bodies[number];
	p = attesting ? sessions_attest(number)
		      : sessions_call(number % nsessions, number);
	if (p == NULL)
		die("memory");
	return p;
}

static int
send_next(struct conn *c)
{
	char *p;
	size_t len;
	int own;

	if (next_body == nbodies)
		return 0;
	c->number = next_body++;
	p = body(c->number, &own);
	len = strlen(p);
	c->sent = now();
	if (write(c->fd, p, len) != (ssize_t)len)
		die("write");
	if (own)
		free(p);
	return 1;
}

/* 1 when a whole answer is there. */
static int
receive(struct conn *c)
{
	ssize_t n = read(c->fd, c->in + c->have, sizeof(c->in) - 1 - c->have);
	const char *end, *length;

	if (n <= 0)
		die("read");
	c->have += (size_t)n;
	c->in[c->have] = '\0';
	end = strstr(c->in, "\r\n\r\n");
	length = strcasestr(c->in, "content-length:");
	if (end == NULL || length == NULL)
		return 0;
	return c->have >= (size_t)(end + 4 - c->in) + (size_t)atol(length + 15);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
answered(struct conn *c)
{
	int ok = strncmp(c->in, "HTTP/1.1 200", 12) == 0;

	took[done++] = now() - c->sent;
	if (ok && attesting)
		ok = sessions_attested(c->number, c->in) == 0;
	if (!ok && bad++ == 0)
		snprintf(example, sizeof(example), "%.399s", c->in);
	c->have = 0;
}

/* Sends `count` requests over n connections and waits for the last answer. */
static double
run(int ep, int n, size_t count)
{
	struct epoll_event evs[64];
	double began = now();
	int i, busy = 0;

	nbodies = count;
	next_body = done = 0;
	free(took);
	took = calloc(count, sizeof(*took));
	if (took == NULL)
		die("memory");
	for (i = 0; i < n; i++)
		busy += send_next(&conns[i]);
	while (busy > 0) {
		int got = epoll_wait(ep, evs, 64, 20000);

		if (got <= 0)
			die("no answer for 20 seconds");
		for (i = 0; i < got; i++) {
			struct conn *c = evs[i].data.ptr;

			if (receive(c)) {
				answered(c);
				busy -= !send_next(c);
			}
		}
	}
	return now() - began;
}

static int
connect_all(struct sockaddr_in *sin, int n)
{
	struct epoll_event ev;
	int i, ep = epoll_create1(0), on = 1;

	for (i = 0; i < n; i++) {
		conns[i].fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(conns[i].fd, (const struct sockaddr *)sin, sizeof(*sin)) ==
		    -1)
			die("connect");
		setsockopt(conns[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		ev = (struct epoll_event){.events = EPOLLIN, .data.ptr = &conns[i]};
		if (epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &ev) == -1)
			die("epoll_ctl");
	}
	return ep;
}

static void
report(double took_us)
{
	size_t i;

	qsort(took, done, sizeof(*took), compare);
	for (i = 0; example[i] != '\0'; i++)
		if (example[i] == '"' || example[i] == '\\' ||
		    (unsigned char)example[i] < 32)
			example[i] = ' ';
	printf("{\"rate\":%.0f,\"p50\":%.1f,\"p99\":%.1f,\"calls\":%zu,\"bad\":%zu,"
	       "\"example\":\"%s\"}\n",
	    (double)done / (took_us / 1e6), took[done / 2], took[done * 99 / 100], done,
	    bad, example);
	fflush(stdout);
}

/* Attests, says so, and goes on once for every line of standard input: a number of calls.
 */
static int
soak(int ep, int n, const char *context)
{
	static char line[300];
	char *agent;

	if (fgets(line, sizeof(line), stdin) == NULL)
		return 2;
	line[strcspn(line, "\n")] = '\0';
	agent = strdup(line);
	if (agent == NULL || sessions_new(nsessions, agent, context) == -1)
		die("memory");
	attesting = 1;
	report(run(ep, n, nsessions));
	attesting = 0;
	while (bad == 0 && fgets(line, sizeof(line), stdin) != NULL)
		report(run(ep, n, strtoul(line, NULL, 10)));
	free(agent);
	return 0;
}

static int
verify_speed(void)
{
	enum { TIMES = 5000 };
	static uint8_t text[1024];
	uint8_t pk[32], sk[64], signature[64];
	struct timespec from, to;
	int i, good = 0;

	crypto_sign_keypair(pk, sk);
	crypto_sign_detached(signature, NULL, text, sizeof(text), sk);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (i = 0; i < TIMES; i++)
		good +=
		    crypto_sign_verify_detached(signature, text, sizeof(text), pk) == 0;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	printf("%.0f\n",
	    good /
		((double)(to.tv_sec - from.tv_sec) +
		    (double)(to.tv_nsec - from.tv_nsec) / 1e9));
	return good != TIMES;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	int n, ep;

	if (argc == 2 && strcmp(argv[1], "verify") == 0)
		return sodium_init() == -1 ? 1 : verify_speed();
	if ((argc != 5 && argc != 6) || (n = atoi(argv[3])) < 1 || n > MAX)
		return 2;
	sin.sin_port = htons((in_port_t)atoi(argv[2]));
	if (inet_pton(AF_INET, argv[1], &sin.sin_addr) != 1)
		return 2;
	if (argc == 6) {
		nsessions = strtoul(argv[4], NULL, 10);
		return nsessions == 0 ? 2 : soak(connect_all(&sin, n), n, argv[5]);
	}
	load(argv[4]);
	ep = connect_all(&sin, n);
	report(run(ep, n, nbodies));
	return 0;
}
