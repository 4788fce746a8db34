/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the command line by the tables of commands.c.
 */
#include "aegis/cli.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aegis/config.h"
#include "aegis/out.h"
#include "aegis/problem.h"
#include "common/proto.h"
#include "common/secret.h"

const struct flag common_flags[] = {
    {"json", 0, FLAG_SWITCH, false, NULL, "Answer in JSON"},
    {"config", 0, FLAG_TEXT, false, "FILE", "Configuration file"},
    {"data-dir", 0, FLAG_TEXT, false, "DIR", "Data directory"},
    {"help", 'h', FLAG_SWITCH, false, NULL, "Show this help"},
    {NULL, 0, FLAG_SWITCH, false, NULL, NULL},
};

void
cli_error(const char *next, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(
	    stderr, "%s✗%s ", out_colour(stderr, OUT_RED), out_colour(stderr, OUT_PLAIN));
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (next != NULL)
		fprintf(stderr, "  %s\n", next);
}

void
cli_ok(const char *fmt, ...)
{
	va_list ap;

	printf("%s✓%s ", out_colour(stdout, OUT_GREEN), out_colour(stdout, OUT_PLAIN));
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* -- flags -- */

static size_t
count_flags(const struct flag *f)
{
	size_t n = 0;

	while (f != NULL && f[n].name != NULL)
		n++;
	return n;
}

/* The flag at a place of cli.values. */
static const struct flag *
flag_at(const struct command *c, size_t i)
{
	size_t own = count_flags(c->flags);

	return i < own ? &c->flags[i] : &common_flags[i - own];
}

static size_t
all_flags(const struct command *c)
{
	return count_flags(c->flags) + count_flags(common_flags);
}

static int
find_flag(const struct command *c, const char *name, size_t len, char letter)
{
	const struct flag *f;
	size_t i;

	for (i = 0; i < all_flags(c); i++) {
		f = flag_at(c, i);
		if (name != NULL
			? strlen(f->name) == len && memcmp(f->name, name, len) == 0
			: f->letter != '\0' && f->letter == letter)
			return (int)i;
	}
	return -1;
}

/* Another command of the group that has the flag, "rotate" for --secret of "update". */
static const struct command *
sibling_with(const struct command *c, const char *flag)
{
	const struct command *other;

	for (other = commands; other->name != NULL && c->group[0] != '\0'; other++)
		if (other != c && strcmp(other->group, c->group) == 0 &&
		    strcmp(other->name, "add") != 0 &&
		    find_flag(other, flag, strlen(flag), 0) >= 0)
			return other;
	return NULL;
}

static int
unknown_flag(const struct command *c, const char *arg)
{
	const struct command *other;
	const char *words[CLI_FLAGS_MAX + 1], *near;
	char next[200], name[80];
	size_t i;

	for (i = 0; i < all_flags(c); i++)
		words[i] = flag_at(c, i)->name;
	words[i] = NULL;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(arg, "="), arg);
	near = problem_nearest(name + strspn(name, "-"), words);
	if (near != NULL)
		snprintf(next, sizeof(next), "Did you mean --%s?", near);
	else if ((other = sibling_with(c, name + strspn(name, "-"))) != NULL)
		snprintf(
		    next, sizeof(next), "aegis %s %s has it.", other->group, other->name);
	else
		snprintf(next, sizeof(next), "aegis %s%s%s --help lists the flags.",
		    c->group, c->group[0] ? " " : "", c->name);
	cli_error(next, "aegis %s%s%s has no flag %s", c->group, c->group[0] ? " " : "",
	    c->name, name);
	return ADMIN_USAGE;
}

static int
take_secret(struct cli *cli, char *value)
{
	if (strcmp(value, "-") == 0) {
		cli->secret_stdin = true;
		return 0;
	}
	cli->secret = secret_new_take(value, strlen(value));
	fprintf(stderr,
	    "warning: a secret on the command line can be seen by other users in the "
	    "list of processes; use --secret-stdin or --secret-file\n");
	return cli->secret != NULL ? 0 : -1;
}

void
cli_warn_secret(void)
{
	fprintf(stderr,
	    "warning: what is on the command line can be seen by other users in the list "
	    "of processes, and stays in the shell's history; type it when asked, or "
	    "write "
	    "it to standard input\n");
}

static int
take_one_of(struct cli *cli, char *value)
{
	struct secret *s = cli->nsecrets < CLI_SECRETS_MAX
	    ? secret_new_take(value, strlen(value))
	    : NULL;

	if (s == NULL)
		return -1;
	if (cli->nsecrets == 0)
		cli_warn_secret();
	cli->secrets[cli->nsecrets++] = s;
	return 0;
}

static bool
number_ok(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= 10 && strspn(s, "0123456789") == len &&
	    strtoull(s, NULL, 10) < UINT32_MAX;
}

