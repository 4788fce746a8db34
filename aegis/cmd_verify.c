/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis ledger verify: exports, the ledger's own files, the running ledger, receipts.
 * Files may be hostile; the key and the head come from the operator.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/ledger_read.h"
#include "aegis/out.h"
#include "aegis/progress.h"
#include "aegis/verify.h"
#include "common/hex.h"
#include "common/jsonw.h"
#include "common/proto.h"

#define PIECE (8u << 20)

/* -- the report -- */

static void
key_uint(struct jsonw *w, const char *name, uint64_t v)
{
	jsonw_key(w, name);
	jsonw_uint(w, v);
}

static void
report_json(const struct verify *v, bool good)
{
	char head[65] = "";
	struct buf out;
	struct jsonw w;
	unsigned i;

	if (v->sealed_row > 0)
		(void)hex_encode(v->sealed_hash, 32, head, sizeof(head));
	buf_init(&out);
	jsonw_init(&w, &out);
	jsonw_obj_open(&w);
	jsonw_key_bool(&w, "integrity", good);
	jsonw_key_bool(&w, "complete", v->complete);
	jsonw_key_str(&w, "chain", v->chain);
	jsonw_key_str(&w, "kid", v->kid);
	key_uint(&w, "rows", v->rows);
	key_uint(&w, "first", v->first_row);
	key_uint(&w, "last", v->last_row);
	key_uint(&w, "sealed", v->sealed_row);
	jsonw_key_str(&w, "sealed_at", v->sealed_time[0] ? v->sealed_time : NULL);
	jsonw_key_str(&w, "head", head[0] ? head : NULL);
	jsonw_key_bool(&w, "merkle", v->rooted);
	if (v->signatures) {
		key_uint(&w, "signatures", v->verified);
		key_uint(&w, "bad_signatures", v->refuted);
		key_uint(&w, "without_evidence", v->without);
	}
	jsonw_key(&w, "findings");
	jsonw_arr_open(&w);
	for (i = 0; i < v->nfindings && i < VERIFY_FINDINGS_MAX; i++) {
		jsonw_obj_open(&w);
		jsonw_key_str(&w, "kind", verify_kind_name(v->findings[i].kind));
		key_uint(&w, "first", v->findings[i].first);
		key_uint(&w, "last", v->findings[i].last);
		key_uint(&w, "line", v->findings[i].line);
		if (v->findings[i].file != NULL)
			jsonw_key_str(&w, "file", v->findings[i].file);
		jsonw_obj_close(&w);
	}
	jsonw_arr_close(&w);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) == 0)
		printf("%.*s\n", (int)out.len, (char *)out.p);
	buf_free(&out);
}

/* Only what a checkpoint seals was shown: anyone can chain rows behind the last one. */
static bool
only_end_unsealed(const struct verify *v)
{
	return v->nfindings == 1 && v->findings[0].kind == VERIFY_CUT &&
	    v->findings[0].last == 0 && v->sealed_row > 0;
}

static void
report_findings(const struct verify *v)
{
	char text[700];
	struct buf clean;
	unsigned i;

	for (i = 0; i < v->nfindings && i < VERIFY_FINDINGS_MAX; i++) {
		verify_describe(&v->findings[i], text, sizeof(text));
		buf_init(&clean);
		out_clean(&clean, text, strlen(text));
		fprintf(stderr, "  %.*s\n", (int)clean.len, (char *)clean.p);
		buf_free(&clean);
	}
	if (v->nfindings > VERIFY_FINDINGS_MAX)
		fprintf(stderr, "  and %u more\n", v->nfindings - VERIFY_FINDINGS_MAX);
}

static void
report_completeness(const struct verify *v)
{
	if (v->complete && v->sealed_row < v->last_row)
		cli_ok("Completeness: rows 1 to %" PRIu64 ", sealed %s; rows %" PRIu64
		       " to %" PRIu64 " are not sealed yet",
		    v->sealed_row, v->sealed_time, v->sealed_row + 1, v->last_row);
	else if (v->complete)
		cli_ok("Completeness: rows 1 to %" PRIu64
		       ", sealed %s; later rows are not part of it",
		    v->last_row, v->sealed_time);
	else if (v->nfindings == 0)
		cli_error("Name the files before it as well.",
		    "Completeness: this begins with row %" PRIu64, v->first_row);
	else if (v->sealed_row > 0)
		cli_error(NULL, "Completeness: sealed up to row %" PRIu64 " of %" PRIu64,
		    v->sealed_row, v->last_row);
	else
		cli_error(NULL, "Completeness: nothing is sealed");
}

