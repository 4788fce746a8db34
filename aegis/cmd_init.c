/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis init: configuration file, data directory, master key, vault. Overwrites nothing;
 * what it made is removed again when a later step fails.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/cert.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config.h"
#include "aegis/keys.h"
#include "aegis/layout.h"
#include "aegis/master.h"
#include "aegis/template.h"
#include "common/buf.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/proto.h"

#define MADE_MAX 8

struct init {
	char *config_path, *base_dir, *data_dir, *env_path, *key_path, *cert_path,
	    *key_pem_path;
	char key[65]; /* wiped as soon as it is written */
	const char *where;
	char *made[MADE_MAX]; /* borrowed paths, newest last */
	size_t nmade;
};

/* A file of ours that must not exist. 0; -1 after saying why. */
static int
create_file(struct init *in, char *path, mode_t mode, const void *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd == -1) {
		cli_error(errno == EEXIST ? "init overwrites nothing: move it away first."
					  : NULL,
		    "%s: %s", path, strerror(errno));
		return -1;
	}
	in->made[in->nmade++] = path;
	if (fchmod(fd, mode) == -1 || write(fd, p, len) != (ssize_t)len ||
	    fsync(fd) == -1) {
		cli_error(NULL, "%s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

static int
find_paths(struct init *in, const struct cli *cli)
{
	const char *file = cli_text(cli, "config"), *dir = cli_text(cli, "data-dir");
	char *cwd = getcwd(NULL, 0), *slash;

	if (cwd == NULL)
		return -1;
	in->config_path = key_path_join(cwd, file != NULL ? file : "aegis.config.yaml");
	in->base_dir = in->config_path != NULL ? strdup(in->config_path) : NULL;
	if (in->base_dir != NULL) {
		slash = strrchr(in->base_dir, '/');
		slash[slash == in->base_dir] = '\0';
		in->data_dir = key_path_join(
		    dir != NULL ? cwd : in->base_dir, dir != NULL ? dir : ".aegis");
		in->env_path = key_path_join(in->base_dir, ".env");
		in->cert_path = key_path_join(in->base_dir, "certs/aegis.crt");
		in->key_pem_path = key_path_join(in->base_dir, "certs/aegis.key");
	}
	if (in->data_dir != NULL)
		in->key_path = key_path_join(in->data_dir, ".master-key");
	free(cwd);
	return in->key_path != NULL && in->env_path != NULL && in->key_pem_path != NULL &&
		in->cert_path != NULL
	    ? 0
	    : -1;
}

static int
other(char **path, const char *there)
{
	if (there == NULL)
		return 0;
	free(*path);
	*path = strdup(there);
	return *path != NULL ? 0 : -1;
}

/* Of a configuration that is there: what it says stays so. */
static int
keep_paths(struct init *in, const struct cli *cli)
{
	struct config_flags flags = {
	    .file = in->config_path, .data_dir = cli_text(cli, "data-dir")};
	struct config *c = config_load(&flags);
	int r = -1;

	if (c == NULL) {
		cli_error(
		    "Correct it, then try again; without --keep-config a new one is "
		    "written.",
		    "%s cannot be used", in->config_path);
		return -1;
	}
	if (other(&in->data_dir, c->vaults_root) == 0 &&
	    other(&in->cert_path, c->tls_cert) == 0 &&
	    other(&in->key_pem_path, c->tls_key) == 0) {
		free(in->key_path);
		in->key_path = key_path_join(in->data_dir, ".master-key");
		r = in->key_path != NULL ? 0 : -1;
	}
	config_free(c);
	return r;
}

/* The directory of a file. */
static int
make_dir_of(const char *path)
{
	char *dir = strdup(path), *slash = dir != NULL ? strrchr(dir, '/') : NULL;
	int r = -1;

	if (slash != NULL && slash != dir) {
		*slash = '\0';
		r = mkdir(dir, 0755) == 0 ? chmod(dir, 0755) : errno == EEXIST ? 0 : -1;
		if (r == -1)
			cli_error(NULL, "%s: %s", dir, strerror(errno));
	}
	free(dir);
	return r;
}

/* Nothing may be there that we would have to overwrite, or to take back later. */
static int
check_absent(const struct init *in, bool keep)
{
	static const char *const dirs[] = {"vault", "judge"};
	char *path;
	size_t i;

	if (!keep && access(in->config_path, F_OK) == 0) {
		cli_error(
		    "init overwrites nothing: move it away first, or use \"aegis gate\".",
		    "%s exists", in->config_path);
		return -1;
	}
	for (i = 0; i < 2; i++) {
		path = key_path_join(in->data_dir, dirs[i]);
		if (path == NULL || access(path, F_OK) == 0 || errno != ENOENT) {
			cli_error("Move the directory away first, or name another with "
				  "--data-dir.",
			    "%s holds a vault", in->data_dir);
			free(path);
			return -1;
		}
		free(path);
	}
	return 0;
}

/* A key of the environment is used as it is; else a new one is made. */
static int
choose_key(struct init *in)
{
	const char *env = getenv("AEGIS_MASTER_KEY");
	unsigned char raw[32];

	if (env != NULL && env[0] != '\0') {
		if (strlen(env) != 64 || strspn(env, "0123456789abcdefABCDEF") != 64) {
			cli_error("Unset it, or set it to 64 hexadecimal digits.",
			    "AEGIS_MASTER_KEY is set, but is no key");
			return -1;
		}
		memcpy(in->key, env, 65);
		in->where = "AEGIS_MASTER_KEY of the environment; it is written nowhere";
		return 0;
	}
	randombytes_buf(raw, sizeof(raw));
	sodium_bin2hex(in->key, sizeof(in->key), raw, sizeof(raw));
	explicit_bzero(raw, sizeof(raw));
	return 0;
}

static int
write_env(struct init *in)
{
	char line[96];
	int n = snprintf(line, sizeof(line), "AEGIS_MASTER_KEY=%s\n", in->key);
	int r = create_file(in, in->env_path, 0600, line, (size_t)n);

	explicit_bzero(line, sizeof(line));
	in->where = in->env_path;
	return r;
}

static int
write_config(struct init *in, const struct cli *cli, bool with_key)
{
	const struct template t = {
	    .data_dir = cli_given(cli, "data-dir") ? in->data_dir : "./.aegis",
	    .master_key = with_key ? in->key : NULL,
	    .tls = cli_given(cli, "generate-cert")};
	struct buf text;
	int r = -1;

	buf_init(&text);
	if (strpbrk(in->data_dir, "\"\\\n") != NULL)
		cli_error(NULL, "the data directory's name has quotes or line breaks");
	else if (template_write(&t, &text) == 0)
		r = create_file(
		    in, in->config_path, with_key ? 0600 : 0644, text.p, text.len);
	buf_wipe_free(&text);
	if (with_key)
		in->where = in->config_path;
	return r;
}

static int
write_files(struct init *in, const struct cli *cli)
{
	bool in_config = cli_given(cli, "write-secrets"),
	     in_env = cli_given(cli, "env-file");

	if (choose_key(in) == -1)
		return -1;
	/* as layout_make() would: below it the daemons have directories of their own */
	if (mkdir(in->data_dir, geteuid() == 0 ? 0711 : 0700) == -1 && errno != EEXIST) {
		cli_error(NULL, "%s: %s", in->data_dir, strerror(errno));
		return -1;
	}
	if (cli_given(cli, "generate-cert")) {
		if (make_dir_of(in->cert_path) == -1 ||
		    make_dir_of(in->key_pem_path) == -1 ||
		    cert_generate(in->cert_path, in->key_pem_path) == -1)
			return -1;
		in->made[in->nmade++] = in->cert_path;
		in->made[in->nmade++] = in->key_pem_path;
	}
	if (in_env && write_env(in) == -1)
		return -1;
	if (!in_env && !in_config && in->where == NULL) {
		if (create_file(in, in->key_path, 0600, in->key, 64) == -1)
			return -1;
		in->where = in->key_path;
	}
	return cli_given(cli, "keep-config") ? 0 : write_config(in, cli, in_config);
}

/* Vault makes its file, the judge its database. */
static int
make_vault(const struct init *in)
{
	struct config_flags flags = {.file = in->config_path, .data_dir = in->data_dir};
	struct config *c = config_load(&flags);
	pid_t pid = -1;

	if (c != NULL) {
		if (c->log_level < LOG_LEVEL_WARN)
			c->log_level = LOG_LEVEL_WARN;
		c->log_format = LOG_FORMAT_PLAIN;
		pid = master_start_background(c, MASTER_INIT);
		if (pid != -1)
			master_stop_background(pid);
	}
	config_free(c);
	return pid == -1 ? -1 : 0;
}

/* Takes back what layout_make(), judge and vault made: check_absent() saw neither. */
static void
remove_data(const struct init *in)
{
	static const char *const dirs[] = {"judge", "vault"};
	struct dirent *e;
	char *path;
	DIR *d;
	size_t i;

	for (i = 0; i < 2 && (path = key_path_join(in->data_dir, dirs[i])) != NULL; i++) {
		d = opendir(path);
		while (d != NULL && (e = readdir(d)) != NULL)
			(void)unlinkat(dirfd(d), e->d_name, 0);
		if (d != NULL)
			closedir(d);
		(void)rmdir(path);
		free(path);
	}
	path = key_path_join(in->data_dir, "lock");
	if (path != NULL)
		(void)unlink(path);
	free(path);
	(void)rmdir(in->data_dir); /* unless it was there before, with something in it */
}

static void
say_json(const struct init *in)
{
	struct buf out;
	struct jsonw w;

	buf_init(&out);
	jsonw_init(&w, &out);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "config", in->config_path);
	jsonw_key_str(&w, "data_dir", in->data_dir);
	jsonw_key_str(&w, "master_key", in->where);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) == 0)
		printf("%.*s\n", (int)out.len, (char *)out.p);
	buf_free(&out);
}

