/* SPDX-License-Identifier: Apache-2.0 */
/* The file system a tool server sees. */
#ifndef AEGIS_TOOLEXEC_ROOM_H
#define AEGIS_TOOLEXEC_ROOM_H

/* Where a server without a working directory of its own runs: empty, nobody's. */
#define ROOM_EMPTY "/var/empty"

/*
 * For the first process of the PID namespace: a new root with the system's programs and
 * libraries (read-only), a few files of /etc, the plan's paths, private /tmp, /dev and
 * /proc, and nothing else; the old root is let go of. fatal() when that cannot be had.
 */
void room_enter(void);

#endif
