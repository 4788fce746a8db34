/* SPDX-License-Identifier: Apache-2.0 */
/* The room a tool server lives in. */
#ifndef AEGIS_TOOLEXEC_ISOLATE_H
#define AEGIS_TOOLEXEC_ISOLATE_H

#include <stddef.h>

/*
 * New namespaces for this process's children (user when not root; mount, PID, IPC, UTS,
 * and network unless the plan allows it). fatal() when one cannot be had.
 */
void isolate_namespaces(void);
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
