/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resolves the configuration: defaults, then the file, then .env, then the environment,
 * then flags. Every layer is read through the table in key_table.c, and everything that
 * is wrong is reported at once.
 */
#include "aegis/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/config_int.h"
#include "aegis/keys.h"
#include "aegis/policy_file.h"
#include "aegis/problem.h"
#include "aegis/yaml.h"
#include "common/secret.h"

#define DOTENV_MAX 65536

/* -- finding and reading files -- */

/* owned: EPERM unless the file is ours or root's; asked of what was opened. */
static char *
read_file(const char *path, size_t max, size_t *len, bool owned)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), saved;
	struct stat st;
	char *text = NULL;
	size_t n = 0;
	ssize_t got;

	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == -1)
		goto fail;
	if (!S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		goto fail;
	}
	if (owned && st.st_uid != geteuid() && st.st_uid != 0) {
		errno = EPERM;
		goto fail;
	}
	text = malloc(max + 2);
	if (text == NULL)
		goto fail;
	while (n <= max && (got = read(fd, text + n, max + 1 - n)) != 0) {
		if (got == -1)
			goto fail;
		n += (size_t)got;
	}
	if (n > max) {
		errno = EFBIG;
		goto fail;
	}
	text[n] = '\0';
	*len = n;
	close(fd);
	return text;
fail:
	saved = errno;
	if (text != NULL)
		explicit_bzero(text, n);
	free(text);
	close(fd);
	errno = saved;
	return NULL;
}

char *
config_read_file(const char *path, size_t max, size_t *len)
{
	return read_file(path, max, len, false);
}

void
config_warn_mode(const char *path, const char *what)
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & 077) != 0)
		fprintf(stderr,
		    "warning: %s holds %s and others can read it: run chmod 600 %s\n",
		    path, what, path);
}

/*
 * Not asked for by name, so it counts only when it is ours or root's: in a directory that
 * others can write to, anybody may have put it there.
 */
static bool
may_trust(const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return false;
	if (st.st_uid == geteuid() || st.st_uid == 0)
		return true;
	fprintf(stderr,
	    "warning: %s is not used: it belongs to user %u; name it with --config if it "
	    "is "
	    "meant\n",
	    path, (unsigned)st.st_uid);
	return false;
}

static char *
find_in(const char *dir)
{
	static const char *const names[] = {"aegis.config.yaml", "aegis.config.yml"};
	char *path;
	size_t i;

	for (i = 0; dir != NULL && i < 2; i++) {
		path = key_path_join(dir, names[i]);
		if (path != NULL && access(path, F_OK) == 0 && may_trust(path))
			return path;
		free(path);
	}
	return NULL;
}

/* The file's path, or NULL when there is none; a file that was named must exist. */
static int
find_file(const struct config_flags *flags, char **out, bool *is_named)
{
	const char *named = flags->file != NULL ? flags->file : getenv("AEGIS_CONFIG");
	char *cwd;

	*out = NULL;
	*is_named = named != NULL && named[0] != '\0';
	if (*is_named) {
		*out = realpath(named, NULL);
		if (*out == NULL)
			fprintf(stderr, "✗ %s: %s: name an existing file with --config\n",
			    named, strerror(errno));
		return *out != NULL ? 0 : -1;
	}
	cwd = getcwd(NULL, 0);
	*out = find_in(cwd);
	free(cwd);
	if (*out == NULL)
		*out = find_in(getenv("HOME"));
	if (*out == NULL)
		*out = find_in(AEGIS_SYSCONFDIR "/aegis");
	if (*out == NULL && strcmp(AEGIS_SYSCONFDIR, "/etc") != 0)
		*out = find_in("/etc/aegis");
	return 0;
}

static char *
directory_of(const char *file)
{
	const char *slash = file == NULL ? NULL : strrchr(file, '/');

	if (slash == NULL)
		return getcwd(NULL, 0);
	return slash == file ? strdup("/") : strndup(file, (size_t)(slash - file));
}

/* -- .env -- */

/* Splits the text into NAME=VALUE lines in place: blanks and comments gone. */
static void
read_dotenv(struct loading *l)
{
	char *path = key_path_join(l->c->base_dir, ".env"), *line, *end, *next;
	size_t len;

	if (path == NULL || access(path, F_OK) == -1 || !may_trust(path)) {
		free(path);
		return;
	}
	l->dotenv = read_file(path, DOTENV_MAX, &len, true);
	if (l->dotenv == NULL) {
		if (errno != ENOENT)
			problem_add(
			    &l->problems, path, 0, 0, NULL, "%s", strerror(errno));
		free(path);
		return;
	}
	l->dotenv_len = len;
	for (line = l->dotenv; line < l->dotenv + len; line = next) {
		end = memchr(line, '\n', (size_t)(l->dotenv + len - line));
		if (end == NULL)
			end = l->dotenv + len;
		next = end + 1;
		*end = '\0';
		while (end > line && strchr(" \t\r", end[-1]) != NULL)
			*--end = '\0';
	}
	if (config_variable(l, "AEGIS_MASTER_KEY", NULL) != NULL)
		config_warn_mode(path, "the master key");
	free(path);
}

