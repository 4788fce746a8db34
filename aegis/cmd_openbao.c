/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis openbao setup: a shell script of its own, so that whoever runs OpenBao can read
 * it, keep it and run it elsewhere; --apply runs the very same text. No daemon is asked:
 * the token that may set up an OpenBao never comes near one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config.h"
#include "aegis/keys.h"
#include "common/buf.h"
#include "common/proto.h"

static const char script[] =
#include "aegis/openbao_setup.inc"
    ;

#define SAFE                                                          \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456" \
	"789_-./:[]"

struct setup {
	struct buf text;
	bool wrong;
};

static void
put(struct setup *s, const char *name, const char *value)
{
	if (value == NULL)
		value = "";
	if (value[strspn(value, SAFE)] != '\0') {
		cli_error("Use letters, digits and _ - . / : only.", "%s: found \"%s\"",
		    name, value);
		s->wrong = true;
		return;
	}
	(void)buf_printf(&s->text, "%s='%s'\n", name, value);
}

static const char *
pick(
    const struct cli *cli, const char *flag, const char *configured, const char *fallback)
{
	const char *given = cli_text(cli, flag);

	if (given != NULL)
		return strcmp(given, "-") == 0 ? "" : given;
	return configured != NULL ? configured : fallback;
}

static void
make_script(struct setup *s, const struct cli *cli, const struct config *c)
{
	bool known = c->vault_provider == CONFIG_OPENBAO;
	const char *file = cli_text(cli, "secret-id-file"), *address, *ca;
	char *cwd = getcwd(NULL, 0), *absolute = NULL;

	address = pick(cli, "address", c->openbao_addr, NULL);
	if (address == NULL) {
		cli_error("Name it: --address https://HOST:PORT",
		    "the address of OpenBao is not configured");
		s->wrong = true;
	}
	ca = pick(cli, "ca-file", known && c->openbao_tls ? c->openbao_ca : NULL, NULL);
	if (file == NULL && c->openbao_secret_file != NULL)
		absolute = strdup(c->openbao_secret_file);
	else
		absolute = key_path_join(file != NULL ? cwd : c->base_dir,
		    file != NULL ? file : "openbao-secret-id");
	(void)buf_puts(&s->text,
	    "#!/bin/sh\n# Sets up OpenBao for Aegis. Run again it leaves alone what is "
	    "there.\n");
	put(s, "address", address);
	put(s, "ca_file", ca);
	put(s, "namespace", pick(cli, "namespace", c->openbao_namespace, NULL));
	put(s, "auth_mount", pick(cli, "auth-mount", c->openbao_mount, "approle"));
	put(s, "role", pick(cli, "role", NULL, "aegis"));
	put(s, "role_id", pick(cli, "role-id", known ? c->openbao_role_id : NULL, NULL));
	put(s, "secret_id_file", absolute);
	put(s, "new_secret_id", cli_given(cli, "new-secret-id") ? "yes" : "no");
	put(s, "show", cli_given(cli, "show-secret-id") ? "yes" : "no");
	put(s, "wrapped",
	    cli_given(cli, "wrap") || (known && c->openbao_wrapped) ? "true" : "false");
	put(s, "wrap_ttl", pick(cli, "wrap", NULL, "10m"));
	put(s, "kv_mount", pick(cli, "kv-mount", c->openbao_kv, "kv"));
	put(s, "transit_mount",
	    pick(cli, "transit-mount", c->openbao_transit, "transit"));
	put(s, "token_key",
	    pick(cli, "token-key", c->openbao_token_key, known ? "" : "seal"));
	put(s, "board_key", pick(cli, "board-key", c->openbao_board_key, ""));
	put(s, "tenants", cli_given(cli, "tenants") ? "yes" : "no");
	put(s, "lease_role",
	    c->openbao_lease_role != NULL ? c->openbao_lease_role : "aegis-lease");
	put(s, "database_mount", pick(cli, "database-mount", NULL, ""));
	if (buf_puts(&s->text, script) == -1)
		s->wrong = true;
	free(absolute);
	free(cwd);
}

static int
run_script(const struct setup *s, const char *token_file)
{
	int fd = memfd_create("openbao-setup", 0), status = -1;
	char path[64];
	pid_t pid;

	if (fd == -1 || write(fd, s->text.p, s->text.len) != (ssize_t)s->text.len) {
		cli_error(NULL, "the script cannot be kept: %s", strerror(errno));
		return ADMIN_FAILED;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		(void)setenv("BAO_TOKEN_FILE", token_file, 1);
		execl("/bin/sh", "sh", path, (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	close(fd);
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? ADMIN_OK
									: ADMIN_FAILED;
}

int
cmd_openbao_setup(struct cli *cli)
{
	const char *token_file = cli_text(cli, "token-file");
	struct setup s = {.wrong = false};
	struct config *c;
	int r = ADMIN_USAGE;

	if (cli_given(cli, "print") && cli_given(cli, "apply")) {
		cli_error(NULL, "--print and --apply exclude each other");
		return ADMIN_USAGE;
	}
	c = cli_config(cli);
	if (c == NULL)
		return ADMIN_FAILED;
	buf_init(&s.text);
	make_script(&s, cli, c);
	if (s.wrong)
		goto out;
	if (!cli_given(cli, "apply")) {
		printf("%.*s", (int)s.text.len, (char *)s.text.p);
		r = ADMIN_OK;
		goto out;
	}
	if (token_file == NULL && getenv("BAO_TOKEN_FILE") != NULL)
		token_file = getenv("BAO_TOKEN_FILE");
	if (token_file == NULL) {
		cli_error("Name a file with it: --token-file FILE, or --token-file "
			  "/dev/stdin.",
		    "a token of OpenBao's is needed");
		goto out;
	}
	r = run_script(&s, token_file);
	if (r == ADMIN_OK)
		fprintf(stderr,
		    "What is above belongs into the configuration. Then: aegis doctor\n");
	else
		cli_error("The reason is above; run it again when it is removed.",
		    "OpenBao is not set up");
out:
	buf_free(&s.text);
	return r;
}
