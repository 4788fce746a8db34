/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/requests?status=&service=&agent=&since=&limit=&before=: entries, newest first.
 * A stretch of rows is looked at for a question, a few in each turn (ledger_walk.h);
 * X-Aegis-Next says where the next question begins. Status and duration of an allowed
 * request are in its completion, which comes later in the ledger and so earlier here.
 * Judge only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/jsonw.h"
#include "keymasterd/judge/data_api.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_find.h"
#include "keymasterd/judge/ledger_walk.h"
#include "keymasterd/judge/map.h"
#include "keymasterd/judge/perm.h"

#define SCAN_ROWS 5000
#define READERS_MAX 16
#define LIMIT 50
#define LIMIT_MAX 500
#define ID_LEN 32

struct done {
	char request[ID_LEN];
	unsigned status;
	uint64_t duration_us;
};

struct reading {
	struct data_late late;
	struct jsonw w;
	struct buf json;
	char tenant[STORE_TENANT_MAX];
	struct ledger_filter filter;
	int64_t left;
	unsigned scan;
	uint64_t next; /* the last row looked at */
	int more;
	struct done *done;
	unsigned ndone;
	struct map by_request;
	LIST_ENTRY(reading) link;
};

static LIST_HEAD(, reading) readers = LIST_HEAD_INITIALIZER(readers);
static unsigned nreaders;

/* A number behind a key; 0 when absent. */
static uint64_t
number(struct span text, const char *mark)
{
	const char *p = memmem(text.p, text.len, mark, strlen(mark));

	return p != NULL ? strtoull(p + strlen(mark), NULL, 10) : 0;
}

static void
keep_done(struct reading *r, struct span request, struct span text)
{
	struct done *d;

	if (request.len != ID_LEN || r->ndone == SCAN_ROWS)
		return;
	d = &r->done[r->ndone];
	memcpy(d->request, request.p, ID_LEN);
	d->status = (unsigned)number(text, ",\"status\":");
	d->duration_us = number(text, ",\"duration_us\":");
	if (map_put(&r->by_request, d->request, ID_LEN, d) == 0)
		r->ndone++;
}

static int
read_row(const struct ledger_line *row, void *arg)
{
	struct reading *r = arg;
	struct span request = ledger_text_get(row->text, "request");
	const struct done *d;
	unsigned status;

	if (r->left == 0 || r->scan == 0) {
		r->more = 1;
		return 1;
	}
	r->scan--;
	r->next = row->seq;
	if (span_eq(ledger_text_get(row->text, "kind"), "completion")) {
		keep_done(r, request, row->text);
		return 0;
	}
	if (!ledger_filter_match(&r->filter, row->text))
		return 0;
	d = request.len == ID_LEN ? map_get(&r->by_request, request.p, ID_LEN) : NULL;
	status = (unsigned)number(row->text, ",\"status\":");
	data_row(&r->w, r->tenant, row->seq, row->text,
	    d != NULL && d->status != 0 ? d->status : status,
	    d != NULL ? d->duration_us : 0);
	r->left--;
	return 0;
}

/* The filters of the query. 0, or -1: one cannot be understood. */
static int
filters(struct reading *r, const struct api_call *c)
{
	char status[16] = "", service[65] = "", agent[65] = "", since[64] = "";
	const char *key = "decision";

	(void)api_query_get(c->query, "status", status, sizeof(status));
	(void)api_query_get(c->query, "service", service, sizeof(service));
	(void)api_query_get(c->query, "agent", agent, sizeof(agent));
	(void)api_query_get(c->query, "since", since, sizeof(since));
	if (strcmp(status, "system") == 0 || strcmp(status, "admin") == 0)
		key = "kind";
	else if (status[0] != '\0' && strcmp(status, "allowed") != 0 &&
	    strcmp(status, "blocked") != 0)
		return -1;
	return ledger_filter_since(&r->filter, span_str(since)) == -1 ||
		ledger_filter_text(&r->filter, key, span_str(status)) == -1 ||
		ledger_filter_text(&r->filter, "service", span_str(service)) == -1 ||
		ledger_filter_text(&r->filter, "agent", span_str(agent)) == -1 ||
		ledger_filter_text(&r->filter, "tenant", span_str(r->tenant)) == -1
	    ? -1
	    : 0;
}

static void
drop(struct reading *r)
{
	LIST_REMOVE(r, link);
	nreaders--;
	map_clear(&r->by_request);
	free(r->done);
	buf_free(&r->json);
	free(r);
}

static void
finish(int failed, void *arg)
{
	char headers[96] = "Cache-Control: no-store\r\n";
	struct reading *r = arg;

	jsonw_arr_close(&r->w);
	if (r->more)
		(void)snprintf(headers, sizeof(headers),
		    "X-Aegis-Next: %llu\r\nCache-Control: no-store\r\n",
		    (unsigned long long)r->next);
	r->late.d.headers = headers;
	if (failed != 0)
		api_refuse(&r->late.d, 503, "The ledger could not be read");
	else if (jsonw_done(&r->w) == 0)
		data_deliver(&r->late.d, r->json.p, r->json.len);
	else
		api_refuse(&r->late.d, 503, "The answer could not be written");
	drop(r);
}

static struct reading *
reading_new(const struct api_call *c)
{
	struct reading *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	data_late_begin(&r->late, c);
	r->scan = SCAN_ROWS;
	(void)span_copy(span_str(c->tenant), r->tenant, sizeof(r->tenant));
	buf_init(&r->json);
	jsonw_init(&r->w, &r->json);
	jsonw_arr_open(&r->w);
	LIST_INSERT_HEAD(&readers, r, link);
	nreaders++;
	return r;
}

void
data_requests(struct api_call *c)
{
	struct operator_who op;
	struct reading *r;
	int64_t before;

	if (api_require(c, PERM_LEDGER_READ, &op) == -1)
		return;
	if (nreaders == READERS_MAX || (r = reading_new(c)) == NULL) {
		c->d->headers = "Retry-After: 1\r\n";
		api_refuse(c->d, 503, "Too many ask at once");
		return;
	}
	r->left = data_number(c, "limit", LIMIT, 1, LIMIT_MAX);
	before = data_number(c, "before", 0, 1, INT64_MAX);
	if (r->left < 0 || before < 0 || filters(r, c) == -1) {
		api_refuse(c->d, 400,
		    "limit is 1 to 500, before the number of a row, status allowed, "
		    "blocked, "
		    "admin or system, since 2026-03-01, a time of RFC 3339 or an age "
		    "such as "
		    "2h");
		drop(r);
		return;
	}
	r->done = calloc(SCAN_ROWS, sizeof(*r->done));
	if (r->done == NULL ||
	    ledger_walk(0, before > 0 ? (uint64_t)before - 1 : UINT64_MAX, 1, read_row,
		finish, r) == -1) {
		api_refuse(c->d, 503, "The ledger could not be read");
		drop(r);
	}
}

void
data_requests_gone(const struct chan *c)
{
	struct reading *r, *next;

	for (r = LIST_FIRST(&readers); r != NULL; r = next) {
		next = LIST_NEXT(r, link);
		if (r->late.d.chan != c)
			continue;
		ledger_walk_forget(r);
		drop(r);
	}
}
