/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis vault create, vaults, destroy: vaults beside the default one. Each is a data
 * directory of its own, with its own master key, database, agents and ledger; nothing is
 * shared, so what is encrypted in one cannot be read with the key of another. Who may do
 * that the default vault's judge decides, and its ledger has the rows.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config.h"
#include "aegis/keys.h"
#include "aegis/layout.h"
#include "aegis/master.h"
#include "aegis/listing.h"
#include "aegis/sealed.h"
#include "common/buf.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/proto.h"
#include "common/secret.h"

#define DEFAULT "default"
#define KEY_DIGITS 64

/* The configuration with another vault in it; NULL after saying why. */
static struct config *
config_of(const struct cli *cli, const char *vault)
{
	struct config_flags flags = {.file = cli_text(cli, "config"),
	    .data_dir = cli_text(cli, "data-dir"),
	    .vault = vault};

	return config_load(&flags);
}

/* Asks the default vault's judge: a row, or a right. Exit code. */
static int
ask_default(struct cli *cli, enum msg_type type, void *msg)
{
	if (cli->config == NULL && (cli->config = config_of(cli, DEFAULT)) == NULL)
		return ADMIN_FAILED;
	return admin_do(cli, ADMIN_NEED_DATA, type, msg, NULL, NULL);
}

static int
record(struct cli *cli, const char *act, const char *name)
{
	MSG_INIT(admin_record, m);

	m.act = span_str(act);
	m.detail = span_str(name);
	return ask_default(cli, MSG_admin_record, &m);
}

/* 0, or -1 after saying why. */
static int
check_name(const char *name)
{
	if (config_vault_name_ok(name))
		return 0;
	cli_error(NULL, "the name of a vault is 1 to 64 letters, digits, _ and -");
	return -1;
}

static bool
has_vault(const char *dir)
{
	char *path = key_path_join(dir, "vault");
	bool found = path != NULL && access(path, F_OK) == 0;

	free(path);
	return found;
}

/* ---- create ---- */

static int
take_key(const void *p, size_t len, void *arg)
{
	char *key = arg;

	if (len != KEY_DIGITS)
		return -1;
	memcpy(key, p, KEY_DIGITS);
	key[KEY_DIGITS] = '\0';
	return strspn(key, "0123456789abcdefABCDEF") == KEY_DIGITS ? 0 : -1;
}

/* The key of --master-key, or a new one. */
static int
choose_key(struct cli *cli, char key[KEY_DIGITS + 1])
{
	struct secret *given;
	unsigned char raw[32];
	int r;

	if (cli_secret_given(cli)) {
		given = cli_secret(cli);
		r = given != NULL ? secret_use(given, take_key, key) : -1;
		secret_free(given);
		if (r == 0)
			return 0;
		cli_error("openssl rand -hex 32 makes one.",
		    "--master-key is 64 hexadecimal digits");
		return -1;
	}
	randombytes_buf(raw, sizeof(raw));
	sodium_bin2hex(key, KEY_DIGITS + 1, raw, sizeof(raw));
	explicit_bzero(raw, sizeof(raw));
	return 0;
}

static int
write_key(const char *path, const char *key)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd >= 0 && write(fd, key, KEY_DIGITS) == KEY_DIGITS && fsync(fd) == 0
	    ? 0
	    : -1;

	if (r == -1)
		cli_error(NULL, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return r;
}

/* The directory. 0, or -1 after saying why. */
static int
make_place(const char *root, const char *dir)
{
	mode_t mode = geteuid() == 0 ? 0711 : 0700;
	char *vaults = key_path_join(root, "vaults");
	int r = 0;

	if (vaults == NULL || (mkdir(vaults, mode) == -1 && errno != EEXIST) ||
	    mkdir(dir, mode) == -1) {
		cli_error(NULL, "%s: %s", dir, strerror(errno));
		r = -1;
	}
	free(vaults);
	return r;
}

