/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies; see policies.h. The judge, on what the master read from files and checked; it
 * is compiled here once more. A set that cannot be used is dropped whole.
 */
#include "keymasterd/judge/policies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/log.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"

#define MAX 1000

static struct policy_set off;
static struct policy_set *now = &off, *next; /* next: while messages come in */
static bool serving;                         /* there is a ledger */
static struct buf texts;                     /* of next, for its digest */

const struct policy_set *
policies_now(void)
{
	return now;
}

static int
by_agent(const void *a, const void *b)
{
	const struct policy *const *x = a, *const *y = b;

	return strcmp((*x)->agent, (*y)->agent);
}

const struct policy *
policy_of(const struct agent *a)
{
	size_t lo = 0, hi = now->n, mid;
	int r;

	if (a == NULL || strcmp(a->row.tenant, judge_conf.tenant) != 0)
		return NULL;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		r = strcmp(a->row.name, now->v[mid]->agent);
		if (r == 0)
			return now->v[mid];
		if (r < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

/* ---- a set on its way ---- */

static void
set_free(struct policy_set *s)
{
	size_t i;

	if (s == NULL || s == &off)
		return;
	for (i = 0; i < s->n; i++)
		policy_free(s->v[i]);
	for (i = 0; i < s->nzones; i++)
		zone_free(s->zones[i]);
	free(s->v);
	free(s->zones);
	free(s);
}

static int
broken(const char *what)
{
	struct ledger_row row = {.kind = LEDGER_SYSTEM,
	    .event = span_str("policy.refused"),
	    .reason = span_str(what)};

	LOG_ERROR("policy.refused", LS("why", what));
	if (serving)
		(void)ledger_append(&row, NULL);
	set_free(next);
	next = NULL;
	return -1;
}

int
policies_conf_begin(void *msg)
{
	const struct msg_policy_begin *m = msg;

	set_free(next);
	buf_reset(&texts);
	next = m->mode <= POLICY_ENFORCE ? calloc(1, sizeof(*next)) : NULL;
	if (next == NULL)
		return broken("no memory, or no such mode");
	next->mode = m->mode;
	next->allow = m->allow != 0;
	(void)span_copy(m->source, next->source, sizeof(next->source));
	(void)span_copy(m->refused, next->refused, sizeof(next->refused));
	next->refused_ms = judge_now_ms();
	(void)buf_printf(&texts, "%s %d\n", policy_mode_name(next->mode), next->allow);
	return 0;
}

int
policies_conf_zone(void *msg)
{
	const struct msg_policy_zone *m = msg;
	char name[ZONE_NAME_MAX + 1];
	struct zone **grown, *z;

	if (next == NULL)
		return -1;
	grown = next->nzones < MAX
	    ? reallocarray(next->zones, next->nzones + 1, sizeof(*grown))
	    : NULL;
	if (grown != NULL)
		next->zones = grown;
	z = grown == NULL || span_copy(m->name, name, sizeof(name)) == -1
	    ? NULL
	    : zone_new(name, m->table);
	if (z == NULL)
		return broken("a time zone cannot be used");
	next->zones[next->nzones++] = z;
	return 0;
}

static const struct zone *
find_zone(const char *name, void *arg)
{
	const struct policy_set *s = arg;

	for (size_t i = 0; i < s->nzones; i++)
		if (strcmp(zone_name(s->zones[i]), name) == 0)
			return s->zones[i];
	return NULL;
}

int
policies_conf_add(void *msg)
{
	const struct msg_policy_add *m = msg;
	struct policy **grown, *p;
	const char *zone;
	char err[512];

	if (next == NULL)
		return -1;
	grown = next->n < MAX
	    ? reallocarray(next->v, next->n + 1, sizeof(struct policy *))
	    : NULL;
	if (grown == NULL)
		return broken("too many policies");
	next->v = grown;
	p = policy_parse(m->json, err, sizeof(err));
	if (p == NULL)
		return broken(err);
	next->v[next->n++] = p;
	if (policy_link(p, find_zone, next, &zone) == -1)
		return broken("a time zone is missing");
	if (buf_put(&texts, m->json.p, m->json.len) == -1 || buf_putc(&texts, '\n') == -1)
		return broken("out of memory");
	return 0;
}

int
policies_conf_commit(void *msg)
{
	const struct msg_policy_commit *m = msg;
	uint8_t digest[32];
	size_t i;

	if (next == NULL)
		return -1;
	if (next->n != m->count)
		return broken("some policies are missing");
	if (next->n > 0)
		qsort(next->v, next->n, sizeof(struct policy *), by_agent);
	for (i = 1; i < next->n; i++)
		if (strcmp(next->v[i - 1]->agent, next->v[i]->agent) == 0)
			return broken("an agent has two policies");
	if (policy_windows_attach(next) == -1)
		return broken("out of memory");
	judge_sha256(texts.p, texts.len, digest);
	(void)hex_encode(digest, sizeof(digest), next->sha256, sizeof(next->sha256));
	next->since_ms = judge_now_ms();
	set_free(now);
	now = next;
	next = NULL;
	buf_free(&texts);
	return 0;
}

/* ---- the same while the judge serves: what is wrong costs nobody anything ---- */

static void
record(const char *event)
{
	char detail[1400];
	struct ledger_row row = {.kind = LEDGER_SYSTEM, .event = span_str(event)};

	snprintf(detail, sizeof(detail),
	    "mode %s default %s policies %zu sha256 %s from %s",
	    policy_mode_name(now->mode), now->allow ? "allow" : "deny", now->n,
	    now->sha256, now->source);
	row.detail = span_str(detail);
	(void)ledger_append(&row, NULL);
}

int
policies_begin(struct chan *c, uint64_t reqid, void *msg)
{
	(void)c;
	(void)reqid;
	(void)policies_conf_begin(msg);
	return 0;
}

int
policies_zone(struct chan *c, uint64_t reqid, void *msg)
{
	(void)c;
	(void)reqid;
	(void)policies_conf_zone(msg);
	return 0;
}

int
policies_add(struct chan *c, uint64_t reqid, void *msg)
{
	(void)c;
	(void)reqid;
	(void)policies_conf_add(msg);
	return 0;
}

int
policies_commit(struct chan *c, uint64_t reqid, void *msg)
{
	(void)c;
	(void)reqid;
	if (policies_conf_commit(msg) == 0)
		record("policy.loaded");
	return 0;
}

int
policies_refused(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_policy_refused *m = msg;
	struct ledger_row row = {.kind = LEDGER_SYSTEM,
	    .event = span_str("policy.refused"),
	    .reason = m->message};

	(void)c;
	(void)reqid;
	(void)ledger_append(&row, NULL);
	(void)span_copy(m->message, now->refused, sizeof(now->refused));
	now->refused_ms = judge_now_ms();
	return 0;
}

void
policies_started(void)
{
	serving = true;
	if (now->mode != POLICY_OFF)
		record("policy.loaded");
}