static const char *
dotenv_get(const struct loading *l, const char *name)
{
	const char *line, *found = NULL;
	size_t n = strlen(name);

	if (l->dotenv == NULL)
		return NULL;
	for (line = l->dotenv; line < l->dotenv + l->dotenv_len;
	     line += strlen(line) + 1) {
		const char *p = line + strspn(line, " \t");

		if (strncmp(p, name, n) != 0)
			continue;
		p += n + strspn(p + n, " \t");
		if (*p != '=')
			continue;
		found = p + 1 + strspn(p + 1, " \t");
	}
	return found;
}

const char *
config_variable(const struct loading *l, const char *name, enum config_origin *from)
{
	const char *v = getenv(name);

	if (from != NULL)
		*from = FROM_ENVIRONMENT;
	if (v == NULL || v[0] == '\0') {
		v = dotenv_get(l, name);
		if (from != NULL)
			*from = FROM_DOTENV;
	}
	return v != NULL && v[0] != '\0' ? v : NULL;
}

/* Names only; a reload does not find what a start took away. */
static struct hidden {
	struct hidden *next;
	char name[];
} * hidden;

bool
config_was_hidden(const char *name)
{
	const struct hidden *h;

	for (h = hidden; h != NULL && strcmp(h->name, name) != 0; h = h->next)
		;
	return h != NULL;
}

static void
remember_hidden(const char *name)
{
	size_t size = strlen(name) + 1;
	struct hidden *h = config_was_hidden(name) ? NULL : malloc(sizeof(*h) + size);

	if (h == NULL)
		return;
	memcpy(h->name, name, size);
	h->next = hidden;
	hidden = h;
}

void
config_hide_variable(struct loading *l, const char *name)
{
	char *v = getenv(name);

	(void)l;
	if (v == NULL)
		return;
	remember_hidden(name);
	/* what /proc/PID/environ shows is this memory */
	explicit_bzero(v, strlen(v));
	unsetenv(name);
}

/* -- layers -- */

static void
set(struct loading *l, const struct config_key *k, const char *text,
    enum config_origin from, const char *where)
{
	const char *base = from == FROM_FLAG ? l->cwd : l->c->base_dir;
	char err[320];

	if (key_set_text(k, l->c, text, base, err, sizeof(err)) == -1)
		problem_add(&l->problems, where, 0, 0,
		    from == FROM_ENVIRONMENT || from == FROM_DOTENV ? k->env : k->path,
		    "%s", err);
	else
		l->c->origins[k - config_keys] = (unsigned char)from;
}

static void
set_defaults(struct loading *l)
{
	const struct config_key *k;

	for (k = config_keys; k->path != NULL; k++)
		if (k->fallback != NULL)
			set(l, k, k->fallback, FROM_DEFAULT, "default");
}

static void
on_key(const struct config_key *k, const struct yaml_node *n, void *arg)
{
	struct loading *l = arg;

	l->c->origins[k - config_keys] = FROM_FILE;
	if (strcmp(k->path, "contexts") == 0)
		l->contexts = n;
	else if (strcmp(k->path, "tools.mcp_servers") == 0)
		l->servers = n;
	else if (strcmp(k->path, "seal.issuers") == 0)
		l->issuers = n;
	else if (strcmp(k->path, "webhooks") == 0)
		l->hooks = n;
	else if (k->type == KEY_SECRET)
		config_warn_mode(l->c->file, "the master key");
}

static void
read_config_file(struct loading *l)
{
	struct stat st;
	size_t len;
	char *text = read_file(l->c->file, YAML_SIZE_MAX, &len, !l->named);

	if (text == NULL) {
		problem_add(&l->problems, l->c->file, 0, 0, NULL, "%s",
		    errno == EFBIG ? "found more than 1 MiB, expected a smaller file"
			: errno == EACCES ? CONFIG_NOT_YOURS
					  : strerror(errno));
		return;
	}
	if (stat(l->c->file, &st) == 0 && (st.st_mode & 022) != 0)
		fprintf(stderr, "warning: others can write %s: run chmod go-w %s\n",
		    l->c->file, l->c->file);
	l->root = ytree_parse(text, len, &l->problems);
	explicit_bzero(text, len);
	free(text);
	if (l->root != NULL && l->root->kind != YAML_NULL)
		keys_read_map(config_keys, l->c, l->root, l->c->base_dir, "",
		    &l->problems, on_key, l);
}

