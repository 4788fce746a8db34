/* SPDX-License-Identifier: Apache-2.0 */
/* The room a tool server lives in. */
#ifndef AEGIS_TOOLEXEC_ISOLATE_H
#define AEGIS_TOOLEXEC_ISOLATE_H

#include <stddef.h>

/*
 * New namespaces for this process's children (user when not root; mount, PID, IPC, UTS).
 * fatal() when one cannot be had.
 */
void isolate_namespaces(void);
/*
 * An empty network with nothing but the way back to itself, for this process; takes the
 * kernel as long as all else. A descriptor of it, with which others can enter; the
 * caller's. proc: /proc, opened while it was there. fatal() when it cannot be had.
 */
int isolate_network(int proc);
/*
 * The server's user (as root), no capabilities, no way back: for the pump and the first
 * process too, which hold the server's secrets and need nothing of root once it runs.
 */
void isolate_user(void);
/* What was reached, for the log and `aegis tool show`: "user=61100 net=none ...". */
void isolate_level(char *, size_t size);
/* Limits, user, capabilities, no_new_privs, Landlock, system calls: the last steps before
 * execve. */
void isolate_self(void);

#endif