/* Vault makes its file, the judge its database. 0 or -1. */
static int
make_vault(const struct cli *cli, const char *name, const char *key)
{
	struct config *c = config_of(cli, name);
	pid_t pid = -1;

	if (c == NULL)
		return -1;
	secret_free(c->master_key);
	c->master_key = secret_new(key, KEY_DIGITS);
	if (c->log_level < LOG_LEVEL_WARN)
		c->log_level = LOG_LEVEL_WARN;
	if (c->master_key != NULL)
		pid = master_start_background(c, MASTER_INIT);
	if (pid != -1)
		master_stop_background(pid);
	config_free(c);
	return pid == -1 ? -1 : 0;
}

/* What create made of it, or what destroy takes away: files, then the directory. */
static void
remove_files(const char *dir, const char *part)
{
	char *path = part[0] != '\0' ? key_path_join(dir, part) : strdup(dir);
	struct dirent *e;
	DIR *d;

	if (path == NULL)
		return;
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL)
		(void)unlinkat(dirfd(d), e->d_name, 0); /* directories stay */
	if (d != NULL)
		closedir(d);
	(void)rmdir(path);
	free(path);
}

int
cmd_vault_create(struct cli *cli)
{
	const char *name = cli_text(cli, "name");
	char key[KEY_DIGITS + 1], *dir = NULL, *key_path = NULL;
	bool given = cli_secret_given(cli), made = false;
	int r;

	if (check_name(name) == -1 || choose_key(cli, key) == -1)
		return ADMIN_USAGE;
	cli->config = config_of(cli, DEFAULT);
	if (cli->config == NULL)
		return ADMIN_FAILED;
	if (asprintf(&dir, "%s/vaults/%s", cli->config->vaults_root, name) == -1)
		return ADMIN_FAILED;
	if (strcmp(name, DEFAULT) == 0 || access(dir, F_OK) == 0) {
		cli_error("Which there are: aegis vault vaults",
		    "vault %s exists already", name);
		r = ADMIN_FAILED;
		goto out;
	}
	r = record(cli, "vault.create", name);
	if (r != ADMIN_OK)
		goto out;
	r = ADMIN_FAILED;
	key_path = key_path_join(dir, ".master-key");
	made = key_path != NULL && make_place(cli->config->vaults_root, dir) == 0;
	if (made && (given || write_key(key_path, key) == 0) &&
	    make_vault(cli, name, key) == 0)
		r = ADMIN_OK;
	if (r != ADMIN_OK && !made) {
		; /* what is there is somebody else's */
	} else if (r != ADMIN_OK) {
		remove_files(dir, "judge/ledger");
		remove_files(dir, "judge");
		remove_files(dir, "vault");
		remove_files(dir, "");
	} else if (cli->json) {
		printf("{\"name\":\"%s\"}\n", name);
	} else {
		cli_ok("Vault %s is there.", name);
		printf("  Data:       %s\n  Master key: %s\n  Use it:     AEGIS_VAULT=%s "
		       "aegis …\n",
		    dir, given ? "the one you gave; it is written nowhere" : key_path,
		    name);
	}
out:
	explicit_bzero(key, sizeof(key));
	free(dir);
	free(key_path);
	return r;
}

/* ---- vaults ---- */

static void
put_vault(const char *name, const char *dir, bool active, struct listing *l)
{
	struct jsonw w;
	struct buf row;

	buf_init(&row);
	jsonw_init(&w, &row);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "name", name);
	jsonw_key_bool(&w, "active", active);
	jsonw_key_bool(&w, "sealed", sealed_marked(dir));
	if (l->table != NULL)
		jsonw_key_str(&w, "mark",
		    active && sealed_marked(dir) ? "← active, sealed"
			: active                 ? "← active"
			: sealed_marked(dir)     ? "sealed"
						 : "");
	jsonw_key_str(&w, "data_dir", dir);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) == 0)
		listing_add(l, row.p, row.len);
	buf_free(&row);
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
list(const struct config *c, const char *active, struct listing *l)
{
	char *vaults = key_path_join(c->vaults_root, "vaults"), *dir;
	struct dirent **entries = NULL;
	int n, i;

	if (has_vault(c->vaults_root))
		put_vault(DEFAULT, c->vaults_root, strcmp(active, DEFAULT) == 0, l);
	n = vaults != NULL ? scandir(vaults, &entries, NULL, by_name) : 0;
	for (i = 0; i < n; i++) {
		dir = key_path_join(vaults, entries[i]->d_name);
		if (dir != NULL && strchr(entries[i]->d_name, '.') == NULL &&
		    has_vault(dir))
			put_vault(entries[i]->d_name, dir,
			    strcmp(active, entries[i]->d_name) == 0, l);
		free(dir);
		free(entries[i]);
	}
	free(entries);
	free(vaults);
}

