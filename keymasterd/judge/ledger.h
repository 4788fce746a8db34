/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: one row per decision, completion, administrative act and system event,
 * chained by SHA-256 (doc/design.md, "The ledger"). A row is appended before what it
 * says takes effect; the turn's commit (turn.h) stands between the two.
 *
 * hash(0) = SHA-256("aegis-ledger-1" || chain), chain as its 32 hex digits;
 * hash(n) = SHA-256(hash(n-1) || text(n)).
 */
#ifndef AEGIS_JUDGE_LEDGER_H
#define AEGIS_JUDGE_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

struct buf;
struct store;

#define LEDGER_HASH_LEN 32
#define LEDGER_TEXT_MAX 59000 /* fits an admin_row together with its hash */
#define LEDGER_FIELD_MAX \
	2048 /* octets of one member; longer ones are cut, marked "..." */

enum ledger_kind { LEDGER_DECISION = 1, LEDGER_COMPLETION, LEDGER_ADMIN, LEDGER_SYSTEM };

/*
 * What a row says. Members with p NULL (or has_ 0) are absent; so start from
 * `struct ledger_row row = {.kind = LEDGER_X}`. The pointers are read by ledger_append()
 * only. Text may come from agents; it is escaped.
 */
struct ledger_row {
	enum ledger_kind kind;
	struct span tenant;     /* absent: this judge's own */
	const uint8_t *request; /* 16 octets */
	struct span event;      /* admin and system: "credential.add", "start" */
	struct span agent;
	struct span service;
	struct span credential;
	struct span method;
	struct span domain;
	struct span path;
	struct span tool;
	struct span server;
	struct span arguments; /* of a tool call, as JSON, sanitised */
	struct span context;
	struct span session;
	struct span exec;     /* the session's execution id */
	struct span workload; /* what attested, in its own words */
	struct span oper;     /* who asked through the API */
	struct span policy;   /* what policies said of a request */
	uint8_t decision;     /* 0 absent, LEDGER_ALLOWED, LEDGER_BLOCKED */
	struct span code;     /* why, for machines: "domain_guard", "1003" */
	uint32_t status;      /* HTTP status, 0 absent */
	struct span reason;   /* why, for people; an outcome's name in completions */
	uint8_t counted;      /* rates were taken from before it was refused */
	uint8_t has_bytes, has_duration;
	uint64_t bytes_in, bytes_out, duration_us;
	const uint8_t *judged; /* 32 octets: SHA-256 of what a grant was given for */
	const uint8_t *proof;  /* 64 octets: the envelope's signature, right or not */
	/* evidence: hangs on the row by its hash, beside it in the file */
	struct span signed_text;    /* the octets that `proof` signs: it was right */
	struct span signed_payload; /* PLAIN: the payload among them */
	int64_t signed_time;        /* and the timestamp */
	uint8_t signed_form;        /* enum ledger_form */
	const uint8_t *key;         /* 32 octets: of the session that begins */
	struct span token;          /* and its SecurityToken */
	struct span peer;
	struct span detail;
};

enum { LEDGER_ALLOWED = 1, LEDGER_BLOCKED = 2 };

/* How the signed octets were written: as the protocol says, over the token that the
 * session began with or over another one, or in one of the orders and spacings that old
 * clients have (common/canon.h). */
enum ledger_form {
	LEDGER_FORM_PLAIN,
	LEDGER_FORM_OTHER_TOKEN,
	LEDGER_FORM_UTF16,
	LEDGER_FORM_SPACED
};

/* The head and the tree's root over rows 1..seq, signed by vault. */
struct ledger_checkpoint {
	uint64_t seq; /* 0: none */
	char chain[65];
	uint8_t head[LEDGER_HASH_LEN], root[LEDGER_HASH_LEN];
	char time[41];
	char kid[65];
	uint8_t signature[64];
};

/*
 * Opens the ledger's files, whose directory is open (ledger_file.h), and verifies their
 * end; makes the chain's id in a new database. sync: wait for the disk in every turn. 0,
 * or -1 with text for the operator. Called before the loop runs.
 */
int ledger_open(struct store *, const char *tenant, int sync, char *err, size_t err_size);
/* Ends the thread; what was written is on the disk afterwards. */
void ledger_close(void);
/* As ledger_append() for "start" and "stop". */
void ledger_start_row(const char *detail);
void ledger_stop_row(const char *detail);

/* "decision" and so on. */
const char *ledger_kind_name(enum ledger_kind);
/* Appends. 0 and the row's number in *seq (may be NULL); -1 when the turn has failed:
 * then nothing of the turn will be answered as if it had happened. */
int ledger_append(const struct ledger_row *, uint64_t *seq);

