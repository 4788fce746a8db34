/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of a proxied request, in the order of doc/design.md. Judge only, on what
 * agents wrote.
 */
#ifndef AEGIS_JUDGE_AUTHORIZE_H
#define AEGIS_JUDGE_AUTHORIZE_H

#include "keymasterd/judge/decide.h"
#include "keymasterd/judge/registry.h"

struct limiter;
struct policy_rule;

/* Handlers for the gate. */
int proxy_authorize(struct chan *, uint64_t reqid, void *msg);
int refusal_record(struct chan *, uint64_t reqid, void *msg);
int body_found(struct chan *, uint64_t reqid, void *msg);

/*
 * Asks the agent's policy about the request of d->row; agent may be NULL. *rule is the
 * rule that allows it, NULL when no policy has a say. 0, or -1 when it was refused (and
 * answered).
 */
int authorize_policy(struct decide *, const struct agent *, struct span headers,
    const struct policy_rule **rule);
/* Would the policies let it through now? Of a row: service, method, path. */
bool authorize_policy_still(const struct agent *, const struct ledger_row *);
/* What to count in when the request is let through, NULL: nothing. *wait: it has to wait
 * so many seconds. */
struct limiter *authorize_policy_rate(
    struct decide *, const struct policy_rule *, uint64_t now_ms, uint32_t *wait);

/* Do the credential's scopes allow this method? */
bool credential_allows(const struct credential *, struct span method);
/* Before a request that waited gets its grant: what may have changed meanwhile. 0, or -1
 * when it was refused (and answered). */
int authorize_again(struct decide *, struct credential *, struct agent *);

#endif
