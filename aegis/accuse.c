/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master ends a child that a peer accuses of breaking a permit table; it is started
 * anew. The accuser may be the one that was taken over: so only its neighbours can be
 * accused, never judge or vault. Who accuses too often is ended itself, and whoever comes
 * in its place is not believed before the minute is over, since who took over the one may
 * have taken over the next. And nobody is ended more often than several can want
 * honestly.
 */
#include "aegis/accuse.h"

#include <stdlib.h>
#include <string.h>

#include "aegis/child.h"
#include "aegis/link.h"
#include "common/log.h"
#include "common/loop.h"

#define WINDOW_MS 60000
#define ACCUSATIONS_MAX 3 /* by one place in a minute */
#define ENDS_MAX 6        /* of one place in a minute, whoever wants it */

/* A place that one process after the other has: a gate's number, a worker's credential.
 */
struct place {
	TAILQ_ENTRY(place) entry;
	enum role role;
	unsigned index;
	char tenant[65], name[161];
	uint64_t accused_ms[ACCUSATIONS_MAX]; /* when it accused others; 0: never */
	uint64_t ended_ms[ENDS_MAX];          /* when it was ended for an accusation */
	uint64_t silent_until_ms;             /* not believed before */
	uint64_t last_ms;
};

static TAILQ_HEAD(, place) places = TAILQ_HEAD_INITIALIZER(places);

/* Places of which nothing counts any more go. NULL without memory. */
static struct place *
place_of(const struct child *c, uint64_t now)
{
	struct place *p, *next, *found = NULL;

	for (p = TAILQ_FIRST(&places); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		if (p->role == c->role && p->index == c->index &&
		    strcmp(p->name, c->name) == 0 && strcmp(p->tenant, c->tenant) == 0) {
			found = p;
		} else if (now - p->last_ms > 2 * WINDOW_MS) {
			TAILQ_REMOVE(&places, p, entry);
			free(p);
		}
	}
	if (found == NULL && (found = calloc(1, sizeof(*found))) != NULL) {
		found->role = c->role;
		found->index = c->index;
		memcpy(found->name, c->name, sizeof(found->name));
		memcpy(found->tenant, c->tenant, sizeof(found->tenant));
		TAILQ_INSERT_TAIL(&places, found, entry);
	}
	if (found != NULL)
		found->last_ms = now;
	return found;
}

/* Is there room for one more in this minute? Then it is counted. */
static int
count(uint64_t *times, unsigned n, uint64_t now)
{
	uint64_t *oldest = &times[0];
	unsigned i;

	for (i = 1; i < n; i++)
		if (times[i] < *oldest)
			oldest = &times[i];
	if (*oldest != 0 && now - *oldest < WINDOW_MS)
		return 0;
	*oldest = now;
	return 1;
}

/* The judge writes the row. */
static void
tell_judge(
    const struct child *ended, const struct child *by, int too_often, struct span reason)
{
	struct child *judge = child_of_role(ROLE_JUDGE);
	MSG_INIT(child_ended, m);

	if (judge == NULL || judge->door == NULL)
		return;
	m.role = (uint8_t)ended->role;
	m.instance = ended->instance;
	m.by_role = (uint8_t)by->role;
	m.by_instance = by->instance;
	m.too_often = (uint8_t)too_often;
	m.reason = reason;
	chan_note(judge->door, MSG_child_ended, &m);
}

/* Is it believed? Who accuses too often is ended here. */
static int
believed(struct child *self, const struct child *peer, struct span reason, uint64_t now)
{
	struct place *mine;

	/* judge and vault are not counted: ending them would serve whoever provokes them
	 */
	if (self->role == ROLE_JUDGE || self->role == ROLE_VAULT)
		return 1;
	mine = place_of(self, now);
	if (mine == NULL || now < mine->silent_until_ms)
		return 0;
	if (count(mine->accused_ms, ACCUSATIONS_MAX, now))
		return 1;
	mine->silent_until_ms = now + WINDOW_MS;
	LOG_WARN("child.accuser", LS("child", role_name(self->role)),
	    LU("instance", self->instance), LU("accuses", peer->instance));
	tell_judge(self, self, 1, reason);
	child_end(self, 0);
	return 0;
}

int
accuse_peer(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_misbehaved *m = msg;
	struct child *peer = child_find(m->instance), *self = chan_owner(c);
	uint64_t now = loop_now_ms();
	struct place *theirs;

	(void)reqid;
	/* only the network's side can be accused: nobody gets judge or vault ended; and
	 * only by whoever can have heard it */
	if (peer == NULL || peer->state == CHILD_ENDING || self->state == CHILD_ENDING ||
	    peer->role == ROLE_JUDGE || peer->role == ROLE_VAULT ||
	    !link_has_edge(self->role, peer->role) ||
	    !believed(self, peer, m->reason, now))
		return 0;
	theirs = place_of(peer, now);
	if (theirs == NULL || !count(theirs->ended_ms, ENDS_MAX, now)) {
		LOG_WARN("child.spared", LS("child", role_name(peer->role)),
		    LU("instance", peer->instance), LS("by", role_name(self->role)),
		    LU("by_instance", self->instance));
		return 0;
	}
	LOG_WARN("child.misbehaved", LS("child", role_name(peer->role)),
	    LU("instance", peer->instance), LS("by", role_name(self->role)),
	    LU("by_instance", self->instance), LSN("reason", m->reason.p, m->reason.len));
	tell_judge(peer, self, 0, m->reason);
	child_end(peer, 0);
	return 0;
}
