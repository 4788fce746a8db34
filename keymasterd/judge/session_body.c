/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The members of a session that somebody else than the workload makes; see
 * session_body.h. Judge only; operators are let in, their bodies are checked all the
 * same.
 */
#include "keymasterd/judge/session_body.h"

#include <string.h>

#include "common/context.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/attest_key.h"
#include "keymasterd/judge/session.h"

#define TTL_MAX_S 86400
#define TOKEN_MAX 8192

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
read_times(const struct json_doc *d, uint64_t now, uint64_t *expires_s)
{
	char text[RFC3339_SIZE + 16];
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

/* Reads the members that are no token. NULL, or what is wrong. */
static const char *
read_members(const struct json_doc *doc, const char *tenant, struct mint *m)
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
	    (text[0] != '\0' && strcmp(text, tenant) != 0))
		return "tenant_id must be the operator's own";
	return NULL;
}

const char *
session_body_read(struct span body, const char *tenant, uint64_t now_s, struct mint *m,
    uint64_t *expires_s, struct buf *token)
{
	struct json_doc doc;
	const char *why = "The body must be a JSON object";
	uint32_t node;

	json_init(&doc);
	buf_reset(token);
	*expires_s = 0;
	if (json_parse(&doc, body.p, body.len, NULL) != JSON_OK ||
	    json_type(&doc, json_root(&doc)) != JT_OBJECT)
		goto out;
	if ((why = read_members(&doc, tenant, m)) != NULL ||
	    (why = read_times(&doc, now_s, expires_s)) != NULL)
		goto out;
	node = json_get(&doc, json_root(&doc), "security_token");
	if (node != JSON_NONE && json_type(&doc, node) != JT_NULL &&
	    (json_type(&doc, node) != JT_STRING || json_str_put(&doc, node, token) != 0 ||
		token->len == 0 || token->len > TOKEN_MAX))
		why = "security_token must be a text";
out:
	json_free(&doc);
	return why;
}
