/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /v1/security-contexts: list, show, put, delete. Operators see and change what their own
 * tenant has; a context of another tenant is answered as if there were none. Absent
 * constraints are written as null, nested ones beside tool_pattern, as clients of other
 * gates expect them. Judge only.
 */
#include "keymasterd/judge/api_context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/context_change.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/seal_error.h"

static struct buf body;

static void
finish(struct api_call *c, uint32_t status, const struct jsonw *w)
{
	if (jsonw_done(w) != 0)
		api_refuse(c->d, 503, "The answer could not be written");
	else
		api_answer(c->d, status, body.p, body.len);
}

static void
refuse(struct api_call *c, enum context_result r, const char *why)
{
	static const unsigned status[] = {[CONTEXT_INVALID] = 400,
	    [CONTEXT_CLASH] = 409,
	    [CONTEXT_UNKNOWN] = 404,
	    [CONTEXT_FAILED] = 503};

	api_refuse(c->d, status[r], why);
}

/* A member's own text, null when it is absent. */
static void
copy(struct jsonw *w, const struct json_doc *d, const char *name, uint32_t node)
{
	const uint8_t *p;
	size_t len;

	jsonw_key(w, name);
	if (json_raw(d, node, &p, &len) == 0)
		jsonw_raw(w, p, len);
	else
		jsonw_raw(w, "null", 4);
}

static uint32_t
constraint(const struct json_doc *d, uint32_t cap, const char *name)
{
	uint32_t m = json_get(d, cap, name);

	if (json_type(d, m) != JT_NONE && json_type(d, m) != JT_NULL)
		return m;
	return json_get(d, json_get(d, cap, "constraints"), name);
}

static void
write_capability(struct jsonw *w, const struct json_doc *d, uint32_t cap)
{
	static const char *const always[] = {"path_allowlist", "command_allowlist",
	    "subcommand_allowlist", "domain_allowlist", "max_response_size"};
	static const char *const when_there[] = {"rate_limit", "max_concurrent",
	    "path_arguments", "url_arguments", "text_arguments"};
	uint32_t m;

	jsonw_obj_open(w);
	copy(w, d, "tool_pattern", json_get(d, cap, "tool_pattern"));
	for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
		copy(w, d, always[i], constraint(d, cap, always[i]));
	for (size_t i = 0; i < sizeof when_there / sizeof when_there[0]; i++)
		if ((m = constraint(d, cap, when_there[i])) != JSON_NONE)
			copy(w, d, when_there[i], m);
	jsonw_obj_close(w);
}

static void
write_rules(struct jsonw *w, const struct json_doc *d)
{
	static const char *const when_there[] = {
	    "path_arguments", "url_arguments", "text_arguments", "metadata"};
	uint32_t root = json_root(d), m;
	struct json_iter it;

	jsonw_key(w, "capabilities");
	jsonw_arr_open(w);
	json_iter_init(&it, d, json_get(d, root, "capabilities"));
	while (json_iter_next(&it, d))
		write_capability(w, d, it.value);
	jsonw_arr_close(w);
	for (size_t i = 0; i < sizeof when_there / sizeof when_there[0]; i++)
		if ((m = json_get(d, root, when_there[i])) != JSON_NONE)
			copy(w, d, when_there[i], m);
}

/* One record. -1: no memory. */
static int
write_context(struct jsonw *w, const struct api_call *c, const struct context_entry *e)
{
	char text[RFC3339_SIZE];
	struct json_doc doc;

	json_init(&doc);
	if (json_parse(&doc, e->json, e->json_len, &context_json_limits) != JSON_OK) {
		json_free(&doc);
		return -1;
	}
	jsonw_obj_open(w);
	jsonw_key_str(w, "name", e->name);
	jsonw_key_str(w, "description", e->rules->description);
	write_rules(w, &doc);
	jsonw_key(w, "deny_list");
	jsonw_arr_open(w);
	for (size_t i = 0; i < e->rules->ndeny; i++)
		jsonw_str(w, e->rules->deny[i].text);
	jsonw_arr_close(w);
	jsonw_key_str(w, "tenant_id", c->tenant);
	jsonw_key_str(w, "origin", context_origin_name(e->origin));
	if (e->version != 0)
		jsonw_key_int(w, "version", e->version);
	jsonw_key_str(w, "sha256", e->sha256);
	if (e->updated_ms != 0 &&
	    rfc3339_format((int64_t)(e->updated_ms / 1000), 0, 0, text, sizeof text) > 0)
		jsonw_key_str(w, "updated_at", text);
	jsonw_obj_close(w);
	json_free(&doc);
	return 0;
}

/* ?offset=N: where the last answer's Link said that it goes on. */
void
api_context_list(struct api_call *c)
{
	char text[16] = "0", *end, link[96];
	const struct context_entry *e;
	unsigned long skip, at = 0;
	size_t before;
	struct jsonw w;

	(void)api_query_get(c->query, "offset", text, sizeof text);
	skip = strtoul(text, &end, 10);
	if (end == text || *end != '\0') {
		api_refuse(c->d, 400, "offset must be a number");
		return;
	}
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_arr_open(&w);
	TAILQ_FOREACH (e, &context_entries, link) {
		if (context_find(c->tenant, span_str(e->name)) != e || at++ < skip)
			continue;
		before = body.len;
		/* as it was given, with nulls in it: at most twice as long */
		if (before > 2 && before + 2 * e->json_len + 1024 > API_BODY_MAX) {
			(void)snprintf(link, sizeof link,
			    "Link: </v1/security-contexts?offset=%lu>; "
			    "rel=\"next\"\r\n",
			    at - 1);
			c->d->headers = link;
			break;
		}
		if (write_context(&w, c, e) != 0)
			break;
	}
	jsonw_arr_close(&w);
	c->d->row.kind = 0; /* looking is no act */
	finish(c, 200, &w);
}

void
api_context_get(struct api_call *c)
{
	const struct context_entry *e = context_find(c->tenant, span_str(c->arg));
	struct jsonw w;

	if (e == NULL) {
		c->d->row.detail = span_str(c->arg);
		api_refuse(c->d, 404, "security context not found");
		return;
	}
	buf_reset(&body);
	jsonw_init(&w, &body);
	if (write_context(&w, c, e) != 0) {
		api_refuse(c->d, 503, "The answer could not be written");
		return;
	}
	c->d->row.kind = 0;
	finish(c, 200, &w);
}

static void
changed(struct api_call *c, const char *event, const char *member,
    struct context_change *change, enum context_result r)
{
	struct jsonw w;

	if (change->name[0] != '\0')
		c->d->row.context = span_str(change->name);
	if (r != CONTEXT_CHANGED) {
		refuse(c, r, change->err);
		return;
	}
	c->d->row.kind = LEDGER_ADMIN;
	c->d->row.event = span_str(event);
	c->d->row.detail = span_str(change->detail);
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key_bool(&w, member, true);
	jsonw_key_str(&w, "name", change->name);
	jsonw_key_int(&w, "version", change->version);
	jsonw_key_str(&w, "sha256", change->sha256);
	jsonw_obj_close(&w);
	finish(c, 200, &w);
}

void
api_context_put(struct api_call *c)
{
	struct context_change change = {.tenant = c->tenant};

	changed(c, "context.put", "saved", &change,
	    context_put(&change, c->m->body, CONTEXT_PUT));
}

void
api_context_delete(struct api_call *c)
{
	struct context_change change = {.tenant = c->tenant};

	changed(c, "context.remove", "deleted", &change,
	    context_remove(&change, span_str(c->arg)));
}
