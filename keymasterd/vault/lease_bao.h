/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What leases ask of OpenBao: a token to hang on, the credential, more time, the end.
 * Runs in vault. Answers are put into the lease; what follows from them is lease.c's.
 */
#ifndef AEGIS_VAULT_LEASE_BAO_H
#define AEGIS_VAULT_LEASE_BAO_H

#include <stdbool.h>

#include "keymasterd/vault/provider.h"

struct lease;
struct lease_token;

enum lease_result {
	LEASE_DONE,
	LEASE_REFUSED, /* it was not done and will not be */
	LEASE_GONE,    /* there is no such lease any more */
	LEASE_FAILED,  /* it was not done, now */
	LEASE_UNKNOWN  /* no answer came: it may have been done */
};

struct lease_reply {
	enum lease_result result;
	enum vault_code code; /* for those who wait */
	const char *why;
	uint32_t ttl_s; /* credential, renewal */
	bool renewable;
};

/* who: the lease, or the token. */
typedef void (*lease_reply_fn)(void *who, const struct lease_reply *);

/* The token role; before the loop. 0, or -1: too long. */
int lease_bao_setup(struct span role, bool sweep);
/* The token role. */
const char *lease_bao_role(void);
/* Nobody else leases of our roles: what there is and we do not know is ours. */
bool lease_bao_sweeps(void);
/* Each calls fn exactly once, perhaps before it returns. Who is given must outlive it. */
void lease_bao_token(struct lease_token *, lease_reply_fn); /* secret, accessor; ttl_s */
void lease_bao_read(struct lease *, lease_reply_fn);        /* id, username, password */
void lease_bao_renew(struct lease *, lease_reply_fn);  /* for as long as it was new */
void lease_bao_revoke(struct lease *, lease_reply_fn); /* the lease by its id */
/* fn_id hears of each lease that there is of the same role, before fn. */
void lease_bao_list(
    struct lease *, void (*fn_id)(struct lease *, const char *id), lease_reply_fn);
/* The token, and what hangs on it; who is passed on. */
void lease_bao_end(const struct lease_token *, void *who, lease_reply_fn);

#endif
