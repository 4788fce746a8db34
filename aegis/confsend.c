/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each child gets what it needs and no more: the gate no secrets, the judge no file names
 * but its directory, vault the master key and the variables of tool servers.
 */
#include "aegis/confsend.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aegis/cgroup.h"
#include "aegis/child.h"
#include "aegis/config.h"
#include "aegis/policies.h"
#include "aegis/sealed.h"
#include "common/buf.h"
#include "common/log.h"
#include "common/priv.h"
#include "common/proto.h"
#include "common/secret.h"

static bool create_vault;
static int master_key_fd = -1;
static unsigned admin_caller;

void
confsend_setup(bool create, unsigned admin_uid)
{
	create_vault = create;
	admin_caller = admin_uid;
}

void
confsend_key(int fd)
{
	if (master_key_fd >= 0)
		close(master_key_fd);
	master_key_fd = fd;
}

int
confsend_key_dup(void)
{
	return master_key_fd >= 0 ? fcntl(master_key_fd, F_DUPFD_CLOEXEC, 3) : -1;
}

static int
send_common(struct child *child, const struct config *c)
{
	char dir[1024] = "";
	uid_t uid = geteuid();
	gid_t gid = getegid();
	MSG_INIT(conf_common, m);

	if (child->role == ROLE_JUDGE || child->role == ROLE_VAULT)
		snprintf(dir, sizeof(dir), "%s/%s", c->data_dir, role_name(child->role));
	if (geteuid() == 0 && priv_uid_for(child->role, &uid, &gid) == -1)
		uid = gid = 0; /* toolexec: changes user by itself, later */
	m.instance = child->instance;
	m.name = span_str(child->name);
	m.tenant = span_str(child->tenant);
	m.log_level = (uint8_t)c->log_level;
	m.log_format = (uint8_t)c->log_format;
	m.uid = uid;
	m.gid = gid;
	m.dir = span_str(dir);
	return chan_note(child->door, MSG_conf_common, &m);
}

static int
open_or_none(const char *path, int *fd)
{
	if (path == NULL)
		return 0;
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd == -1)
		LOG_ERROR("config.file", LS("path", path), LE("what", errno));
	return *fd == -1 ? -1 : 0;
}

static int
send_gate(struct child *child, const struct config *c)
{
	MSG_INIT(conf_gate, m);

	if (open_or_none(c->tls_cert, &m.tls_cert) == -1 ||
	    open_or_none(c->tls_key, &m.tls_key) == -1) {
		if (m.tls_cert >= 0)
			close(m.tls_cert);
		return -1;
	}
	m.worker = child->index;
	m.workers = c->workers;
	m.max_connections = c->max_connections;
	m.max_header_bytes = c->max_header_bytes;
	m.max_body_bytes = c->max_body_size;
	m.header_timeout_ms = c->header_timeout_ms;
	m.body_timeout_ms = c->body_timeout_ms;
	m.idle_timeout_ms = c->idle_timeout_ms;
	m.request_timeout_ms = c->request_timeout_ms;
	m.drain_timeout_ms = c->drain_timeout_ms;
	return chan_note(child->door, MSG_conf_gate, &m);
}

/* Strings with a space between them, as conf_tool.capabilities wants them. */
static int
join(char **list, struct buf *out)
{
	for (; list != NULL && *list != NULL; list++) {
		if (out->len > 0 && buf_putc(out, ' ') == -1)
			return -1;
		if (buf_put(out, *list, strlen(*list)) == -1)
			return -1;
	}
	return 0;
}

/* Strings each with its NUL. */
static int
pack(char **list, struct buf *out)
{
	for (; list != NULL && *list != NULL; list++)
		if (buf_put(out, *list, strlen(*list) + 1) == -1)
			return -1;
	return 0;
}

static int
send_tools(struct child *child, const struct config *c)
{
	const struct config_tool *t;
	struct buf names;
	size_t i;
	int r = 0;

	for (i = 0; i < c->ntools && r == 0; i++) {
		MSG_INIT(conf_tool, m);

		t = &c->tools[i];
		if (!t->enabled)
			continue;
		buf_init(&names);
		r = join(t->capabilities, &names);
		m.server = (uint32_t)i;
		m.name = span_str(t->name);
		m.capabilities = span_mem(names.p, names.len);
		m.health_method = span_str(t->health_method);
		m.health_interval_ms = t->health_interval_ms;
		m.health_timeout_ms = t->health_timeout_ms;
		m.call_timeout_ms = t->call_timeout_ms;
		m.max_output_bytes = t->max_output_bytes;
		m.at_start = t->at_start;
		m.max_instances = t->per_session ? t->max_instances : 0;
		m.instance_idle_ms = t->instance_idle_ms;
		if (r == 0)
			r = chan_note(child->door, MSG_conf_tool, &m);
		buf_free(&names);
	}
	return r;
}