static void
report_signatures(const struct verify *v)
{
	if (v->refuted > 0)
		cli_error(NULL,
		    "Signatures: %" PRIu64
		    " requests were signed by the sessions that they "
		    "name, %" PRIu64 " were not",
		    v->verified, v->refuted);
	else if (v->nfindings > 0)
		cli_error(NULL,
		    "Signatures: %" PRIu64
		    " requests fit the sessions that are named, but "
		    "that is not what was written",
		    v->verified);
	else
		cli_ok("Signatures: %" PRIu64 " requests were signed by the sessions "
		       "that they name; of %" PRIu64 " the evidence is left out",
		    v->verified, v->without);
}

static void
report(const struct verify *v)
{
	char head[65];

	if (v->nfindings == 0)
		cli_ok("Integrity: %" PRIu64 " rows are as they were written", v->rows);
	else if (only_end_unsealed(v))
		cli_error(NULL,
		    "Integrity: rows %" PRIu64 " to %" PRIu64
		    " are as they were written; nothing shows it of later ones",
		    v->first_row, v->sealed_row);
	else
		cli_error(NULL, "Integrity: this is not what was written");
	report_findings(v);
	report_completeness(v);
	if (v->signatures)
		report_signatures(v);
	printf("  chain %s, key %s\n", v->chain[0] ? v->chain : "unknown", v->kid);
	if (v->sealed_row > 0) {
		(void)hex_encode(v->sealed_hash, 32, head, sizeof(head));
		printf("  head %" PRIu64 ":%s\n", v->sealed_row, head);
	}
}

/* -- what to read -- */

/* Maps a file; len 0 and NULL when it is empty. 0, or -1 after saying why. */
static int
map_file(const char *path, char **p, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r = -1;

	*p = NULL;
	*len = 0;
	if (fd == -1 || fstat(fd, &st) == -1) {
		cli_error(NULL, "%s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		cli_error(NULL, "%s: not a file", path);
	} else if (st.st_size > 0) {
		*len = (size_t)st.st_size;
		*p = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0);
		if (*p == MAP_FAILED)
			cli_error(NULL, "%s: %s", path, strerror(errno));
		else
			r = 0;
	} else {
		r = 0;
	}
	if (fd >= 0)
		close(fd);
	return r;
}

static int
read_one(struct verify *v, const char *path)
{
	const char *nl;
	size_t len, at = 0, n;
	char *p;

	if (map_file(path, &p, &len) == -1)
		return -1;
	/* in pieces of whole lines, for the progress alone */
	for (; at < len; at += n) {
		n = len - at;
		nl = n > PIECE ? memrchr(p + at, '\n', PIECE) : NULL;
		if (nl != NULL)
			n = (size_t)(nl + 1 - (p + at));
		verify_text(v, p + at, n);
		progress(v->rows, "rows");
	}
	if (p != NULL)
		munmap(p, len);
	return 0;
}

static int
is_ledger_file(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return len == 26 && strspn(d->d_name, "0123456789") == 20 &&
	    strcmp(d->d_name + 20, ".jsonl") == 0;
}

struct names {
	char **name;
	size_t n;
};

/* The names stay for as long as the findings. 0, or -1 after saying why. */
static int
add_name(struct names *names, const char *dir, const char *name)
{
	char **more = reallocarray(names->name, names->n + 1, sizeof(*more));

	if (more == NULL)
		return -1;
	names->name = more;
	if (dir == NULL)
		more[names->n] = strdup(name);
	else if (asprintf(&more[names->n], "%s/%s", dir, name) == -1)
		more[names->n] = NULL;
	return more[names->n++] != NULL ? 0 : -1;
}

