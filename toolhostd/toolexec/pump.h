/* SPDX-License-Identifier: Apache-2.0 */
/* What a tool server writes: its answers on, without its secrets; its errors to the log.
 */
#ifndef AEGIS_TOOLEXEC_PUMP_H
#define AEGIS_TOOLEXEC_PUMP_H

#include <stddef.h>
#include <stdint.h>

struct secret;

/* Prepares the search. fatal() when there is no memory for it. */
void pump_setup(struct secret *const *, size_t n);
/*
 * Runs until the child is gone (child_exit, a pidfd) and the pipes are empty. out: the
 * server's standard output, or -1 when it goes to toolhost directly; err: its errors.
 * relay_exit: a pidfd of the relay, or -1 without one; -1 when that has ended first.
 */
int pump_run(int child_exit, int relay_exit, int out, int err);

#endif