/* Strings with a line end behind each. */
static int
lines(char **list, struct buf *out)
{
	for (; list != NULL && *list != NULL; list++)
		if (buf_put(out, *list, strlen(*list)) == -1 || buf_putc(out, '\n') == -1)
			return -1;
	return 0;
}

static int
send_keys(struct child *child, const struct jwks *set)
{
	size_t i;

	for (i = 0; i < set->n; i++) {
		const struct jwk *k = &set->keys[i];
		MSG_INIT(conf_issuer_key, m);

		m.rs256 = k->alg == JWT_RS256;
		m.has_kid = k->has_kid;
		m.kid = span_str(k->kid);
		m.n = m.rs256 ? span_mem(k->n, k->n_len) : span_mem(k->ed25519, 32);
		m.e = span_mem(k->e, k->e_len);
		if (chan_note(child->door, MSG_conf_issuer_key, &m) == -1)
			return -1;
	}
	return 0;
}

static int
send_operators(struct child *child, const struct config *c)
{
	struct buf admin, middle, readonly;
	int r = -1;
	MSG_INIT(conf_issuer, m);

	if (c->operators.jwks_file == NULL)
		return 0;
	buf_init(&admin);
	buf_init(&middle);
	buf_init(&readonly);
	if (lines(c->admin_roles, &admin) == -1 ||
	    lines(c->operator_roles, &middle) == -1 ||
	    lines(c->readonly_roles, &readonly) == -1)
		goto out;
	m.kind = ISSUER_OPERATORS;
	m.issuer = span_str(c->operators.issuer);
	m.audience = span_str(c->operators.audience);
	m.leeway_s = c->operators.leeway_s;
	m.role_claim = span_str(c->role_claim);
	m.tenant_claim = span_str(c->tenant_claim);
	m.admin_roles = span_mem(admin.p, admin.len);
	m.operator_roles = span_mem(middle.p, middle.len);
	m.readonly_roles = span_mem(readonly.p, readonly.len);
	if (chan_note(child->door, MSG_conf_issuer, &m) == 0)
		r = send_keys(child, &c->operators.keys);
out:
	buf_free(&admin);
	buf_free(&middle);
	buf_free(&readonly);
	return r;
}

static int
send_issuers(struct child *child, const struct config *c)
{
	size_t i;

	for (i = 0; i < c->nissuers; i++) {
		const struct config_issuer *it = &c->issuers[i];
		MSG_INIT(conf_issuer, m);

		m.kind = ISSUER_AGENTS;
		m.issuer = span_str(it->issuer);
		m.audience =
		    span_str(it->audience != NULL ? it->audience : c->seal_audience);
		m.leeway_s = it->leeway_s;
		if (chan_note(child->door, MSG_conf_issuer, &m) == -1 ||
		    send_keys(child, &it->keys) == -1)
			return -1;
	}
	return send_operators(child, c);
}

static int
send_hooks(struct child *child, const struct config *c)
{
	const struct config_hook *h;
	struct buf events;
	size_t i;
	int r = 0;

	for (i = 0; i < c->nhooks && r == 0; i++) {
		MSG_INIT(conf_webhook, m);

		h = &c->hooks[i];
		buf_init(&events);
		r = join(h->events, &events);
		m.id = span_str(h->id);
		m.url = span_str(h->url);
		m.events = span_mem(events.p, events.len);
		m.label = span_str(h->label);
		m.allow_private = h->allow_private;
		if (r == 0)
			r = chan_note(child->door, MSG_conf_webhook, &m);
		buf_free(&events);
	}
	return r;
}

