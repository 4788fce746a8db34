/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the judge share: its configuration, the agents and credentials in
 * memory, the redeemers, and the requests under way. One process, one thread that
 * decides; nothing here is locked.
 */
#ifndef AEGIS_JUDGE_H
#define AEGIS_JUDGE_H

#include <sys/queue.h>
#include <stdint.h>

#include "common/chan.h"
#include "common/grant.h"
#include "common/msg.h"
#include "common/span.h"
#include "keymasterd/judge/store.h"

struct limiter;
struct secret;

/* ---- configuration (conf_judge, conf_context, conf_tool) ---- */
struct judge_conf {
	uint32_t admin_uid;
	int require_agent_auth;
	int ledger_sync;
	uint32_t max_connections_per_agent;
	uint32_t websocket_idle_ms;
	uint64_t max_body_bytes;
	uint32_t request_timeout_ms;
	uint32_t checkpoint_rows, checkpoint_seconds;
	uint32_t seal_window_s, seal_token_ttl_s;
	uint32_t seal_calls_per_second; /* of one session; 0: no limit */
	int seal_compat_spaced;
	int seal_jti_once;
	uint32_t seal_leeway_s;
	int cluster;
	uint32_t cluster_per_minute;
	uint32_t attest_per_minute;
	int metrics, metrics_auth;
	uint32_t hook_attempts; /* of a webhook's delivery, then it is dead */
	char issuer[257], audience[257], gate_url[257];
	char tenant[65]; /* of requests that belong to no agent; "default" */
};
extern struct judge_conf judge_conf;
struct msg_conf_judge;
/* All but the tenant. 0 or -1. */
int judge_conf_read(const struct msg_conf_judge *, struct judge_conf *);
extern struct store *judge_store;
/* 1 once the master said stop: new requests get 503. */
extern int judge_stopping;

/* conf_context and conf_tool go to the SEAL half; it copies what it needs. -1: fatal. */
int seal_conf_context(void *msg);
int seal_conf_tool(void *msg);
/* Called once, after the database is open and the registry filled; before the loop. -1:
 * fatal. */
int seal_init(void);
/* After the ledger's first row: what the configuration changed. 0 or -1. */
int seal_started(void);
/* This gate's door is shut: whatever waits for vault must not answer to it any more. */
void seal_gate_gone(const struct chan *);
/* Every second. */
void seal_tick(uint64_t unix_ms);

/* Handlers of the SEAL half (permit.c names them). */
int seal_authorize(struct chan *, uint64_t reqid, void *msg);
int api_request(struct chan *, uint64_t reqid, void *msg);
int tool_tunnel(struct chan *, uint64_t reqid, void *msg); /* of the dispatcher */
int tool_catalogue(struct chan *, uint64_t reqid, void *msg);
int admin_context_put(struct chan *, uint64_t reqid, void *msg);
int admin_context_list(struct chan *, uint64_t reqid, void *msg);
int admin_context_show(struct chan *, uint64_t reqid, void *msg);
int admin_context_remove(struct chan *, uint64_t reqid, void *msg);
int admin_context_test(struct chan *, uint64_t reqid, void *msg);
int admin_session_list(struct chan *, uint64_t reqid, void *msg);
int admin_session_revoke(struct chan *, uint64_t reqid, void *msg);
int admin_session_show(struct chan *, uint64_t reqid, void *msg);
int admin_session_create(struct chan *, uint64_t reqid, void *msg);
int admin_tool_list(struct chan *, uint64_t reqid, void *msg);
int admin_vault_refresh(struct chan *, uint64_t reqid, void *msg);
int admin_daemon_reload(struct chan *, uint64_t reqid, void *msg);
int admin_openbao_test(struct chan *, uint64_t reqid, void *msg);
/* vault's leases, and how many there are (admin_lease.c). */
struct jsonw;
int admin_lease_list(struct chan *, uint64_t reqid, void *msg);
int peer_lease_counts(struct chan *, uint64_t reqid, void *msg);
const struct msg_lease_counts *lease_counts(void);
void lease_counts_put(struct jsonw *); /* member "leases" */
int admin_tool_test(struct chan *, uint64_t reqid, void *msg);
/* An administrator is gone. */
void admin_tool_forget(struct chan *);
/* An agent was removed: its sessions end. */
void session_agent_removed(const char *tenant, const char *agent_id);
/* An agent has another token: what was attested with the old one ends. */
void session_agent_renewed(const char *tenant, const char *agent_id);
/* The agent has to be another process now: what was attested before ends. */
void session_agent_changed(const char *tenant, const char *agent_id);
/* A run of the agent ended: what was attested with its token ends. */
void session_run_ended(const char *tenant, const char *agent_id, const char *run);
/* The agent may no longer use this context: its sessions in it end. */
void session_context_revoked(
    const char *tenant, const char *agent_id, const char *context);

