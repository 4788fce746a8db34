/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gated asks and hardly anybody asks it: beside answers, a worker may say that a streamed
 * answer is over, and judge and toolhost may send an event down a stream that is open.
 */
#include "gated/permit.h"

#include "gated/again.h"
#include "common/stats.h"
#include "gated/ask.h"
#include "gated/feed.h"
#include "gated/health.h"
#include "gated/mcp_stream.h"

/* Besides what every daemon takes from the master: its configuration again. */
const struct permit permit_gate_master[] = {
    {MSG_conf_gate, CHAN_READY, 0, again_conf_gate},
    {MSG_conf_check, CHAN_READY, 0, again_check},
    {MSG_conf_apply, CHAN_READY, 0, again_apply},
    PERMIT_LAST,
};

/* Of the data API's process. */
const struct permit permit_api_judge[] = {
    {MSG_answer_part, CHAN_READY, 0, on_answer_part},
    {MSG_feed_row, CHAN_READY, 0, feed_row},
    {MSG_feed_end, CHAN_READY, 0, feed_end},
    {MSG_stats, CHAN_READY, 0, stats_asked},
    PERMIT_LAST,
};

const struct permit permit_gate_judge[] = {
    {MSG_mcp_event, CHAN_READY, 0, on_mcp_event},
    {MSG_vault_state, CHAN_READY, 0, health_vault_state},
    {MSG_stats, CHAN_READY, 0, stats_asked},
    {MSG_answer_part, CHAN_READY, 0, on_answer_part},
    PERMIT_LAST,
};

const struct permit permit_gate_worker[] = {
    {MSG_proxy_end, CHAN_READY, 0, on_proxy_end},
    PERMIT_LAST,
};

const struct permit permit_gate_toolhost[] = {
    {MSG_tool_event, CHAN_READY, 0, on_tool_event},
    PERMIT_LAST,
};
