/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one place where endpoints of HTTP ask whether somebody may do something
 * (permission.def). Judge only.
 */
#ifndef AEGIS_JUDGE_PERM_H
#define AEGIS_JUDGE_PERM_H

#include "keymasterd/judge/api.h"
#include "keymasterd/judge/user.h"

/*
 * Lets the asker of a question go on if the token in Authorization, of a user or an
 * operator, has a role that may do it: 0, with op, c->op, c->tenant and the row's
 * operator filled in. Else the question is answered (401, 403 or 503, in the ledger), and
 * -1.
 */
int api_require(struct api_call *, enum permission, struct operator_who *op);
/* Does the token that api_require() accepted still count, with the same role? */
bool api_counts(const struct operator_who *);

#endif
