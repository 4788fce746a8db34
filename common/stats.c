/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that any daemon has, and the answer to `stats`. In every daemon. */
#include "common/stats.h"

#include <string.h>

#define SOURCES_MAX 4

static void (*sources[SOURCES_MAX])(struct buf *);
static unsigned nsources;

struct sums {
	uint64_t queued[ROLE_MAX], asking[ROLE_MAX];
};

void
stats_source(void (*fn)(struct buf *))
{
	if (nsources < SOURCES_MAX)
		sources[nsources++] = fn;
}

static void
sum(struct chan *c, size_t octets, void *arg)
{
	struct sums *s = arg;

	s->queued[chan_peer_role(c)] += octets;
	s->asking[chan_peer_role(c)] += chan_waiting(c);
}

int
stats_list(struct buf *b)
{
	struct sums s;
	unsigned i;
	int bad = 0;

	memset(&s, 0, sizeof(s));
	chans_each(sum, &s);
	for (i = ROLE_NONE + 1; i < ROLE_MAX; i++) {
		if (s.queued[i] > 0)
			bad |= metrics_put(
			    b, METRIC_queue, role_name((enum role)i), s.queued[i]);
		if (s.asking[i] > 0)
			bad |= metrics_put(
			    b, METRIC_asking, role_name((enum role)i), s.asking[i]);
		if (chan_refused((enum role)i) > 0)
			bad |= metrics_put(b, METRIC_refused, role_name((enum role)i),
			    chan_refused((enum role)i));
	}
	for (i = 0; i < nsources; i++)
		sources[i](b);
	return bad;
}

int
stats_asked(struct chan *c, uint64_t reqid, void *msg)
{
	struct buf b;
	MSG_INIT(stats_values, m);
	int r;

	(void)msg;
	buf_init(&b);
	if (stats_list(&b) == -1 || b.len > METRIC_BLOB_MAX)
		buf_reset(&b);
	m.values = span_mem(b.p, b.len);
	r = chan_answer(c, reqid, MSG_stats_values, &m);
	buf_free(&b);
	return r;
}
