/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/seal/sessions: an operator, often an orchestrator, makes the session for a key
 * that it knows. Both spellings of the members; the token is vault's unless the caller
 * brings one of an issuer that we trust. Judge only; operators are let in, their bodies
 * are checked all the same.
 */
#include "keymasterd/judge/api_session.h"

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/loop.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/attest_key.h"
#include "common/context.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/mint.h"
#include "keymasterd/judge/seal_error.h"
#include "keymasterd/judge/seal_verify.h"
#include "keymasterd/judge/session.h"
#include "keymasterd/judge/trust.h"

#define TTL_MAX_S 86400
#define TOKEN_MAX 8192

static struct buf body, given; /* given: the caller's token, empty when there is none */
static struct jwt token;

/* The first of these members as a text of printable characters. 0; 1 absent; -1 not so.
 */
static int
text_of(const struct json_doc *d, const char *a, const char *b, char *out, size_t size)
{
	uint32_t root = json_root(d), node = json_get(d, root, a);
	size_t len;

	out[0] = '\0';
	if ((node == JSON_NONE || json_type(d, node) == JT_NULL) && b != NULL)
		node = json_get(d, root, b);
	if (node == JSON_NONE || json_type(d, node) == JT_NULL)
		return 1;
	if (json_str_copy(d, node, out, size, &len) != 0 || len == 0)
		return -1;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)out[i] < 0x20 && strchr("\r\n\t", out[i]) == NULL)
			return -1;
	return 0;
}

/* allowed_tool_patterns as it will be stored; "" for every tool. */
static int
read_patterns(const struct json_doc *d, struct store_session *row)
{
	uint32_t list = json_get(d, json_root(d), "allowed_tool_patterns");
	struct json_iter it;
	struct jsonw w;
	struct buf out;
	int ret = -1;

	row->patterns[0] = '\0';
	if (list == JSON_NONE || json_type(d, list) == JT_NULL)
		return 0;
	if (json_type(d, list) != JT_ARRAY)
		return -1;
	if (json_count(d, list) == 0)
		return 0;
	buf_init(&out);
	jsonw_init(&w, &out);
	jsonw_arr_open(&w);
	json_iter_init(&it, d, list);
	while (json_iter_next(&it, d)) {
		char text[CONTEXT_TOOL_MAX + 1];
		size_t len;

		if (json_str_copy(d, it.value, text, sizeof text, &len) != 0)
			goto out;
		jsonw_strn(&w, text, len);
	}
	jsonw_arr_close(&w);
	if (jsonw_done(&w) == 0 &&
	    span_copy(span_mem(out.p, out.len), row->patterns, sizeof row->patterns) ==
		0 &&
	    session_patterns_ok(row->patterns))
		ret = 0;
out:
	buf_free(&out);
	return ret;
}

/* 0, or the words of the refusal. */
static const char *
read_times(const struct json_doc *d, uint64_t *expires_s)
{
	char text[RFC3339_SIZE + 16];
	uint64_t now = judge_now_ms() / 1000;
	int64_t sec;
	int absent = text_of(d, "expires_at", NULL, text, sizeof text);

	*expires_s = 0;
	if (absent > 0)
		return NULL;
	if (absent < 0 || rfc3339_parse(text, strlen(text), &sec, NULL) != 0 || sec < 0)
		return "expires_at must be a time such as 2026-03-01T12:00:00Z";
	if ((uint64_t)sec <= now || (uint64_t)sec > now + TTL_MAX_S)
		return "expires_at must lie ahead, and within a day";
	*expires_s = (uint64_t)sec;
	return NULL;
}

static bool
claim_is(const char *name, const char *value)
{
	return json_str_eq(&token.claims,
	    json_get(&token.claims, json_root(&token.claims), name), value);
}

/* The caller's own token must be what calls will be checked for. */
static int
check_given(struct decide *d, struct mint *m, uint64_t *expires_s)
{
	const struct jwt_keyset *own = trust_own();
	struct seal_world world = {.unix_ms = judge_now_ms(),
	    .issuer = judge_conf.issuer,
	    .audience = judge_conf.audience,
	    .leeway_s = judge_conf.seal_leeway_s,
	    .keys = own->n > 0 ? own : NULL};
	struct seal_refusal r = {.code = 0};
	struct seal_token seen;

	if (seal_token_check(
		(const char *)given.p, given.len, &world, &token, &seen, &r) != 0) {
		if (r.status == 0)
			r.status = 400;
		seal_refuse(d, &r);
		return -1;
	}
	if (!claim_is("exec_id", m->row.exec_id) || !claim_is("sub", m->row.sub) ||
	    !claim_is("scp", m->row.context) ||
	    (json_get(&token.claims, json_root(&token.claims), "tenant_id") !=
		    JSON_NONE &&
		!claim_is("tenant_id", m->row.tenant))) {
		seal_refuse(d,
		    &(struct seal_refusal){.code = SEAL_TOKEN,
			.status = 400,
			.message =
			    "The security token's exec_id, sub, scp or tenant_id is "
			    "not the session's"});
		return -1;
	}
	(void)json_str_copy(&token.claims,
	    json_get(&token.claims, json_root(&token.claims), "wid"), m->wid,
	    sizeof m->wid, NULL);
	if (*expires_s == 0)
		*expires_s = (uint64_t)seen.exp;
	return 0;
}

