/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Help, from the tables.
 */
#include <stdio.h>
#include <string.h>

#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/out.h"
#include "common/proto.h"
#include <config.h>

static void
print_usage(FILE *f, const struct command *c, int width)
{
	char text[80];

	snprintf(text, sizeof(text), "%s%s%s%s%s", c->group, c->group[0] ? " " : "",
	    c->name, c->args[0] ? " " : "", c->args);
	fprintf(f, "  aegis %-*s  %s\n", width, text, c->about);
}

void
help_all(bool to_stderr)
{
	FILE *f = to_stderr ? stderr : stdout;
	const struct command *c;

	fprintf(f,
	    "Aegis gives agents the use of credentials and tools without giving them "
	    "away.\n\n");
	for (c = commands; c->name != NULL; c++)
		print_usage(f, c, 26);
	fprintf(f,
	    "\naegis COMMAND --help lists the flags of a command; --json, --config FILE "
	    "and --data-dir DIR\nwork with every command. See aegis(1) and "
	    "aegis.config.yaml(5).\n");
}

void
help_group(const char *group, bool to_stderr)
{
	const struct command *c;

	for (c = commands; c->name != NULL; c++)
		if (strcmp(c->group, group) == 0)
			print_usage(to_stderr ? stderr : stdout, c, 26);
}

static void
print_flags(FILE *f, const struct flag *flags)
{
	char text[80];

	for (; flags != NULL && flags->name != NULL; flags++) {
		snprintf(text, sizeof(text), "%s%c%s--%s%s%s", flags->letter ? "-" : "  ",
		    flags->letter ? flags->letter : ' ', flags->letter ? ", " : " ",
		    flags->name, flags->value != NULL ? " " : "",
		    flags->value != NULL ? flags->value : "");
		fprintf(f, "  %-28s %s%s\n", text, flags->about,
		    flags->required ? " (required)" : "");
	}
}

void
help_command(const struct command *c, bool to_stderr)
{
	FILE *f = to_stderr ? stderr : stdout;

	fprintf(f, "aegis %s%s%s [FLAGS]%s%s\n%s.\n\n", c->group, c->group[0] ? " " : "",
	    c->name, c->args[0] ? " " : "", c->args, c->about);
	print_flags(f, c->flags);
	print_flags(f, common_flags);
}

int
cmd_help(struct cli *cli)
{
	const struct command *c;
	const char *first = cli->nrest > 0 ? cli->rest[0] : "";
	const char *second = cli->nrest > 1 ? cli->rest[1] : NULL;

	if (cli->nrest == 0) {
		help_all(false);
		return ADMIN_OK;
	}
	for (c = commands; c->name != NULL; c++) {
		if (second == NULL && c->group[0] == '\0' && strcmp(c->name, first) == 0)
			break;
		if (second != NULL && strcmp(c->group, first) == 0 &&
		    strcmp(c->name, second) == 0)
			break;
		if (second == NULL && c->group[0] != '\0' &&
		    strcmp(c->group, first) == 0) {
			help_group(first, false);
			return ADMIN_OK;
		}
	}
	if (c->name == NULL) {
		cli_error("aegis help lists the commands.", "there is no such command");
		return ADMIN_USAGE;
	}
	help_command(c, false);
	return ADMIN_OK;
}

int
cmd_version(struct cli *cli)
{
	printf(cli->json ? "{\"version\":\"%s\"}\n" : "aegis %s\n", PACKAGE_VERSION);
	return ADMIN_OK;
}
