/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of the ledger.
 */
#include "aegis/ledger_read.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/line.h"
#include "common/buf.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/proto.h"

#define PAGE 1000 /* rows a question, as many as the judge gives */

#define ROW_HEAD "{\"row\":"

/* Rows of one page, each with a newline: what they mean is known at the page's end. */
static void
keep_row(const void *json, size_t len, void *arg)
{
	struct buf *page = arg;

	if (buf_put(page, json, len) == 0)
		(void)buf_putc(page, '\n');
}

struct page_end {
	char chain[65], prev[65];
	uint64_t next;
	bool more;
};

static int
read_end(const struct admin_answer *a, struct page_end *end)
{
	struct json_doc d;
	int64_t next = 0;
	int r = -1;

	memset(end, 0, sizeof(*end));
	json_init(&d);
	if (json_parse(&d, a->json.p, a->json.len, NULL) == JSON_OK &&
	    json_str_copy(&d, json_get(&d, 0, "chain"), end->chain, sizeof(end->chain),
		NULL) == 0 &&
	    json_str_copy(
		&d, json_get(&d, 0, "prev"), end->prev, sizeof(end->prev), NULL) == 0 &&
	    json_int64(&d, json_get(&d, 0, "next"), &next) == 0 && next >= 0 &&
	    json_bool(&d, json_get(&d, 0, "more"), &end->more) == 0)
		r = 0;
	end->next = (uint64_t)next;
	json_free(&d);
	if (r == -1)
		cli_error(NULL, "the judge's answer about the ledger cannot be read");
	return r;
}

