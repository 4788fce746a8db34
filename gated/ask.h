/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The questions gated asks: the judge may it, a redeemer do it. After any of these
 * functions the request may be gone.
 */
#ifndef AEGIS_GATED_ASK_H
#define AEGIS_GATED_ASK_H

#include "common/msg.h"
#include "gated/redeemer.h"
#include "gated/req.h"

void judge_ask_proxy(struct req *);
void judge_ask_seal(struct req *);
void judge_ask_api(struct req *);
void judge_ask_mcp(struct req *);
void judge_ask_refusal(struct req *, enum refusal, unsigned status, const char *detail);
/* Names of what the inspector found, for the ledger; the request goes on. */
void judge_tell_found(struct req *, const char *words);
/* The same of a message in a WebSocket that went no further. */
void judge_tell_blocked(struct req *, const char *words);

/* Carries out a grant over this door. */
void worker_ask(struct req *, struct redeemer *, const struct grant_view *);
void worker_cancel(struct req *);
void toolhost_ask(struct req *, struct redeemer *, const struct grant_view *);
void toolhost_cancel(struct req *);

/* permit.c: what a worker may tell us. */
int on_proxy_end(struct chan *, uint64_t reqid, void *msg);
/* and the judge, ahead of an answer that is long. */
int on_answer_part(struct chan *, uint64_t reqid, void *msg);

#endif
