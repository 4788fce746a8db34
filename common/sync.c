/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocking exchange of messages, one at a time.
 */
#include "common/sync.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Descriptors of a message that was sent or could not be: ours, so close them. */
static void
close_msg_fds(const struct msg_desc *d, void *msg)
{
	const struct msg_field *f;
	size_t i, n;

	for (f = d->fields(&n), i = 0; i < n; i++) {
		int *fd = (int *)(void *)((uint8_t *)msg + f[i].offset);

		if (f[i].kind != FIELD_FD && f[i].kind != FIELD_OPTFD)
			continue;
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
}

int
sync_send(struct sync *s, enum msg_type type, void *msg, uint64_t reqid)
{
	const struct msg_desc *d = msg_desc_get(type);
	uint8_t octets[MSG_MAX];
	struct wire_w w = {.p = octets, .cap = sizeof(octets)};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = octets};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;
	int r = -1;

	if (msg_encode(&w, d, msg, reqid, 0) == -1) {
		errno = EMSGSIZE;
		goto out;
	}
	iov.iov_len = w.len;
	if (w.nfds > 0) {
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(w.nfds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), w.fds, w.nfds * sizeof(int));
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(w.nfds * sizeof(int));
	}
	do {
		n = sendmsg(s->fd, &mh, MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n == (ssize_t)w.len)
		r = 0;
out:
	close_msg_fds(d, msg);
	explicit_bzero(octets, w.len);
	return r;
}

void
sync_done(struct sync *s)
{
	if (s->desc != NULL)
		msg_release(s->desc, &s->msg);
	s->desc = NULL;
}

static unsigned
take_fds(struct msghdr *mh, int *fds)
{
	struct cmsghdr *cm = CMSG_FIRSTHDR(mh);
	unsigned n = 0;

	if (cm != NULL && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS) {
		n = (unsigned)((cm->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(cm), n * sizeof(int));
	}
	return n;
}

/* The next datagram into s->octets. How many descriptors came with it, or -1 with errno.
 */
static int
receive(struct sync *s, int timeout_ms)
{
	struct pollfd pfd = {.fd = s->fd, .events = POLLIN};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(WIRE_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = s->octets, .iov_len = sizeof(s->octets)};
	struct msghdr mh = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	ssize_t n;

	do {
		n = poll(&pfd, 1, timeout_ms);
	} while (n == -1 && errno == EINTR);
	if (n <= 0) {
		if (n == 0)
			errno = ETIMEDOUT;
		return -1;
	}
	n = recvmsg(s->fd, &mh, MSG_CMSG_CLOEXEC);
	if (n <= 0) {
		if (n == 0)
			errno = ECONNRESET;
		return -1;
	}
	s->off = 0;
	s->end = mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? 0 : (size_t)n;
	return (int)take_fds(&mh, s->fds);
}

int
sync_recv(struct sync *s, int timeout_ms)
{
	const struct msg_desc *d = NULL;
	size_t left;
	int nfds = 0, i;

	sync_done(s);
	if (s->off == s->end && (nfds = receive(s, timeout_ms)) == -1)
		return -1;
	left = s->end - s->off;
	if (msg_head_decode(s->octets + s->off, left, &s->head) == 0 &&
	    s->head.nfds == nfds && (nfds == 0 || s->head.len == left - MSG_HEADER))
		d = msg_desc_get(s->head.type);
	if (d == NULL ||
	    msg_decode(d, s->octets + s->off + MSG_HEADER, s->head.len, s->fds,
		(unsigned)nfds, &s->msg) == -1) {
		for (i = 0; i < nfds; i++)
			close(s->fds[i]);
		s->off = s->end = 0;
		errno = EPROTO;
		return -1;
	}
	s->off += MSG_HEADER + s->head.len;
	s->desc = d;
	return 0;
}

int
sync_hello(struct sync *s, int fd, enum role own, enum role peer, int timeout_ms)
{
	MSG_INIT(hello, m);
	const struct msg_hello *theirs;

	memset(s, 0, sizeof(*s));
	s->fd = fd;
	m.version = MSG_VERSION;
	memcpy(m.schema, msg_schema_hash(), sizeof(m.schema));
	m.role = (uint8_t)own;
	if (sync_send(s, MSG_hello, &m, 0) == -1 || sync_recv(s, timeout_ms) == -1)
		return -1;
	theirs = (const void *)&s->msg;
	if (s->desc->type != MSG_hello || theirs->version != MSG_VERSION ||
	    memcmp(theirs->schema, msg_schema_hash(), 32) != 0 ||
	    theirs->role != (uint8_t)peer) {
		errno = EPROTO;
		return -1;
	}
	return 0;
}

int
sync_ask(struct sync *s, enum msg_type type, void *msg, int timeout_ms,
    void (*on_note)(const struct msg_desc *, void *, void *), void *arg)
{
	const struct msg_desc *d = msg_desc_get(type);
	uint64_t id = ++s->reqid;

	if (sync_send(s, type, msg, id) == -1)
		return -1;
	for (;;) {
		if (sync_recv(s, timeout_ms) == -1)
			return -1;
		if (s->head.reqid == id &&
		    (s->desc->type == d->answer || s->desc->type == MSG_error))
			return 0;
		if (s->desc->kind != MSG_IS_NOTE) {
			errno = EPROTO;
			return -1;
		}
		if (on_note != NULL)
			on_note(s->desc, &s->msg, arg);
	}
}
