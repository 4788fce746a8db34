/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis config: check it, show it.
 */
#include <stdio.h>

#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config.h"
#include "common/proto.h"

int
cmd_config_validate(struct cli *cli)
{
	struct config *c = cli_config_serve(cli);

	if (c == NULL)
		return ADMIN_FAILED;
	if (cli->json)
		printf("{\"valid\":true}\n");
	else if (c->file != NULL)
		cli_ok("%s is valid", c->file);
	else
		cli_ok("There is no configuration file; the defaults are valid");
	return ADMIN_OK;
}

int
cmd_config_show(struct cli *cli)
{
	struct config *c = cli_config(cli);

	if (c == NULL)
		return ADMIN_FAILED;
	return config_show(c, stdout, cli->json) == 0 ? ADMIN_OK : ADMIN_FAILED;
}
