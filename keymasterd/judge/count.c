/* SPDX-License-Identifier: Apache-2.0 */
/* Counters; see count.h. A request costs two look-ups in a hash table. Judge only. */
#include "keymasterd/judge/count.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/metrics.h"
#include "common/proto.h"
#include "keymasterd/judge/flight.h"
#include "keymasterd/judge/hook.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_sync.h"
#include "keymasterd/judge/map.h"
#include "keymasterd/judge/policies.h"
#include "keymasterd/judge/redeemer.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/sealed.h"
#include "keymasterd/judge/tools.h"
#include "keymasterd/judge/waiting.h"

#define SERIES_MAX 4096 /* different labels of all counters together */
#define KEY_MAX 320
#define SOON_MS (7ull * 86400000)
#define BUCKETS 12

/* One combination of labels. The key is the metric's number and the labels. */
struct series {
	uint64_t n;
	uint16_t id;
	uint16_t len;
	char labels[];
};

struct spread {
	uint64_t n[BUCKETS + 1], sum_us;
	char service[65];
};

/* As the established gate has them. */
static const uint64_t bounds_us[BUCKETS] = {5000, 10000, 25000, 50000, 100000, 250000,
    500000, 1000000, 2500000, 5000000, 10000000, 30000000};

static const char *const methods[] = {"other", "GET", "HEAD", "POST", "PUT", "DELETE",
    "PATCH", "OPTIONS", "TRACE", WEBSOCKET_METHOD};

static struct map by_labels, by_service;
static struct series **all;
static size_t nall, nspread;
static struct spread **spreads;
static uint64_t folded, workers_come;

