/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis gate: the whole system in the foreground.
 */
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config.h"
#include "aegis/master.h"
#include "common/proto.h"
#include "common/secret.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int
cmd_gate(struct cli *cli)
{
	const char *port = cli_text(cli, "port");
	struct config *c;
	char path[1100];

	if (port != NULL &&
	    (cli_number(cli, "port", 0) < 1 || cli_number(cli, "port", 0) > 65535)) {
		cli_error(NULL, "--port: found %s, expected 1 to 65535", port);
		return ADMIN_USAGE;
	}
	if (cli_given(cli, "no-agent-auth") && cli_given(cli, "require-agent-auth")) {
		cli_error(
		    NULL, "--no-agent-auth and --require-agent-auth exclude each other");
		return ADMIN_USAGE;
	}
	/* before secrets are: all of them must fit */
	(void)secret_init(2u * 1024 * 1024);
	c = cli_config_serve(cli);
	if (c == NULL)
		return ADMIN_FAILED;
	snprintf(path, sizeof(path), "%s/vault", c->data_dir);
	if (access(c->data_dir, F_OK) == -1 || access(path, F_OK) == -1) {
		cli_error("Run \"aegis init\" first, or name the data directory with "
			  "--data-dir.",
		    "there is no vault in %s", c->data_dir);
		return ADMIN_FAILED;
	}
	if (!c->require_agent_auth)
		fprintf(stderr,
		    "warning: agent authentication is off: whoever reaches the gate "
		    "can use every credential\n");
	return master_run(c, MASTER_ALL, -1);
}