/* Asks one question. 0, or an exit code after saying why. */
static int
ask_page(enum msg_type type, void *msg, struct buf *page, struct page_end *end)
{
	struct admin_answer a = {0};
	int r = ADMIN_OK;

	buf_reset(page);
	if (admin_ask(type, msg, keep_row, page, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if (read_end(&a, end) == -1)
		r = ADMIN_FAILED;
	admin_answer_free(&a);
	return r;
}

static int
ask_rows(const struct ledger_query *q, uint64_t after, uint64_t limit, struct buf *page,
    struct page_end *end)
{
	MSG_INIT(ledger_read, m);

	m.after = after;
	m.newest_first = q->newest_first;
	m.limit = limit < PAGE ? (uint32_t)limit : PAGE;
	m.since = span_str(q->since);
	m.service = span_str(q->service);
	m.agent = span_str(q->agent);
	m.kind = span_str(q->kind);
	m.request = span_str(q->request);
	m.exported = q->exported;
	return ask_page(MSG_ledger_read, &m, page, end);
}

/* Calls fn for each line of a page; -1 when it stopped. */
static int
each_line(const struct buf *page, ledger_line_fn fn, void *arg)
{
	const char *p = (const char *)page->p, *end = p + page->len, *nl;

	for (; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == NULL || fn(p, (size_t)(nl - p), arg) == -1)
			return -1;
	}
	return 0;
}

struct rows {
	ledger_row_fn fn;
	void *arg;
	uint64_t left;
};

static int
give_text(const char *line, size_t len, void *arg)
{
	struct rows *rows = arg;
	struct line_row row;

	if (rows->left == 0 || line_read_row(line, len, &row) == -1)
		return -1;
	rows->left--;
	return rows->fn(row.text.p, row.text.len, rows->arg);
}

int
ledger_read_rows(const struct ledger_query *q, ledger_row_fn fn, void *arg)
{
	struct rows rows = {fn, arg, q->limit == 0 ? UINT64_MAX : q->limit};
	struct page_end end = {.more = true};
	struct buf page;
	int r = ADMIN_OK;

	buf_init(&page);
	while (r == ADMIN_OK && end.more && rows.left > 0) {
		r = ask_rows(q, end.next, rows.left, &page, &end);
		if (r == ADMIN_OK && each_line(&page, give_text, &rows) == -1)
			break;
	}
	buf_free(&page);
	return r;
}

/* -- the verifiable form -- */

#define ROW_HEAD "{\"row\":"
#define CHECKPOINT_HEAD "{\"checkpoint\":"

struct exporting {
	ledger_line_fn fn;
	void *arg;
	uint64_t end;  /* the row that the last checkpoint seals */
	uint64_t last; /* row of the last checkpoint given */
	bool done;
};

/* The number behind a member's name in a line of ours. */
static uint64_t
number_after(const char *line, size_t len, const char *name)
{
	const char *p = memmem(line, len, name, strlen(name));

	return p != NULL ? strtoull(p + strlen(name), NULL, 10) : 0;
}

/* Has the head signed; the row that is sealed then. 0, or an exit code. */
static int
seal(uint64_t *end)
{
	struct admin_answer a = {0};
	int r = ADMIN_OK;
	MSG_INIT(ledger_seal, m);

	if (admin_ask(MSG_ledger_seal, &m, NULL, NULL, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if ((*end = number_after((const char *)a.json.p, a.json.len, "\"seq\":")) ==
	    0) {
		cli_error(NULL, "the judge's answer about the ledger cannot be read");
		r = ADMIN_FAILED;
	}
	admin_answer_free(&a);
	return r;
}

/*
 * Lines as they stand in the ledger's files, up to the checkpoint over the last row that
 * is wanted. It stands behind it, perhaps with other rows in between: they are left out.
 */
static int
give_line(const char *line, size_t len, void *arg)
{
	struct exporting *x = arg;
	uint64_t seq;

	if (len > 40 && memcmp(line, ROW_HEAD, sizeof(ROW_HEAD) - 1) == 0) {
		seq = number_after(line, 40, "{\"seq\":");
		return seq > x->end ? 0 : x->fn(line, len, x->arg);
	}
	if (len > 40 && memcmp(line, CHECKPOINT_HEAD, sizeof(CHECKPOINT_HEAD) - 1) == 0) {
		seq = number_after(line, len, "\"seq\":");
		if (seq <= x->last) /* a page began again behind its row */
			return 0;
		x->last = seq;
		x->done = seq >= x->end;
	}
	return x->fn(line, len, x->arg) == -1 || x->done ? -1 : 0;
}

int
ledger_read_export(bool exported, ledger_line_fn fn, void *arg)
{
	struct exporting x = {.fn = fn, .arg = arg};
	struct page_end end = {.more = true};
	struct buf page;
	int r;

	buf_init(&page);
	r = seal(&x.end);
	while (r == ADMIN_OK && !x.done && end.more) {
		MSG_INIT(ledger_read, m);

		m.after = end.next;
		m.limit = PAGE;
		m.lines = 1;
		m.exported = exported;
		r = ask_page(MSG_ledger_read, &m, &page, &end);
		if (r == ADMIN_OK && each_line(&page, give_line, &x) == -1 && !x.done)
			r = ADMIN_FAILED;
	}
	if (r == ADMIN_OK && !x.done) {
		cli_error(NULL, "the ledger ends before its checkpoint");
		r = ADMIN_FAILED;
	}
	buf_free(&page);
	return r;
}

int
ledger_read_key(uint8_t key[32], char *kid, size_t kid_size)
{
	struct admin_answer a = {0};
	struct json_doc d;
	char hex[65];
	uint32_t vault;
	int r = ADMIN_FAILED;
	MSG_INIT(status, m);

	if (admin_ask(MSG_status, &m, NULL, NULL, &a) == -1)
		return ADMIN_UNREACHABLE;
	if (a.code != ADMIN_OK) {
		r = admin_refused(&a);
		admin_answer_free(&a);
		return r;
	}
	json_init(&d);
	if (json_parse(&d, a.json.p, a.json.len, NULL) == JSON_OK) {
		vault = json_get(&d, 0, "vault");
		if (json_str_copy(&d, json_get(&d, vault, "ledger_pub"), hex, sizeof(hex),
			NULL) == 0 &&
		    hex_decode(hex, strlen(hex), key, 32) == 32 &&
		    json_str_copy(
			&d, json_get(&d, vault, "ledger_kid"), kid, kid_size, NULL) == 0)
			r = ADMIN_OK;
	}
	if (r != ADMIN_OK)
		cli_error(
		    "See what \"aegis doctor\" says.", "vault has not said its key");
	json_free(&d);
	admin_answer_free(&a);
	return r;
}