static int
send_hook_secrets(struct child *child, const struct config *c)
{
	char name[sizeof(HOOK_NAME) + HOOK_ID_LEN];
	const struct config_hook *h;
	size_t i;

	for (i = 0; i < c->nhooks; i++) {
		MSG_INIT(conf_webhook_secret, m);

		h = &c->hooks[i];
		snprintf(name, sizeof(name), HOOK_NAME "%s", h->id);
		m.name = span_str(name);
		m.host = span_str(h->parsed.host);
		m.scheme = span_str(h->parsed.scheme);
		m.port = h->parsed.port;
		m.allow_private = h->allow_private;
		m.secret = h->secret;
		if (chan_note(child->door, MSG_conf_webhook_secret, &m) == -1)
			return -1;
	}
	return 0;
}

static int
send_mcp(struct child *child, const struct config *c)
{
	MSG_INIT(conf_mcp, m);
	struct buf hosts;
	int r;

	buf_init(&hosts);
	r = join(c->mcp_hosts, &hosts);
	m.seal_required = c->seal_required;
	m.legacy_context = span_str(c->seal_legacy_context);
	m.hosts = span_mem(hosts.p, hosts.len);
	m.idle_s = c->mcp_idle_s;
	if (r == 0)
		r = chan_note(child->door, MSG_conf_mcp, &m);
	buf_free(&hosts);
	return r;
}

static struct secret *starter; /* until the first judge was told */

void
confsend_starter_take(struct secret *token)
{
	starter = token;
}

/* A judge that is started again was not started by a person. */
static int
send_starter(struct child *child)
{
	MSG_INIT(conf_starter, m);
	int r;

	if (starter == NULL)
		return 0;
	m.token = starter;
	r = chan_note(child->door, MSG_conf_starter, &m);
	secret_free(starter);
	starter = NULL;
	return r;
}

/* What the judge decides by, but for the tool servers. */
static int
send_rules(struct child *child, const struct config *c)
{
	MSG_INIT(conf_judge, m);
	char url[300];
	size_t i;

	snprintf(url, sizeof(url), "%s://%s", c->tls_cert != NULL ? "https" : "http",
	    c->listen[0]);
	m.admin_uid = admin_caller;
	m.require_agent_auth = c->require_agent_auth;
	m.ledger_sync = c->ledger_sync_full;
	m.max_connections_per_agent = c->max_connections_per_agent;
	m.max_body_bytes = c->max_body_size;
	m.request_timeout_ms = c->request_timeout_ms;
	m.websocket_idle_ms = c->websocket_idle_ms;
	m.checkpoint_rows = c->checkpoint_rows;
	m.checkpoint_seconds = c->checkpoint_seconds;
	m.seal_window_s = c->seal_window_s;
	m.seal_calls_per_second = c->seal_calls_per_second;
	m.seal_token_ttl_s = c->seal_token_ttl_s;
	m.seal_compat_spaced = c->seal_compat_spaced;
	m.seal_jti_once = c->seal_jti_once;
	m.seal_leeway_s = c->seal_leeway_s;
	m.cluster = c->cluster;
	m.cluster_per_minute = c->cluster_per_minute;
	m.attest_per_minute = c->attest_per_minute;
	m.metrics = c->metrics;
	m.metrics_auth = c->metrics_auth;
	m.hook_attempts = c->hook_attempts;
	m.sealed = sealed_now();
	m.issuer = span_str(c->seal_issuer);
	m.audience = span_str(c->seal_audience);
	m.gate_url = span_str(url);
	if (chan_note(child->door, MSG_conf_judge, &m) == -1 || send_starter(child) == -1)
		return -1;
	for (i = 0; i < c->ncontexts; i++) {
		MSG_INIT(conf_context, context);

		context.name = span_str(c->contexts[i].name);
		context.json = span_str(c->contexts[i].json);
		if (chan_note(child->door, MSG_conf_context, &context) == -1)
			return -1;
	}
	return send_issuers(child, c) == -1 || send_mcp(child, c) == -1 ? -1 : 0;
}

