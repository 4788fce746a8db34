/* SPDX-License-Identifier: Apache-2.0 */
/* What cluster.c and cluster_attest.c share. Judge only. */
#ifndef AEGIS_JUDGE_CLUSTER_INT_H
#define AEGIS_JUDGE_CLUSTER_INT_H

#include "common/span.h"
#include "keymasterd/judge/store.h"

struct api_call;

#define CLUSTER_NODES_MAX 10000

struct node {
	struct store_node row;
	uint64_t floor; /* envelopes up to this second are of before our start */
};

/* Lower-case letters, digits and dashes as in a UUID. */
bool cluster_uuid_ok(const char *);
struct node *cluster_find(const char *tenant, const char *id);
/* Into memory, and with its row to the database. NULL: no memory, or too many. */
struct node *cluster_enter(const struct store_node *);
/* 0, or -1 when it is off: then the question is answered. */
int cluster_on(struct api_call *);

#endif
