/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The egress worker's permit tables: who may say what to the process that holds one
 * credential. No row, no entry.
 */
#include "egressd/worker/permit.h"

#include "common/grant.h"
#include "common/loop.h"
#include "common/secret.h"
#include "common/stats.h"
#include "egressd/worker/exchange.h"
#include "egressd/worker/hook.h"
#include "egressd/worker/worker.h"

#define GRANT_KEY_LEN 32

static int
take_grant_key(struct chan *c, uint64_t reqid, void *msg)
{
	struct msg_grant_key *m = msg;

	(void)c;
	(void)reqid;
	if (secret_len(m->key) != GRANT_KEY_LEN)
		return -1;
	grant_book_key_take(worker_grants, m->key, loop_boot_ms());
	m->key = NULL;
	secret_renew(0);
	return 0;
}

static int
take_renew(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_credential_renew *m = msg;

	(void)c;
	(void)reqid;
	secret_renew(m->version);
	return 0;
}

static int
take_changed(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_credential_changed *m = msg;

	(void)reqid;
	if (m->gone)
		worker_give_up("the credential was removed");
	else
		secret_fetch_start(c);
	return 0;
}

/* clang-format off */
const struct permit permit_worker_gate[] = {
	{ MSG_proxy_open,	CHAN_READY, 0, exchange_open },
	{ MSG_proxy_cancel,	CHAN_READY, 0, exchange_cancel },
	{ MSG_socket_end,	CHAN_READY, 0, exchange_socket_end },
	PERMIT_LAST
};

const struct permit permit_worker_judge[] = {
	{ MSG_grant_key,	CHAN_READY, 0, take_grant_key },
	{ MSG_credential_renew,	CHAN_READY, 0, take_renew },
	{ MSG_hook_send,	CHAN_READY, 0, hook_send },
	{ MSG_socket_end,	CHAN_READY, 0, exchange_socket_end },
	{ MSG_stats,		CHAN_READY, 0, stats_asked },
	PERMIT_LAST
};

const struct permit permit_worker_vault[] = {
	{ MSG_credential_changed, CHAN_READY, 0, take_changed },
	PERMIT_LAST
};

/* The dispatcher only ever answers. */
const struct permit permit_worker_dispatch[] = { PERMIT_LAST };
/* clang-format on */
