/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent may ask about itself: which services it can call, and how things are.
 * Judge only. Names of members are those that MCP hosts of the established tool know.
 */
#include "keymasterd/judge/api_service.h"

#include <string.h>

#include "common/jsonw.h"
#include "keymasterd/judge/admin_credential.h"
#include "keymasterd/judge/attest.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/seal_error.h"

#define BODY_ROOM 44000

static struct buf body;

/* An agent's token; without one only where agents need none. 0 or -1. */
static int
admit(struct api_call *c)
{
	const char *why = NULL;

	c->agent = attest_agent(c->m, &why);
	if (c->agent != NULL) {
		c->tenant = c->agent->row.tenant;
		c->d->row.agent = span_str(c->agent->row.name);
		c->d->row.tenant = span_str(c->tenant);
	} else if (judge_conf.require_agent_auth || c->m->token.len > 0 ||
	    c->m->authorization.len > 0) {
		c->d->budget = LEDGER_CAUSE_ATTEST;
		api_refuse(c->d, 401, why != NULL ? why : "This takes an agent's token");
		return -1;
	}
	c->d->row.kind = 0; /* its own things */
	return 0;
}

static int
may(const struct api_call *c, const struct credential *cred)
{
	return strcmp(cred->row.tenant, c->tenant) == 0 &&
	    (c->agent == NULL || grant_has(c->agent, cred));
}

static void
put_service(struct jsonw *w, const struct store_credential *row)
{
	char when[32];

	jsonw_obj_open(w);
	jsonw_key_str(w, "name", row->name);
	jsonw_key_str(w, "service", row->service);
	jsonw_key_str(w, "authType", row->auth_type);
	jsonw_key_list(w, "domains", row->domains);
	jsonw_key_list(w, "scopes", row->scopes);
	jsonw_key_str(w, "expiresAt",
	    row->expires_ms != 0 ? time_text(row->expires_ms, when) : NULL);
	jsonw_key_str(
	    w, "rateLimit", row->rate_limit[0] != '\0' ? row->rate_limit : NULL);
	jsonw_obj_close(w);
}

static void
finish(struct api_call *c, const struct jsonw *w)
{
	if (jsonw_done(w) != 0)
		api_refuse(c->d, 503, "The answer could not be written");
	else
		api_answer(c->d, 200, body.p, body.len);
}

void
api_services(struct api_call *c)
{
	const struct credential *cred;
	struct jsonw w;
	int64_t total = 0;

	if (admit(c) == -1)
		return;
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key(&w, "services");
	jsonw_arr_open(&w);
	TAILQ_FOREACH (cred, &credentials, link) {
		if (!may(c, cred))
			continue;
		total++;
		if (body.len < BODY_ROOM - sizeof(cred->row.domains))
			put_service(&w, &cred->row);
	}
	jsonw_arr_close(&w);
	jsonw_key_int(&w, "total", total);
	jsonw_obj_close(&w);
	finish(c, &w);
}

void
api_health(struct api_call *c)
{
	const struct credential *cred;
	int64_t total = 0, expired = 0;
	uint64_t now = judge_now_ms();
	const struct token *t;
	struct jsonw w;

	if (admit(c) == -1)
		return;
	TAILQ_FOREACH (cred, &credentials, link) {
		if (!may(c, cred))
			continue;
		total++;
		expired += cred->row.expires_ms != 0 && cred->row.expires_ms <= now;
	}
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "status", "ok");
	jsonw_key_str(&w, "version", PACKAGE_VERSION);
	jsonw_key(&w, "credentials");
	jsonw_obj_open(&w);
	jsonw_key_int(&w, "total", total);
	jsonw_key_int(&w, "expired", expired);
	jsonw_key_int(&w, "active", total - expired);
	jsonw_obj_close(&w);
	jsonw_key(&w, "authenticatedAgent");
	if (c->agent != NULL && (t = token_find(c->agent, "")) != NULL) {
		jsonw_obj_open(&w);
		jsonw_key_str(&w, "name", c->agent->row.name);
		jsonw_key_str(&w, "tokenPrefix", t->row.prefix);
		jsonw_obj_close(&w);
	} else {
		jsonw_null(&w);
	}
	jsonw_obj_close(&w);
	finish(c, &w);
}
