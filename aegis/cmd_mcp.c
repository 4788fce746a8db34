/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis mcp: the gate for hosts that speak MCP and no HTTP. serve becomes the bridge
 * (bridge/main.c), which is an agent like any other; config prints what to tell a host.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config.h"
#include "aegis/out.h"
#include "common/buf.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "common/secret.h"

static int
set_token(const void *p, size_t len, void *arg)
{
	char text[256];
	int r;

	(void)arg;
	if (len >= sizeof(text))
		return -1;
	memcpy(text, p, len);
	text[len] = '\0';
	r = setenv("AEGIS_AGENT_TOKEN", text, 1);
	explicit_bzero(text, sizeof(text));
	return r;
}

/* --agent-token, into the environment of the bridge. */
static int
take_token(struct cli *cli)
{
	struct secret *s = cli_secret(cli);
	int r = s != NULL ? secret_use(s, set_token, NULL) : -1;

	secret_free(s);
	return r;
}

/* Where the gate is: the environment of `aegis run`, else the configuration. 0 or -1. */
static int
set_gate(struct cli *cli)
{
	const struct config *c;
	char url[320];

	if (getenv("AEGIS_GATE_URL") != NULL)
		return 0;
	c = cli_config(cli);
	if (c == NULL)
		return -1;
	snprintf(url, sizeof(url), "%s://%s", c->tls_cert != NULL ? "https" : "http",
	    c->listen[0]);
	/* a certificate of `aegis init --generate-cert` vouches for itself */
	return setenv("AEGIS_GATE_URL", url, 1) == -1 ||
		(c->tls_cert != NULL && getenv("AEGIS_CA") == NULL &&
		    setenv("AEGIS_CA", c->tls_cert, 1) == -1)
	    ? -1
	    : 0;
}

static int
check_transport(struct cli *cli, const char **transport, unsigned *port)
{
	const struct config *c = cli_config(cli);

	if (c == NULL)
		return ADMIN_FAILED;
	*transport = cli_text_or(
	    cli, "transport", c->mcp_transport == 0 ? "stdio" : "streamable-http");
	*port = cli_number(cli, "port", c->mcp_port);
	if (strcmp(*transport, "stdio") != 0 &&
	    strcmp(*transport, "streamable-http") != 0) {
		cli_error(NULL,
		    "--transport: found %s, expected stdio or streamable-http",
		    *transport);
		return ADMIN_USAGE;
	}
	if (*port < 1 || *port > 65535) {
		cli_error(NULL, "--port: expected 1 to 65535");
		return ADMIN_USAGE;
	}
	return 0;
}

int
cmd_mcp_serve(struct cli *cli)
{
	const char *dir = getenv("AEGIS_LIBEXEC"), *transport;
	char path[1100], number[8];
	unsigned port;
	int r;

	if ((r = check_transport(cli, &transport, &port)) != 0)
		return r;
	/* over HTTP every program of this machine could come, so a token that merely lies
	 * in the environment is not lent to them */
	if (strcmp(transport, "stdio") != 0)
		unsetenv("AEGIS_AGENT_TOKEN");
	if (strcmp(transport, "stdio") != 0 && cli_secret_given(cli))
		fprintf(stderr,
		    "warning: whoever reaches this port without a token acts as this "
		    "agent, "
		    "every user of this machine\n");
	if (cli_secret_given(cli) && take_token(cli) == -1) {
		cli_error(NULL, "--agent-token is no agent's token");
		return ADMIN_USAGE;
	}
	if (set_gate(cli) == -1)
		return ADMIN_FAILED;
	if (strcmp(transport, "stdio") == 0 && getenv("AEGIS_AGENT_TOKEN") == NULL)
		fprintf(stderr,
		    "warning: no agent's token: set AEGIS_AGENT_TOKEN, or the gate will "
		    "refuse every call\n");
	unsetenv("AEGIS_MASTER_KEY");
	unsetenv("AEGIS_USER_TOKEN");
	snprintf(
	    path, sizeof(path), "%s/aegis-mcp", dir != NULL ? dir : AEGIS_LIBEXECDIR);
	snprintf(number, sizeof(number), "%u", port);
	if (strcmp(transport, "stdio") == 0)
		execl(path, "aegis-mcp", "stdio", (char *)NULL);
	else
		execl(path, "aegis-mcp", "http", number, (char *)NULL);
	cli_error(NULL, "%s: %s", path, strerror(errno));
	return ADMIN_FAILED;
}

