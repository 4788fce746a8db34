/* SPDX-License-Identifier: Apache-2.0 */
/* Steps between the processes of one toolexec, over a SEQPACKET pair. */
#ifndef AEGIS_TOOLEXEC_FDPASS_H
#define AEGIS_TOOLEXEC_FDPASS_H

/* Waits for a step, and the descriptor that comes with it (fd: NULL when none does). Ends
 * the process when the other end is shut: that one has said why. */
void fd_await(int line, int *fd);
/* Says that a step is done; takes fd, if there is one (-1: none). */
void fd_step(int line, int fd);

#endif
