/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes (section 13 of the protocol notes): they attest with a key of their own, and sign
 * envelopes to register and to say that they live. Off unless cluster.enabled. Judge
 * only.
 */
#ifndef AEGIS_JUDGE_CLUSTER_H
#define AEGIS_JUDGE_CLUSTER_H

#include "keymasterd/judge/api.h"

/* POST /cluster/attest: {"node_id", "public_key", "nonce", "role"?}. */
void cluster_attest(struct api_call *);
/* POST /cluster/invoke: a node's envelope; payload {"op": "register"|"heartbeat"}. */
void cluster_invoke(struct api_call *);
/* GET /v1/cluster/nodes */
void cluster_list(struct api_call *);

/* Reads the database, before the loop. 0 or -1. */
int cluster_load(void);

#endif
