/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SEQPACKET pair for each line of edges.def and each two living processes it names.
 */
#include "aegis/link.h"

#include <stddef.h>
#include <sys/socket.h>

#include "aegis/child.h"
#include "common/log.h"

#define EDGE(from, to, to_permits, from_permits, what) {ROLE_##from, ROLE_##to},
static const struct {
	enum role from, to;
} edges[] = {
#include "common/edges.def"
};

int
link_has_edge(enum role a, enum role b)
{
	size_t i;

	for (i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		if ((edges[i].from == a && edges[i].to == b) ||
		    (edges[i].from == b && edges[i].to == a))
			return 1;
	return 0;
}

static void
hand(struct child *to, const struct child *peer, int fd)
{
	MSG_INIT(peer, m);

	m.role = (uint8_t)peer->role;
	m.instance = peer->instance;
	m.tenant = span_str(peer->tenant);
	m.name = span_str(peer->name);
	m.execution = span_str(peer->execution);
	m.fd = fd;
	chan_note(to->door, MSG_peer, &m);
}

void
link_child(struct child *child)
{
	struct child *other;
	int pair[2];

	TAILQ_FOREACH (other, &children, entry) {
		if (other == child || other->door == NULL ||
		    !link_has_edge(child->role, other->role) ||
		    (other->state != CHILD_CONFIGURED && other->state != CHILD_READY))
			continue;
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
			pair) == -1) {
			LOG_ERROR("link", LS("what", "no socket pair"));
			return;
		}
		hand(child, other, pair[0]);
		hand(other, child, pair[1]);
	}
}
