/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps between the processes of one toolexec, which trust each other: nobody else has an
 * end of these pairs, and they are shut before the tool server runs.
 */
#include "toolhostd/toolexec/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void
fd_await(int line, int *fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char what;
	struct iovec iov = {&what, 1};
	struct msghdr m = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(line, &m, MSG_CMSG_CLOEXEC);
	while (n == -1 && errno == EINTR);
	c = CMSG_FIRSTHDR(&m);
	if (n != 1 || (fd != NULL && c == NULL))
		_exit(1);
	if (fd != NULL)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
}

void
fd_step(int line, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char what = 0;
	struct iovec iov = {&what, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	}
	if (sendmsg(line, &m, MSG_NOSIGNAL) != 1)
		_exit(1);
	if (fd >= 0)
		close(fd);
}
