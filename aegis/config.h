/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration, as resolved from flags, environment, .env, file and defaults. Read
 * by the command line and the master only; daemons get their part as typed messages.
 */
#ifndef AEGIS_CONFIG_H
#define AEGIS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/hook_url.h"
#include "common/jwks.h"

struct buf;
struct policies;
struct secret;

/* A secret variable of a tool server: secret:NAME in the vault, or a value from env:NAME.
 */
struct config_variable {
	char *name;
	char *reference;      /* "secret:NAME", or NULL */
	struct secret *value; /* of env:NAME, or NULL */
};

struct config_tool {
	char *name;
	bool enabled;
	char *executable; /* absolute, or found along PATH when read */
	char **args;      /* NULL-terminated, without the program's name; may be NULL */
	char **capabilities;
	char **environment; /* NAME=VALUE, NULL-terminated */
	struct config_variable *variables;
	size_t nvariables;
	char *workdir;
	bool per_session; /* a process for each session, not one for all */
	unsigned max_instances, instance_idle_ms;
	char **paths;     /* what it sees: r or w, then the path; NULL-terminated */
	unsigned network; /* enum tool_network */
	char **hosts;     /* that it may reach, when they are named; NULL-terminated */
	bool allow_private;
	bool at_start;
	unsigned memory_mb, cpu_millicores, processes;
	char *health_method;
	unsigned health_interval_ms, health_timeout_ms, call_timeout_ms;
	uint64_t max_output_bytes;
};

enum { CONFIG_EMBEDDED, CONFIG_OPENBAO };

struct config_context {
	char *name;
	char *json; /* the SecurityContext as JSON text */
	char *file; /* where it was found */
};

/* Audiences of tokens that are never an agent's. */
#define CONFIG_AUD_OPERATORS "aegis-operators"
#define CONFIG_AUD_NODES "aegis-nodes"

/* Somebody else whose tokens are believed. */
struct config_issuer {
	char *issuer, *audience, *jwks_file;
	unsigned leeway_s;
	struct jwks keys;
};

/* A webhook of the file. */
struct config_hook {
	char *url, *label;
	char **events;
	struct secret *secret;
	bool allow_private;
	char id[HOOK_ID_LEN + 1];
	struct hook_url parsed;
};

struct config {
	char *file;     /* path of the file that was read, or NULL */
	char *base_dir; /* relative paths are relative to this */

	char **listen;     /* "host:port" or "[v6]:port", NULL-terminated; at least one */
	char *socket;      /* absolute, for agents on this machine; or NULL */
	char *socket_mode; /* octal */
	unsigned workers;
	char *tls_cert, *tls_key; /* both or neither */
	bool require_agent_auth;
	bool metrics, metrics_auth;
	bool dashboard; /* the data API */
	unsigned dashboard_port;
	char *dashboard_host;
	unsigned hook_attempts;
	unsigned max_connections, max_connections_per_agent;
	char *policies_dir; /* file or directory, or NULL */
	int policy_mode;    /* enum policy_mode */
	bool policy_allow;  /* agents without a policy */
	bool policy_watch;  /* their files */
	int mcp_transport;  /* 0: stdio, 1: streamable-http */
	unsigned mcp_port;
	struct policies
	    *policies; /* as read at the start, or NULL; the master takes it */
	unsigned max_header_bytes;
	uint64_t max_body_size;
	unsigned header_timeout_ms, body_timeout_ms, idle_timeout_ms, request_timeout_ms,
	    websocket_idle_ms, drain_timeout_ms;

	char *vault_name;
	char *data_dir;     /* absolute; of a named vault vaults_root/vaults/NAME */
	char *vaults_root;  /* vault.data_dir as it was given */
	char *admin_socket; /* absolute */
	char *vault_socket; /* the same with ".vault" behind it */
	char *tenant;
	struct secret *master_key; /* the key's text, or NULL when none was found */
	const char *master_key_source;

	int vault_provider; /* CONFIG_EMBEDDED, CONFIG_OPENBAO */
	char *openbao_addr, *openbao_ca, *openbao_namespace, *openbao_mount;
	char *openbao_role_id, *openbao_secret_id; /* the latter: where it is kept */
	char *openbao_transit, *openbao_token_key, *openbao_token_key2;
	char *openbao_kv, *openbao_board_key;
	char *openbao_lease_role;
	bool openbao_lease_sweep;
	unsigned openbao_renew_s;
	bool openbao_wrapped; /* the secret id */
	char *openbao_host;   /* of these, made of those above */
	unsigned openbao_port;
	bool openbao_tls;
	char *openbao_secret_file;     /* or else: */
	struct secret *openbao_secret; /* of env:NAME */
	char *openbao_addresses;       /* config_resolve_openbao(); space separated */

	int log_level, log_format; /* enum log_level, enum log_format */

	bool ledger_sync_full;
	unsigned checkpoint_rows, checkpoint_seconds;

	char *seal_issuer, *seal_audience;
	unsigned seal_window_s, seal_token_ttl_s, attest_per_minute;
	unsigned seal_calls_per_second;
	bool seal_compat_spaced, seal_jti_once;
	unsigned seal_leeway_s;
	struct config_issuer *issuers; /* of security tokens */
	size_t nissuers;
	struct config_hook *hooks;
	size_t nhooks;

	bool cluster;
	unsigned cluster_per_minute;

	struct config_issuer operators; /* jwks_file NULL: only our own tokens */
	char *role_claim, *tenant_claim;
	char **admin_roles, **operator_roles, **readonly_roles;
	bool seal_required;
	char *seal_legacy_context;
	char **mcp_hosts; /* NULL-terminated, or NULL */
	unsigned mcp_idle_s;

	char *ca_file, *ca_dir;
	unsigned connect_timeout_ms, worker_idle_ms, upstream_keepalive_ms,
	    max_idle_upstream, max_workers;

	struct config_tool *tools;
	size_t ntools;
	struct config_context *contexts;
	size_t ncontexts;

	/* of the configuration's own code */
	unsigned port;
	char *master_key_file, *contexts_dir;
	unsigned char *origins; /* enum config_origin, one per row of the key table */
};

enum config_origin { FROM_DEFAULT, FROM_FILE, FROM_DOTENV, FROM_ENVIRONMENT, FROM_FLAG };

/* Flags of the command line that override everything; NULL or 0: not given. */
struct config_flags {
	const char *file;
	unsigned port, dashboard_port;
	bool dashboard; /* it is wanted, whatever the file says */
	bool tls, no_agent_auth, require_agent_auth;
	const char *cert, *key;
	const char *policies_dir, *policy_mode;
	const char *data_dir;
	const char *vault; /* in place of vault.name */
	bool serve;        /* a gate will run: what its tool servers need must be there */
	struct buf *problems; /* what is wrong goes here, not to stderr; or NULL */
};

/*
 * Resolves the configuration. On failure prints what is wrong to stderr, with file, line
 * and column where it comes from a file, and returns NULL. master_key is NULL when there
 * is none. Takes the variables with secrets out of the environment, in place.
 */
struct config *config_load(const struct config_flags *);
/*
 * Finds OpenBao's addresses, if that is where secrets are; for the master, before it
 * starts vault, which resolves nothing. 0, or -1 with a text for the operator.
 */
int config_resolve_openbao(struct config *, char *why, size_t size);
/* Frees it, wipes secrets. */
void config_free(struct config *);
/* The resolved values and where each came from; secrets as ********. JSON or for people.
 */
int config_show(const struct config *, FILE *, bool json);

/* May a vault have this name? It is that of a directory, too. */
bool config_vault_name_ok(const char *);

#endif
