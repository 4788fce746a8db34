/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The permit tables of toolhostd, on one page.
 */
#include "toolhostd/permit.h"

#include "common/stats.h"
#include "toolhostd/call.h"
#include "toolhostd/server.h"
#include "toolhostd/trial.h"

const struct permit permit_toolhost_gate[] = {
    {MSG_tool_call, CHAN_READY, 0, call_take},
    {MSG_tool_cancel, CHAN_READY, 0, call_cancel},
    PERMIT_LAST,
};

const struct permit permit_toolhost_judge[] = {
    {MSG_grant_key, CHAN_READY, PERMIT_ONCE, call_grant_key},
    {MSG_tool_withdraw, CHAN_READY, 0, call_withdraw},
    {MSG_execution_end, CHAN_READY, 0, server_execution_end},
    {MSG_tool_try, CHAN_READY, 0, trial_begin},
    {MSG_stats, CHAN_READY, 0, stats_asked},
    PERMIT_LAST,
};
