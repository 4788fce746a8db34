/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis db backup and restore. A backup is a directory: the judge's database as the judge
 * copies it, the vault's file (encrypted, as always), the ledger's files, and a list with
 * their SHA-256. The master key is not in it. Copied in this order the parts fit each
 * other while a gate runs: the ledger knows all that the database does, and vault's file
 * is not older than what the database remembers of it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config.h"
#include "aegis/config_int.h"
#include "aegis/keys.h"
#include "aegis/layout.h"
#include "aegis/out.h"
#include "aegis/progress.h"
#include "common/buf.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/priv.h"
#include "common/proto.h"
#include "common/sha256.h"

#define MANIFEST "backup.json"
#define MANIFEST_MAX (4 * 1024 * 1024)
#define NAME_OCTETS 300

struct backup {
	const struct config *config;
	char *dir;
	struct jsonw w;
	struct buf manifest;
	unsigned files;
	uint64_t octets;
};

struct mapped {
	void *p;
	size_t len;
	int fd;
};

static int
map_file(const char *path, struct mapped *m)
{
	struct stat st;

	m->p = NULL;
	m->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (m->fd == -1 || fstat(m->fd, &st) == -1 || !S_ISREG(st.st_mode))
		goto fail;
	m->len = (size_t)st.st_size;
	if (m->len > 0) {
		m->p = mmap(NULL, m->len, PROT_READ, MAP_PRIVATE, m->fd, 0);
		if (m->p == MAP_FAILED) {
			m->p = NULL;
			goto fail;
		}
	}
	return 0;
fail:
	cli_error(NULL, "%s: %s", path, m->fd == -1 ? strerror(errno) : "cannot be read");
	if (m->fd >= 0)
		close(m->fd);
	return -1;
}

static void
unmap(struct mapped *m)
{
	if (m->p != NULL)
		(void)munmap(m->p, m->len);
	close(m->fd);
}