static void
read_variables(struct loading *l)
{
	const struct config_key *k;
	enum config_origin from;
	const char *v;

	for (k = config_keys; k->path != NULL; k++) {
		if (k->env == NULL || (v = config_variable(l, k->env, &from)) == NULL)
			continue;
		set(l, k, v, from, from == FROM_DOTENV ? ".env" : "environment");
		if (k->type == KEY_SECRET)
			config_hide_variable(l, k->env);
	}
}

static void
set_flag(struct loading *l, const char *path, const char *text)
{
	if (text != NULL)
		set(l, key_find(config_keys, path), text, FROM_FLAG, "command line");
}

static void
read_flags(struct loading *l, const struct config_flags *f)
{
	char port[16];

	snprintf(port, sizeof(port), "%u", f->port);
	set_flag(l, "gate.port", f->port != 0 ? port : NULL);
	snprintf(port, sizeof(port), "%u", f->dashboard_port);
	set_flag(l, "observability.dashboard.port", f->dashboard_port != 0 ? port : NULL);
	set_flag(l, "observability.dashboard.enabled", f->dashboard ? "true" : NULL);
	set_flag(l, "vault.data_dir", f->data_dir);
	set_flag(l, "vault.name", f->vault);
	set_flag(l, "gate.require_agent_auth",
	    f->no_agent_auth            ? "false"
		: f->require_agent_auth ? "true"
					: NULL);
	if (f->tls && l->c->tls_cert == NULL && f->cert == NULL)
		set_flag(l, "gate.tls.cert", "certs/aegis.crt");
	if (f->tls && l->c->tls_key == NULL && f->key == NULL)
		set_flag(l, "gate.tls.key", "certs/aegis.key");
	set_flag(l, "gate.policies_dir", f->policies_dir);
	set_flag(l, "gate.policy_mode", f->policy_mode);
	set_flag(l, "gate.tls.cert", f->cert);
	set_flag(l, "gate.tls.key", f->key);
}

struct config *
config_load(const struct config_flags *flags)
{
	struct config *c = calloc(1, sizeof(*c));
	struct loading l = {.c = c, .serve = flags->serve};
	int r = -1;

	if (c == NULL || (c->origins = calloc(config_keys_count(), 1)) == NULL ||
	    (l.cwd = getcwd(NULL, 0)) == NULL ||
	    find_file(flags, &c->file, &l.named) == -1)
		goto out;
	c->base_dir = directory_of(c->file);
	c->tenant = strdup("default");
	if (c->base_dir == NULL || c->tenant == NULL)
		goto out;
	problems_init(&l.problems, c->file);
	set_defaults(&l);
	read_dotenv(&l);
	if (c->file != NULL)
		read_config_file(&l);
	read_variables(&l);
	read_flags(&l, flags);
	config_finish(&l);
	config_read_contexts(&l);
	config_read_tools(&l);
	config_read_issuers(&l);
	config_read_hooks(&l);
	/* other commands, such as those that help to correct policies, do without them */
	if (l.serve && c->policies_dir != NULL && c->policy_mode != POLICY_OFF)
		c->policies = policies_read(c->policies_dir, &l.problems);
	if (l.problems.text.len > 0 && flags->problems != NULL)
		(void)buf_put(flags->problems, l.problems.text.p, l.problems.text.len);
	else if (l.problems.text.len > 0)
		fprintf(
		    stderr, "%.*s", (int)l.problems.text.len, (char *)l.problems.text.p);
	if (l.problems.count > PROBLEMS_MAX && flags->problems == NULL)
		fprintf(stderr, "and %u more\n", l.problems.count - PROBLEMS_MAX);
	r = l.problems.count == 0 ? 0 : -1;
	problems_free(&l.problems);
out:
	ytree_free(l.root);
	if (l.dotenv != NULL)
		explicit_bzero(l.dotenv, l.dotenv_len);
	free(l.dotenv);
	free(l.cwd);
	if (r == -1) {
		config_free(c);
		c = NULL;
	}
	return c;
}

void
config_free(struct config *c)
{
	const struct config_key *k;

	if (c == NULL)
		return;
	for (k = config_keys; k->path != NULL; k++)
		key_clear(k, c);
	config_free_openbao(c);
	config_free_tools(c);
	config_free_issuers(c);
	config_free_hooks(c);
	config_free_contexts(c);
	policies_free(c->policies);
	free(c->file);
	free(c->base_dir);
	free(c->tenant);
	free(c->vault_socket);
	free(c->vaults_root);
	free(c->origins);
	free(c);
}
