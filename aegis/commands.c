/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every command and every flag. Parsing, help, completion and the manual page follow
 * this.
 */
#include <limits.h>

#include "aegis/cli.h"
#include "aegis/cmd.h"

/* clang-format off */
#define TEXT(name, letter, value, about) {name, letter, FLAG_TEXT, false, value, about}
#define NEED(name, letter, value, about) {name, letter, FLAG_TEXT, true, value, about}
#define NUMBER(name, letter, value, about) {name, letter, FLAG_NUMBER, false, value, about}
#define SWITCH(name, letter, about) {name, letter, FLAG_SWITCH, false, NULL, about}
#define END {NULL, 0, FLAG_SWITCH, false, NULL, NULL}
#define ANY_FILES (UINT_MAX - 1) /* flags may stand behind them */
#define FLAGS(...) (const struct flag[]) {__VA_ARGS__, END}

#define SECRET_FLAGS \
	{"secret", 0, FLAG_SECRET, false, "SECRET", "The secret itself; - reads it from standard input"}, \
	TEXT("secret-file", 0, "FILE", "Read the secret from a file"), \
	SWITCH("secret-stdin", 0, "Read the secret from standard input")
#define REFERENCE_FLAG \
	TEXT("secret-ref", 0, "REF", "Where the secret is in OpenBao: vault:MOUNT/PATH#FIELD or secret:PATH")
#define INJECT_FLAGS \
	TEXT("auth-type", 'a', "TYPE", "How it is injected: bearer, header, basic, query (bearer)"), \
	TEXT("header-name", 0, "NAME", "Header of auth type header (x-api-key)"), \
	TEXT("query-param", 0, "NAME", "Parameter of auth type query (key)"), \
	TEXT("scopes", 0, "LIST", "Methods: read, write, * (*)"), \
	NUMBER("ttl", 0, "DAYS", "Expires after so many days"), \
	TEXT("rate-limit", 0, "N/UNIT", "Such as 100/min; units sec, min, hour, day"), \
	TEXT("body-inspection", 0, "MODE", "Credentials in requests: off, warn, block (the default)"), \
	TEXT("upstream", 0, "URL", "scheme://[host][:port] instead of https://DOMAIN:443"), \
	TEXT("allow-methods", 0, "LIST", "Only these methods, such as GET,HEAD; none: all"), \
	TEXT("allow-paths", 0, "LIST", "Only these paths, such as '/repos/**,/user'; none: all"), \
	TEXT("deny-paths", 0, "LIST", "Never these paths, such as '/admin/**'; none: no such"), \
	SWITCH("allow-private", 0, "Private and loopback addresses are allowed upstreams")
#define KEY_SHARES \
	{"key-share", 0, FLAG_SECRETS, false, "SHARE", "A share, once or more; better typed, or on standard input"}
#define AGENT NEED("agent", 0, "NAME", "Name of the agent (aegis agent list)")
#define POLICIES_DIR TEXT("policies-dir", 0, "PATH", "Policies: a file or a directory of them")
#define GATE_FLAGS \
	SWITCH("tls", 0, "Serve TLS with certs/aegis.crt and certs/aegis.key"), \
	TEXT("cert", 0, "FILE", "Certificate chain (PEM)"), \
	TEXT("key", 0, "FILE", "Private key (PEM)"), \
	SWITCH("no-agent-auth", 0, "Serve requests without an agent's token too"), \
	SWITCH("require-agent-auth", 0, "Refuse them (the default)"), POLICIES_DIR, \
	TEXT("policy-mode", 0, "MODE", "enforce, dry-run or off")
#define SINCE TEXT("since", 0, "TIME", "2026-03-01, a timestamp, or an age such as 2h, 7d")

