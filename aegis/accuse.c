/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master ends a child that a peer accuses of breaking a permit table; it is started
 * anew. The accuser may be the one that was taken over: so only its neighbours can be
 * accused, never judge or vault, and who accuses too often is ended itself.
 */
#include "aegis/accuse.h"

#include <string.h>

#include "aegis/child.h"
#include "aegis/link.h"
#include "common/log.h"
#include "common/loop.h"

#define WINDOW_MS 60000

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

/* Is there room for one more accusation in this minute? Then it is counted. */
static int
count(struct child *self)
{
	uint64_t now = loop_now_ms(), *oldest = &self->accused_ms[0];
	unsigned i;

	for (i = 1; i < ACCUSATIONS_MAX; i++)
		if (self->accused_ms[i] < *oldest)
			oldest = &self->accused_ms[i];
	if (*oldest != 0 && now - *oldest < WINDOW_MS)
		return 0;
	*oldest = now;
	return 1;
}

int
accuse_peer(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_misbehaved *m = msg;
	struct child *peer = child_find(m->instance), *self = chan_owner(c);

	(void)reqid;
	/* only the network's side can be accused: nobody gets judge or vault ended; and
	 * only by whoever can have heard it */
	if (peer == NULL || peer->state == CHILD_ENDING || self->state == CHILD_ENDING ||
	    peer->role == ROLE_JUDGE || peer->role == ROLE_VAULT ||
	    !link_has_edge(self->role, peer->role))
		return 0;
	/* judge and vault are not counted: ending them would serve whoever provokes them
	 */
	if (self->role != ROLE_JUDGE && self->role != ROLE_VAULT && !count(self)) {
		LOG_WARN("child.accuser", LS("child", role_name(self->role)),
		    LU("instance", self->instance), LU("accuses", peer->instance));
		tell_judge(self, self, 1, m->reason);
		child_end(self, 0);
		return 0;
	}
	LOG_WARN("child.misbehaved", LS("child", role_name(peer->role)),
	    LU("instance", peer->instance), LS("by", role_name(self->role)),
	    LU("by_instance", self->instance), LSN("reason", m->reason.p, m->reason.len));
	tell_judge(peer, self, 0, m->reason);
	child_end(peer, 0);
	return 0;
}
