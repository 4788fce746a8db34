/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `aegis tool test`: two processes beside the server's own, one after the other; the
 * first tries what can be reached from its room, the second is the server. toolhostd.
 */
#ifndef AEGIS_TOOLHOSTD_TRIAL_H
#define AEGIS_TOOLHOSTD_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chan;
struct server;
struct trial;

int trial_begin(struct chan *judge, uint64_t reqid, void *msg); /* tool_try */
void trial_judge_gone(struct chan *);
/* Whether its process is the one that only tries. */
bool trial_probes(const struct trial *);
/* The line of that process. */
void trial_line(struct server *, const uint8_t *line, size_t len);
/* The server's process reached another state. */
void trial_state(struct server *, const char *why);
void trial_tick(uint64_t now_ms);

#endif