/*
 * For refusals that anyone can cause without a valid token, and for reports that a peer
 * may make up. Each cause and peer has a budget of rows a second; what goes beyond is
 * counted and becomes one row "refusals.summed" when the second is over. who and instance
 * name the peer that brought it, such as "gate" and 12; who NULL: nobody in particular.
 * who must be a constant. 0, 1 when it was only counted, or -1 as above.
 */
enum ledger_cause {
	LEDGER_CAUSE_HTTP = 0, /* framing, limits, unknown paths: the gate refused */
	LEDGER_CAUSE_TARGET,   /* targets that cannot be judged */
	LEDGER_CAUSE_TOKEN,    /* no token, unknown token */
	LEDGER_CAUSE_ENVELOPE, /* SEAL envelopes without a session or a right signature */
	LEDGER_CAUSE_ATTEST,   /* refused attestations and API questions */
	LEDGER_CAUSE_PEER,     /* reports of peers that belong to nothing */
	LEDGER_CAUSE_GRANT,    /* grants that a redeemer refused */
	LEDGER_CAUSE_TUNNEL,   /* hosts that a tool server was refused */
	LEDGER_CAUSE_TUNNELED, /* and those it reached */
	LEDGER_CAUSE_SEALED,   /* whatever comes while vault is sealed */
	LEDGER_CAUSE_MAX
};
#define LEDGER_BUDGET 20 /* rows a second, cause and peer */
int ledger_append_budget(
    const struct ledger_row *, enum ledger_cause, const char *who, uint32_t instance);

/* fn hears of every row once it is committed, its number and text; NULL: nobody. */
void ledger_watch(void (*fn)(uint64_t seq, struct span text));

/* Once a second: sums of refusals, checkpoints that are due. */
void ledger_tick(uint64_t now_ms);

/* Is there something to write? */
int ledger_pending(void);
/* Writes the turn's rows, with one call. 0, or -1 with nothing of them left. */
int ledger_write(void);
/*
 * All rows are on the disk when this returns 0: what the database is about to say must
 * not outlive, after a power cut, the rows that tell of it. -1: as ledger_write().
 */
int ledger_flush(void);
/* Why the last write failed, for logs. */
const char *ledger_error(void);
/* The turn was committed, or rolled back: the head moves, or goes back and what
 * ledger_write() wrote is taken away again. */
void ledger_committed(void);
void ledger_rolled_back(void);
/* How many rows a rollback has lost since the last row about it. */
uint64_t ledger_lost(void);

/* The last committed row and its hash, and the chain's id. */
uint64_t ledger_seq(void);
const uint8_t *ledger_head(void);
const char *ledger_chain(void);
/* hash(0) of the chain. */
void ledger_hash_zero(uint8_t out[LEDGER_HASH_LEN]);
/* The last row that a stored checkpoint covers, and that checkpoint (seq 0: none). */
uint64_t ledger_signed_seq(void);
const struct ledger_checkpoint *ledger_checkpoint_newest(void);
/* {"chain","seq","head","root"}, open for more. */
struct jsonw;
void ledger_checkpoint_json(struct jsonw *, const struct ledger_checkpoint *);

/*
 * The inclusion path of row seq in the tree over rows 1..size (RFC 9162 section 2.1.3.1),
 * from the leaf upwards. Reads one tile of 256 rows. 0, or -1.
 */
int ledger_path(uint64_t seq, uint64_t size, uint8_t out[64][LEDGER_HASH_LEN], size_t *n);
/*
 * Looks for the decision on a request, newest rows first, some thousand rows a turn. fn
 * is called once, later, with its row's number, 0 when there is none. 0, or -1: no
 * memory, fn is not called. ledger_find_forget(): not for this arg any more.
 */
int ledger_find_request(
    const uint8_t request[16], void (*fn)(uint64_t seq, void *arg), void *arg);
void ledger_find_forget(void *arg);

/* The text of a row with this number, as it is hashed. 0 or -1; for ledger.c and tests.
 */
int ledger_row_text(const struct ledger_row *, uint64_t seq, uint64_t now_us,
    const char *chain, struct buf *out);

/*
 * Asks vault to sign head and root (checkpoint_sign) and writes the answer to the ledger
 * once the rows it names are on the disk. fn is called once,
 * also at once, with 0 or -1 and a text; it may be NULL. Rows of this turn are not part
 * of it unless they are committed: ask in the next turn.
 */
void ledger_checkpoint(void (*fn)(int status, const char *message, void *arg), void *arg);

/* Hex SHA-256, Ed25519 and so on are the row's own business; names of outcomes are here.
 */
const char *ledger_outcome_name(unsigned outcome);

#endif