static int
send_openbao(struct child *child, const struct config *c)
{
	MSG_INIT(conf_openbao, m);

	m.addresses = span_str(c->openbao_addresses);
	m.port = c->openbao_port;
	m.tls = c->openbao_tls;
	m.host = span_str(c->openbao_host);
	m.name_space = span_str(c->openbao_namespace);
	m.auth_mount = span_str(c->openbao_mount);
	m.role_id = span_str(c->openbao_role_id);
	m.wrapped = c->openbao_wrapped;
	m.transit_mount = span_str(c->openbao_transit);
	m.token_key = span_str(c->openbao_token_key);
	m.kv_mount = span_str(c->openbao_kv);
	m.board_key = span_str(c->openbao_board_key);
	m.lease_role = span_str(c->openbao_lease_role);
	m.lease_sweep = c->openbao_lease_sweep;
	m.renew_ms = c->openbao_renew_s * 1000u;
	if (c->openbao_tls && open_or_none(c->openbao_ca, &m.ca_bundle) == -1)
		return -1;
	return chan_note(child->door, MSG_conf_openbao, &m);
}

/* So that leases of tool servers that have gone meanwhile are revoked. */
static int
send_alive(struct child *vault)
{
	const struct child *c;

	TAILQ_FOREACH (c, &children, entry) {
		MSG_INIT(conf_tool_alive, m);

		m.instance = c->instance;
		if (c->role == ROLE_TOOLEXEC &&
		    chan_note(vault->door, MSG_conf_tool_alive, &m) == -1)
			return -1;
	}
	return 0;
}

/* Which life of the master this is. */
static const uint8_t *
run_id(void)
{
	static uint8_t id[16];
	static bool made;

	if (!made)
		randombytes_buf(id, sizeof(id));
	made = true;
	return id;
}

static int
send_vault(struct child *child, const struct config *c)
{
	const struct config_variable *v;
	MSG_INIT(conf_vault, m);
	size_t i, j;

	m.vault_name = span_str(c->vault_name);
	m.create = create_vault;
	m.admin_uid = admin_caller;
	m.sealed = sealed_now();
	m.joined = sealed_joined();
	m.master_key = sealed_now() ? -1 : confsend_key_dup();
	memcpy(m.run, run_id(), sizeof(m.run));
	if (chan_note(child->door, MSG_conf_vault, &m) == -1)
		return -1;
	if (sealed_now()) /* it gets nothing else to keep, either */
		return 0;
	if (c->openbao_addresses != NULL &&
	    (send_openbao(child, c) == -1 || send_alive(child) == -1))
		return -1;
	if (send_hook_secrets(child, c) == -1)
		return -1;
	for (i = 0; i < c->ntools; i++)
		for (j = 0; c->tools[i].enabled && j < c->tools[i].nvariables; j++) {
			MSG_INIT(conf_tool_secret, s);

			v = &c->tools[i].variables[j];
			s.server = span_str(c->tools[i].name);
			s.variable = span_str(v->name);
			s.reference = span_str(v->reference);
			s.value = v->value;
			if (chan_note(child->door, MSG_conf_tool_secret, &s) == -1)
				return -1;
		}
	return 0;
}

/* Whom tool servers may have connections to. */
static int
send_tunnels(struct child *child, const struct config *c)
{
	const struct config_tool *t;
	struct buf hosts;
	size_t i;
	int r = 0;

	for (i = 0; i < c->ntools && r == 0; i++) {
		MSG_INIT(conf_tunnel, m);

		t = &c->tools[i];
		if (!t->enabled || t->network != TOOL_NETWORK_NAMED)
			continue;
		buf_init(&hosts);
		r = pack(t->hosts, &hosts);
		m.server = span_str(t->name);
		m.hosts = span_mem(hosts.p, hosts.len);
		m.allow_private = t->allow_private;
		if (r == 0)
			r = chan_note(child->door, MSG_conf_tunnel, &m);
		buf_free(&hosts);
	}
	return r;
}

static int
send_egress(struct child *child, const struct config *c)
{
	MSG_INIT(conf_egress, m);

	m.connect_timeout_ms = c->connect_timeout_ms;
	m.idle_exit_ms = c->worker_idle_ms;
	m.keepalive_ms = c->upstream_keepalive_ms;
	m.max_idle_upstream = c->max_idle_upstream;
	m.max_workers = c->max_workers;
	m.ca_file = span_str(c->ca_file);
	m.ca_dir = span_str(c->ca_dir);
	if (child->role == ROLE_WORKER && open_or_none(c->ca_file, &m.ca_bundle) == -1)
		return -1;
	return chan_note(child->door, MSG_conf_egress, &m);
}

/*
 * What a tool server of the same user could otherwise read the master key in, or reach
 * the judge as an administrator by.
 */
