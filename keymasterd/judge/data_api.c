/* SPDX-License-Identifier: Apache-2.0 */
/* The paths of the data API, and its lists; see data_api.h. Judge only. */
#include "keymasterd/judge/data_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/jsonw.h"
#include "common/loop.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/collect.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/mcp.h"
#include "keymasterd/judge/mcp_read.h"
#include "keymasterd/judge/perm.h"
#include "keymasterd/judge/registry.h"
#include "keymasterd/judge/sealed.h"

#define LIST_MAX 1000

static void health(struct api_call *);
static void credentials_list(struct api_call *);
static void agents_list(struct api_call *);
static void users_list(struct api_call *);

static const struct api_path paths[] = {
    {"GET", "/api/health", API_ANYONE, health},
    {"GET", "/api/stats", API_ANYONE, data_counts},
    {"GET", "/api/credentials", API_ANYONE, credentials_list},
    {"GET", "/api/agents", API_ANYONE, agents_list},
    {"GET", "/api/requests", API_ANYONE, data_requests},
    {"GET", "/api/users", API_ANYONE, users_list},
    {"GET", "/ws", API_ANYONE, data_feed},
    {"GET", "/_aegis/stats", API_ANYONE, data_counts},
    {"GET", "/_aegis/metrics", API_ANYONE, collect_handle},
};

int
data_request(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_api_request *m = msg;
	const char *mark = memchr(m->target.p, '?', m->target.len);
	struct span names = span_str(mcp_conf.hosts);
	struct decide d;

	if (mcp_host_ok(m->host, names) && mcp_origin_ok(m->origin, names))
		return api_route(c, reqid, m, paths, sizeof(paths) / sizeof(paths[0]));
	/* a page of somebody else's in a browser of ours, or a name that was rebound */
	decide_begin(&d, c, reqid, m->peer);
	d.budget = LEDGER_CAUSE_ATTEST;
	d.row.method = m->method;
	d.row.path = m->target;
	if (mark != NULL)
		d.row.path.len = (size_t)(mark - m->target.p);
	api_refuse(&d, 403,
	    "This Host or Origin is not served; see mcp.hosts of the configuration");
	return 0;
}

int64_t
data_number(const struct api_call *c, const char *name, int64_t fallback, int64_t least,
    int64_t most)
{
	char text[24] = "", *end;
	long long v;

	if (api_query_get(c->query, name, text, sizeof(text)) == -1)
		return fallback;
	v = strtoll(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && v >= least && v <= most
	    ? v
	    : -1;
}

static struct span
keep(struct span s, char *room, size_t size)
{
	size_t n = s.len < size ? s.len : size - 1;

	if (n > 0)
		memcpy(room, s.p, n);
	return span_mem(room, n);
}

void
data_late_begin(struct data_late *l, const struct api_call *c)
{
	struct ledger_row *row = &l->d.row;

	l->d = *c->d;
	*row = (struct ledger_row){.kind = c->d->row.kind,
	    .tenant = keep(c->d->row.tenant, l->tenant, sizeof(l->tenant)),
	    .oper = keep(c->d->row.oper, l->oper, sizeof(l->oper)),
	    .method = span_str("GET"),
	    .path = keep(c->d->row.path, l->path, sizeof(l->path)),
	    .peer = keep(c->d->row.peer, l->peer, sizeof(l->peer))};
}

void
data_deliver(struct decide *d, const void *json, size_t len)
{
	collect_parts(d, json, len);
	if (d->headers == NULL)
		d->headers = "Cache-Control: no-store\r\n";
	d->row.kind = 0; /* looking is no act */
	decide_answer(d, 200, "", 0);
}

static void
finish(struct api_call *c, const struct jsonw *w, const struct buf *json)
{
	if (jsonw_done(w) == 0)
		data_deliver(c->d, json->p, json->len);
	else
		api_refuse(c->d, 503, "The answer could not be written");
}

static void
health(struct api_call *c)
{
	const char *colon = strrchr(judge_conf.gate_url, ':');
	struct operator_who op;
	struct jsonw w;
	struct buf json;

	if (api_require(c, PERM_DASHBOARD_VIEW, &op) == -1)
		return;
	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "status", vault_sealed ? "sealed" : "ok");
	jsonw_key_str(&w, "version", PACKAGE_VERSION);
	jsonw_key(&w, "uptime");
	jsonw_uint(&w, (loop_now_ms() - judge_born_ms()) / 1000);
	jsonw_key(&w, "gate");
	jsonw_obj_open(&w);
	jsonw_key_bool(&w, "running", judge_stopping == 0);
	jsonw_key(&w, "port");
	jsonw_uint(&w, colon != NULL ? strtoul(colon + 1, NULL, 10) : 0);
	jsonw_obj_close(&w);
	jsonw_obj_close(&w);
	finish(c, &w, &json);
	buf_free(&json);
}

static void
put_time(struct jsonw *w, const char *key, uint64_t ms)
{
	char when[RFC3339_SIZE];

	if (ms == 0)
		return;
	(void)rfc3339_format(
	    (int64_t)(ms / 1000), (uint32_t)(ms % 1000) * 1000000, 3, when, sizeof(when));
	jsonw_key_str(w, key, when);
}

