/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The egress dispatcher's permit tables.
 */
#include "common/stats.h"
#include "egressd/dispatcher/dial.h"
#include "egressd/dispatcher/dispatcher.h"

/* clang-format off */
const struct permit permit_dispatch_judge[] = {
	{ MSG_worker_want,	CHAN_READY, 0, spawn_want },
	{ MSG_stats,		CHAN_READY, 0, stats_asked },
	PERMIT_LAST
};

const struct permit permit_dispatch_worker[] = {
	{ MSG_resolve,		CHAN_READY, 0, resolve_ask },
	PERMIT_LAST
};

const struct permit permit_dispatch_toolexec[] = {
	{ MSG_tunnel_open,	CHAN_READY, 0, dial_open },
	PERMIT_LAST
};

/* Beside what every daemon takes from the master. */
const struct permit permit_dispatch_master[] = {
	{ MSG_child_exited,	CHAN_ANY, 0, spawn_exited },
	PERMIT_LAST
};
/* clang-format on */
