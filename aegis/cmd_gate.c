/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis gate: the whole system in the foreground.
 */
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config.h"
#include "aegis/confsend.h"
#include "aegis/layout.h"
#include "aegis/master.h"
#include "aegis/reload.h"
#include "common/proto.h"
#include "common/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A person needs the right to start the gate once there are users; the judge decides.
 * What the service manager starts, nobody types: that was decided when the unit was
 * enabled.
 */
static int
starter(void)
{
	const char *token = getenv("AEGIS_USER_TOKEN");
	struct secret *s;

	if (token == NULL)
		token = "";
	if (getppid() != 1) {
		if ((s = secret_new(token, strlen(token))) == NULL)
			return -1;
		confsend_starter_take(s);
	}
	unsetenv("AEGIS_USER_TOKEN");
	return 0;
}

static int
check_port(const struct cli *cli, const char *flag)
{
	if (!cli_given(cli, flag) ||
	    (cli_number(cli, flag, 0) >= 1 && cli_number(cli, flag, 0) <= 65535))
		return 0;
	cli_error(NULL, "--%s: found %s, expected 1 to 65535", flag, cli_text(cli, flag));
	return -1;
}

/* `aegis dashboard` is the same with the data API, whatever the configuration says. */
int
cmd_gate(struct cli *cli)
{
	struct config_flags flags;
	struct config *c;
	char path[1100];

	if (check_port(cli, "port") == -1 || check_port(cli, "gate-port") == -1)
		return ADMIN_USAGE;
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
		layout_absent(c);
		return ADMIN_FAILED;
	}
	if (!c->require_agent_auth)
		fprintf(stderr,
		    "warning: agent authentication is off: whoever reaches the gate "
		    "can use every credential\n");
	if (starter() == -1) {
		cli_error(NULL, "no memory for AEGIS_USER_TOKEN");
		return ADMIN_FAILED;
	}
	cli_config_flags(cli, &flags);
	reload_setup(c, &flags);
	return master_run(c, MASTER_ALL, -1);
}
