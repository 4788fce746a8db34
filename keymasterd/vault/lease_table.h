/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leases of dynamic credentials: which there are, on the disk too, so that none is
 * forgotten whatever dies. Leases hang on tokens made for a few of them; the token's
 * accessor is durable before a lease is asked for, and revoking the token takes what
 * hangs on it along: so not even one whose answer was lost is left behind. Neither
 * accessors nor ids of leases are secrets. Runs in a vault that is in front of OpenBao.
 */
#ifndef AEGIS_VAULT_LEASE_TABLE_H
#define AEGIS_VAULT_LEASE_TABLE_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "keymasterd/vault/bao_place.h"
#include "keymasterd/vault/provider.h"

#define LEASES_MAX 2048 /* those that wait to be revoked too */
#define LEASES_A_TOKEN 16
#define LEASE_RUN_LEN 16
#define LEASE_ID_MAX 512
#define LEASE_ACCESSOR_MAX 128

/* Somebody waits for a field of it. */
struct lease_waiter {
	TAILQ_ENTRY(lease_waiter) entry;
	bool username, password;
	vault_done_fn done;
	void *arg;
};

/* A token that up to LEASES_A_TOKEN leases hang on. */
struct lease_token {
	TAILQ_ENTRY(lease_token) entry;
	char ns[BAO_NAMESPACE_SIZE];
	char accessor[LEASE_ACCESSOR_MAX + 1];
	struct secret *secret; /* NULL: not known */
	uint64_t ends_s;       /* Unix second */
	uint64_t closes_ms;    /* of the monotonic clock: no new leases from then on */
	unsigned users;        /* leases in the table */
	unsigned made;         /* leases there ever were */
	unsigned reading;      /* questions under way with it */
	bool asking;           /* it is being made */
	bool closed;           /* nothing new may hang on it */
	bool busy;             /* it is being revoked */
	unsigned tries;
	uint64_t due_ms; /* of the next try */
};

TAILQ_HEAD(lease_token_list, lease_token);
extern struct lease_token_list lease_tokens;

struct lease {
	TAILQ_ENTRY(lease) entry;
	/* in the journal */
	uint64_t number;
	enum lease_state state;
	uint8_t run[LEASE_RUN_LEN]; /* life of the master that instance belongs to */
	uint32_t instance;          /* toolexec that it is for */
	char tenant[65], server[65], execution[65];
	char ns[BAO_NAMESPACE_SIZE]; /* "": the session's own */
	char path[330];              /* database/creds/ROLE */
	char id[LEASE_ID_MAX + 1];   /* "": not known, or none */
	uint64_t born_s;             /* Unix second */
	uint32_t ttl_s;              /* when it was new */
	/* in memory */
	TAILQ_HEAD(, lease_waiter) waiters;
	struct lease_token *token;          /* NULL: none yet */
	struct secret *username, *password; /* until they are handed over */
	uint64_t began_us;
	struct event timer; /* LEASE_HELD: renew it, or see to its replacement */
	uint64_t ends_ms;   /* of the monotonic clock; 0: not known */
	bool over;          /* nobody uses it any more; not LEASE_ENDING yet */
	bool old, lost;     /* to be replaced; OpenBao says that it is no more */
	bool busy;          /* a call about it is under way */
	bool swept;         /* what nobody knows of its role was looked for */
	uint32_t renewals, tries;
	uint64_t due_ms; /* LEASE_ENDING: next try */
	char trouble[256];
};

TAILQ_HEAD(lease_list, lease);
extern struct lease_list leases; /* in the order of their numbers */

struct lease_totals {
	uint64_t obtained, renewed, replaced, revoked, failed;
};
extern struct lease_totals lease_totals;

/* A new one in LEASE_WAITS, in memory only. NULL: too many, or no memory. */
struct lease *lease_new(void);
/* Forgets it; it must not be in the journal any more, or never have been. */
void lease_free(struct lease *);
/* Wipes what could still be handed over. */
void lease_wipe(struct lease *);
unsigned lease_count(enum lease_state);

/* A token, known by its accessor or not yet (""). NULL: no memory. */
struct lease_token *lease_token_get(const char *ns, const char *accessor);
void lease_token_use(struct lease *, struct lease_token *);
/* May a new lease hang on it? */
bool lease_token_is_open(const struct lease_token *);
/* It is no more, or nothing ever hung on it. */
void lease_token_free(struct lease_token *);

#endif
