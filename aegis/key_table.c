/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of keys. Change a default here and it changes everywhere.
 */
#include "aegis/keys.h"

#include "aegis/config.h"

#define AT(member) offsetof(struct config, member)
#define TOOL(member) offsetof(struct config_tool, member)
#define ISSUER(member) offsetof(struct config_issuer, member)
#define KEY(path, type, at, fallback, env, min, max, choices, about)    \
	{                                                               \
		path, type, at, fallback, env, min, max, choices, about \
	}
#define LATER(path, about)                                        \
	{                                                         \
		path, KEY_LATER, 0, NULL, NULL, 0, 0, NULL, about \
	}
#define DAY_MS (24u * 60 * 60 * 1000)

/* clang-format off */
const struct config_key config_keys[] = {
    KEY("gate.listen", KEY_TEXTS, AT(listen), "127.0.0.1", "AEGIS_LISTEN", 0, 0, NULL,
	"Addresses agents connect to, one or a list: HOST, HOST:PORT or [V6]:PORT."),
    KEY("gate.port", KEY_UINT, AT(port), "3100", "AEGIS_PORT", 1, 65535, NULL,
	"Port of the addresses in gate.listen that name none."),
    KEY("gate.workers", KEY_UINT, AT(workers), "0", "AEGIS_WORKERS", 0, 16, NULL,
	"Processes that serve agents; 0 is one per processor, at most 16."),
    KEY("gate.tls.cert", KEY_PATH, AT(tls_cert), NULL, NULL, 0, 0, NULL,
	"Certificate chain (PEM). Together with gate.tls.key it turns TLS on."),
    KEY("gate.tls.key", KEY_PATH, AT(tls_key), NULL, NULL, 0, 0, NULL,
	"Private key (PEM) of the certificate."),
    KEY("gate.require_agent_auth", KEY_BOOL, AT(require_agent_auth), "true",
	"AEGIS_REQUIRE_AGENT_AUTH", 0, 0, NULL,
	"Refuse requests without a valid agent token."),
    KEY("gate.max_connections", KEY_UINT, AT(max_connections), "10000", NULL, 1, 1000000, NULL,
	"Open connections of all agents."),
    KEY("gate.max_connections_per_agent", KEY_UINT, AT(max_connections_per_agent), "50", NULL,
	1, 1000000, NULL, "Requests of one agent under way at the same time."),
    KEY("gate.max_header_bytes", KEY_UINT, AT(max_header_bytes), "16384", NULL, 1024, 65536, NULL,
	"Octets of a request's line and header fields."),
    KEY("gate.max_body_size", KEY_SIZE, AT(max_body_size), "1048576", NULL, 1,
	UINT64_C(1) << 40, NULL, "Octets of a request's body."),
    KEY("gate.header_timeout", KEY_MS, AT(header_timeout_ms), "10s", NULL, 100, DAY_MS, NULL,
	"Time for a request's head to arrive."),
    KEY("gate.body_timeout", KEY_MS, AT(body_timeout_ms), "30s", NULL, 100, DAY_MS, NULL,
	"Time a request's body may stand still."),
    KEY("gate.idle_timeout", KEY_MS, AT(idle_timeout_ms), "60s", NULL, 100, DAY_MS, NULL,
	"Time a connection may wait for its next request."),
    KEY("gate.request_timeout", KEY_MS, AT(request_timeout_ms), "30s", NULL, 1000, DAY_MS, NULL,
	"Time an upstream may take to begin its answer, and to stand still."),
    KEY("gate.drain_timeout", KEY_MS, AT(drain_timeout_ms), "10s", NULL, 0, DAY_MS, NULL,
	"Time requests under way have to finish when the gate stops."),
    LATER("gate.policy_mode", "Policy files."),
    LATER("gate.policies_dir", "Policy files."),

    KEY("vault.name", KEY_WORD, AT(vault_name), "default", "AEGIS_VAULT", 1, 64, NULL,
	"Name of the vault."),
    KEY("vault.data_dir", KEY_PATH, AT(data_dir), ".aegis", "AEGIS_DATA_DIR", 0, 0, NULL,
	"Directory of the vault, the database and the ledger."),
    KEY("vault.master_key", KEY_SECRET, AT(master_key), NULL, "AEGIS_MASTER_KEY", 64, 64, NULL,
	"Master key, 64 hexadecimal digits. Better kept out of this file."),
    KEY("vault.master_key_file", KEY_PATH, AT(master_key_file), NULL, "AEGIS_MASTER_KEY_FILE", 0,
	0, NULL, "File with the master key."),

    KEY("admin.socket", KEY_PATH, AT(admin_socket), NULL, "AEGIS_ADMIN_SOCKET", 0, 0, NULL,
	"Socket the command line speaks to; default admin.sock in the data directory."),

    KEY("observability.log_level", KEY_CHOICE, AT(log_level), "info", "AEGIS_LOG_LEVEL", 0, 0,
	"debug|info|warn|error", "Least level of log lines."),
    KEY("observability.log_format", KEY_CHOICE, AT(log_format), "json", "AEGIS_LOG_FORMAT", 0, 0,
	"logfmt|json", "Form of log lines, on standard error."),
    LATER("observability.metrics", "Prometheus metrics."),
    LATER("observability.dashboard", "Dashboard."),

    KEY("ledger.sync", KEY_EITHER, AT(ledger_sync_full), "normal", NULL, 0, 0, "normal|full",
	"full: rows survive a power cut, and every answer waits for the disk."),
    KEY("ledger.checkpoint_rows", KEY_UINT, AT(checkpoint_rows), "1000", NULL, 1, 1000000, NULL,
	"Sign the ledger's head after so many rows."),
    KEY("ledger.checkpoint_seconds", KEY_SECONDS, AT(checkpoint_seconds), "60", NULL, 1, 86400,
	NULL, "Sign it after so long when there are new rows."),

    KEY("seal.issuer", KEY_TEXT, AT(seal_issuer), "aegis", NULL, 1, 256, NULL,
	"Issuer (iss) of security tokens."),
    KEY("seal.audience", KEY_TEXT, AT(seal_audience), "aegis-agents", NULL, 1, 256, NULL,
	"Audience (aud) of security tokens."),
    KEY("seal.window", KEY_SECONDS, AT(seal_window_s), "30s", NULL, 1, 3600, NULL,
	"How far an envelope's time may be from ours."),
    KEY("seal.token_ttl", KEY_SECONDS, AT(seal_token_ttl_s), "3600s", NULL, 60, 86400, NULL,
	"Life of a security token."),
    KEY("seal.attest_per_minute", KEY_UINT, AT(attest_per_minute), "60", NULL, 1, 100000, NULL,
	"Attestations a minute of one agent."),
    KEY("seal.compat_spaced", KEY_BOOL, AT(seal_compat_spaced), "false", NULL, 0, 0, NULL,
	"Also accept signatures over JSON with spaces behind colons and commas."),
    KEY("seal.jti_once", KEY_BOOL, AT(seal_jti_once), "false", NULL, 0, 0, NULL,
	"Accept each security token (jti) for one call only."),
    KEY("seal.token_leeway", KEY_SECONDS, AT(seal_leeway_s), "0s", NULL, 0, 300, NULL,
	"How far past its end a security token is still accepted."),
    KEY("seal.issuers", KEY_TREE, 0, NULL, NULL, 0, 0, NULL,
	"List of others whose security tokens are believed; their keys are below."),

    KEY("operators.jwks_file", KEY_PATH, AT(operators.jwks_file), NULL, NULL, 0, 0, NULL,
	"JSON Web Key Set (RS256) that verifies the tokens of operators."),
    KEY("operators.issuer", KEY_TEXT, AT(operators.issuer), NULL, NULL, 1, 256, NULL,
	"Issuer (iss) of those tokens."),
    KEY("operators.audience", KEY_TEXT, AT(operators.audience), "aegis-gateway", NULL, 1, 256,
	NULL, "Audience (aud) of those tokens."),
    KEY("operators.leeway", KEY_SECONDS, AT(operators.leeway_s), "0s", NULL, 0, 300, NULL,
	"How far past its end such a token is still accepted."),
    KEY("operators.role_claim", KEY_TEXT, AT(role_claim), "aegis_role", NULL, 1, 128, NULL,
	"Claim that holds the role, a text or a list; dots lead into maps."),
    KEY("operators.tenant_claim", KEY_TEXT, AT(tenant_claim), "tenant_id", NULL, 1, 128, NULL,
	"Claim that holds the tenant; without it the gate's own."),
    KEY("operators.admin_roles", KEY_TEXTS, AT(admin_roles), "aegis:admin", NULL, 0, 0, NULL,
	"Roles that may do everything."),
    KEY("operators.operator_roles", KEY_TEXTS, AT(operator_roles), "aegis:operator", NULL, 0, 0,
	NULL, "Roles that may look at and end what runs."),
    KEY("operators.readonly_roles", KEY_TEXTS, AT(readonly_roles), "aegis:readonly", NULL, 0, 0,
	NULL, "Roles that may look."),

    KEY("egress.ca_file", KEY_PATH, AT(ca_file), NULL, NULL, 0, 0, NULL,
	"Certificate authorities (PEM) for upstreams, beside those of the system."),
    KEY("egress.ca_dir", KEY_PATH, AT(ca_dir), "/etc/ssl/certs", NULL, 0, 0, NULL,
	"Directory of hashed certificate authorities for upstreams."),
    KEY("egress.connect_timeout", KEY_MS, AT(connect_timeout_ms), "10s", NULL, 100, 600000, NULL,
	"Time to connect to an upstream."),
    KEY("egress.worker_idle", KEY_MS, AT(worker_idle_ms), "60s", NULL, 1000, DAY_MS, NULL,
	"A worker without requests ends after this."),
    KEY("egress.keepalive", KEY_MS, AT(upstream_keepalive_ms), "60s", NULL, 0, DAY_MS, NULL,
	"Time an unused connection to an upstream is kept."),
    KEY("egress.max_idle", KEY_UINT, AT(max_idle_upstream), "64", NULL, 0, 10000, NULL,
	"Unused connections a worker keeps."),
    KEY("egress.max_workers", KEY_UINT, AT(max_workers), "64", NULL, 1, 1000, NULL,
	"Workers, one for each credential in use."),

    KEY("contexts", KEY_TREE, 0, NULL, NULL, 0, 0, NULL,
	"List of SecurityContexts: name, description, capabilities, deny_list."),
    KEY("contexts_dir", KEY_PATH, AT(contexts_dir), NULL, "AEGIS_CONTEXTS_DIR", 0, 0, NULL,
	"Directory whose *.yaml, *.yml and *.json files are a SecurityContext or a list of them; contexts beside this file when it is there."),
    KEY("tools.mcp_servers", KEY_TREE, 0, NULL, NULL, 0, 0, NULL,
	"List of tool servers; their keys are below."),

    LATER("mcp", "MCP endpoint."),
    LATER("webhooks", "Webhooks."),
    LATER("metrics", "Prometheus metrics."),
    LATER("dashboard", "Dashboard."),
    KEY(NULL, KEY_TEXT, 0, NULL, NULL, 0, 0, NULL, NULL),
};

