/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The enumerations that messages carry as integers. Shared by every process; values are
 * part of the schema only by meaning, so raise MSG_VERSION when one changes.
 */
#ifndef AEGIS_PROTO_H
#define AEGIS_PROTO_H

#define BODY_LEN_UNKNOWN UINT64_MAX
#define INLINE_BODY_MAX 24576 /* proxy_open.body, proxy_head.body */
#define INLINE_MCP_MAX 32768  /* mcp_request.body, mcp_event.data */
#define INLINE_JSON_MAX 49152 /* envelopes, tool payloads and results */
#define REQUEST_ID_LEN 16
#define GRANT_TTL_MS 10000 /* from the decision to its redemption */

enum listen_kind { LISTEN_AGENTS = 1, LISTEN_ADMIN, LISTEN_VAULT };

/* Who signed a token that is not ours (conf_issuer). */
enum issuer_kind { ISSUER_OPERATORS = 1, ISSUER_AGENTS };

/* What a token of an operator allows (operator_token). */
enum operator_role { OPERATOR_READONLY = 1, OPERATOR_OPERATOR, OPERATOR_ADMIN };

enum verdict { VERDICT_ANSWER = 1, VERDICT_PROXY, VERDICT_TOOL, VERDICT_STREAM };

/* What the gate does with what looks like a credential in a request. */
enum inspect_mode { INSPECT_OFF = 0, INSPECT_WARN, INSPECT_BLOCK };

/* How a tool call is answered; MCP_2026: to a client of MCP 2026-07-28 or later. */
enum wrap { WRAP_NONE = 0, WRAP_SEAL, WRAP_MCP, WRAP_MCP_2026 };

/* Whether the agent of a tool call speaks MCP, and since when. */
enum tool_mcp { TOOL_MCP_NO = 0, TOOL_MCP_SESSION, TOOL_MCP_2026 };

/* What an MCP server offers beside tools, as bits. */
enum mcp_feature {
	MCP_RESOURCES = 1 << 0,
	MCP_SUBSCRIBE = 1 << 1,
	MCP_PROMPTS = 1 << 2,
	MCP_COMPLETIONS = 1 << 3,
	MCP_LOGGING = 1 << 4
};

/* Severities of MCP's log (RFC 5424 6.2.1, upwards); 0: none was set. */
enum mcp_level {
	MCP_DEBUG = 1,
	MCP_INFO,
	MCP_NOTICE,
	MCP_WARNING,
	MCP_ERROR,
	MCP_CRITICAL,
	MCP_ALERT,
	MCP_EMERGENCY,
	MCP_SILENT
};

/* What a tool server may reach. */
enum tool_network { TOOL_NETWORK_NONE = 0, TOOL_NETWORK_HOST, TOOL_NETWORK_NAMED };

/* What a tool server asked its proxy for. */
enum tunnel_how { TUNNEL_CONNECT = 1, TUNNEL_OTHER_METHOD, TUNNEL_MALFORMED };

/* What the gate refuses by itself. Judge words the answer and writes the row. */
enum refusal {
	REFUSAL_BAD_REQUEST = 1, /* framing or syntax; detail says which */
	REFUSAL_HEADERS_TOO_LARGE,
	REFUSAL_TARGET_TOO_LONG,
	REFUSAL_METHOD_NOT_ALLOWED,
	REFUSAL_BODY_TOO_LARGE,
	REFUSAL_HEADER_TIMEOUT,
	REFUSAL_BODY_TIMEOUT,
	REFUSAL_TOO_MANY_CONNECTIONS,
	REFUSAL_SHUTTING_DOWN,
	REFUSAL_UNSUPPORTED_MEDIA,
	REFUSAL_NOT_FOUND,
	REFUSAL_EXPECTATION,
	REFUSAL_REDEEMER_GONE, /* worker or toolhost died before an answer */
	REFUSAL_UPSTREAM_TIMEOUT,
	REFUSAL_ANSWER_TOO_LARGE, /* a tool's; detail is the limit in octets, or "" */
	REFUSAL_BODY_INSPECTION,  /* it holds what looks like credentials; detail names
				     them */
	REFUSAL_BODY_UNREADABLE,  /* it cannot be inspected */
	REFUSAL_UPGRADE /* not a WebSocket's handshake, or another version of it */
};

/* Why a WebSocket is to be closed (socket_end). */
enum socket_why {
	SOCKET_REVOKED = 1, /* what it was judged by holds no longer */
	SOCKET_INSPECTION,  /* the agent sent what looks like a credential */
	SOCKET_MALFORMED,   /* it sent what is no frame */
	SOCKET_TOO_LARGE,   /* or a message that is larger than allowed */
	SOCKET_STOPPING     /* the gate is */
};

/*
 * The method that is judged instead of GET when an agent asks for a WebSocket: whatever
 * goes through one is no mere reading. On the wire it is a GET.
 */
#define WEBSOCKET_METHOD "WEBSOCKET"

