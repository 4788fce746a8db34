/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis ledger export: JSON Lines that can be verified, or JSON and CSV (RFC 4180) for
 * people and spreadsheets.
 */
#include <stdio.h>
#include <string.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/ledger_read.h"
#include "aegis/line.h"
#include "aegis/out_file.h"
#include "aegis/progress.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/proto.h"

static const char *const columns[] = {"time", "seq", "kind", "event", "agent", "service",
    "credential", "method", "domain", "path", "tool", "server", "context", "session",
    "decision", "code", "status", "reason", "bytes_in", "bytes_out", "duration_us",
    "request", "peer", "detail"};
#define NCOLUMNS (sizeof(columns) / sizeof(columns[0]))

struct export
{
	FILE *f;
	uint64_t rows;
	bool bare; /* rows without their evidence */
};

static int
write_line(const char *line, size_t len, void *arg)
{
	struct export *x = arg;
	struct line_row row;

	progress(++x->rows, "rows");
	if (x->bare && line_read_row(line, len, &row) == 0 && row.evidence != LINE_NONE)
		return fwrite(line, 1, row.bare_len, x->f) == row.bare_len &&
			fputs("}\n", x->f) >= 0
		    ? 0
		    : -1;
	return fwrite(line, 1, len, x->f) == len && fputc('\n', x->f) == '\n' ? 0 : -1;
}

static int
write_element(const char *text, size_t len, void *arg)
{
	struct export *x = arg;

	progress(x->rows, "rows");
	if (fputs(x->rows++ > 0 ? ",\n  " : "\n  ", x->f) < 0)
		return -1;
	return fwrite(text, 1, len, x->f) == len ? 0 : -1;
}

/*
 * One field. Quoted when it has to be; text that a spreadsheet would take for a formula
 * gets an apostrophe in front, because agents choose paths.
 */
static void
put_field(struct buf *out, const char *p, size_t len)
{
	size_t i;
	bool formula = len > 0 && memchr("=+-@\t\r", p[0], 6) != NULL;
	bool quote = false;

	for (i = 0; i < len && !quote; i++)
		quote = p[i] == ',' || p[i] == '"' || p[i] == '\r' || p[i] == '\n';
	if (quote)
		(void)buf_putc(out, '"');
	if (formula)
		(void)buf_putc(out, '\'');
	for (i = 0; i < len; i++) {
		if (p[i] == '"')
			(void)buf_putc(out, '"');
		(void)buf_putc(out, (uint8_t)p[i]);
	}
	if (quote)
		(void)buf_putc(out, '"');
}

static int
write_csv(const char *text, size_t len, void *arg)
{
	struct export *x = arg;
	struct json_doc d;
	struct buf line, value;
	const uint8_t *raw;
	size_t i, n;
	int r = -1;

	progress(++x->rows, "rows");
	json_init(&d);
	buf_init(&line);
	buf_init(&value);
	if (json_parse(&d, text, len, NULL) != JSON_OK)
		goto out;
	for (i = 0; i < NCOLUMNS; i++) {
		uint32_t node = json_get(&d, 0, columns[i]);

		if (i > 0)
			(void)buf_putc(&line, ',');
		buf_reset(&value);
		if (json_type(&d, node) == JT_STRING &&
		    json_str_put(&d, node, &value) == 0)
			put_field(&line, (char *)value.p, value.len);
		else if (node != JSON_NONE && json_raw(&d, node, &raw, &n) == 0)
			(void)buf_put(&line, raw, n); /* a number */
	}
	r = buf_puts(&line, "\r\n") == 0 && fwrite(line.p, 1, line.len, x->f) == line.len
	    ? 0
	    : -1;
out:
	buf_free(&value);
	buf_free(&line);
	json_free(&d);
	return r;
}

static int
write_all(struct export *x, const struct ledger_query *q, const char *format)
{
	size_t i;
	int r;

	if (strcmp(format, "jsonl") == 0) {
		if (q->since == NULL && q->service == NULL && q->agent == NULL)
			return ledger_read_export(true, write_line, x);
		fprintf(stderr,
		    "note: an export with a filter cannot be verified; leave --since, "
		    "--service and --agent out for one that can\n");
		return ledger_read_rows(q, write_line, x);
	}
	if (strcmp(format, "json") == 0) {
		(void)fputc('[', x->f);
		r = ledger_read_rows(q, write_element, x);
		(void)fputs(x->rows > 0 ? "\n]\n" : "]\n", x->f);
		return r;
	}
	for (i = 0; i < NCOLUMNS; i++)
		(void)fprintf(x->f, "%s%s", i > 0 ? "," : "", columns[i]);
	(void)fputs("\r\n", x->f);
	return ledger_read_rows(q, write_csv, x);
}

int
cmd_ledger_export(struct cli *cli)
{
	const char *format = cli_text_or(cli, "format", "csv"),
		   *path = cli_text(cli, "output");
	const struct ledger_query q = {.since = cli_text(cli, "since"),
	    .exported = true,
	    .service = cli_text(cli, "service"),
	    .agent = cli_text(cli, "agent")};
	struct export x = {.bare = cli_given(cli, "no-evidence")};
	struct out_file out;
	int r;

	if (strcmp(format, "csv") != 0 && strcmp(format, "json") != 0 &&
	    strcmp(format, "jsonl") != 0) {
		cli_error(NULL, "--format: found \"%.20s\", expected csv, json or jsonl",
		    format);
		return ADMIN_USAGE;
	}
	if (x.bare && strcmp(format, "jsonl") != 0) {
		cli_error(
		    NULL, "--no-evidence is for --format jsonl; others never have it");
		return ADMIN_USAGE;
	}
	r = admin_open(cli, ADMIN_NEED_DATA);
	if (r != 0)
		return r;
	if (out_file_open(&out, path) == -1) {
		r = ADMIN_FAILED;
	} else {
		x.f = out.f;
		r = write_all(&x, &q, format);
		progress_end();
		if (out_file_close(&out, r == ADMIN_OK) == -1 && r == ADMIN_OK)
			r = ADMIN_FAILED;
	}
	admin_close();
	return r;
}