static void
say(const struct init *in, const struct cli *cli)
{
	if (cli->json) {
		say_json(in);
		return;
	}
	cli_ok("Aegis is ready to run.");
	printf(
	    "  Configuration: %s\n  Data:          %s\n", in->config_path, in->data_dir);
	printf("  Master key:    %s\n", in->where);
	if (cli_given(cli, "generate-cert"))
		printf("  Certificate:   %s (self-signed, 365 days)\n", in->cert_path);
	printf("\n  Without the master key the vault cannot be opened, and nobody can "
	       "recover it:\n"
	       "  keep a copy somewhere else. Whoever can read it and the data directory "
	       "can\n"
	       "  read every secret; in production prefer a systemd credential or "
	       "AEGIS_MASTER_KEY.\n\n"
	       "  Next: aegis vault add --name NAME --service SERVICE --domains DOMAIN\n"
	       "        aegis agent add --name AGENT\n"
	       "        aegis agent grant --agent AGENT --credential NAME\n"
	       "        aegis gate\n");
}

int
cmd_init(struct cli *cli)
{
	struct init in = {0};
	int r = ADMIN_FAILED;

	if (cli_given(cli, "write-secrets") && cli_given(cli, "env-file")) {
		cli_error(NULL, "--write-secrets and --env-file exclude each other");
		return ADMIN_USAGE;
	}
	if (cli_given(cli, "keep-config") && cli_given(cli, "write-secrets")) {
		cli_error(
		    "Without either the key goes into a file of the data directory; "
		    "--env-file writes it into .env.",
		    "--keep-config changes no configuration, so --write-secrets cannot "
		    "be");
		return ADMIN_USAGE;
	}
	if (find_paths(&in, cli) == -1) {
		cli_error(NULL, "out of memory");
		goto out;
	}
	if (cli_given(cli, "keep-config") && keep_paths(&in, cli) == -1)
		goto out;
	if (check_absent(&in, cli_given(cli, "keep-config")) == -1)
		goto out; /* nothing is ours to take back */
	if (write_files(&in, cli) == 0 && make_vault(&in) == 0)
		r = ADMIN_OK;
	explicit_bzero(in.key, sizeof(in.key));
	if (r == ADMIN_OK)
		say(&in, cli);
	while (r != ADMIN_OK && in.nmade > 0)
		unlink(in.made[--in.nmade]);
	if (r != ADMIN_OK)
		remove_data(&in);
out:
	free(in.config_path);
	free(in.base_dir);
	free(in.data_dir);
	free(in.env_path);
	free(in.key_path);
	free(in.cert_path);
	free(in.key_pem_path);
	return r;
}
