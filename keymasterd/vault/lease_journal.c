/* SPDX-License-Identifier: Apache-2.0 */
/* Leases on the disk; see lease_journal.h. Runs in vault. */
#include "keymasterd/vault/lease_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "keymasterd/vault/file.h"
#include "keymasterd/vault/lease_table.h"

#define FILE_NAME "leases.jsonl"
#define FILE_TEMP "leases.jsonl.new"
#define FILE_MAX (16u * 1024 * 1024)
#define LINES_FREE 512 /* lines beyond four for each lease: time to begin anew */

static int dir = -1, fd = -1;
static unsigned nlines;
static bool torn; /* the last line may be a part of one */

static int
put_line(struct buf *out, const struct lease *l, bool gone)
{
	char run[2 * LEASE_RUN_LEN + 1];
	struct jsonw w;

	(void)hex_encode(l->run, LEASE_RUN_LEN, run, sizeof(run));
	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	jsonw_key_int(&w, "lease", (int64_t)l->number);
	jsonw_key_int(&w, "state", gone ? 0 : (int64_t)l->state);
	if (!gone) {
		jsonw_key_str(&w, "run", run);
		jsonw_key_int(&w, "instance", l->instance);
		jsonw_key_str(&w, "tenant", l->tenant);
		jsonw_key_str(&w, "server", l->server);
		jsonw_key_str(&w, "execution", l->execution);
		jsonw_key_str(&w, "namespace", l->ns);
		jsonw_key_str(&w, "path", l->path);
		jsonw_key_str(&w, "accessor", l->token->accessor);
		jsonw_key_str(&w, "id", l->id);
		jsonw_key_int(&w, "born", (int64_t)l->born_s);
		jsonw_key_int(&w, "token_ends", (int64_t)l->token->ends_s);
		jsonw_key_int(&w, "ttl", l->ttl_s);
	}
	jsonw_obj_close(&w);
	return jsonw_done(&w) == 0 && buf_putc(out, '\n') == 0 ? 0 : -1;
}

static int
put_token(struct buf *out, const struct lease_token *t, bool gone)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "token", t->accessor);
	jsonw_key_str(&w, "namespace", t->ns);
	jsonw_key_int(&w, "ends", gone ? 0 : (int64_t)t->ends_s);
	jsonw_obj_close(&w);
	return jsonw_done(&w) == 0 && buf_putc(out, '\n') == 0 ? 0 : -1;
}