const struct command commands[] = {
    {"", "init", "", 0, "Make the configuration, the master key and the vault",
	FLAGS(SWITCH("write-secrets", 0, "Write the master key into the configuration file"),
	    SWITCH("env-file", 0, "Write the master key into .env"),
	    SWITCH("keep-config", 0, "There is a configuration file already: use it as it is"),
	    SWITCH("generate-cert", 0, "Make a certificate for localhost in certs/")), cmd_init},
    {"", "gate", "", 0, "Run the gate in the foreground",
	FLAGS(NUMBER("port", 'p', "N", "Port instead of the configured one"),
	    GATE_FLAGS), cmd_gate},
    {"", "dashboard", "", 0, "The same, with the data API for dashboards",
	FLAGS(NUMBER("port", 'd', "N", "Port of the data API (3200)"),
	    NUMBER("gate-port", 'p', "N", "Port of the gate instead of the configured one"),
	    GATE_FLAGS), cmd_gate},

    {"", "import", "DIRECTORY", 1, "Take over configuration and policies of the established tool",
	FLAGS(NEED("from", 0, "TOOL", "getaegis")), cmd_import},

    {"vault", "add", "", 0, "Add a credential",
	FLAGS(NEED("name", 'n', "NAME", "Name of the credential"),
	    NEED("service", 's', "SERVICE", "First part of the path agents use"),
	    SECRET_FLAGS, REFERENCE_FLAG,
	    NEED("domains", 'd', "LIST", "Hosts it may be sent to, separated by commas"),
	    INJECT_FLAGS), cmd_vault_add},
    {"vault", "leases", "", 0, "List leases of database credentials", NULL, cmd_vault_leases},
    {"vault", "list", "", 0, "List credentials, never their secrets", NULL, cmd_vault_list},
    {"vault", "show", "", 0, "Show one credential, never its secret",
	FLAGS(NEED("name", 'n', "NAME", "Name of the credential")), cmd_vault_show},
    {"vault", "remove", "", 0, "Remove a credential and its grants",
	FLAGS(NEED("name", 'n', "NAME", "Name of the credential")), cmd_vault_remove},
    {"vault", "refresh", "", 0, "Read secrets that are in OpenBao again",
	FLAGS(TEXT("name", 'n', "NAME", "Of this credential only, and say whether it is there")),
	cmd_vault_refresh},
    {"vault", "encrypt", "", 0, "Encrypt standard input for an object of a tenant",
	FLAGS(NEED("object", 0, "NAME", "What it belongs to, such as an execution's blackboard"),
	    TEXT("tenant", 0, "NAME", "Whose it is (the gate's own)"),
	    SWITCH("new-key", 0, "Make a new version of the key first")), cmd_vault_encrypt},
    {"vault", "decrypt", "", 0, "Decrypt what encrypt wrote",
	FLAGS(NEED("object", 0, "NAME", "What it was encrypted for"),
	    TEXT("tenant", 0, "NAME", "Whose it is (the gate's own)")), cmd_vault_decrypt},
    {"vault", "rotate", "", 0, "Replace the secret of a credential",
	FLAGS(NEED("name", 'n', "NAME", "Name of the credential"), SECRET_FLAGS,
	    TEXT("grace-period", 0, "HOURS",
		"The secret before serves as long where the new one is refused, such as 24 or 0.5"),
	    NUMBER("ttl", 0, "DAYS", "New expiry, in days from now; 0: none")), cmd_vault_rotate},
    {"vault", "update", "", 0, "Change a credential, but not its secret",
	FLAGS(NEED("name", 'n', "NAME", "Name of the credential"),
	    TEXT("domains", 'd', "LIST", "Hosts it may be sent to, separated by commas"),
	    REFERENCE_FLAG, INJECT_FLAGS,
	    SWITCH("no-allow-private", 0, "Private addresses are refused again")), cmd_vault_update},

    {"vault", "create", "", 0, "Make another vault, with a master key and a database of its own",
	FLAGS(NEED("name", 'n', "NAME", "Name of the vault; AEGIS_VAULT=NAME chooses it"),
	    {"master-key", 0, FLAG_SECRET, false, "KEY", "64 digits instead of a new key; - reads standard input"}),
	cmd_vault_create},
    {"vault", "vaults", "", 0, "List the vaults", NULL, cmd_vault_vaults},
    {"vault", "destroy", "", 0, "Destroy a vault and all its credentials; its ledger stays",
	FLAGS(NEED("name", 'n', "NAME", "Name of the vault"), SWITCH("confirm", 0, "Yes, destroy")),
	cmd_vault_destroy},
    {"vault", "split", "", 0, "Give out the master key in shares, any few of which make it",
	FLAGS(NUMBER("threshold", 't', "N", "How many are needed (3)"),
	    NUMBER("shares", 's', "N", "How many there are, 255 at most (5)"),
	    SWITCH("remove-key", 0, "Take the key out of .env or .master-key afterwards"),
	    SWITCH("remove-env-key", 0, "The same"), KEY_SHARES), cmd_vault_split},
    {"vault", "seal", "", 0, "Forget the master key: nothing is served until it is unsealed",
	NULL, cmd_vault_seal},
    {"vault", "unseal", "[SHARE...]", 255, "Give shares of the master key, asked for one by one",
	FLAGS(KEY_SHARES), cmd_vault_unseal},

    {"agent", "add", "", 0, "Register an agent and show its token once",
	FLAGS(NEED("name", 'n', "NAME", "Name of the agent"),
	    TEXT("rate-limit", 0, "N/UNIT", "Such as 50/min")), cmd_agent_add},
    {"agent", "list", "", 0, "List agents, never their tokens", NULL, cmd_agent_list},
    {"agent", "remove", "", 0, "Remove an agent and its grants",
	FLAGS(NEED("name", 'n', "NAME", "Name of the agent")), cmd_agent_remove},
    {"agent", "regenerate", "", 0, "Make a new token; the old one dies at once",
	FLAGS(NEED("name", 'n', "NAME", "Name of the agent")), cmd_agent_regenerate},
    {"agent", "grant", "", 0, "Let an agent use a credential",
	FLAGS(AGENT, NEED("credential", 0, "NAME", "Credential")), cmd_agent_grant},
    {"agent", "revoke", "", 0, "Take that back",
	FLAGS(AGENT, NEED("credential", 0, "NAME", "Credential")), cmd_agent_revoke},
    {"agent", "set-rate-limit", "", 0, "Change an agent's rate limit",
	FLAGS(AGENT, NEED("limit", 0, "N/UNIT", "Such as 50/min; none clears")),
	cmd_agent_set_rate_limit},
    {"agent", "set-process", "", 0, "Require an agent to be a certain process; no flag: any",
	FLAGS(NEED("name", 'n', "NAME", "Agent"),
	    TEXT("uid", 0, "UID", "It runs as this user"),
	    TEXT("exe", 0, "PATH", "It runs this program"),
	    SWITCH("exe-sha256", 0, "With the contents that the program has now"),
	    TEXT("cgroup", 0, "GLOB", "In a cgroup of this name, such as /system.slice/*")),
	cmd_agent_set_process},
    {"agent", "context", "", 0, "Let an agent attest into a SecurityContext",
	FLAGS(AGENT, NEED("context", 0, "NAME", "SecurityContext"),
	    SWITCH("revoke", 0, "Take that back; its sessions end")), cmd_agent_context},

    {"context", "add", "FILE", 1, "Add SecurityContexts from a YAML or JSON file, or -", NULL,
	cmd_context_add},
    {"context", "list", "", 0, "List SecurityContexts", NULL, cmd_context_list},
    {"context", "show", "NAME", 1, "Print a SecurityContext as JSON",
	FLAGS(TEXT("name", 'n', "NAME", "SecurityContext"),
	    NUMBER("version", 0, "N", "As it was then (the one in force)")), cmd_context_show},
    {"context", "update", "FILE", 1, "Replace SecurityContexts by those in a file, or -", NULL,
	cmd_context_update},
    {"context", "remove", "NAME", 1, "Remove a SecurityContext; calls under it are refused",
	FLAGS(TEXT("name", 'n', "NAME", "SecurityContext")), cmd_context_remove},
    {"context", "test", "NAME TOOL [JSON]", 3,
	"Would a call be allowed, and which rule says so? Exits with 0 or 3",
	FLAGS(TEXT("name", 'n', "NAME", "SecurityContext"),
	    TEXT("tool", 't', "NAME", "Tool"),
	    TEXT("arguments", 0, "JSON", "Arguments of the call ({})"),
	    TEXT("session", 0, "ID", "With this session's patterns and rate limits")),
	cmd_context_test},

    {"policy", "validate", "[PATH]", 1, "Check policy files: one, or those of a directory",
	FLAGS(POLICIES_DIR), cmd_policy_validate},
    {"policy", "list", "[PATH]", 1, "List the policies in force, or those of files",
	FLAGS(POLICIES_DIR), cmd_policy_list},
    {"policy", "show", "AGENT", 1, "Print an agent's policy as JSON",
	FLAGS(TEXT("agent", 'a', "NAME", "Agent"), POLICIES_DIR), cmd_policy_show},
    {"policy", "test", "[PATH]", 1, "Would a request be allowed, and which rule says so?",
	FLAGS(NEED("agent", 'a', "NAME", "Agent"), NEED("service", 's', "NAME", "Service"),
	    NEED("method", 'm', "METHOD", "Method of the request"),
	    NEED("path", 0, "PATH", "Path at the upstream, such as /repos/x"),
	    TEXT("time", 0, "TIME", "At this time (now), such as 2026-03-29T01:30:00Z"),
	    SWITCH("exit-code", 0, "Exit with 3 when it is denied"), POLICIES_DIR),
	cmd_policy_test},
    {"policy", "reload", "", 0, "Read the files again; what is wrong changes nothing", NULL,
	cmd_policy_reload},

    {"session", "list", "", 0, "List the sessions of agents", NULL, cmd_session_list},
    {"session", "show", "SESSION", 1, "Print a session as JSON",
	FLAGS(TEXT("session", 0, "ID", "Session, or its execution")), cmd_session_show},
    {"session", "create", "", 0, "Make a session for a key and print its token",
	FLAGS(NEED("agent", 0, "NAME", "Whose session it is"),
	    NEED("context", 0, "NAME", "SecurityContext"),
	    NEED("execution", 0, "ID", "Execution that it is for"),
	    NEED("key", 0, "KEY", "Its Ed25519 public key: Base64 or hexadecimal"),
	    TEXT("tools", 0, "LIST", "Only these tools, such as fs.*,web.get"),
	    TEXT("ttl", 0, "TIME", "Its life, such as 15m, 8h; a day at most"),
	    TEXT("workload", 0, "ID", "What the token calls the workload"),
	    TEXT("task", 0, "TEXT", "What it is about")),
	cmd_session_create},
    {"session", "revoke", "SESSION", 1, "End a session",
	FLAGS(TEXT("session", 0, "ID", "Session"), TEXT("reason", 0, "TEXT", "Why")),
	cmd_session_revoke},
    {"mcp", "serve", "", 0, "Be an MCP server in front of the gate, as an agent",
	FLAGS(TEXT("transport", 0, "KIND", "stdio or streamable-http (mcp.transport, else stdio)"),
	    NUMBER("port", 0, "N", "Port on loopback, of streamable-http (mcp.port, else 3300)"),
	    {"agent-token", 0, FLAG_SECRET, false, "TOKEN", "Agent's token; better in AEGIS_AGENT_TOKEN"}),
	cmd_mcp_serve},
    {"mcp", "config", "HOST", 1, "What to tell claude, cursor, vscode, cline or windsurf",
	FLAGS(TEXT("transport", 0, "KIND", "stdio or streamable-http (mcp.transport, else stdio)"),
	    NUMBER("port", 0, "N", "Port of streamable-http (mcp.port, else 3300)")), cmd_mcp_config},
    {"webhook", "add", "", 0, "Tell somebody of events, signed",
	FLAGS(NEED("url", 'u', "URL", "Where to: https://host/path"),
	    NEED("events", 'e', "LIST", "blocked_request, credential_expiry, rate_limit_exceeded, "
		"agent_auth_failure, body_inspection, ledger_checkpoint; separated by commas"),
	    TEXT("label", 'l', "TEXT", "What to call it"),
	    SECRET_FLAGS,
	    SWITCH("allow-private", 0, "It may lead to loopback and private addresses")),
	cmd_webhook_add},
    {"webhook", "list", "", 0, "List webhooks, what waits for them and what was given up",
	FLAGS(SWITCH("dead", 0, "The deliveries that were given up instead")), cmd_webhook_list},
    {"webhook", "remove", "", 0, "Remove a webhook",
	FLAGS(NEED("id", 0, "ID", "Which one")), cmd_webhook_remove},
    {"webhook", "test", "", 0, "Send it a test at once and say what happened",
	FLAGS(NEED("id", 0, "ID", "Which one")), cmd_webhook_test},
    {"webhook", "check-expiry", "", 0, "List credentials that expire soon, and tell of them",
	FLAGS(NUMBER("threshold", 0, "DAYS", "Within so many days (7)")),
	cmd_webhook_check_expiry},

    {"user", "add", "", 0, "Add a user and show the key once; the first has to be an admin",
	FLAGS(NEED("name", 'n', "NAME", "Name of the user"),
	    NEED("role", 'r', "ROLE", "admin, operator or viewer")), cmd_user_add},
    {"user", "list", "", 0, "List users, never their keys", NULL, cmd_user_list},
    {"user", "remove", "", 0, "Remove a user",
	FLAGS(NEED("name", 'n', "NAME", "Name of the user"),
	    SWITCH("confirm", 0, "Yes, remove")), cmd_user_remove},
    {"user", "role", "", 0, "Change a user's role",
	FLAGS(NEED("name", 'n', "NAME", "Name of the user"),
	    NEED("role", 'r', "ROLE", "admin, operator or viewer")), cmd_user_role},
    {"user", "regenerate-token", "", 0, "Make a new key; the old one is dead at once",
	FLAGS(NEED("name", 'n', "NAME", "Name of the user")), cmd_user_regenerate},

    {"operator", "token", "", 0, "Make a token for the API and print it",
	FLAGS(TEXT("ttl", 0, "TIME", "Its life, such as 15m, 8h; a day at most (1h)"),
	    TEXT("role", 'r', "ROLE", "readonly, operator or admin (operator)"),
	    TEXT("name", 'n', "NAME", "Who uses it, for the ledger (your user name)")),
	cmd_operator_token},
    {"operator", "list", "", 0, "Tokens for the API that are good", NULL, cmd_operator_list},
    {"operator", "revoke", "", 0, "End a token, or all of a name, at once",
	FLAGS(TEXT("id", 0, "ID", "The token, as \"operator list\" shows it"),
	    TEXT("name", 'n', "NAME", "All tokens of this name")),
	cmd_operator_revoke},
    {"db", "backup", "", 0, "Copy database, vault and ledger, also while a gate runs",
	FLAGS(TEXT("output", 'o', "DIR", "A directory that is not there yet (aegis-backup)")),
	cmd_db_backup},
    {"db", "restore", "", 0, "Put a backup in place; what is there steps aside",
	FLAGS(NEED("input", 'i', "DIR", "What aegis db backup made"),
	    SWITCH("force", 0, "Also where there is a vault already")), cmd_db_restore},
    {"key", "where", "", 0, "Where the master key is looked for and was found; never the key",
	NULL, cmd_key_where},
    {"key", "rotate", "", 0, "Sign tokens with a new key",
	FLAGS(TEXT("overlap", 0, "TIME", "The old key still verifies for so long (24h); 0: not at all")),
	cmd_key_rotate},
    {"key", "list", "", 0, "List the keys that verify tokens", NULL, cmd_key_list},
    {"tool", "list", "", 0, "List tool servers and their tools", NULL, cmd_tool_list},
    {"tool", "show", "NAME", 1, "Show a tool server: state, process, errors, room", NULL,
	cmd_tool_show},
    {"tool", "test", "NAME", 1, "Start one beside it and show what it can reach", NULL,
	cmd_tool_test},

    {"ledger", "show", "", 0, "Show rows, newest first",
	FLAGS(TEXT("service", 's', "SERVICE", "Only of this service"),
	    NUMBER("limit", 'n', "N", "So many rows (20)"), SINCE,
	    TEXT("agent", 0, "NAME", "Only of this agent"),
	    TEXT("request", 0, "ID", "Only of this request (X-Aegis-Request-Id)"),
	    SWITCH("blocked", 0, "Only what was refused"),
	    SWITCH("admin", 0, "Only what administrators did"),
	    SWITCH("system", 0, "Only starts, stops and the like")), cmd_ledger_show},
    {"ledger", "stats", "", 0, "Count rows",
	FLAGS(SINCE, TEXT("agent", 0, "NAME", "Only of this agent")), cmd_ledger_stats},
    {"ledger", "export", "", 0, "Export rows; jsonl can be verified",
	FLAGS(TEXT("format", 'f', "FORMAT", "csv, json or jsonl (csv)"),
	    TEXT("output", 'o', "FILE", "Write to a file"),
	    SWITCH("no-evidence", 0, "jsonl without what agents signed"),
	    TEXT("service", 's', "SERVICE", "Only of this service"), SINCE,
	    TEXT("agent", 0, "NAME", "Only of this agent")), cmd_ledger_export},
    {"ledger", "verify", "[FILE...]", ANY_FILES, "Verify exports, its files, or the ledger itself",
	FLAGS(TEXT("key", 'k', "KEY", "Public key: base64, hexadecimal, or a file with it"),
	    TEXT("head", 0, "HEAD", "ROW:HASH or a file, kept elsewhere: rows must reach it"),
	    SWITCH("signatures", 0, "Verify what agents signed as well"),
	    TEXT("receipt", 0, "FILE", "Verify a receipt instead")),
	cmd_ledger_verify},
    {"ledger", "receipt", "ID", 1, "Prove one row: of a request's id, or of a number",
	FLAGS(TEXT("out", 'o', "FILE", "Write to a file")), cmd_ledger_receipt},
    {"ledger", "key", "", 0, "Print the public key that verifies exports", NULL, cmd_ledger_key},

    {"", "run", "COMMAND...", UINT_MAX, "Run an agent's program with a token of its own",
	FLAGS(AGENT, NUMBER("ttl", 0, "SECONDS", "The token's life at most (86400)")), cmd_run},
    {"", "status", "", 0, "Show what runs, in numbers", NULL, cmd_status},
    {"", "doctor", "", 0, "Check the installation", NULL, cmd_doctor},
    {"openbao", "setup", "", 0, "Set up a fresh OpenBao for this gate: print how, or do it",
	FLAGS(SWITCH("print", 0, "Print the script that would do it (the default)"),
	    SWITCH("apply", 0, "Run it; what is there already is left alone"),
	    TEXT("token-file", 0, "FILE", "A token of OpenBao's that may do all this; /dev/stdin"),
	    TEXT("address", 0, "URL", "OpenBao (secrets.openbao.addr)"),
	    TEXT("ca-file", 0, "FILE", "Certificate authorities (PEM) for it"),
	    TEXT("namespace", 0, "NAME", "Namespace, made when it is not there"),
	    TEXT("auth-mount", 0, "NAME", "AppRole method (approle)"),
	    TEXT("role", 0, "NAME", "AppRole (aegis)"),
	    TEXT("role-id", 0, "ID", "Its role id, instead of one that OpenBao makes"),
	    TEXT("secret-id-file", 0, "FILE", "Where the secret id goes, with mode 0600"),
	    SWITCH("new-secret-id", 0, "Make one though the file is there"),
	    SWITCH("show-secret-id", 0, "Show it on the terminal as well"),
	    TEXT("wrap", 0, "TIME", "Wrap it; good for so long, such as 10m"),
	    TEXT("kv-mount", 0, "NAME", "KV version 2 engine (kv)"),
	    TEXT("transit-mount", 0, "NAME", "Transit engine (transit)"),
	    TEXT("token-key", 0, "NAME", "Key that signs security tokens (seal); - for none"),
	    TEXT("board-key", 0, "NAME", "Key that encrypts blackboards; - for none"),
	    SWITCH("tenants", 0, "The policy for namespaces of tenants, too"),
	    TEXT("database-mount", 0, "NAME", "A database engine as well")),
	cmd_openbao_setup},
    {"daemon", "reload", "", 0, "Let the gate read its configuration again", NULL,
	cmd_daemon_reload},
    {"config", "validate", "", 0, "Check the configuration",
	FLAGS(TEXT("file", 0, "FILE", "The same as --config")), cmd_config_validate},
    {"config", "show", "", 0, "Show what is in force and where it comes from", NULL,
	cmd_config_show},
    {"", "completion", "SHELL", 1, "Print a completion script for bash, zsh or fish", NULL,
	cmd_completion},
    {"", "version", "", 0, "Show the version", NULL, cmd_version},
    {"", "help", "[COMMAND]", 2, "Show help", NULL, cmd_help},
    {NULL, NULL, NULL, 0, NULL, NULL, NULL},
};
/* clang-format on */