static int
add_directory(struct names *names, const char *path)
{
	struct dirent **list;
	int n = scandir(path, &list, is_ledger_file, alphasort), i, r = 0;

	if (n <= 0) {
		cli_error(NULL, "%s: %s", path,
		    n == 0 ? "no file of a ledger is in it" : strerror(errno));
		if (n == 0)
			free(list);
		return -1;
	}
	for (i = 0; i < n; i++) {
		if (r == 0)
			r = add_name(names, path, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return r;
}

/* What was named, directories as the files in them. */
static int
find_files(struct cli *cli, struct verify *v, struct names *names)
{
	struct stat st;
	unsigned i;

	for (i = 0; i < cli->nrest; i++) {
		if (stat(cli->rest[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			v->open = true;
			if (add_directory(names, cli->rest[i]) == -1)
				return -1;
		} else if (add_name(names, NULL, cli->rest[i]) == -1) {
			return -1;
		}
	}
	return 0;
}

static int
read_files(struct verify *v, const struct names *names)
{
	size_t i;

	for (i = 0; i < names->n; i++) {
		if (names->n > 1)
			verify_file(v, names->name[i]);
		if (read_one(v, names->name[i]) == -1)
			return -1;
	}
	return 0;
}

static void
names_free(struct names *names)
{
	while (names->n > 0)
		free(names->name[--names->n]);
	free(names->name);
}

static int
on_line(const char *line, size_t len, void *arg)
{
	struct verify *v = arg;

	verify_line(v, line, len);
	progress(v->rows, "rows");
	return 0;
}

/* -- the command -- */

/* The key named, or the one of the running judge. */
static int
find_key(struct cli *cli, bool live, uint8_t key[32])
{
	const char *named = cli_text(cli, "key");
	char err[200], kid[65];

	if (named != NULL) {
		if (verify_key_parse(named, key, err, sizeof(err)) == 0)
			return 0;
		cli_error(NULL, "--key: %s", err);
		return ADMIN_USAGE;
	}
	if (live)
		return ledger_read_key(key, kid, sizeof(kid));
	cli_error("\"aegis ledger key\" prints it; keep it apart from what it verifies.",
	    "--key KEY is missing: a file proves nothing without the ledger's public "
	    "key");
	return ADMIN_USAGE;
}

static int
keep_head(struct cli *cli, struct verify *v)
{
	const char *named = cli_text(cli, "head");
	uint8_t hash[32];
	uint64_t row;
	char err[200];

	if (named == NULL)
		return 0;
	if (verify_head_parse(named, &row, hash, err, sizeof(err)) == -1) {
		cli_error(NULL, "--head: %s", err);
		return ADMIN_USAGE;
	}
	verify_keep(v, row, hash);
	return 0;
}

static int
verify_rows(struct cli *cli, struct verify *v, const uint8_t key[32], bool live)
{
	struct names names = {NULL, 0};
	bool good;
	int r;

	if (verify_begin(v, key) == -1)
		return ADMIN_FAILED;
	v->signatures = cli_given(cli, "signatures");
	r = keep_head(cli, v);
	if (r == 0 && live)
		r = ledger_read_export(false, on_line, v);
	else if (r == 0 &&
	    (find_files(cli, v, &names) == -1 || read_files(v, &names) == -1))
		r = ADMIN_FAILED;
	progress_end();
	if (r == 0) {
		good = verify_end(v);
		if (cli->json)
			report_json(v, good);
		else
			report(v);
		r = v->complete ? ADMIN_OK : ADMIN_FAILED;
	}
	verify_free(v);
	names_free(&names);
	return r;
}

static void
report_receipt(const struct cli *cli, const struct verify_receipt *r)
{
	struct buf clean;

	if (cli->json) {
		printf("{\"receipt\":true,\"row\":%.*s,\"completion\":", (int)r->text_len,
		    r->text);
		if (r->completion > 0)
			printf("%" PRIu64, r->completion);
		else
			printf("null");
		printf(",\"sealed\":%" PRIu64 ",\"sealed_at\":\"%s\"}\n", r->sealed_row,
		    r->sealed_time);
		return;
	}
	cli_ok("Row %" PRIu64 " is in the ledger %s, sealed %s with %" PRIu64 " rows",
	    r->row, r->chain, r->sealed_time, r->sealed_row);
	if (r->completion > 0)
		cli_ok("Row %" PRIu64 " is its completion", r->completion);
	buf_init(&clean);
	out_clean(&clean, r->text, r->text_len);
	printf("  %.*s\n", (int)clean.len, (char *)clean.p);
	buf_free(&clean);
}

static int
verify_one_receipt(struct cli *cli, const char *path, const uint8_t key[32])
{
	struct verify_receipt receipt;
	char err[200], *p;
	size_t len;
	int r = ADMIN_FAILED;

	if (map_file(path, &p, &len) == -1)
		return ADMIN_FAILED;
	if (verify_receipt(p, len, key, &receipt, err, sizeof(err)) == 0) {
		report_receipt(cli, &receipt);
		r = ADMIN_OK;
	} else {
		cli_error(NULL, "%s: %s", path, err);
	}
	if (p != NULL)
		munmap(p, len);
	return r;
}

int
cmd_ledger_verify(struct cli *cli)
{
	const char *receipt = cli_text(cli, "receipt");
	bool live = cli->nrest == 0 && (receipt == NULL || !cli_given(cli, "key"));
	struct verify *v;
	uint8_t key[32];
	int r;

	if (receipt != NULL &&
	    (cli->nrest > 0 || cli_given(cli, "head") || cli_given(cli, "signatures"))) {
		cli_error(NULL, "--receipt FILE and --key KEY are all that is needed");
		return ADMIN_USAGE;
	}
	r = live ? admin_open(cli, ADMIN_NEED_DATA) : 0;
	if (r != 0)
		return r;
	v = calloc(1, sizeof(*v));
	r = v != NULL ? find_key(cli, live, key) : ADMIN_FAILED;
	if (r == 0)
		r = receipt != NULL ? verify_one_receipt(cli, receipt, key)
				    : verify_rows(cli, v, key, live);
	if (live)
		admin_close();
	free(v);
	return r;
}