/* A new file, on the disk when it returns. 0, or -1 after saying why. */
static int
write_file(const char *path, const void *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	const char *at = p;
	ssize_t n = 0;

	while (fd >= 0 && len > 0 && (n = write(fd, at, len)) > 0) {
		at += n;
		len -= (size_t)n;
	}
	if (fd == -1 || len > 0 || fsync(fd) == -1) {
		cli_error(NULL, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

static void
hash_of(const void *p, size_t len, char text[65])
{
	uint8_t hash[SHA256_LEN];

	sha256_two(p, len, "", 0, hash);
	(void)hex_encode(hash, sizeof(hash), text, 65);
}

/* Octets into the backup, and onto its list. 0, or -1 after saying why. */
static int
add_octets(struct backup *b, const void *p, size_t len, const char *name)
{
	char *to = key_path_join(b->dir, name), hash[65];
	int r = to != NULL ? write_file(to, p, len) : -1;

	free(to);
	if (r == -1)
		return -1;
	hash_of(p, len, hash);
	jsonw_obj_open(&b->w);
	jsonw_key_str(&b->w, "name", name);
	jsonw_key_int(&b->w, "octets", (int64_t)len);
	jsonw_key_str(&b->w, "sha256", hash);
	jsonw_obj_close(&b->w);
	b->files++;
	b->octets += len;
	progress(b->octets, "octets");
	return 0;
}

/* One file. whole_lines: what is no line yet stays out. */
static int
add_file(struct backup *b, const char *from, const char *name, bool whole_lines)
{
	struct mapped m;
	size_t len;
	int r;

	if (map_file(from, &m) == -1)
		return -1;
	len = m.len;
	while (whole_lines && len > 0 && ((const char *)m.p)[len - 1] != '\n')
		len--;
	r = add_octets(b, m.p, len, name);
	unmap(&m);
	return r;
}

static int
is_ledger_file(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot != NULL && strcmp(dot, ".jsonl") == 0;
}

static int
is_vault_file(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot != NULL && e->d_name[0] != '.' &&
	    (strcmp(dot, ".vault") == 0 || strcmp(dot, ".split") == 0);
}

/* The files of one directory, in order of their names. */
static int
add_directory(struct backup *b, const char *part, int (*wanted)(const struct dirent *),
    const char *prefix, bool whole_lines)
{
	char *from = key_path_join(b->config->data_dir, part), name[NAME_OCTETS], *path;
	struct dirent **entries = NULL;
	int n = from != NULL ? scandir(from, &entries, wanted, alphasort) : -1, r = 0;

	if (n == -1) {
		cli_error("Run this as root, or as the user whose data it is.", "%s: %s",
		    from != NULL ? from : part, strerror(errno));
		r = -1;
	}
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s%s", prefix, entries[i]->d_name);
		path = r == 0 ? key_path_join(from, entries[i]->d_name) : NULL;
		if (path != NULL)
			r = add_file(b, path, name, whole_lines);
		free(path);
		free(entries[i]);
	}
	free(entries);
	free(from);
	return r;
}

/* The judge writes its database into a memfd of ours. Exit code. */
static int
copy_database(struct cli *cli, struct backup *b)
{
	int fd, r = admin_open(cli, ADMIN_NEED_DATA);
	struct stat st;
	void *p;
	MSG_INIT(db_copy, m);

	if (r != 0)
		return r;
	fd = memfd_create("judge.db", MFD_CLOEXEC);
	m.out = fd >= 0 ? dup(fd) : -1;
	if (m.out == -1) {
		cli_error(NULL, "memfd: %s", strerror(errno));
		r = ADMIN_FAILED;
	} else {
		r = admin_ask_ok(MSG_db_copy, &m, NULL, NULL);
	}
	admin_close();
	if (r == ADMIN_OK) {
		r = ADMIN_FAILED;
		if (fstat(fd, &st) == 0 && st.st_size > 0 &&
		    (p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) !=
			MAP_FAILED) {
			if (add_octets(b, p, (size_t)st.st_size, "judge.db") == 0)
				r = ADMIN_OK;
			(void)munmap(p, (size_t)st.st_size);
		}
	}
	if (fd >= 0)
		close(fd);
	return r;
}

int
cmd_db_backup(struct cli *cli)
{
	const char *out = cli_text_or(cli, "output", "aegis-backup");
	char *cwd = getcwd(NULL, 0), *list = NULL;
	struct backup b = {.config = cli_config(cli)};
	int r = ADMIN_FAILED;

	if (b.config == NULL)
		goto out;
	b.dir = cwd != NULL ? key_path_join(cwd, out) : NULL;
	list = b.dir != NULL ? key_path_join(b.dir, MANIFEST) : NULL;
	if (list == NULL || mkdir(b.dir, 0700) == -1) {
		cli_error(errno == EEXIST
			? "backup overwrites nothing: name another with "
			  "--output."
			: NULL,
		    "%s: %s", out, strerror(errno));
		goto out;
	}
	jsonw_init(&b.w, &b.manifest);
	jsonw_obj_open(&b.w);
	jsonw_key_str(&b.w, "backup", "aegis-1");
	jsonw_key_str(&b.w, "vault", b.config->vault_name);
	jsonw_key(&b.w, "files");
	jsonw_arr_open(&b.w);
	r = copy_database(cli, &b);
	if (r == ADMIN_OK &&
	    (add_directory(&b, "vault", is_vault_file, "", false) == -1 ||
		add_directory(&b, "judge/ledger", is_ledger_file, "ledger-", true) == -1))
		r = ADMIN_FAILED;
	progress_end();
	jsonw_arr_close(&b.w);
	jsonw_obj_close(&b.w);
	if (r == ADMIN_OK &&
	    (jsonw_done(&b.w) != 0 ||
		write_file(list, b.manifest.p, b.manifest.len) == -1))
		r = ADMIN_FAILED;
	if (r == ADMIN_OK && cli->json)
		printf("{\"directory\":\"%s\",\"files\":%u,\"octets\":%llu}\n", b.dir,
		    b.files, (unsigned long long)b.octets);
	else if (r == ADMIN_OK)
		cli_ok("%u files, %llu octets are in %s.\n  The master key is not: "
		       "without it the "
		       "backup opens nothing.",
		    b.files, (unsigned long long)b.octets, b.dir);
	else
		fprintf(stderr, "  %s is not whole: remove it.\n", b.dir);
out:
	buf_free(&b.manifest);
	free(b.dir);
	free(list);
	free(cwd);
	return r;
}

/* ---- restore ---- */

struct restore {
	const struct config *config;
	char *dir;
	struct json_doc doc;
	char *text;
	char when[24];
};

/* A name of the list: a plain file of the backup. */
static bool
name_is_ours(const char *name)
{
	return strcmp(name, "judge.db") == 0 ||
	    (name[0] != '.' && strchr(name, '/') == NULL &&
		(strncmp(name, "ledger-", 7) == 0 || strstr(name, ".vault") != NULL ||
		    strstr(name, ".split") != NULL));
}

/* Is each file there, as it was? 0, or -1 after saying which is not. */
static int
check_files(struct restore *in)
{
	char name[NAME_OCTETS], want[65], hash[65], *path;
	struct json_iter it;
	struct mapped m;
	int r = 0;

	json_iter_init(&it, &in->doc, json_get(&in->doc, 0, "files"));
	while (r == 0 && json_iter_next(&it, &in->doc)) {
		r = -1;
		if (json_str_copy(&in->doc, json_get(&in->doc, it.value, "name"), name,
			sizeof(name), NULL) == -1 ||
		    json_str_copy(&in->doc, json_get(&in->doc, it.value, "sha256"), want,
			sizeof(want), NULL) == -1 ||
		    !name_is_ours(name)) {
			cli_error(
			    NULL, "%s/" MANIFEST " is no list of a backup", in->dir);
			break;
		}
		path = key_path_join(in->dir, name);
		if (path != NULL && map_file(path, &m) == 0) {
			hash_of(m.p != NULL ? m.p : "", m.len, hash);
			unmap(&m);
			if (strcmp(hash, want) == 0)
				r = 0;
			else
				cli_error("Take another backup.",
				    "%s is not as it was when the backup was made", path);
		}
		free(path);
	}
	return r;
}

static int
read_list(struct restore *in)
{
	char *path = key_path_join(in->dir, MANIFEST);
	size_t len = 0;

	in->text = path != NULL ? config_read_file(path, MANIFEST_MAX, &len) : NULL;
	if (in->text == NULL)
		cli_error("--input is a directory that \"aegis db backup\" made.",
		    "%s: %s", path != NULL ? path : in->dir, strerror(errno));
	free(path);
	if (in->text == NULL)
		return -1;
	if (json_parse(&in->doc, in->text, len, NULL) != JSON_OK ||
	    !json_str_eq(&in->doc, json_get(&in->doc, 0, "backup"), "aegis-1")) {
		cli_error(NULL, "%s/" MANIFEST " is no list of a backup", in->dir);
		return -1;
	}
	return check_files(in);
}

/* What is there now steps aside, under a name with the time. */
static int
step_aside(struct restore *in, const char *part)
{
	char *from = key_path_join(in->config->data_dir, part), *to = NULL;
	int r = -1;

	if (from != NULL && asprintf(&to, "%s.before-%s", from, in->when) != -1) {
		r = rename(from, to) == 0 || errno == ENOENT ? 0 : -1;
		if (r == -1)
			cli_error(NULL, "%s: %s", from, strerror(errno));
	}
	free(from);
	free(to);
	return r;
}

/* Where a file of the backup belongs, and whose it is there. */
static char *
place_of(const struct restore *in, const char *name, enum role *owner)
{
	const char *part = "judge";
	char *dir, *path;

	*owner = ROLE_JUDGE;
	if (strncmp(name, "ledger-", 7) == 0) {
		part = "judge/ledger";
		name += 7;
	} else if (strcmp(name, "judge.db") != 0) {
		part = "vault";
		*owner = ROLE_VAULT;
	}
	dir = key_path_join(in->config->data_dir, part);
	path = dir != NULL ? key_path_join(dir, name) : NULL;
	free(dir);
	return path;
}

static int
give_to(const char *path, enum role owner)
{
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0)
		return 0;
	return priv_uid_for(owner, &uid, &gid) == -1 || lchown(path, uid, gid) == -1 ? -1
										     : 0;
}

static int
put_files(struct restore *in)
{
	uint64_t done = 0;
	char name[NAME_OCTETS], *from, *to, *ledger;
	struct json_iter it;
	struct mapped m;
	enum role owner;
	int r = 0;

	ledger = key_path_join(in->config->data_dir, "judge/ledger");
	if (ledger == NULL || mkdir(ledger, 0700) == -1 ||
	    give_to(ledger, ROLE_JUDGE) == -1) {
		cli_error(
		    NULL, "%s: %s", ledger != NULL ? ledger : "ledger", strerror(errno));
		r = -1;
	}
	free(ledger);
	json_iter_init(&it, &in->doc, json_get(&in->doc, 0, "files"));
	while (r == 0 && json_iter_next(&it, &in->doc)) {
		(void)json_str_copy(&in->doc, json_get(&in->doc, it.value, "name"), name,
		    sizeof(name), NULL);
		from = key_path_join(in->dir, name);
		to = place_of(in, name, &owner);
		r = -1;
		if (from != NULL && to != NULL && map_file(from, &m) == 0) {
			if (write_file(to, m.p, m.len) == 0 && give_to(to, owner) == 0)
				r = 0;
			done += m.len;
			progress(done, "octets");
			unmap(&m);
		}
		free(from);
		free(to);
	}
	progress_end();
	return r;
}

/* Opens what was put there, with the key, and leaves a row about it. Exit code. */
static int
open_restored(struct cli *cli, const char *from)
{
	MSG_INIT(admin_record, m);

	m.act = span_str("db.restore");
	m.detail = span_str(from);
	return admin_do(cli, ADMIN_NEED_DATA, MSG_admin_record, &m, NULL, NULL);
}

static bool
has_data(const struct config *c)
{
	static const char *const parts[] = {"judge/judge.db", "vault/default.vault"};
	bool found = false;

	for (size_t i = 0; i < 2; i++) {
		char *path = key_path_join(c->data_dir, parts[i]);

		found |= path != NULL && access(path, F_OK) == 0;
		free(path);
	}
	return found;
}

int
cmd_db_restore(struct cli *cli)
{
	char *cwd = getcwd(NULL, 0);
	struct restore in = {.config = cli_config(cli)};
	time_t now = time(NULL);
	int lock = -1, r = ADMIN_FAILED;
	struct tm tm;

	json_init(&in.doc);
	if (in.config == NULL || cwd == NULL)
		goto out;
	(void)gmtime_r(&now, &tm);
	(void)strftime(in.when, sizeof(in.when), "%Y%m%dT%H%M%SZ", &tm);
	in.dir = key_path_join(cwd, cli_text(cli, "input"));
	if (in.dir == NULL || read_list(&in) == -1)
		goto out;
	if (has_data(in.config) && !cli_given(cli, "force")) {
		cli_error("Say --force: what is there steps aside and is kept.",
		    "%s holds a vault", in.config->data_dir);
		r = ADMIN_REFUSED;
		goto out;
	}
	if (mkdir(in.config->data_dir, geteuid() == 0 ? 0711 : 0700) == -1 &&
	    errno != EEXIST) {
		cli_error(NULL, "%s: %s", in.config->data_dir, strerror(errno));
		goto out;
	}
	lock = layout_lock(in.config);
	if (lock == -1) {
		cli_error(
		    "Stop it first.", "a gate is running on %s", in.config->data_dir);
		r = ADMIN_REFUSED;
		goto out;
	}
	if (step_aside(&in, "judge") == 0 && step_aside(&in, "vault") == 0 &&
	    layout_make(in.config) == 0 && put_files(&in) == 0)
		r = ADMIN_OK;
	close(lock);
	if (r == ADMIN_OK)
		r = open_restored(cli, cli_text(cli, "input"));
	if (r != ADMIN_OK)
		fprintf(stderr,
		    "  What was there before is in judge.before-%s and vault.before-%s "
		    "of %s.\n",
		    in.when, in.when, in.config->data_dir);
	else if (cli->json)
		printf("{\"data_dir\":\"%s\"}\n", in.config->data_dir);
	else
		cli_ok("%s is as it was in %s. Check it with \"aegis ledger verify\".",
		    in.config->data_dir, cli_text(cli, "input"));
out:
	json_free(&in.doc);
	free(in.text);
	free(in.dir);
	free(cwd);
	return r;
}
