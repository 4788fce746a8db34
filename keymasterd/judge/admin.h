/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line's door: who may come in, and what every administrative act has in
 * common. Judge only. Rows and results are JSON with these members:
 *
 *	credential_list	row {name, service, domains[], auth_type, header_name,
 *query_param, scopes[], rate_limit, body_inspection, upstream, allow_private, status:
 *active|expired|expiring_soon, expires_at, created_at, updated_at, rotated_at}; what is
 *not set is left out agent_list	row {name, token_prefix, rate_limit, created_at,
 *in_flight, credentials[], contexts[], runs[{run, expires_at}]} agent_add,
 *agent_regenerate	done {name, token} agent_run	done {name, run, token,
 *expires_at}
 *	ledger_read	row {row: <the row's own text>, hash}; done {chain, prev, next,
 *last, more}: prev is the hash before the first row sent, next goes into `after` to read
 *on while more is true (a question reads a bounded stretch, so more can be true with no
 *row at all), last is the number of the newest row. With `lines` the rows are the lines
 *of the files as they are (doc/design.md, "The ledger")
 *	ledger_stats	done {total, allowed, blocked, completions, admin, system,
 *by_service{}, by_code{}} ledger_seal	done {chain, seq, head, root}: of the checkpoint
 *	status		done {version, tenant, uptime_s, ...}: see admin_status.c
 *
 * Newest first, `after` N means rows before N, 0 from the end.
 */
#ifndef AEGIS_JUDGE_ADMIN_H
#define AEGIS_JUDGE_ADMIN_H

#include <stdint.h>

#include "common/chan.h"
#include "common/span.h"

struct buf;

/*
 * proc_serve(): the listening socket. Takes fd. Who connects is let in when vault's door
 * is ready (admin_serves), so that nobody who comes right after the start is told that
 * it is away.
 */
void admin_listen(int kind, int fd);
/* Vault is there, or does not come: administrators are let in, and the master is told. */
void admin_serves(void);

/* ---- for the handlers, also the SEAL half's ---- */

/* Ends the act: code is an enum admin_code, message for people ("" when all is well). */
void admin_done(struct chan *, uint64_t reqid, uint32_t code, const char *message);
/* ADMIN_REFUSED with a formatted message: what is wrong and what to do. Returns 0, what a
 * handler returns. */
int admin_refuse(struct chan *, uint64_t reqid, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* ADMIN_OK with a JSON result. */
void admin_result(struct chan *, uint64_t reqid, const struct buf *json);
/* One row of a list, before the end. 0, or -1 when no more may be sent now. */
int admin_row(struct chan *, uint64_t reqid, const struct buf *json);

/* The ledger row of an act, before it takes effect. Absent spans: {NULL, 0}. */
struct admin_act {
	const char *event; /* "agent.add" */
	struct span agent, credential, service, context, session, exec, reason, detail;
};
void admin_ledger(struct chan *, const struct admin_act *);

/* ---- checks of what administrators type (admin_check.c): NULL, or what is wrong ---- */
const char *check_identifier(struct span, size_t max);
const char *check_auth_type(struct span);
const char *check_header_name(struct span);
const char *check_query_param(struct span);
const char *check_rate_limit(
    struct span, char *out, size_t size);    /* "" and "none": none */
const char *check_service_free(struct span); /* not a name of the gate's own */

/* ---- handlers ---- */
int admin_credential_add(struct chan *, uint64_t, void *);
int admin_credential_update(struct chan *, uint64_t, void *);
int admin_credential_rotate(struct chan *, uint64_t, void *);
int admin_credential_remove(struct chan *, uint64_t, void *);
int admin_credential_list(struct chan *, uint64_t, void *);
int admin_agent_add(struct chan *, uint64_t, void *);
int admin_agent_list(struct chan *, uint64_t, void *);
int admin_agent_remove(struct chan *, uint64_t, void *);
int admin_agent_regenerate(struct chan *, uint64_t, void *);
int admin_agent_grant(struct chan *, uint64_t, void *);
int admin_agent_context(struct chan *, uint64_t, void *);
int admin_agent_limit(struct chan *, uint64_t, void *);
int admin_agent_process(struct chan *, uint64_t reqid, void *msg);
int admin_agent_run(struct chan *, uint64_t, void *);
int admin_agent_run_end(struct chan *, uint64_t, void *);
int admin_ledger_read(struct chan *, uint64_t, void *);
int admin_ledger_stats(struct chan *, uint64_t, void *);
int admin_ledger_seal(struct chan *, uint64_t, void *);
int admin_status(struct chan *, uint64_t, void *);
int admin_record(struct chan *, uint64_t, void *);
int admin_board_use(struct chan *, uint64_t reqid, void *msg);
int admin_db_copy(struct chan *, uint64_t reqid, void *msg);
int admin_permission_ask(struct chan *, uint64_t reqid, void *msg);
/* Who is asking on this connection from now on. */
int admin_user_login(struct chan *, uint64_t reqid, void *msg);

/* The door is shut: acts that wait for vault finish without an answer. */
void ledger_act_gone(const struct chan *);

#endif
