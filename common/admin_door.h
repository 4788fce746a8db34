/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listening end of the command line's sockets, of which judge and vault have one
 * each. The kernel says who is at the other end: root and the user who started the master
 * may come in, nobody else.
 */
#ifndef AEGIS_ADMIN_DOOR_H
#define AEGIS_ADMIN_DOOR_H

#include <stddef.h>
#include <stdint.h>

#include "common/chan.h"
#include "common/span.h"

struct admin_door_conf {
	enum role own_role;
	uint32_t uid; /* besides 0 */
	const struct permit *permits;
	size_t extra; /* octets of the process's own for each connection, zeroed */
	/* chan_conf.allow, or NULL */
	int (*allow)(
	    struct chan *, void *owner, unsigned type, uint64_t reqid, const void *msg);
	void (*on_gone)(struct chan *); /* a connection has ended */
};

/*
 * Takes the listening socket fd, on which connections wait until admin_door_open(). Once
 * a process. 0 or -1 (logged; fd is closed).
 */
int admin_door_listen(int fd, const struct admin_door_conf *);
/* Lets administrators in from now on; does nothing before admin_door_listen(). */
void admin_door_open(void);
/* Connections there are. */
unsigned admin_door_count(void);
void *admin_door_extra(const struct chan *);
/* Who it was that logged in on a connection; NULL for nobody. */
void admin_door_user(const struct chan *, const char *name);
/* Where a connection comes from, for rows and logs: "uid 0 pid 123[ user NAME]". */
struct span admin_door_peer(const struct chan *);

#endif