/* ---- config ---- */

static const struct host {
	const char *name, *list, *file;
} hosts[] = {
    {"claude", "mcpServers", "claude_desktop_config.json"},
    {"cursor", "mcpServers", ".cursor/mcp.json"},
    {"vscode", "servers", ".vscode/mcp.json"},
    {"cline", "mcpServers", "cline_mcp_settings.json"},
    {"windsurf", "mcpServers", ".codeium/windsurf/mcp_config.json"},
};

static void
put_stdio(struct jsonw *w, const struct config *c)
{
	char self[1024];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = '\0';
	jsonw_key_str(w, "command", n > 0 ? self : "aegis");
	jsonw_key(w, "args");
	jsonw_arr_open(w);
	jsonw_str(w, "mcp");
	jsonw_str(w, "serve");
	jsonw_str(w, "--transport");
	jsonw_str(w, "stdio");
	jsonw_arr_close(w);
	jsonw_key(w, "env");
	jsonw_obj_open(w);
	jsonw_key_str(w, "AEGIS_CONFIG", c->file != NULL ? c->file : "");
	jsonw_key_str(w, "AEGIS_AGENT_TOKEN", "<token of aegis agent add>");
	jsonw_obj_close(w);
}

static void
put_http(struct jsonw *w, unsigned port)
{
	char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/mcp", port);
	jsonw_key_str(w, "url", url);
	jsonw_key(w, "headers");
	jsonw_obj_open(w);
	jsonw_key_str(w, "Authorization", "Bearer <token of aegis agent add>");
	jsonw_obj_close(w);
}

int
cmd_mcp_config(struct cli *cli)
{
	const struct host *h = NULL;
	const struct config *c;
	const char *transport;
	struct jsonw w;
	struct buf out;
	unsigned port;
	bool stdio;
	int r;

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]) && cli->nrest == 1; i++)
		if (strcmp(cli->rest[0], hosts[i].name) == 0)
			h = &hosts[i];
	if (h == NULL) {
		cli_error(
		    NULL, "name the host: claude, cursor, vscode, cline or windsurf");
		return ADMIN_USAGE;
	}
	if ((r = check_transport(cli, &transport, &port)) != 0)
		return r;
	c = cli_config(cli);
	stdio = strcmp(transport, "stdio") == 0;
	buf_init(&out);
	jsonw_init(&w, &out);
	jsonw_obj_open(&w);
	jsonw_key(&w, h->list);
	jsonw_obj_open(&w);
	jsonw_key(&w, "aegis");
	jsonw_obj_open(&w);
	if (strcmp(h->name, "vscode") == 0)
		jsonw_key_str(&w, "type", stdio ? "stdio" : "http");
	if (stdio)
		put_stdio(&w, c);
	else
		put_http(&w, port);
	if (strcmp(h->name, "cline") == 0)
		jsonw_key_bool(&w, "disabled", false);
	jsonw_obj_close(&w);
	jsonw_obj_close(&w);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) == 0 && cli->json)
		printf("%.*s\n", (int)out.len, (const char *)out.p);
	else if (jsonw_done(&w) == 0)
		out_json(stdout, (const char *)out.p, out.len);
	if (!cli->json)
		fprintf(stderr,
		    "Goes into %s. The token is shown by \"aegis agent add --name "
		    "NAME\"; it "
		    "is the only thing the host needs to know.\n",
		    h->file);
	buf_free(&out);
	return ADMIN_OK;
}