uint8_t
count_method(struct span method)
{
	uint8_t i;

	for (i = 1; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (span_eq(method, methods[i]))
			return i;
	return 0;
}

static struct series *
series_new(enum metric id, const char *labels, size_t len)
{
	struct series *s = calloc(1, sizeof(*s) + len + 2);

	if (s == NULL)
		return NULL;
	if (all == NULL)
		all = calloc(SERIES_MAX + METRIC_COUNT, sizeof(struct series *));
	s->id = (uint16_t)id;
	s->len = (uint16_t)len;
	/* the key in the map is id and labels, back to back */
	memcpy(s->labels, &s->id, sizeof(s->id));
	memcpy(s->labels + sizeof(s->id), labels, len);
	if (all == NULL || map_put(&by_labels, s->labels, len + sizeof(s->id), s) == -1) {
		free(s);
		return NULL;
	}
	all[nall++] = s;
	return s;
}

static void
count(enum metric id, const char *labels, const char *instead)
{
	static struct series *last[METRIC_COUNT]; /* nearly always it is this one again */
	char key[KEY_MAX];
	uint16_t number = (uint16_t)id;
	size_t len = strlen(labels);
	struct series *s = last[id];

	if (len + sizeof(number) > sizeof(key))
		return;
	if (s != NULL && s->len == len &&
	    memcmp(s->labels + sizeof(number), labels, len) == 0) {
		s->n++;
		return;
	}
	memcpy(key, &number, sizeof(number));
	memcpy(key + sizeof(number), labels, len);
	s = map_get(&by_labels, key, len + sizeof(number));
	if (s == NULL && nall >= SERIES_MAX && instead != NULL) {
		folded++;
		count(id, instead, NULL);
		return;
	}
	if (s == NULL &&
	    (nall >= SERIES_MAX + METRIC_COUNT ||
		(s = series_new(id, labels, len)) == NULL))
		return;
	last[id] = s;
	s->n++;
}

/* Labels with what stands between them. snprintf() would be the dearest of a request. */
static void
join(char *out, size_t cap, const char *const *parts, unsigned n)
{
	size_t at = 0, len;
	unsigned i;

	for (i = 0; i < n; i++) {
		if (i > 0 && at + 1 < cap)
			out[at++] = METRIC_SEP[0];
		len = strlen(parts[i]);
		if (len > cap - 1 - at)
			len = cap - 1 - at;
		memcpy(out + at, parts[i], len);
		at += len;
	}
	out[at] = '\0';
}

/* A service that is registered, or "unknown"; "" when none was named. */
static struct span
service_label(const struct ledger_row *r)
{
	char tenant[STORE_TENANT_MAX];

	if (r->service.len == 0)
		return span_str("");
	if (r->tenant.p == NULL || span_copy(r->tenant, tenant, sizeof(tenant)) == -1)
		snprintf(tenant, sizeof(tenant), "%s", judge_conf.tenant);
	return credential_by_service(tenant, r->service) != NULL ? r->service
								 : span_str("unknown");
}

void
count_blocked(const struct ledger_row *r)
{
	struct span service = service_label(r);
	char labels[KEY_MAX - 2], instead[96];

	snprintf(labels, sizeof(labels), "%.*s" METRIC_SEP "%.*s" METRIC_SEP "%.*s",
	    (int)service.len, service.len > 0 ? service.p : "", (int)r->code.len,
	    r->code.len > 0 ? r->code.p : "", (int)r->agent.len,
	    r->agent.len > 0 ? r->agent.p : "");
	snprintf(instead, sizeof(instead), "other" METRIC_SEP "%.*s" METRIC_SEP "other",
	    (int)(r->code.len < 64 ? r->code.len : 64), r->code.len > 0 ? r->code.p : "");
	count(METRIC_blocked, labels, instead);
}

static struct spread *
spread_of(const char *service)
{
	struct spread *s = map_get(&by_service, service, strlen(service));
	struct spread **more;

	if (s != NULL)
		return s;
	if (nspread >= SERIES_MAX / BUCKETS && strcmp(service, "other") != 0)
		return spread_of("other");
	more = reallocarray(spreads, nspread + 1, sizeof(struct spread *));
	if (more == NULL)
		return NULL;
	spreads = more;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	snprintf(s->service, sizeof(s->service), "%s", service);
	if (map_put(&by_service, s->service, strlen(s->service), s) == -1) {
		free(s);
		return NULL;
	}
	spreads[nspread++] = s;
	return s;
}

void
count_done(const struct flight *f, unsigned outcome, uint32_t status, uint64_t us)
{
	char labels[KEY_MAX - 2], digits[11] = "", *p = digits + sizeof(digits) - 1;
	struct spread *s;
	unsigned i;

	if (f->tool[0] != '\0' || f->server[0] != '\0') {
		tool_call_done(f->server, outcome);
		join(labels, sizeof(labels),
		    (const char *const[]){f->server, ledger_outcome_name(outcome)}, 2);
		count(METRIC_tool_calls, labels, "other" METRIC_SEP "other");
		return;
	}
	do
		*--p = (char)('0' + status % 10);
	while ((status /= 10) > 0);
	join(labels, sizeof(labels),
	    (const char *const[]){f->service, methods[f->method], p, f->agent_name}, 4);
	count(METRIC_requests, labels,
	    "other" METRIC_SEP "other" METRIC_SEP "0" METRIC_SEP "other");
	/* how long a WebSocket was open says nothing of how fast anybody is */
	s = f->socket != NULL ? NULL : spread_of(f->service);
	if (s == NULL)
		return;
	for (i = 0; i < BUCKETS && us > bounds_us[i]; i++)
		;
	s->n[i]++;
	s->sum_us += us;
}

void
count_worker(void)
{
	workers_come++;
}

void
count_hook(const char *event, const char *outcome)
{
	char labels[80];

	snprintf(labels, sizeof(labels), "%s" METRIC_SEP "%s", event, outcome);
	count(METRIC_hook_deliveries, labels, NULL);
}

static void
put_spread(struct buf *b, const struct spread *s)
{
	char labels[128];
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < BUCKETS; i++) {
		sum += s->n[i];
		/* in this order as text, too */
		snprintf(labels, sizeof(labels), "%s" METRIC_SEP "%09llu", s->service,
		    (unsigned long long)bounds_us[i]);
		(void)metrics_put(b, METRIC_duration, labels, sum);
	}
	sum += s->n[BUCKETS];
	snprintf(labels, sizeof(labels), "%s" METRIC_SEP "inf", s->service);
	(void)metrics_put(b, METRIC_duration, labels, sum);
	snprintf(labels, sizeof(labels), "%s" METRIC_SEP "sum", s->service);
	(void)metrics_put(b, METRIC_duration, labels, s->sum_us);
	snprintf(labels, sizeof(labels), "%s" METRIC_SEP "tally", s->service);
	(void)metrics_put(b, METRIC_duration, labels, sum);
}