/* A new file with what there is, in place of the one there was. */
static int
begin_anew(void)
{
	const struct lease_token *t;
	const struct lease *l;
	struct buf text;
	int r = 0;

	if (fd != -1)
		close(fd);
	fd = -1;
	buf_init(&text);
	nlines = 0;
	TAILQ_FOREACH (t, &lease_tokens, entry)
		if (t->accessor[0] != '\0')
			r |= put_token(&text, t, false);
	TAILQ_FOREACH (l, &leases, entry)
		if (l->token != NULL) {
			r |= put_line(&text, l, false);
			nlines++;
		}
	if (r == -1)
		errno = ENOMEM;
	else
		r = file_replace(dir, FILE_NAME, FILE_TEMP,
		    text.p != NULL ? (char *)text.p : "", text.len);
	buf_free(&text);
	if (r == -1)
		return -1;
	torn = false;
	fd = openat(dir, FILE_NAME, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	return fd == -1 ? -1 : 0;
}

static bool
is_long(void)
{
	const struct lease *l;
	unsigned n = 0;

	TAILQ_FOREACH (l, &leases, entry)
		n++;
	return nlines > 4 * n + LINES_FREE;
}

/* One line more. */
static int
append(const struct buf *line, bool durable)
{
	ssize_t n;
	int r;

	do
		n = write(fd, line->p, line->len);
	while (n == -1 && errno == EINTR);
	torn = n != (ssize_t)line->len;
	if (torn && n >= 0)
		errno = ENOSPC;
	nlines++;
	r = torn || (durable && fsync(fd) == -1) ? -1 : 0;
	if (r == -1)
		LOG_ERROR("lease.journal", LE("error", errno));
	return r;
}

static int
put(const struct lease *l, const struct lease_token *t, bool gone, bool durable)
{
	struct buf line;
	int r;

	/* what a new file says is durable, and has it already */
	if (fd == -1 || torn || is_long())
		return begin_anew();
	buf_init(&line);
	r = l != NULL ? put_line(&line, l, gone) : put_token(&line, t, gone);
	errno = ENOMEM;
	if (r == 0)
		r = append(&line, durable);
	buf_free(&line);
	return r;
}

void
lease_journal_token(const struct lease_token *t, int gone)
{
	/* of no use to anybody once it is lost: it ends by itself */
	(void)put(NULL, t, gone != 0, false);
}

int
lease_journal_put(const struct lease *l, int durable)
{
	return put(l, NULL, false, durable != 0);
}

void
lease_journal_drop(const struct lease *l)
{
	/* lost on the way to the disk it is revoked once more, which does no harm */
	(void)put(l, NULL, true, false);
}

void
lease_journal_close(void)
{
	if (fd != -1)
		close(fd);
	fd = -1;
}

/* -- reading -- */

static int
take_text(const struct json_doc *d, const char *name, char *out, size_t size)
{
	return json_str_copy(d, json_get(d, json_root(d), name), out, size, NULL);
}

static int
take_number(const struct json_doc *d, const char *name, int64_t max, int64_t *n)
{
	return json_int64(d, json_get(d, json_root(d), name), n) == 0 && *n >= 0 &&
		*n <= max
	    ? 0
	    : -1;
}

static struct lease *
find(uint64_t number)
{
	struct lease *l;

	TAILQ_FOREACH (l, &leases, entry)
		if (l->began_us == number) /* the number it had in the file */
			return l;
	return NULL;
}

static int
take_token(const struct json_doc *d)
{
	char accessor[LEASE_ACCESSOR_MAX + 1], ns[BAO_NAMESPACE_SIZE];
	struct lease_token *t;
	int64_t ends;

	if (take_text(d, "token", accessor, sizeof(accessor)) == -1 ||
	    accessor[0] == '\0' || take_text(d, "namespace", ns, sizeof(ns)) == -1 ||
	    take_number(d, "ends", INT64_MAX, &ends) == -1 ||
	    (t = lease_token_get(ns, accessor)) == NULL)
		return -1;
	t->ends_s = (uint64_t)ends;
	if (ends == 0 && t->users == 0)
		lease_token_free(t);
	return 0;
}

/* 0, or -1: not a line of ours. */
static int
take_line(const struct json_doc *d)
{
	int64_t number, state, instance, born, token_ends, ttl;
	char run[2 * LEASE_RUN_LEN + 1], accessor[LEASE_ACCESSOR_MAX + 1];
	struct lease_token *t = NULL;
	struct lease *l;

	if (json_get(d, json_root(d), "token") != JSON_NONE)
		return take_token(d);
	if (take_number(d, "lease", INT64_MAX, &number) == -1 ||
	    take_number(d, "state", LEASE_ENDING, &state) == -1)
		return -1;
	l = find((uint64_t)number);
	if (state == 0) {
		if (l != NULL)
			lease_free(l);
		return 0;
	}
	if (l == NULL && (l = lease_new()) == NULL)
		return -1;
	l->began_us = (uint64_t)number;
	if (take_text(d, "run", run, sizeof(run)) == -1 ||
	    hex_decode(run, strlen(run), l->run, sizeof(l->run)) != LEASE_RUN_LEN ||
	    take_number(d, "instance", UINT32_MAX, &instance) == -1 ||
	    take_text(d, "tenant", l->tenant, sizeof(l->tenant)) == -1 ||
	    take_text(d, "server", l->server, sizeof(l->server)) == -1 ||
	    take_text(d, "execution", l->execution, sizeof(l->execution)) == -1 ||
	    take_text(d, "namespace", l->ns, sizeof(l->ns)) == -1 ||
	    take_text(d, "path", l->path, sizeof(l->path)) == -1 ||
	    take_text(d, "accessor", accessor, sizeof(accessor)) == -1 ||
	    accessor[0] == '\0' || take_text(d, "id", l->id, sizeof(l->id)) == -1 ||
	    take_number(d, "born", INT64_MAX, &born) == -1 ||
	    take_number(d, "token_ends", INT64_MAX, &token_ends) == -1 ||
	    take_number(d, "ttl", UINT32_MAX, &ttl) == -1 ||
	    (t = lease_token_get(l->ns, accessor)) == NULL) {
		lease_free(l);
		return -1;
	}
	l->state = (enum lease_state)state;
	l->instance = (uint32_t)instance;
	l->born_s = (uint64_t)born;
	if (l->token == NULL)
		lease_token_use(l, t);
	t->ends_s = (uint64_t)token_ends;
	l->ttl_s = (uint32_t)ttl;
	return 0;
}

void
lease_journal_parse(const char *text, size_t len)
{
	struct json_doc d;
	struct lease *l;
	const char *nl;
	bool good = true;

	json_init(&d);
	while (good && len > 0 && (nl = memchr(text, '\n', len)) != NULL) {
		good = json_parse(&d, text, (size_t)(nl - text), NULL) == JSON_OK &&
		    take_line(&d) == 0;
		len -= (size_t)(nl + 1 - text);
		text = nl + 1;
	}
	json_free(&d);
	if (!good || len > 0)
		LOG_WARN("lease.journal", LS("what", "the end was not written: left out"),
		    LU("octets", len));
	TAILQ_FOREACH (l, &leases, entry)
		l->began_us = 0;
}

int
lease_journal_open(int dirfd)
{
	uint8_t *text = NULL;
	size_t len;

	dir = dirfd;
	if (file_read(dirfd, FILE_NAME, FILE_MAX, &text, &len) == 0)
		lease_journal_parse((const char *)text, len);
	else if (errno != ENOENT)
		return -1;
	free(text);
	return begin_anew();
}
