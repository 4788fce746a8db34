/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocking side of a door, for those without a loop: a daemon before it is boxed,
 * toolexec, the command line.
 */
#ifndef AEGIS_SYNC_H
#define AEGIS_SYNC_H

#include "common/msg.h"
#include "common/role.h"

struct sync {
	int fd;
	uint64_t reqid;
	const struct msg_desc *desc; /* of the last message received */
	struct msg_head head;
	union msg_any msg;
	uint8_t octets[MSG_MAX + 1];
	size_t off, end; /* of the datagram in octets: what was not taken yet */
	int fds[WIRE_MAX_FDS];
};

/* Sends HELLO and waits for the peer's. 0; -1 with errno (EPROTO: another build). */
int sync_hello(struct sync *, int fd, enum role own, enum role peer, int timeout_ms);
/* Sends; descriptors in the message are closed. 0 or -1 with errno. */
int sync_send(struct sync *, enum msg_type, void *msg, uint64_t reqid);
/* Receives one message into s->desc, s->msg (released first). 0; -1 with errno. */
int sync_recv(struct sync *, int timeout_ms);
/* Sends an ASK and waits for its answer (or msg_error); notes in between go to on_note.
 */
int sync_ask(struct sync *, enum msg_type, void *msg, int timeout_ms,
    void (*on_note)(const struct msg_desc *, void *msg, void *arg), void *arg);
/* Releases the last message. Does not close fd. */
void sync_done(struct sync *);

#endif