static void
put_if(struct jsonw *w, const char *key, const char *s)
{
	if (s[0] != '\0')
		jsonw_key_str(w, key, s);
}

/* A page of a list: offset and limit of the query. */
struct page {
	struct jsonw w;
	struct buf json;
	int64_t skip, room;
	uint64_t total;
	char headers[80];
};

static int
page_begin(struct page *p, struct api_call *c)
{
	memset(p, 0, sizeof(*p));
	p->skip = data_number(c, "offset", 0, 0, INT32_MAX);
	p->room = data_number(c, "limit", LIST_MAX, 1, LIST_MAX);
	if (p->skip < 0 || p->room < 0) {
		api_refuse(c->d, 400, "offset is a number, limit is 1 to 1000");
		return -1;
	}
	jsonw_init(&p->w, &p->json);
	jsonw_arr_open(&p->w);
	return 0;
}

/* Is the next item on the page? */
static bool
page_has(struct page *p)
{
	p->total++;
	return p->skip-- <= 0 && p->room-- > 0;
}

static void
page_end(struct page *p, struct api_call *c)
{
	jsonw_arr_close(&p->w);
	(void)snprintf(p->headers, sizeof(p->headers),
	    "X-Aegis-Total: %llu\r\nCache-Control: no-store\r\n",
	    (unsigned long long)p->total);
	c->d->headers = p->headers;
	finish(c, &p->w, &p->json);
	buf_free(&p->json);
}

static void
credentials_list(struct api_call *c)
{
	const struct credential *cred;
	struct operator_who op;
	struct page p;

	if (api_require(c, PERM_VAULT_READ, &op) == -1 || page_begin(&p, c) == -1)
		return;
	TAILQ_FOREACH (cred, &credentials, link) {
		const struct store_credential *r = &cred->row;

		if (strcmp(r->tenant, c->tenant) != 0 || !page_has(&p))
			continue;
		jsonw_obj_open(&p.w);
		jsonw_key_str(&p.w, "id", r->id);
		jsonw_key_str(&p.w, "name", r->name);
		jsonw_key_str(&p.w, "service", r->service);
		jsonw_key_str(&p.w, "authType", r->auth_type);
		put_if(&p.w, "headerName", r->header_name);
		jsonw_key_list(&p.w, "domains", r->domains);
		jsonw_key_list(&p.w, "scopes", r->scopes);
		put_time(&p.w, "expiresAt", r->expires_ms);
		put_if(&p.w, "rateLimit", r->rate_limit);
		jsonw_key_str(&p.w, "bodyInspection", r->inspection);
		put_time(&p.w, "createdAt", r->created_ms);
		put_time(&p.w, "updatedAt", r->updated_ms);
		jsonw_obj_close(&p.w);
	}
	page_end(&p, c);
}

static void
put_grant(const struct credential *cred, void *arg)
{
	jsonw_str(arg, cred->row.id);
}

static void
agents_list(struct api_call *c)
{
	const struct token *token;
	struct operator_who op;
	const struct agent *a;
	struct page p;

	if (api_require(c, PERM_AGENT_READ, &op) == -1 || page_begin(&p, c) == -1)
		return;
	TAILQ_FOREACH (a, &agents, link) {
		if (strcmp(a->row.tenant, c->tenant) != 0 || !page_has(&p))
			continue;
		token = token_find(a, "");
		jsonw_obj_open(&p.w);
		jsonw_key_str(&p.w, "id", a->row.id);
		jsonw_key_str(&p.w, "name", a->row.name);
		if (token != NULL)
			jsonw_key_str(&p.w, "tokenPrefix", token->row.prefix);
		put_if(&p.w, "rateLimit", a->row.rate_limit);
		put_time(&p.w, "createdAt", a->row.created_ms);
		if (token != NULL)
			put_time(&p.w, "updatedAt", token->row.created_ms);
		jsonw_key(&p.w, "grants");
		jsonw_arr_open(&p.w);
		grant_each(a, put_grant, &p.w);
		jsonw_arr_close(&p.w);
		jsonw_obj_close(&p.w);
	}
	page_end(&p, c);
}

static void
users_list(struct api_call *c)
{
	struct operator_who op;
	const struct user *u;
	struct page p;

	if (api_require(c, PERM_USER_READ, &op) == -1 || page_begin(&p, c) == -1)
		return;
	TAILQ_FOREACH (u, &users, link) {
		if (strcmp(u->row.tenant, c->tenant) != 0 || !page_has(&p))
			continue;
		jsonw_obj_open(&p.w);
		jsonw_key_str(&p.w, "id", u->row.name);
		jsonw_key_str(&p.w, "name", u->row.name);
		jsonw_key_str(&p.w, "role", u->row.role);
		jsonw_key_str(&p.w, "tokenPrefix", u->row.prefix);
		put_time(&p.w, "createdAt", u->row.created_ms);
		put_time(&p.w, "updatedAt", u->row.updated_ms);
		jsonw_obj_close(&p.w);
	}
	page_end(&p, c);
}
