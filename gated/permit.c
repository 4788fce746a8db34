/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gated asks and hardly anybody asks it: judge and toolhost may only answer, a worker may
 * also say that a streamed answer is over.
 */
#include "gated/permit.h"

#include "gated/ask.h"

const struct permit permit_gate_judge[] = {PERMIT_LAST};

const struct permit permit_gate_worker[] = {
    {MSG_proxy_end, CHAN_READY, 0, on_proxy_end},
    PERMIT_LAST,
};

const struct permit permit_gate_toolhost[] = {PERMIT_LAST};