/* Reads the members that are no token. NULL, or what is wrong. */
static const char *
read_members(struct api_call *c, const struct json_doc *doc, struct mint *m)
{
	struct store_session *row = &m->row;
	char key[ATTEST_KEY_TEXT_MAX + 1], text[129];

	if (text_of(doc, "execution_id", NULL, row->exec_id, sizeof row->exec_id) != 0)
		return "execution_id must be a text of 1 to 64 octets";
	if (text_of(doc, "sub", "agent_id", row->sub, sizeof row->sub) != 0)
		return "sub (or agent_id) must be a text of 1 to 128 octets";
	if (text_of(doc, "security_context_name", "security_context", row->context,
		sizeof row->context) != 0)
		return "security_context_name (or security_context) must be the name of "
		       "a "
		       "SecurityContext";
	if (text_of(doc, "public_key_b64", "public_key", key, sizeof key) != 0 ||
	    attest_key_read(span_str(key), row->public_key) != 0)
		return "public_key_b64 must be an Ed25519 public key: Base64 of 32 "
		       "octets, or "
		       "64 hexadecimal digits";
	if (read_patterns(doc, row) != 0)
		return "allowed_tool_patterns must be a list of names with one * at most";
	if (text_of(doc, "session_status", NULL, text, sizeof text) < 0 ||
	    (text[0] != '\0' && strcmp(text, "Active") != 0))
		return "a session begins with session_status \"Active\"";
	if (text_of(doc, "workload_id", "container_id", m->wid, sizeof m->wid) < 0 ||
	    text_of(doc, "task_summary", NULL, m->task, sizeof m->task) < 0)
		return "workload_id and task_summary must be texts of at most 256 octets";
	if (text_of(doc, "tenant_id", NULL, text, sizeof text) < 0 ||
	    (text[0] != '\0' && strcmp(text, c->tenant) != 0))
		return "tenant_id must be the operator's own";
	return NULL;
}

static int
read_body(struct api_call *c, struct mint *m, uint64_t *expires_s)
{
	struct seal_refusal r = {.code = 400};
	struct json_doc doc;
	uint32_t node;
	int ret = -1;

	json_init(&doc);
	buf_reset(&given);
	if (json_parse(&doc, c->m->body.p, c->m->body.len, NULL) != JSON_OK ||
	    json_type(&doc, json_root(&doc)) != JT_OBJECT) {
		r.message = "The body must be a JSON object";
		goto out;
	}
	if ((r.message = read_members(c, &doc, m)) != NULL ||
	    (r.message = read_times(&doc, expires_s)) != NULL)
		goto out;
	node = json_get(&doc, json_root(&doc), "security_token");
	if (node != JSON_NONE && json_type(&doc, node) != JT_NULL &&
	    (json_type(&doc, node) != JT_STRING ||
		json_str_put(&doc, node, &given) != 0 || given.len == 0 ||
		given.len > TOKEN_MAX)) {
		r.message = "security_token must be a text";
		goto out;
	}
	ret = 0;
out:
	json_free(&doc);
	if (ret != 0)
		seal_refuse(c->d, &r);
	return ret;
}

static void
answer_created(struct mint *m, struct session *s, struct span tok, unsigned code,
    const char *message)
{
	struct jsonw w;

	if (s == NULL) {
		api_refuse(&m->d, code, message);
		return;
	}
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "status", "success");
	jsonw_key_bool(&w, "saved", true);
	api_session_members(&w, s);
	jsonw_key(&w, "security_token");
	jsonw_strn(&w, tok.p, tok.len);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) != 0)
		api_refuse(&m->d, 503, "The answer could not be written");
	else
		api_answer(&m->d, 200, body.p, body.len);
}

void
api_session_create(struct api_call *c)
{
	uint64_t now = judge_now_ms() / 1000, expires_s;
	const struct agent *agent;
	struct mint *m;

	c->d->row.event = span_str("session.create");
	if ((m = mint_new()) == NULL) {
		api_refuse(c->d, 503, "Too many sessions at once");
		return;
	}
	if (read_body(c, m, &expires_s) != 0)
		goto out;
	c->d->row.exec = span_str(m->row.exec_id);
	c->d->row.context = span_str(m->row.context);
	if (context_find(c->tenant, span_str(m->row.context)) == NULL) {
		seal_refuse(c->d,
		    &(struct seal_refusal){.code = SEAL_SCOPE,
			.status = 400,
			.message = "There is no such SecurityContext"});
		goto out;
	}
	(void)span_copy(span_str(c->tenant), m->row.tenant, sizeof m->row.tenant);
	if (given.len > 0 && check_given(c->d, m, &expires_s) != 0)
		goto out;
	if ((agent = agent_by_id(c->tenant, m->row.sub)) != NULL ||
	    (agent = agent_by_name(c->tenant, span_str(m->row.sub))) != NULL)
		(void)span_copy(
		    span_str(agent->row.id), m->row.agent_id, sizeof m->row.agent_id);
	if (m->wid[0] == '\0')
		(void)span_copy(span_str(m->row.exec_id), m->wid, sizeof m->wid);
	mint_row(m, c->tenant,
	    expires_s > now ? expires_s - now : judge_conf.seal_token_ttl_s);
	(void)span_copy(span_str(c->op->name), m->who, sizeof m->who);
	c->d->row.kind = LEDGER_ADMIN;
	mint_take(m, c->d, c->m->peer, c->d->row.path);
	m->d.row.event = span_str("session.create");
	m->d.row.oper = span_str(m->who);
	m->d.row.agent = span_str(m->row.sub);
	m->done = answer_created;
	if (given.len > 0)
		mint_store(m, span_mem(given.p, given.len));
	else
		mint_ask(m);
	return;
out:
	mint_free(m);
}