static int
set_flag(struct cli *cli, size_t i, char *value)
{
	const struct flag *f = flag_at(cli->command, i);
	int r = 0;

	if (cli->values[i] != NULL && f->kind != FLAG_SECRETS) {
		cli_error(NULL, "--%s was given twice", f->name);
		return ADMIN_USAGE;
	}
	cli->values[i] = f->kind == FLAG_SECRET || f->kind == FLAG_SECRETS ? "" : value;
	if (f->kind == FLAG_SECRETS)
		r = take_one_of(cli, value) == 0 ? 0 : ADMIN_FAILED;
	else if (f->kind == FLAG_SECRET)
		r = take_secret(cli, value) == 0 ? 0 : ADMIN_FAILED;
	else if (f->kind == FLAG_NUMBER && !number_ok(value)) {
		cli_error(
		    NULL, "--%s: found \"%.40s\", expected a number", f->name, value);
		r = ADMIN_USAGE;
	}
	return r;
}

/*
 * One flag at argv[*at]; moves *at over its value. Returns 0 or an exit code.
 */
static int
parse_flag(struct cli *cli, int argc, char **argv, int *at)
{
	char *arg = argv[*at], *value = NULL;
	const struct flag *f;
	int i;

	if (arg[1] == '-') {
		value = strchr(arg, '=');
		i = find_flag(cli->command, arg + 2,
		    value != NULL ? (size_t)(value - arg - 2) : strlen(arg + 2), 0);
		value = value != NULL ? value + 1 : NULL;
	} else {
		i = find_flag(cli->command, NULL, 0, arg[1]);
		value = arg[2] != '\0' ? arg + 2 : NULL;
		if (value != NULL && *value == '=')
			value++;
	}
	if (i < 0)
		return unknown_flag(cli->command, arg);
	f = flag_at(cli->command, (size_t)i);
	if (f->kind == FLAG_SWITCH) {
		if (value != NULL) {
			cli_error(NULL, "--%s takes no value", f->name);
			return ADMIN_USAGE;
		}
		cli->values[i] = "";
		return 0;
	}
	if (value == NULL && *at + 1 < argc)
		value = argv[++*at];
	if (value == NULL) {
		cli_error(
		    NULL, "--%s needs a value: --%s %s", f->name, f->name, f->value);
		return ADMIN_USAGE;
	}
	return set_flag(cli, (size_t)i, value);
}

static int
check_required(const struct cli *cli)
{
	const struct command *c = cli->command;
	int bad = 0;
	size_t i;

	for (i = 0; i < count_flags(c->flags); i++)
		if (c->flags[i].required && cli->values[i] == NULL) {
			cli_error(NULL, "--%s %s is missing: %s", c->flags[i].name,
			    c->flags[i].value, c->flags[i].about);
			bad = ADMIN_USAGE;
		}
	return bad;
}

static int
run_command(struct cli *cli, int argc, char **argv)
{
	const struct command *c = cli->command;
	bool plain = false;
	int i, r;

	cli->rest = calloc((size_t)argc + 1, sizeof(*cli->rest));
	if (cli->rest == NULL)
		return ADMIN_FAILED;
	for (i = 0; i < argc; i++) {
		if (!plain && strcmp(argv[i], "--") == 0) {
			plain = true;
		} else if (!plain && argv[i][0] == '-' && argv[i][1] != '\0') {
			r = parse_flag(cli, argc, argv, &i);
			if (r != 0)
				return r;
		} else {
			cli->rest[cli->nrest++] = argv[i];
			plain = plain || c->max_args == UINT_MAX;
		}
	}
	if (cli_given(cli, "help")) {
		help_command(c, false);
		return 0;
	}
	if (cli->nrest > c->max_args) {
		cli_error(NULL, "aegis %s%s%s: \"%s\" is one word too many", c->group,
		    c->group[0] ? " " : "", c->name, cli->rest[c->max_args]);
		return ADMIN_USAGE;
	}
	cli->json = cli_given(cli, "json");
	r = check_required(cli);
	return r != 0 ? r : c->run(cli);
}

/* -- commands -- */

