/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two configurations compared, and what of the new one can take the place of the old one
 * in a master that runs. Master only.
 */
#include <stdio.h>
#include <string.h>

#include "aegis/config.h"
#include "aegis/keys.h"
#include "aegis/reload.h"
#include "common/secret.h"

/* Whoever is not named here wants a restart. */
static const char *const live[] = {"gate.require_agent_auth", "gate.max_connections",
    "gate.max_connections_per_agent", "gate.max_body_size", "gate.header_timeout",
    "gate.body_timeout", "gate.idle_timeout", "gate.request_timeout",
    "gate.websocket_idle", "gate.drain_timeout", "gate.tls.cert", "gate.tls.key",
    "secrets.openbao.ca_cert", "secrets.openbao.auth.mount",
    "secrets.openbao.auth.role_id", "secrets.openbao.auth.secret_id",
    "secrets.openbao.auth.wrapped", "secrets.openbao.renewal_interval",
    "observability.log_level", "observability.log_format", "ledger.checkpoint_rows",
    "ledger.checkpoint_seconds", "seal.calls_per_second", "seal.token_ttl",
    "seal.attest_per_minute", "seal.compat_spaced", "seal.token_leeway", "seal.required",
    "seal.legacy_security_context", "cluster.attest_per_minute", "operators.jwks_file",
    "operators.issuer", "operators.audience", "operators.leeway", "operators.role_claim",
    "operators.tenant_claim", "operators.admin_roles", "operators.operator_roles",
    "operators.readonly_roles", "mcp.hosts", "mcp.session_idle", "egress.ca_file",
    "egress.ca_dir", "egress.connect_timeout", "egress.worker_idle", "egress.keepalive",
    "egress.max_idle", "egress.webhook_attempts", "contexts_dir", "gate.policies_dir",
    "gate.policy_mode", "gate.policy_default", "gate.policy_watch", NULL};

static bool
is_live(const char *path, const struct config *a, const struct config *b)
{
	size_t i;

	/* to begin or end TLS is another matter than a new certificate */
	if (strncmp(path, "gate.tls.", 9) == 0)
		return a->tls_cert != NULL && b->tls_cert != NULL;
	for (i = 0; live[i] != NULL; i++)
		if (strcmp(live[i], path) == 0)
			return true;
	return false;
}

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_list(char **a, char **b)
{
	for (; a != NULL && b != NULL && *a != NULL && *b != NULL; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return (a == NULL || *a == NULL) && (b == NULL || *b == NULL);
}

/* Values of env:NAME are not compared: they do not come with a reload. */
static bool
same_tool(const struct config_tool *a, const struct config_tool *b)
{
	const struct config_key *k;
	size_t i;

	for (k = tool_keys; k->path != NULL; k++)
		if (k->type != KEY_TREE && k->type != KEY_LATER && !key_same(k, a, b))
			return false;
	if (!same(a->executable, b->executable) || !same(a->workdir, b->workdir) ||
	    !same_list(a->capabilities, b->capabilities) ||
	    !same_list(a->environment, b->environment) ||
	    !same_list(a->paths, b->paths) || a->nvariables != b->nvariables)
		return false;
	for (i = 0; i < a->nvariables; i++)
		if (!same(a->variables[i].name, b->variables[i].name) ||
		    !same(a->variables[i].reference, b->variables[i].reference))
			return false;
	return true;
}

static void
compare_tools(const struct config *a, const struct config *b, struct reload_diff *d)
{
	char text[160];
	size_t i;

	for (i = 0; i < a->ntools || i < b->ntools; i++) {
		if (i < a->ntools && i < b->ntools &&
		    same_tool(&a->tools[i], &b->tools[i]))
			continue;
		snprintf(text, sizeof(text), "tools.mcp_servers (%s)",
		    i < b->ntools ? b->tools[i].name : a->tools[i].name);
		d->restart(text, d->arg);
	}
}

static const struct config_context *
context_named(const struct config *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->ncontexts; i++)
		if (strcmp(c->contexts[i].name, name) == 0)
			return &c->contexts[i];
	return NULL;
}

static void
compare_contexts(const struct config *a, const struct config *b, struct reload_diff *d)
{
	const struct config_context *it, *other;
	char text[200];
	size_t i;

	for (i = 0; i < b->ncontexts; i++) {
		it = &b->contexts[i];
		other = context_named(a, it->name);
		if (other != NULL && strcmp(other->json, it->json) == 0)
			continue;
		snprintf(text, sizeof(text), "context %s%s", it->name,
		    other == NULL ? " (new)" : "");
		d->changed(text, d->arg);
	}
	for (i = 0; i < a->ncontexts; i++)
		if (context_named(b, a->contexts[i].name) == NULL) {
			snprintf(
			    text, sizeof(text), "context %s (gone)", a->contexts[i].name);
			d->changed(text, d->arg);
		}
}