#define JUDGE_OLD_KEYS 15
/* What vault said in vault_keys; have 0 until it answered. */
struct judge_keys {
	int have;
	char token_kid[65];
	uint8_t token_pub[32];
	char ledger_kid[65];
	uint8_t ledger_pub[32];
	uint32_t credentials;
	/* token keys that still verify */
	struct judge_old_key {
		char kid[65];
		uint8_t pub[32];
		uint64_t retires_s;
	} old[JUDGE_OLD_KEYS];
	size_t nold;
};
extern struct judge_keys judge_keys;

/* ---- agents ---- */
struct agent {
	struct store_agent row;
	struct limiter *limiter; /* NULL: no limit */
	unsigned in_flight;
	unsigned refs; /* flights and waiters that point here */
	int gone;      /* removed; lives until refs is 0 */
	TAILQ_ENTRY(agent) link;
};

enum agent_token_state { TOKEN_GOOD = 0, TOKEN_UNKNOWN = -1, TOKEN_EXPIRED = -2 };

/*
 * The agent of a token (agent's own, or of a run), by its SHA-256; the same work whether
 * it exists or not. NULL with the state. The token is text as sent, surrounding blanks
 * gone.
 */
struct agent *agent_by_token(
    struct span token, uint64_t unix_ms, enum agent_token_state *);
struct agent *agent_by_name(const char *tenant, struct span name);
struct agent *agent_by_id(const char *tenant, const char *id);
/* May it attest into this SecurityContext? */
int agent_may_context(const struct agent *, const char *context);

/* ---- redeemers: workers and toolhost ---- */
enum redeemer_state {
	REDEEMER_NEW = 1,
	REDEEMER_READY,
	REDEEMER_LEAVING,
	REDEEMER_FAILED
};

TAILQ_HEAD(flight_list, flight);

struct redeemer {
	struct chan *chan;
	enum role role;
	uint32_t instance;
	char tenant[65];
	char name[161]; /* of a worker: its credential's name */
	struct secret *key;
	enum redeemer_state state;
	uint32_t version;  /* of a worker: the last credential_renew it was sent */
	char message[257]; /* of a failed one: why */
	unsigned live;     /* grants not yet reported as done */
	struct flight_list flights;
	TAILQ_ENTRY(redeemer) link;
};

/* toolhost when it can take grants, else NULL. */
struct redeemer *redeemer_toolhost(void);

/* ---- requests under way ---- */
struct flight {
	uint8_t request_id[16];
	uint8_t grant[GRANT_ID_LEN];
	struct redeemer *redeemer;
	struct agent *agent;
	uint64_t deadline_ms; /* loop_now_ms(): no report by then, and it counts as
				 unredeemed */
	uint64_t started_us;
	uint8_t refused; /* the redeemer has refused a use of it already */
	uint8_t open;    /* a WebSocket that is: no deadline */
	/* for the completion row */
	char tenant[65], agent_name[65], service[65], credential[129], tool[129],
	    server[65];
	struct socket *socket;        /* of a WebSocket, or NULL */
	uint8_t method;               /* count_method() */
	char session[65], detail[32]; /* detail: the capability of a call */
	TAILQ_ENTRY(flight) link;     /* by deadline */
	TAILQ_ENTRY(flight) of_peer;  /* of the redeemer */
};

/* Unix milliseconds, fixed for a turn of the loop. */
uint64_t judge_now_ms(void);
/* The same for limiters: never goes back while the process lives. */
uint64_t judge_limit_ms(void);
/* loop_now_ms() when the judge began to serve. */
uint64_t judge_born_ms(void);
/* n octets from the kernel's generator, fetched in larger pieces. */
void judge_random(void *p, size_t n);
/* A random UUID (RFC 9562 version 4) as text. */
void judge_uuid(char out[STORE_ID_MAX]);
/* An agent's token: that of its own header, else the one behind "Bearer ". */
struct span judge_token_of(struct span token, struct span authorization);
/* prefix, then <uuid>_<16 hex>: 122 and 64 random bits; and its SHA-256. */
#define JUDGE_TOKEN_MAX 96
void judge_token(const char *prefix, char text[JUDGE_TOKEN_MAX], uint8_t hash[32]);
/* SHA-256; 0, never fails after start-up. */
void judge_sha256(const void *p, size_t len, uint8_t out[32]);

#endif