static int
pack_hidden(const struct config *c, struct buf *out)
{
	char dotenv[1100];
	char *paths[] = {c->data_dir, c->admin_socket, c->vault_socket, c->file, dotenv,
	    c->master_key_file, c->tls_key};
	size_t i;

	if (snprintf(dotenv, sizeof(dotenv), "%s/.env", c->base_dir) >=
	    (int)sizeof(dotenv))
		return -1;
	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (paths[i] != NULL &&
		    buf_put(out, paths[i], strlen(paths[i]) + 1) == -1)
			return -1;
	return 0;
}

/* A few of the hosts that it may reach, for a test to try. */
static int
pack_some(char **hosts, struct buf *out)
{
	int n = 0;

	for (; hosts != NULL && *hosts != NULL && n < 4; hosts++)
		if ((*hosts)[0] != '*') {
			if (buf_put(out, *hosts, strlen(*hosts) + 1) == -1)
				return -1;
			n++;
		}
	return 0;
}

static int
send_toolexec(struct child *child, const struct config *c)
{
	const struct config_tool *t = &c->tools[child->index];
	struct buf args, environment, hide, paths, hosts;
	MSG_INIT(conf_tool_exec, m);
	int r;

	buf_init(&args);
	buf_init(&environment);
	buf_init(&hide);
	buf_init(&paths);
	buf_init(&hosts);
	r = pack(t->args, &args) == 0 && pack(t->environment, &environment) == 0 &&
		pack(t->paths, &paths) == 0 && pack_some(t->hosts, &hosts) == 0 &&
		pack_hidden(c, &hide) == 0
	    ? 0
	    : -1;
	m.hide = span_mem(hide.p, hide.len);
	m.paths = span_mem(paths.p, paths.len);
	m.server = child->index;
	m.name = span_str(t->name);
	m.executable = span_str(t->executable);
	m.args = span_mem(args.p, args.len);
	m.environment = span_mem(environment.p, environment.len);
	m.workdir = span_str(t->workdir);
	m.secrets = (uint32_t)t->nvariables;
	m.execution = span_str(child->execution);
	m.probe = child->probe;
	m.cgroup = span_str(cgroup_limits(child->instance));
	m.uid = child->uid;
	m.gid = m.uid;
	m.network = (uint8_t)t->network;
	m.hosts = span_mem(hosts.p, hosts.len);
	m.memory_mb = t->memory_mb;
	m.processes = t->processes;
	m.max_output_bytes = t->max_output_bytes;
	if (r == 0)
		r = chan_note(child->door, MSG_conf_tool_exec, &m);
	buf_free(&args);
	buf_free(&environment);
	buf_free(&hide);
	buf_free(&paths);
	buf_free(&hosts);
	return r;
}

int
confsend_child(struct child *child, const struct config *c)
{
	MSG_INIT(conf_done, done);
	int r = send_common(child, c);

	if (r == 0)
		switch (child->role) {
		case ROLE_GATE:
		case ROLE_API:
			r = send_gate(child, c);
			break;
		case ROLE_JUDGE:
			r = policies_send(child->door) == 0 &&
				send_hooks(child, c) == 0 && send_rules(child, c) == 0
			    ? send_tools(child, c)
			    : -1;
			break;
		case ROLE_VAULT:
			r = send_vault(child, c);
			break;
		case ROLE_DISPATCH:
			r = send_egress(child, c);
			if (r == 0)
				r = send_tunnels(child, c);
			break;
		case ROLE_WORKER:
			r = send_egress(child, c);
			break;
		case ROLE_TOOLHOST:
			r = send_tools(child, c);
			break;
		case ROLE_TOOLEXEC:
			r = send_toolexec(child, c);
			break;
		default:
			r = -1;
		}
	return r == 0 ? chan_note(child->door, MSG_conf_done, &done) : -1;
}

int
confsend_again(struct child *child, const struct config *c)
{
	switch (child->role) {
	case ROLE_GATE:
	case ROLE_API:
		return send_gate(child, c);
	case ROLE_JUDGE:
		return send_rules(child, c) == 0 ? send_hooks(child, c) : -1;
	case ROLE_VAULT:
		if (sealed_now()) /* its successor gets all of it */
			return 0;
		if (c->openbao_addresses != NULL && send_openbao(child, c) == -1)
			return -1;
		return send_hook_secrets(child, c);
	default:
		return 0;
	}
}
