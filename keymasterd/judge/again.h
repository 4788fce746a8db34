/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration once more, while the judge runs. Handlers of the master's door. */
#ifndef AEGIS_JUDGE_AGAIN_H
#define AEGIS_JUDGE_AGAIN_H

#include <stdint.h>

struct chan;

int again_conf_judge(struct chan *, uint64_t reqid, void *msg);
int again_conf_context(struct chan *, uint64_t reqid, void *msg);
int again_conf_issuer(struct chan *, uint64_t reqid, void *msg);
int again_conf_issuer_key(struct chan *, uint64_t reqid, void *msg);
int again_conf_webhook(struct chan *, uint64_t reqid, void *msg);
int again_conf_mcp(struct chan *, uint64_t reqid, void *msg);
int again_check(struct chan *, uint64_t reqid, void *msg);
int again_apply(struct chan *, uint64_t reqid, void *msg);
/* What became of it: a row. */
int again_reloaded(struct chan *, uint64_t reqid, void *msg);

#endif
