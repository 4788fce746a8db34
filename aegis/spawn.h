/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that the dispatcher or toolhost asks for. The master. */
#ifndef AEGIS_SPAWN_H
#define AEGIS_SPAWN_H

#include <stdint.h>

#include "common/span.h"

struct chan;
struct child;
struct config;

void spawn_setup(const struct config *);
int spawn_worker(struct chan *, uint64_t reqid, void *msg);
int spawn_tool(struct chan *, uint64_t reqid, void *msg);
int spawn_kill(struct chan *, uint64_t reqid, void *msg);
/* vault: what this toolexec's server was given ends soon; whoever asked for it is told.
 */
int spawn_old(struct chan *, uint64_t reqid, void *msg);
/* A child that somebody asked for is boxed and ready: tell them. */
void spawn_boxed(const struct child *, struct span level);
/* A child that somebody asked for is gone: tell them. */
void spawn_exited(const struct child *, int status);

#endif