/* How a granted request ended. */
enum outcome {
	OUTCOME_OK = 1,
	OUTCOME_AGENT_GONE,
	OUTCOME_UPSTREAM_UNREACHABLE, /* resolve, connect, TLS */
	OUTCOME_UPSTREAM_TIMEOUT,
	OUTCOME_UPSTREAM_BROKEN, /* unparsable or cut answer */
	OUTCOME_ADDRESS_REFUSED, /* loopback, private, metadata */
	OUTCOME_DOMAIN_REFUSED,  /* not in the list sealed with the credential */
	OUTCOME_SECRET_ECHOED,   /* the answer held the secret and was cut */
	OUTCOME_GRANT_REFUSED,   /* forged, reused, late, or not what was judged */
	OUTCOME_TOO_LARGE,
	OUTCOME_TOOL_DOWN,
	OUTCOME_TOOL_TIMEOUT,
	OUTCOME_TOOL_BROKEN,
	OUTCOME_UNREDEEMED,     /* the grant ran out unused */
	OUTCOME_LOST,           /* the redeemer died; what became of it is unknown */
	OUTCOME_ACCESS_REFUSED, /* not a method or path sealed with the credential */
	OUTCOME_CLOSED          /* a WebSocket that we closed; the detail says why */
};

enum tool_state {
	TOOL_STOPPED = 1,
	TOOL_STARTING,
	TOOL_RUNNING,
	TOOL_UNHEALTHY,
	TOOL_FAILED
};

enum vault_code {
	VAULT_OK = 0,
	VAULT_EXISTS,
	VAULT_MISSING,
	VAULT_TOO_LARGE,
	VAULT_IO,
	VAULT_LOCKED, /* sealed */
	VAULT_BAD_REFERENCE,
	VAULT_REFUSED,
	VAULT_AWAY,   /* OpenBao is: later it may work */
	VAULT_DENIED, /* by OpenBao */
	VAULT_SHARES  /* enough of the key's shares have to be brought first */
};

/* What became of shares of the master key (share_event). */
enum share_event {
	SHARE_TAKEN = 1,
	SHARE_REFUSED,
	SHARE_FORGOTTEN, /* those there were: nobody brought the rest in time */
	SHARE_JOINED,    /* they made the key */
	SHARE_GIVEN      /* a split is in force */
};

/* What a secret was asked for (access_context), and what was done with it. */
enum access_use { ACCESS_PROXY = 1, ACCESS_TOOL, ACCESS_ADMIN, ACCESS_BOARD };
enum access_act {
	ACCESS_RESOLVE = 1,
	ACCESS_RENEW,
	ACCESS_REVOKE,
	ACCESS_ENCRYPT,
	ACCESS_DECRYPT
};

/* What is done with octets of a blackboard (board_offer, board_use, board_confirm). */
enum board_act {
	BOARD_ENCRYPT = 1,
	BOARD_ENCRYPT_NEW_KEY, /* under a new version of the key, from now on */
	BOARD_DECRYPT
};

/* What happened between vault and OpenBao (openbao_event). */
enum openbao_event {
	OPENBAO_LOGIN = 1, /* there is a token */
	OPENBAO_REFUSED,   /* the login */
	OPENBAO_AWAY,      /* nobody waits for it any more */
	OPENBAO_BACK,
	OPENBAO_UNWRAPPED,   /* a wrapped secret id was taken out */
	OPENBAO_WRAP_USED,   /* somebody else did, perhaps */
	OPENBAO_WRAP_FOREIGN /* what is wrapped is no secret id of this method */
};

/* What became of a reload (reload_result, reloaded). */
enum reload_code {
	RELOAD_DONE = 0,
	RELOAD_REFUSED, /* something is wrong: all is as it was */
	RELOAD_BUSY     /* another one is under way */
};

enum lease_state {
	LEASE_WAITS = 1, /* for its turn, or for the token that it will hang on */
	LEASE_ASKED,     /* the token is known, on the disk too, and used */
	LEASE_HELD,
	LEASE_ENDING /* to be revoked */
};

/* Exit codes of the command line. */
enum admin_code {
	ADMIN_OK = 0,
	ADMIN_FAILED = 1,
	ADMIN_USAGE = 2,
	ADMIN_REFUSED = 3,
	ADMIN_UNREACHABLE = 4
};

/* Which fields of credential_update are meant. */
enum credential_field {
	CREDENTIAL_DOMAINS = 1 << 0,
	CREDENTIAL_AUTH_TYPE = 1 << 1,
	CREDENTIAL_HEADER_NAME = 1 << 2,
	CREDENTIAL_QUERY_PARAM = 1 << 3,
	CREDENTIAL_SCOPES = 1 << 4,
	CREDENTIAL_TTL = 1 << 5,
	CREDENTIAL_RATE_LIMIT = 1 << 6,
	CREDENTIAL_INSPECTION = 1 << 7,
	CREDENTIAL_UPSTREAM = 1 << 8,
	CREDENTIAL_PRIVATE = 1 << 9,
	CREDENTIAL_METHODS = 1 << 10,
	CREDENTIAL_ALLOW_PATHS = 1 << 11,
	CREDENTIAL_DENY_PATHS = 1 << 12,
	CREDENTIAL_REFERENCE = 1 << 13
};

/* What vault seals together with the secret. */
#define CREDENTIAL_SEALED                                                         \
	(CREDENTIAL_DOMAINS | CREDENTIAL_AUTH_TYPE | CREDENTIAL_HEADER_NAME |     \
	    CREDENTIAL_QUERY_PARAM | CREDENTIAL_UPSTREAM | CREDENTIAL_PRIVATE |   \
	    CREDENTIAL_METHODS | CREDENTIAL_ALLOW_PATHS | CREDENTIAL_DENY_PATHS | \
	    CREDENTIAL_REFERENCE)

#endif
