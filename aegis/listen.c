/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets.
 */
#include "aegis/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "aegis/config.h"

static int agents[LISTEN_MAX + 1] = {-1};
static int admin = -1;

/* "host:port" or "[v6]:port" into its two parts; host is a copy. */
static int
split(const char *text, char *host, size_t size, const char **port)
{
	const char *colon = strrchr(text, ':');
	size_t n;

	if (colon == NULL || colon == text)
		return -1;
	n = (size_t)(colon - text);
	if (text[0] == '[' && colon[-1] == ']') {
		text++;
		n -= 2;
	}
	if (n >= size)
		return -1;
	memcpy(host, text, n);
	host[n] = '\0';
	*port = colon + 1;
	return 0;
}

static int
listen_on(const char *text)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
			    .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
			*list = NULL;
	const char *port = "";
	char host[256];
	int fd = -1, on = 1, e;

	if (split(text, host, sizeof(host), &port) == -1) {
		fprintf(stderr, "aegis: gate.listen: \"%s\": write HOST:PORT\n", text);
		return -1;
	}
	e = getaddrinfo(host, port, &hints, &list);
	if (e != 0) {
		fprintf(stderr, "aegis: gate.listen: %s: %s\n", text, gai_strerror(e));
		return -1;
	}
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    bind(fd, list->ai_addr, list->ai_addrlen) == -1 || listen(fd, 4096) == -1) {
		if (errno == EADDRINUSE)
			fprintf(stderr,
			    "Port %s is already in use. Use \"aegis gate --port %d\" or "
			    "stop the "
			    "other process.\n",
			    port, atoi(port) + 1);
		else
			fprintf(stderr, "aegis: %s: %s\n", text, strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	return fd;
}

int
listen_open_agents(const struct config *c)
{
	int n;

	for (n = 0; c->listen[n] != NULL; n++) {
		if (n == LISTEN_MAX) {
			fprintf(stderr, "aegis: gate.listen: more than %d addresses\n",
			    LISTEN_MAX);
			return -1;
		}
		agents[n] = listen_on(c->listen[n]);
		agents[n + 1] = -1;
		if (agents[n] == -1)
			return -1;
	}
	return 0;
}

int
listen_open_admin(const struct config *c)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	mode_t mask;
	int r;

	if (strlen(c->admin_socket) >= sizeof(sun.sun_path)) {
		fprintf(stderr,
		    "aegis: the admin socket's path has more than %zu octets: set "
		    "AEGIS_ADMIN_SOCKET to a shorter one\n",
		    sizeof(sun.sun_path) - 1);
		return -1;
	}
	memcpy(sun.sun_path, c->admin_socket, strlen(c->admin_socket) + 1);
	admin = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (admin == -1)
		goto fail;
	/* we hold the data directory's lock: a name that is there is a dead one's */
	unlink(c->admin_socket);
	mask = umask(0177);
	r = bind(admin, (const struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (r == -1 || listen(admin, 64) == -1)
		goto fail;
	return 0;
fail:
	fprintf(stderr, "aegis: %s: %s\n", c->admin_socket, strerror(errno));
	return -1;
}

const int *
listen_agents(void)
{
	return agents;
}

int
listen_admin(void)
{
	return admin;
}

void
listen_close_agents(void)
{
	int i;

	for (i = 0; agents[i] != -1; i++)
		close(agents[i]);
	agents[0] = -1;
}

void
listen_close(const struct config *c)
{
	listen_close_agents();
	if (admin >= 0) {
		close(admin);
		unlink(c->admin_socket);
	}
	admin = -1;
}
