/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, see bao_stats.h. Paths are vault's own; no part of one becomes a label. */
#include "keymasterd/vault/bao_stats.h"

#include <stdio.h>
#include <string.h>

#include "common/loop.h"
#include "common/stats.h"
#include "keymasterd/vault/bao_http.h"
#include "keymasterd/vault/bao_login.h"
#include "keymasterd/vault/lease_table.h"

/* The first line that a path has in it. */
static const struct {
	const char *part, *name;
} operations[] = {
    {"/sys/health", "health"},
    {"/sys/leases/renew", "lease_renew"},
    {"/sys/leases/revoke", "lease_revoke"},
    {"/sys/", "system"},
    {"/auth/token/renew-self", "renew"},
    {"/auth/token/", "token"},
    {"/login", "login"},
    {"/auth/", "auth"},
    {"/creds/", "credential"},
    {"/data/", "read"},
    {"/sign/", "sign"},
    {"/keys/", "key"},
    {"/encrypt/", "encrypt"},
    {"/decrypt/", "decrypt"},
    {"", "other"},
};
#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static struct {
	uint64_t ok, failed, us;
} counts[OPERATIONS];
static uint64_t hits, misses;

unsigned
bao_stats_operation(const char *path)
{
	unsigned i = 0;

	while (strstr(path, operations[i].part) == NULL)
		i++;
	return i;
}

void
bao_stats_count(unsigned operation, const struct bao_answer *a, uint64_t us)
{
	/* what is not there is an answer, too */
	if (a->outcome == BAO_ANSWERED && (a->status < 400 || a->status == 404))
		counts[operation].ok++;
	else
		counts[operation].failed++;
	counts[operation].us += us;
}

void
bao_stats_cache(bool hit)
{
	if (hit)
		hits++;
	else
		misses++;
}

static void
put(struct buf *out)
{
	uint64_t ok = 0, failed = 0;
	char labels[64];
	size_t i;

	for (i = 0; i < OPERATIONS; i++) {
		if (counts[i].ok + counts[i].failed == 0)
			continue;
		snprintf(
		    labels, sizeof(labels), "%s" METRIC_SEP "ok", operations[i].name);
		(void)metrics_put(out, METRIC_bao_requests, labels, counts[i].ok);
		snprintf(
		    labels, sizeof(labels), "%s" METRIC_SEP "failed", operations[i].name);
		(void)metrics_put(out, METRIC_bao_requests, labels, counts[i].failed);
		(void)metrics_put(
		    out, METRIC_bao_seconds, operations[i].name, counts[i].us);
		if (strcmp(operations[i].name, "login") == 0 ||
		    strcmp(operations[i].name, "renew") == 0) {
			ok += counts[i].ok;
			failed += counts[i].failed;
		}
	}
	(void)metrics_put(out, METRIC_bao_renewals, "ok", ok);
	(void)metrics_put(out, METRIC_bao_renewals, "failed", failed);
	(void)metrics_put(out, METRIC_bao_token_ttl, NULL, bao_login_left_s());
	(void)metrics_put(out, METRIC_bao_leases, NULL,
	    lease_count(LEASE_ASKED) + lease_count(LEASE_HELD));
	(void)metrics_put(out, METRIC_bao_cache, "hit", hits);
	(void)metrics_put(out, METRIC_bao_cache, "miss", misses);
	(void)metrics_put(out, METRIC_bao_away, NULL, bao_circuit_open());
}

void
bao_stats_start(void)
{
	stats_source(put);
}