static bool
same_keys(const struct jwks *a, const struct jwks *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++) {
		const struct jwk *x = &a->keys[i], *y = &b->keys[i];

		if (x->alg != y->alg || x->has_kid != y->has_kid ||
		    strcmp(x->kid, y->kid) != 0 || x->n_len != y->n_len ||
		    x->e_len != y->e_len || memcmp(x->n, y->n, x->n_len) != 0 ||
		    memcmp(x->e, y->e, x->e_len) != 0 ||
		    memcmp(x->ed25519, y->ed25519, sizeof(x->ed25519)) != 0)
			return false;
	}
	return true;
}

static void
compare_issuers(const struct config *a, const struct config *b, struct reload_diff *d)
{
	const struct config_key *k;
	bool equal = a->nissuers == b->nissuers;
	size_t i;

	for (i = 0; equal && i < a->nissuers; i++) {
		for (k = issuer_keys; k->path != NULL; k++)
			equal = equal && key_same(k, &a->issuers[i], &b->issuers[i]);
		equal = equal && same_keys(&a->issuers[i].keys, &b->issuers[i].keys);
	}
	if (!equal)
		d->changed("seal.issuers", d->arg);
	if (!same_keys(&a->operators.keys, &b->operators.keys))
		d->changed("operators.jwks_file (its keys)", d->arg);
}

static bool
same_hook(const struct config_hook *a, const struct config_hook *b)
{
	const struct config_key *k;

	for (k = hook_keys; k->path != NULL; k++)
		if (k->type != KEY_SECRET && !key_same(k, a, b))
			return false;
	return secret_eq(a->secret, b->secret);
}

static const struct config_hook *
hook_of(const struct config *c, const char *id)
{
	size_t i;

	for (i = 0; i < c->nhooks; i++)
		if (strcmp(c->hooks[i].id, id) == 0)
			return &c->hooks[i];
	return NULL;
}

/* Of an address the host is said: what stands behind it may be a secret. */
static void
say_hook(const struct config_hook *h, const char *what, struct reload_diff *d)
{
	char text[600];

	snprintf(text, sizeof(text), "webhook %s (%s)%s", h->id, h->parsed.host, what);
	d->changed(text, d->arg);
}

static void
compare_hooks(const struct config *a, const struct config *b, struct reload_diff *d)
{
	const struct config_hook *old;
	size_t i;

	for (i = 0; i < b->nhooks; i++)
		if ((old = hook_of(a, b->hooks[i].id)) == NULL)
			say_hook(&b->hooks[i], ", new", d);
		else if (!same_hook(old, &b->hooks[i]))
			say_hook(old, "", d);
	for (i = 0; i < a->nhooks; i++)
		if (hook_of(b, a->hooks[i].id) == NULL)
			say_hook(&a->hooks[i], ", gone", d);
}

void
reload_compare(const struct config *a, const struct config *b, struct reload_diff *d)
{
	const struct config_key *k;
	/* the port stands in every address: named once */
	bool port = a->port != b->port;

	for (k = config_keys; k->path != NULL; k++) {
		if (k->type == KEY_TREE || k->type == KEY_LATER ||
		    k->type == KEY_SECRET || key_same(k, a, b) ||
		    (port && strcmp(k->path, "gate.listen") == 0))
			continue;
		(is_live(k->path, a, b) ? d->changed : d->restart)(k->path, d->arg);
	}
	compare_contexts(a, b, d);
	compare_issuers(a, b, d);
	compare_hooks(a, b, d);
	compare_tools(a, b, d);
}

#define SWAP(type, x, y)          \
	do {                      \
		type swap_ = (x); \
		(x) = (y);        \
		(y) = swap_;      \
	} while (0)

void
reload_swap(struct config *a, struct config *b)
{
	const struct config_key *k;

	for (k = config_keys; k->path != NULL; k++)
		if (k->type != KEY_TREE && k->type != KEY_LATER &&
		    k->type != KEY_SECRET && is_live(k->path, a, b))
			key_swap(k, a, b);
	SWAP(struct config_context *, a->contexts, b->contexts);
	SWAP(size_t, a->ncontexts, b->ncontexts);
	SWAP(struct config_hook *, a->hooks, b->hooks);
	SWAP(size_t, a->nhooks, b->nhooks);
	SWAP(struct config_issuer *, a->issuers, b->issuers);
	SWAP(size_t, a->nissuers, b->nissuers);
	SWAP(struct jwks, a->operators.keys, b->operators.keys);
	if (a->vault_provider != CONFIG_OPENBAO || b->vault_provider != CONFIG_OPENBAO)
		return;
	SWAP(char *, a->openbao_secret_file, b->openbao_secret_file);
	/* of a variable that the start took out of the environment: the one there is */
	if (a->openbao_secret_file == NULL && b->openbao_secret_file == NULL &&
	    (a->openbao_secret == NULL) != (b->openbao_secret == NULL))
		return;
	SWAP(struct secret *, a->openbao_secret, b->openbao_secret);
}
