/* SPDX-License-Identifier: Apache-2.0 */
/* The file system a tool server sees. */
#ifndef AEGIS_TOOLEXEC_ROOM_H
#define AEGIS_TOOLEXEC_ROOM_H

/* Where a server without a working directory of its own runs: empty, nobody's. */
#define ROOM_EMPTY "/var/empty"

/*
 * For the first process of the PID namespace: a new root with the system's programs and
 * libraries (read-only), a few files of /etc, the plan's paths, private /tmp, /dev and
 * /proc, and nothing else. Processes of the mount namespace that have the old root get
 * the new one. fatal() when it cannot be had.
 */
void room_make(void);
/*
 * Lets go of the old root, which lies behind "/.." until then: nothing that is not ours
 * may run before. It waits for the kernel a while.
 */
void room_close(void);

#endif