static void
put_credentials(struct buf *b)
{
	uint64_t now = judge_now_ms(), active = 0, expired = 0, soon = 0;
	const struct credential *c;

	TAILQ_FOREACH (c, &credentials, link) {
		if (c->row.expires_ms == 0 || c->row.expires_ms > now + SOON_MS)
			active++;
		else if (c->row.expires_ms > now)
			soon++;
		else
			expired++;
	}
	(void)metrics_put(b, METRIC_credentials, "active", active);
	(void)metrics_put(b, METRIC_credentials, "expiring_soon", soon);
	(void)metrics_put(b, METRIC_credentials, "expired", expired);
}

static void
put_tools(struct buf *b)
{
	const struct tool_server *t;
	char labels[160];

	TAILQ_FOREACH (t, &tool_servers, link) {
		snprintf(labels, sizeof(labels), "%s" METRIC_SEP "%s", t->name,
		    tool_state_name(t->state));
		(void)metrics_put(b, METRIC_tool_state, labels, 1);
		(void)metrics_put(b, METRIC_tool_processes, t->name, t->instances);
		(void)metrics_put(b, METRIC_tool_restarts, t->name, t->restarts);
	}
}

void
count_put(struct buf *b)
{
	const struct agent *a;
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < nall; i++)
		(void)metrics_put_span(b, (enum metric)all[i]->id,
		    span_mem(all[i]->labels + sizeof(all[i]->id), all[i]->len),
		    all[i]->n);
	for (i = 0; i < nspread; i++)
		put_spread(b, spreads[i]);
	put_credentials(b);
	put_tools(b);
	hook_numbers(b);
	TAILQ_FOREACH (a, &agents, link)
		n++;
	(void)metrics_put(b, METRIC_agents, NULL, n);
	(void)metrics_put(
	    b, METRIC_policies_refused, NULL, policies_now()->refused[0] != '\0');
	(void)metrics_put(b, METRIC_vault_sealed, NULL, vault_sealed != 0);
	(void)metrics_put(b, METRIC_folded, NULL, folded);
	(void)metrics_put(b, METRIC_grants_open, "worker", redeemer_live(ROLE_WORKER));
	(void)metrics_put(
	    b, METRIC_grants_open, "toolhost", redeemer_live(ROLE_TOOLHOST));
	(void)metrics_put(b, METRIC_websockets, NULL, flight_sockets_open());
	(void)metrics_put(b, METRIC_waiting, NULL, waiting_count());
	(void)metrics_put(b, METRIC_workers, NULL, redeemer_count(ROLE_WORKER, 1));
	(void)metrics_put(b, METRIC_worker_starts, NULL, workers_come);
	(void)metrics_put(b, METRIC_ledger_rows, NULL, ledger_seq());
	(void)metrics_put(b, METRIC_ledger_unsynced, NULL,
	    ledger_seq() > ledger_synced() ? ledger_seq() - ledger_synced() : 0);
	(void)metrics_put(
	    b, METRIC_ledger_unsigned, NULL, ledger_seq() - ledger_signed_seq());
	(void)metrics_put(b, METRIC_ledger_lost, NULL, ledger_lost());
}
