/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis-mcp: the gate as an MCP server, for hosts that speak nothing else. It runs beside
 * the agent, as the agent's user, with the agent's token; it is none of the daemons, and
 * what it may do is what the gate lets that agent do. `aegis mcp serve` starts it.
 *
 *	aegis-mcp stdio
 *	aegis-mcp http PORT
 *
 * AEGIS_GATE_URL, AEGIS_AGENT_TOKEN, AEGIS_CA: where the gate is, who asks, and which
 * authority vouches for the gate.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "bridge/gate.h"
#include "bridge/serve.h"

#define TOKEN_MAX 256

static char token[TOKEN_MAX];

/* A variable's text, and out of the environment with it. */
static const char *
take(const char *name, char *copy, size_t size)
{
	const char *value = getenv(name);

	copy[0] = '\0';
	if (value != NULL && strlen(value) < size)
		memcpy(copy, value, strlen(value) + 1);
	if (value != NULL)
		explicit_bzero(getenv(name), strlen(value));
	unsetenv(name);
	return copy;
}

int
main(int argc, char **argv)
{
	char url[300], ca[1024], err[GATE_ERROR_MAX], *end = NULL;
	unsigned long port;

	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	(void)take("AEGIS_AGENT_TOKEN", token, sizeof(token));
	(void)take("AEGIS_GATE_URL", url, sizeof(url));
	(void)take("AEGIS_CA", ca, sizeof(ca));
	if (gate_init(url, ca, err) == -1) {
		fprintf(stderr, "aegis: %s\n", err);
		return 1;
	}
	if (argc == 2 && strcmp(argv[1], "stdio") == 0)
		return serve_stdio(token);
	if (argc == 3 && strcmp(argv[1], "http") == 0) {
		port = strtoul(argv[2], &end, 10);
		if (*end == '\0' && port >= 1 && port <= 65535)
			return serve_http((unsigned)port, token);
	}
	fprintf(stderr, "usage: aegis-mcp stdio | http PORT\n");
	return 2;
}
