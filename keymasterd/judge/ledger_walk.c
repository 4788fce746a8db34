/* SPDX-License-Identifier: Apache-2.0 */
/* Walks, one after the other; see ledger_walk.h. Judge only. */
#include "keymasterd/judge/ledger_walk.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/loop.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/ledger_index.h"

struct walk {
	uint64_t after, until; /* what is left */
	int down, stopped;
	ledger_each_fn fn;
	void (*end)(int, void *);
	void *arg;
	TAILQ_ENTRY(walk) link;
};

static TAILQ_HEAD(, walk) walks = TAILQ_HEAD_INITIALIZER(walks);
static struct event *turn;

static int
visit(const struct ledger_line *row, void *arg)
{
	struct walk *w = arg;

	return w->stopped = w->fn(row, w->arg);
}

/* The next tile, or what is left of it. 1: there is more, 0, -1. */
static int
tile(struct walk *w)
{
	uint64_t from = w->after, to = w->until, edge;

	if (w->down) {
		edge = to > 0 ? (to - 1) / LEDGER_TILE_ROWS * LEDGER_TILE_ROWS : 0;
		w->until = from = edge > from ? edge : from;
	} else {
		edge = (from / LEDGER_TILE_ROWS + 1) * LEDGER_TILE_ROWS;
		w->after = to = edge < to ? edge : to;
	}
	if (ledger_each(from, to, w->down, visit, w) == -1)
		return -1;
	return !w->stopped && w->after < w->until;
}

static int
again(void)
{
	static const struct timeval now = {0, 0};

	if (turn == NULL)
		return -1;
	return TAILQ_EMPTY(&walks) ? 0 : event_add(turn, &now);
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct walk *w = TAILQ_FIRST(&walks);
	int r;

	(void)fd;
	(void)what;
	(void)arg;
	if (w == NULL)
		return;
	r = tile(w);
	TAILQ_REMOVE(&walks, w, link);
	if (r == 1) {
		TAILQ_INSERT_TAIL(&walks, w, link);
	} else {
		w->end(r, w->arg);
		free(w);
	}
	(void)again();
}

int
ledger_walk(uint64_t after, uint64_t until, int down, ledger_each_fn fn,
    void (*end)(int, void *), void *arg)
{
	struct walk *w = calloc(1, sizeof(*w));

	if (turn == NULL)
		turn = evtimer_new(loop_base(), on_turn, NULL);
	if (w == NULL || turn == NULL) {
		free(w);
		return -1;
	}
	*w = (struct walk){.after = after,
	    .until = until < ledger_seq() ? until : ledger_seq(),
	    .down = down,
	    .fn = fn,
	    .end = end,
	    .arg = arg};
	TAILQ_INSERT_TAIL(&walks, w, link);
	if (again() == 0)
		return 0;
	TAILQ_REMOVE(&walks, w, link);
	free(w);
	return -1;
}

void
ledger_walk_forget(const void *arg)
{
	struct walk *w, *next;

	for (w = TAILQ_FIRST(&walks); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (w->arg != arg)
			continue;
		TAILQ_REMOVE(&walks, w, link);
		free(w);
	}
}