const struct config_key tool_keys[] = {
    KEY("name", KEY_WORD, TOOL(name), NULL, NULL, 1, 64, NULL, "Name, unique; required."),
    KEY("enabled", KEY_BOOL, TOOL(enabled), "true", NULL, 0, 0, NULL, "Whether it is used."),
    KEY("executable", KEY_TREE, TOOL(executable), NULL, NULL, 0, 0, NULL,
	"Program: absolute, relative to the file, or found along PATH; required."),
    KEY("args", KEY_TEXTS, TOOL(args), NULL, NULL, 0, 0, NULL, "Its arguments."),
    KEY("capabilities", KEY_TREE, 0, NULL, NULL, 0, 0, NULL,
	"Tools it may serve: names or prefix.*, as text or as {name: ...}; required."),
    KEY("credentials", KEY_TREE, 0, NULL, NULL, 0, 0, NULL,
	"Variables with secrets: NAME: secret:CREDENTIAL, env:VARIABLE or literal:TEXT."),
    KEY("env", KEY_TREE, 0, NULL, NULL, 0, 0, NULL,
	"Variables: plain text, or a reference as in credentials."),
    KEY("environment", KEY_TREE, 0, NULL, NULL, 0, 0, NULL, "The same as env."),
    KEY("health_check.interval_seconds", KEY_SEC_MS, TOOL(health_interval_ms), "60", NULL, 1000,
	DAY_MS, NULL, "Time between two probes."),
    KEY("health_check.timeout_seconds", KEY_SEC_MS, TOOL(health_timeout_ms), "5", NULL, 100,
	600000, NULL, "Time a probe may take."),
    KEY("health_check.method", KEY_TEXT, TOOL(health_method), "tools/list", NULL, 1, 64, NULL,
	"MCP method of a probe."),
    KEY("resource_limits.cpu_millicores", KEY_UINT, TOOL(cpu_millicores), "1000", NULL, 10,
	1024000, NULL, "Processor time, in thousandths of one. Not enforced yet."),
    KEY("resource_limits.memory_mb", KEY_UINT, TOOL(memory_mb), "512", NULL, 16, 1048576, NULL,
	"Memory."),
    KEY("resource_limits.processes", KEY_UINT, TOOL(processes), "64", NULL, 1, 10000, NULL,
	"Processes and threads."),
    KEY("working_directory", KEY_PATH, TOOL(workdir), NULL, NULL, 0, 0, NULL,
	"Where it runs; it sees it, too. Default: an empty directory."),
    KEY("paths", KEY_TREE, 0, NULL, NULL, 0, 0, NULL,
	"Files and directories it sees: {path: PATH, mode: ro or rw}, or PATH to read."),
    KEY("network", KEY_BOOL, TOOL(network), "false", NULL, 0, 0, NULL,
	"Whether it may use the network."),
    KEY("start", KEY_EITHER, TOOL(at_start), "at_start", NULL, 0, 0, "on_demand|at_start",
	"Start it with the gate, or before its first call."),
    KEY("call_timeout", KEY_MS, TOOL(call_timeout_ms), "30s", NULL, 100, DAY_MS, NULL,
	"Time a call may take."),
    KEY("max_output", KEY_SIZE, TOOL(max_output_bytes), "1048576", NULL, 1024,
	UINT64_C(1) << 30, NULL, "Octets of one answer."),
    KEY(NULL, KEY_TEXT, 0, NULL, NULL, 0, 0, NULL, NULL),
};

const struct config_key issuer_keys[] = {
    KEY("issuer", KEY_TEXT, ISSUER(issuer), NULL, NULL, 1, 256, NULL,
	"Issuer (iss) of the tokens; required."),
    KEY("audience", KEY_TEXT, ISSUER(audience), NULL, NULL, 1, 256, NULL,
	"Audience (aud) of the tokens; that of seal.audience unless given."),
    KEY("jwks_file", KEY_PATH, ISSUER(jwks_file), NULL, NULL, 0, 0, NULL,
	"JSON Web Key Set (RS256 and EdDSA) that verifies them; required."),
    KEY("leeway", KEY_SECONDS, ISSUER(leeway_s), "0s", NULL, 0, 300, NULL,
	"How far past its end such a token is still accepted."),
    KEY(NULL, KEY_TEXT, 0, NULL, NULL, 0, 0, NULL, NULL),
};
/* clang-format on */
