/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSockets under way. A request is judged once; a WebSocket stays, so once a second it
 * is asked whether what it was judged by still holds: the agent and its token, the grant,
 * the credential, the policy with its hours. Judge only.
 */
#ifndef AEGIS_JUDGE_SOCKET_H
#define AEGIS_JUDGE_SOCKET_H

#include "keymasterd/judge/decide.h"
#include "keymasterd/judge/judge.h"

/* What has to be known of it later. NULL without memory. */
struct socket *socket_new(const struct decide *, const struct decide_proxy *);
void socket_free(struct socket *);
/* Once a second. */
void socket_tick(void);

/* Handler: a worker's upstream has switched. */
int socket_open(struct chan *, uint64_t reqid, void *msg);

#endif
