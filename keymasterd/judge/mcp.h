/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Model Context Protocol over HTTP for clients with an agent token: one struct
 * follows a request from its arrival to its answer. Judge only; doc/mcp.md has the rules.
 */
#ifndef AEGIS_JUDGE_MCP_H
#define AEGIS_JUDGE_MCP_H

#include "common/json.h"
#include "common/jsonw.h"
#include "common/msg.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/decide.h"
#include "keymasterd/judge/mcp_read.h"
#include "keymasterd/judge/mcp_session.h"
#include "keymasterd/judge/session_rate.h"

#define RPC_NO_METHOD (-32601)
#define RPC_BAD_PARAMS (-32602)
#define RPC_INTERNAL (-32603)
#define RPC_REFUSED (-32000)
#define RPC_NO_SESSION (-32001)
#define RPC_NO_RESOURCE (-32002)
#define RPC_HEADER (-32020)
#define RPC_NO_VERSION (-32022)

#define MCP_VERSION_SESSION "2025-11-25" /* the newest with initialize and sessions */
#define MCP_VERSION_2026 "2026-07-28"    /* every request stands alone */

struct mcp_conf {
	bool seal_required;
	char legacy_context[STORE_CONTEXT_MAX];
	char hosts[4097];
	uint32_t idle_s;
};
extern struct mcp_conf mcp_conf;
struct msg_conf_mcp;
/* 0, or -1: a text is too long. */
int mcp_conf_read(const struct msg_conf_mcp *, struct mcp_conf *);

struct mcp {
	struct decide d;
	const struct msg_mcp_request *m;
	struct span body;
	struct json_doc *doc;
	struct mcp_msg in;
	struct agent *agent;
	uint8_t token_hash[STORE_HASH_LEN];
	bool modern;           /* MCP 2026-07-28: no sessions */
	struct mcp_session *s; /* NULL: none */
	uint8_t level;         /* enum mcp_level for this request */
	size_t cap;            /* which capability allowed it */
	const char *context;
	struct context_entry *rules;
	/* for the row */
	char tool[CONTEXT_TOOL_MAX + 1];
	char detail[SESSION_RATE_DETAIL];
	char code[16];
};

/* conf_mcp. */
int mcp_configure(void *msg);
/* Handler: mcp_request. */
int mcp_request(struct chan *, uint64_t reqid, void *msg);

/* ---- answers (mcp_answer.c) ---- */

/* {"jsonrpc","id","result"}; json is one value. */
void mcp_result(struct mcp *, const void *json, size_t len);
/* A JSON-RPC error with this HTTP status; the row is blocked with `code`. */
void mcp_error(
    struct mcp *, uint32_t status, int rpc, const char *code, const char *message);
/* The same with members of error.data, a JSON object. */
void mcp_error_data(struct mcp *, uint32_t status, int rpc, const char *code,
    const char *message, struct span data);
/* Refused by policy: SEAL's code. */
void mcp_deny(struct mcp *, unsigned code, const char *why, uint32_t retry_after);
/* 202 and no body; without a row. */
void mcp_accepted(struct mcp *);

/* ---- methods (mcp_methods.c) ---- */
void mcp_initialize(struct mcp *);
/* Any other request of a client whose context is known. */
void mcp_dispatch(struct mcp *);
/* The capabilities member, with its key. */
void mcp_put_capabilities(const struct mcp *, struct jsonw *);
/* The extensions member that says SEAL. */
void mcp_put_extensions(struct jsonw *);

/* ---- MCP 2026-07-28 (mcp_2026.c) ---- */
/* Does the message agree with its header fields? 0, or -1: it was answered. */
int mcp_2026_check(struct mcp *);
void mcp_2026_discover(struct mcp *);

#endif
