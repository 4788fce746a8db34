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

static int agents[LISTEN_MAX + 2] = {-1}; /* one with a name, and the end */
static int api = -1;                      /* the data API */
static int admin = -1, vault = -1;
static int named; /* gate.socket is ours */

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
listen_on(const char *text, const char *key, const char *flag)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
			    .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
			*list = NULL;
	const char *port = "";
	char host[256];
	int fd = -1, on = 1, e;

	if (split(text, host, sizeof(host), &port) == -1) {
		fprintf(stderr, "aegis: %s: \"%s\": write HOST:PORT\n", key, text);
		return -1;
	}
	e = getaddrinfo(host, port, &hints, &list);
	if (e != 0) {
		fprintf(stderr, "aegis: %s: %s: %s\n", key, text, gai_strerror(e));
		return -1;
	}
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
	    bind(fd, list->ai_addr, list->ai_addrlen) == -1 || listen(fd, 4096) == -1) {
		if (errno == EADDRINUSE)
			fprintf(stderr,
			    "Port %s is already in use. Use \"aegis %s %d\" or stop the "
			    "other process.\n",
			    port, flag, atoi(port) < 65535 ? atoi(port) + 1 : 1024);
		else
			fprintf(stderr, "aegis: %s: %s\n", text, strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	return fd;
}

/* A socket with a name; one that is there is a dead one's, for we hold the lock. */
static int
listen_at(const char *path, int type, mode_t mode, int backlog, const char *hint)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct stat st;
	mode_t mask;
	int fd, r;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		fprintf(stderr,
		    "aegis: the socket's path has more than %zu octets: set %s to a "
		    "shorter one\n",
		    sizeof(sun.sun_path) - 1, hint);
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		goto fail;
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	mask = umask(0777 & ~mode);
	r = bind(fd, (const struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (r == -1 || listen(fd, backlog) == -1)
		goto fail;
	return fd;
fail:
	fprintf(stderr, "aegis: %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
open_api(const struct config *c)
{
	char text[300];

	if (!c->dashboard)
		return 0;
	snprintf(text, sizeof(text), "%s:%u", c->dashboard_host, c->dashboard_port);
	api = listen_on(text, "observability.dashboard", "dashboard --port");
	return api == -1 ? -1 : 0;
}

int
listen_api(void)
{
	return api;
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
		agents[n] = listen_on(c->listen[n], "gate.listen", "gate --port");
		agents[n + 1] = -1;
		if (agents[n] == -1)
			return -1;
	}
	if (c->socket != NULL) {
		agents[n] = listen_at(c->socket, SOCK_STREAM,
		    (mode_t)strtoul(c->socket_mode, NULL, 8) & 0777, 4096, "gate.socket");
		agents[n + 1] = -1;
		if (agents[n] == -1)
			return -1;
		named = 1;
	}
	return open_api(c);
}

int
listen_open_admin(const struct config *c)
{
	admin =
	    listen_at(c->admin_socket, SOCK_SEQPACKET, 0600, 64, "AEGIS_ADMIN_SOCKET");
	if (admin == -1)
		return -1;
	vault =
	    listen_at(c->vault_socket, SOCK_SEQPACKET, 0600, 64, "AEGIS_ADMIN_SOCKET");
	return vault == -1 ? -1 : 0;
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

int
listen_vault(void)
{
	return vault;
}

void
listen_close_agents(void)
{
	int i;

	for (i = 0; agents[i] != -1; i++)
		close(agents[i]);
	agents[0] = -1;
	if (api >= 0)
		close(api);
	api = -1;
}

void
listen_close(const struct config *c)
{
	if (named)
		unlink(c->socket);
	named = 0;
	listen_close_agents();
	if (admin >= 0) {
		close(admin);
		unlink(c->admin_socket);
	}
	admin = -1;
	if (vault >= 0) {
		close(vault);
		unlink(c->vault_socket);
	}
	vault = -1;
}
