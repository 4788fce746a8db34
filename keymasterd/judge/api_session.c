/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET and DELETE of /v1/seal/sessions. Operators see the sessions of their own tenant;
 * one of another tenant is answered as if there were none. Judge only.
 */
#include "keymasterd/judge/api_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/jsonw.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/seal_error.h"
#include "keymasterd/judge/session.h"

#define LIST_MAX 1000
#define ROOM 44000 /* of an answer; a record may have 3,000 octets */

static struct buf body;

const char *
api_session_status(const struct session *s)
{
	if (s->state == SESSION_REVOKED)
		return "Revoked";
	if (s->state == SESSION_USED && judge_conf.seal_jti_once)
		return "Expired";
	return s->expires_ms > judge_now_ms() ? "Active" : "Expired";
}

static void
key_time(struct jsonw *w, const char *name, uint64_t ms)
{
	char text[RFC3339_SIZE];

	if (rfc3339_format((int64_t)(ms / 1000), (uint32_t)(ms % 1000) * 1000000, 3, text,
		sizeof text) > 0)
		jsonw_key_str(w, name, text);
}

void
api_session_members(struct jsonw *w, const struct session *s)
{
	char key[B64_SIZE(32)];

	(void)b64_encode(B64_STD, s->public_key, 32, key, sizeof key);
	jsonw_key_str(w, "execution_id", s->exec_id);
	jsonw_key_str(w, "session_id", s->id);
	jsonw_key_str(w, "sub", s->sub);
	jsonw_key_str(w, "agent_id", s->sub);
	jsonw_key_str(w, "security_context_name", s->context);
	jsonw_key_str(w, "security_context", s->context);
	jsonw_key_str(w, "tenant_id", s->tenant);
	jsonw_key_str(w, "public_key_b64", key);
	jsonw_key_str(w, "session_status", api_session_status(s));
	key_time(w, "created_at", s->created_ms);
	key_time(w, "expires_at", s->expires_ms);
	jsonw_key(w, "allowed_tool_patterns");
	if (s->patterns_json[0] != '\0')
		jsonw_raw(w, s->patterns_json, strlen(s->patterns_json));
	else
		jsonw_raw(w, "[\"*\"]", 5);
	if (s->reason[0] != '\0')
		jsonw_key_str(w, "reason", s->reason);
}

static void
finish(struct api_call *c, uint32_t status, const struct jsonw *w)
{
	if (jsonw_done(w) != 0)
		api_refuse(c->d, 503, "The answer could not be written");
	else
		api_answer(c->d, status, body.p, body.len);
}

static bool
wanted(const struct api_call *c, const struct session *s, const char *status)
{
	return strcmp(s->tenant, c->tenant) == 0 &&
	    (strcmp(status, "all") == 0 ||
		span_ieq(span_str(api_session_status(s)), status));
}

/* The number of a query's member; fallback when it is absent. -1: no number. */
static long
number_of(struct span query, const char *name, long fallback)
{
	char text[16], *end;
	long n;

	if (api_query_get(query, name, text, sizeof text) != 0)
		return fallback;
	n = strtol(text, &end, 10);
	return end == text || *end != '\0' || n < 0 ? -1 : n;
}

void
api_session_list(struct api_call *c)
{
	char status[16] = "active", link[128];
	long skip = number_of(c->query, "offset", 0),
	     limit = number_of(c->query, "limit", 100), left = limit, at = 0;
	const struct session *s;
	struct jsonw w;

	(void)api_query_get(c->query, "status", status, sizeof status);
	if (skip < 0 || limit < 1 || limit > LIST_MAX ||
	    (strcmp(status, "all") != 0 && strcmp(status, "active") != 0 &&
		strcmp(status, "expired") != 0 && strcmp(status, "revoked") != 0)) {
		api_refuse(c->d, 400,
		    "offset and limit (1 to 1000) are numbers; status is active, "
		    "expired, "
		    "revoked or all");
		return;
	}
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_arr_open(&w);
	TAILQ_FOREACH (s, &sessions, link) {
		if (!wanted(c, s, status) || at++ < skip)
			continue;
		if (left-- == 0 || body.len > ROOM) {
			(void)snprintf(link, sizeof link,
			    "Link: </v1/seal/sessions?status=%s&limit=%ld&offset=%ld>; "
			    "rel=\"next\"\r\n",
			    status, limit, at - 1);
			c->d->headers = link;
			break;
		}
		jsonw_obj_open(&w);
		api_session_members(&w, s);
		jsonw_obj_close(&w);
	}
	jsonw_arr_close(&w);
	c->d->row.kind = 0; /* looking is no act */
	finish(c, 200, &w);
}

/* The session of this execution, or of this id, in the asker's tenant; or a refusal. */
static struct session *
find(struct api_call *c)
{
	struct session *s = session_by_exec(c->tenant, span_str(c->arg));

	if (s == NULL)
		s = session_by_id(span_str(c->arg));
	if (s == NULL || strcmp(s->tenant, c->tenant) != 0) {
		c->d->row.detail = span_str(c->arg);
		seal_refuse(c->d,
		    &(struct seal_refusal){.code = SEAL_NO_SESSION,
			.status = 404,
			.message = "There is no such session"});
		return NULL;
	}
	c->d->row.session = span_str(s->id);
	c->d->row.exec = span_str(s->exec_id);
	c->d->row.context = span_str(s->context);
	return s;
}

void
api_session_get(struct api_call *c)
{
	const struct session *s = find(c);
	struct jsonw w;

	if (s == NULL)
		return;
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	api_session_members(&w, s);
	jsonw_obj_close(&w);
	c->d->row.kind = 0;
	finish(c, 200, &w);
}

void
api_session_delete(struct api_call *c)
{
	struct session *s = find(c);
	struct jsonw w;

	if (s == NULL)
		return;
	if (s->state == SESSION_REVOKED) {
		seal_refuse(c->d,
		    &(struct seal_refusal){.code = SEAL_REVOKED,
			.status = 404,
			.message = "The session was revoked already"});
		return;
	}
	c->d->row.kind = LEDGER_ADMIN;
	c->d->row.event = span_str("SessionRevoked");
	c->d->row.reason = span_str("by an operator");
	session_revoke(s, "by an operator");
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "status", "success");
	jsonw_key_str(&w, "execution_id", s->exec_id);
	jsonw_key_str(&w, "session_id", s->id);
	jsonw_key_str(&w, "session_status", "Revoked");
	key_time(&w, "revoked_at", judge_now_ms());
	jsonw_obj_close(&w);
	finish(c, 200, &w);
}
