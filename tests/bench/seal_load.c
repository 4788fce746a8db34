/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends prepared bodies, one a line, to /v1/seal/invoke over N keep-alive connections as
 * fast as they are answered; prints a JSON object with rate, p50, p99 and what failed.
 *
 *	seal_load HOST PORT CONNECTIONS FILE
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX 1000

struct conn {
	int fd;
	double sent;
	size_t have;
	char in[65536];
};

static char **bodies;
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
	took = calloc(nbodies, sizeof(*took));
	if (took == NULL)
		die("memory");
}

static int
send_next(struct conn *c)
{
	const char *p;
	size_t len;

	if (next_body == nbodies)
		return 0;
	p = bodies[next_body++];
	len = strlen(p);
	c->sent = now();
	if (write(c->fd, p, len) != (ssize_t)len)
		die("write");
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

int
main(int argc, char **argv)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	struct epoll_event ev, evs[64];
	int n, i, ep = epoll_create1(0), on = 1, busy = 0;
	double began;

	if (argc != 5 || (n = atoi(argv[3])) < 1 || n > MAX)
		return 2;
	load(argv[4]);
	sin.sin_port = htons((in_port_t)atoi(argv[2]));
	if (inet_pton(AF_INET, argv[1], &sin.sin_addr) != 1)
		return 2;
	for (i = 0; i < n; i++) {
		conns[i].fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(conns[i].fd, (const struct sockaddr *)&sin, sizeof(sin)) ==
		    -1)
			die("connect");
		setsockopt(conns[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		ev = (struct epoll_event){.events = EPOLLIN, .data.ptr = &conns[i]};
		if (epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &ev) == -1)
			die("epoll_ctl");
	}
	began = now();
	for (i = 0; i < n; i++)
		busy += send_next(&conns[i]);
	while (busy > 0) {
		int got = epoll_wait(ep, evs, 64, 20000);

		if (got <= 0)
			die("no answer for 20 seconds");
		for (i = 0; i < got; i++) {
			struct conn *c = evs[i].data.ptr;

			if (!receive(c))
				continue;
			took[done++] = now() - c->sent;
			if (strncmp(c->in, "HTTP/1.1 200", 12) != 0 && bad++ == 0)
				snprintf(example, sizeof(example), "%.399s", c->in);
			c->have = 0;
			busy -= !send_next(c);
		}
	}
	began = now() - began;
	qsort(took, done, sizeof(*took), compare);
	for (i = 0; example[i] != '\0'; i++)
		if (example[i] == '"' || example[i] == '\\' ||
		    (unsigned char)example[i] < 32)
			example[i] = ' ';
	printf("{\"rate\":%.0f,\"p50\":%.1f,\"p99\":%.1f,\"calls\":%zu,\"bad\":%zu,"
	       "\"example\":\"%s\"}\n",
	    (double)done / (began / 1e6), took[done / 2], took[done * 99 / 100], done,
	    bad, example);
	return 0;
}