static const struct command *
find_command(const char *group, const char *name)
{
	const struct command *c;

	for (c = commands; c->name != NULL; c++)
		if (strcmp(c->group, group) == 0 && strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static bool
is_group(const char *word)
{
	const struct command *c;

	for (c = commands; c->name != NULL; c++)
		if (c->group[0] != '\0' && strcmp(c->group, word) == 0)
			return true;
	return false;
}

static int
unknown_command(const char *group, const char *word)
{
	const char *words[128], *near;
	const struct command *c;
	char next[200];
	size_t n = 0;

	for (c = commands; c->name != NULL && n < 126; c++) {
		if (group[0] == '\0' && c->group[0] != '\0')
			words[n++] = c->group;
		else if (strcmp(c->group, group) == 0)
			words[n++] = c->name;
	}
	words[n] = NULL;
	near = problem_nearest(word, words);
	if (near != NULL)
		snprintf(next, sizeof(next), "Did you mean aegis %s%s%s?", group,
		    group[0] ? " " : "", near);
	else
		snprintf(next, sizeof(next), "aegis help lists the commands.");
	cli_error(
	    next, "aegis %s%shas no command \"%.40s\"", group, group[0] ? " " : "", word);
	return ADMIN_USAGE;
}

int
cli_main(int argc, char **argv)
{
	static char version[] = "version";
	struct cli cli = {0};
	int r;

	if (argc < 2) {
		help_all(true);
		return ADMIN_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		argv[1] = version;
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		help_all(false);
		return 0;
	}
	if (is_group(argv[1])) {
		if (argc < 3 || strcmp(argv[2], "--help") == 0 ||
		    strcmp(argv[2], "-h") == 0) {
			help_group(argv[1], argc < 3);
			return argc < 3 ? ADMIN_USAGE : 0;
		}
		cli.command = find_command(argv[1], argv[2]);
		if (cli.command == NULL)
			return unknown_command(argv[1], argv[2]);
		r = run_command(&cli, argc - 3, argv + 3);
	} else {
		cli.command = find_command("", argv[1]);
		if (cli.command == NULL && argv[1][0] == '-') {
			cli_error(
			    "Flags come behind the command: aegis COMMAND --json, for "
			    "instance.",
			    "\"%.40s\" is no command", argv[1]);
			return ADMIN_USAGE;
		}
		if (cli.command == NULL)
			return unknown_command("", argv[1]);
		r = run_command(&cli, argc - 2, argv + 2);
	}
	secret_free(cli.secret);
	while (cli.nsecrets > 0)
		secret_free(cli.secrets[--cli.nsecrets]);
	config_free(cli.config);
	free(cli.rest);
	if (fflush(stdout) != 0 && r == 0) {
		cli_error(NULL, "the answer could not be written");
		r = ADMIN_FAILED;
	}
	return r;
}

/* -- what commands ask -- */

const char *
cli_text(const struct cli *cli, const char *flag)
{
	int i = find_flag(cli->command, flag, strlen(flag), 0);

	return i < 0 ? NULL : cli->values[i];
}

const char *
cli_text_or(const struct cli *cli, const char *flag, const char *fallback)
{
	const char *v = cli_text(cli, flag);

	return v != NULL ? v : fallback;
}

bool
cli_given(const struct cli *cli, const char *flag)
{
	return cli_text(cli, flag) != NULL;
}

uint32_t
cli_number(const struct cli *cli, const char *flag, uint32_t fallback)
{
	const char *v = cli_text(cli, flag);

	return v != NULL ? (uint32_t)strtoul(v, NULL, 10) : fallback;
}

static void
flags_common(const struct cli *cli, struct config_flags *flags)
{
	flags->file = cli_text(cli, "config");
	if (flags->file == NULL)
		flags->file = cli_text(cli, "file"); /* of config validate */
	flags->data_dir = cli_text(cli, "data-dir");
}

void
cli_config_flags(const struct cli *cli, struct config_flags *flags)
{
	bool dashboard = strcmp(cli->command->name, "dashboard") == 0;

	*flags = (struct config_flags){.serve = true,
	    .port = cli_number(cli, dashboard ? "gate-port" : "port", 0),
	    .dashboard_port = dashboard ? cli_number(cli, "port", 0) : 0,
	    .dashboard = dashboard,
	    .tls = cli_given(cli, "tls"),
	    .cert = cli_text(cli, "cert"),
	    .key = cli_text(cli, "key"),
	    .policies_dir = cli_text(cli, "policies-dir"),
	    .policy_mode = cli_text(cli, "policy-mode"),
	    .no_agent_auth = cli_given(cli, "no-agent-auth"),
	    .require_agent_auth = cli_given(cli, "require-agent-auth")};
	flags_common(cli, flags);
}

static struct config *
load(struct cli *cli, const struct config_flags *flags)
{
	if (cli->config == NULL) {
		cli->config = config_load(flags);
		if (cli->config == NULL)
			cli_error("Correct it, then try again.",
			    "the configuration cannot be used");
	}
	return cli->config;
}

struct config *
cli_config(struct cli *cli)
{
	struct config_flags flags = {0};

	flags_common(cli, &flags);
	return load(cli, &flags);
}

struct config *
cli_config_serve(struct cli *cli)
{
	struct config_flags flags;

	cli_config_flags(cli, &flags);
	return load(cli, &flags);
}