int
cmd_vault_vaults(struct cli *cli)
{
	static const struct column columns[] = {{"NAME", "name", COLUMN_PLAIN},
	    {"DATA", "data_dir", COLUMN_PLAIN}, {"", "mark", COLUMN_PLAIN},
	    {NULL, NULL, COLUMN_PLAIN}};
	struct config *now = cli_config(cli);
	struct listing l;
	char active[65];
	int r;
	MSG_INIT(permission_ask, m);

	if (now == NULL)
		return ADMIN_FAILED;
	snprintf(active, sizeof(active), "%s", now->vault_name);
	config_free(now);
	cli->config = NULL;
	m.permission = span_str("vault:read");
	r = ask_default(cli, MSG_permission_ask, &m);
	if (r != ADMIN_OK)
		return r;
	r = listing_begin(&l, cli->json, columns) == 0 ? ADMIN_OK : ADMIN_FAILED;
	if (r == ADMIN_OK) {
		list(cli->config, active, &l);
		listing_print(&l, "No vaults. Make the first: aegis init");
	}
	listing_end(&l);
	return r;
}

/* ---- destroy ---- */

/* Secrets and their key go; the ledger stays, under a name that no vault can have. */
static int
destroy(const char *dir, const char *name, char **kept)
{
	char when[24];
	time_t now = time(NULL);
	struct tm tm;

	(void)gmtime_r(&now, &tm);
	(void)strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	if (asprintf(kept, "%.*s%s.destroyed-%s", (int)(strlen(dir) - strlen(name)), dir,
		name, when) == -1)
		return -1;
	/* first the name: from here on no command opens it */
	if (rename(dir, *kept) == -1) {
		cli_error(NULL, "%s: %s", dir, strerror(errno));
		return -1;
	}
	remove_files(*kept, "vault");
	remove_files(*kept, "");
	if (has_vault(*kept)) {
		cli_error("Remove it by hand.", "%s/vault could not be removed", *kept);
		return -1;
	}
	return 0;
}

int
cmd_vault_destroy(struct cli *cli)
{
	const char *name = cli_text(cli, "name");
	struct config *c;
	char *kept = NULL;
	int r = ADMIN_FAILED;

	if (check_name(name) == -1)
		return ADMIN_USAGE;
	if (strcmp(name, DEFAULT) == 0) {
		cli_error("Remove its data directory by hand, when no gate uses it.",
		    "the default vault is not destroyed");
		return ADMIN_REFUSED;
	}
	c = config_of(cli, name);
	if (c == NULL)
		return ADMIN_FAILED;
	if (!has_vault(c->data_dir))
		cli_error(
		    "Which there are: aegis vault vaults", "there is no vault %s", name);
	else if (!cli_given(cli, "confirm")) {
		cli_error("Say so with --confirm. Its ledger stays.",
		    "this destroys vault %s with all its credentials, and nobody can "
		    "bring "
		    "them back",
		    name);
		r = ADMIN_USAGE;
	} else if (layout_in_use(c)) {
		cli_error("Stop it first.", "a gate is running on vault %s", name);
		r = ADMIN_REFUSED;
	} else if ((r = record(cli, "vault.destroy", name)) == ADMIN_OK) {
		r = destroy(c->data_dir, name, &kept) == 0 ? ADMIN_OK : ADMIN_FAILED;
		if (r == ADMIN_OK && cli->json)
			printf("{\"name\":\"%s\",\"ledger\":\"%s\"}\n", name, kept);
		else if (r == ADMIN_OK)
			cli_ok(
			    "Vault %s is destroyed. Its ledger stays in %s.", name, kept);
	}
	config_free(c);
	free(kept);
	return r;
}
