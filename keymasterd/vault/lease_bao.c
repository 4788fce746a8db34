/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to OpenBao about leases; see lease_bao.h. Runs in vault. */
#include "keymasterd/vault/lease_bao.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/secret.h"
#include "keymasterd/vault/bao_json.h"
#include "keymasterd/vault/bao_session.h"
#include "keymasterd/vault/lease_table.h"

#define TOKEN_TTL "24h" /* a lease lasts no longer than this: then there is a new one */
#define FIELD_MAX 4096

static char role[129];
static bool sweeps;

struct ask {
	void *who;
	lease_reply_fn fn;
};

int
lease_bao_setup(struct span name, bool sweep)
{
	sweeps = sweep;
	return span_copy(name, role, sizeof(role));
}

const char *
lease_bao_role(void)
{
	return role;
}

/* Sends what w has written. A credential is never asked for twice, the rest may be. */
static void
call(const char *ns, void *who, lease_reply_fn fn, bao_result_fn done, const char *method,
    const char *path, const struct secret *token, const struct jsonw *w)
{
	const struct lease_reply no = {.result = LEASE_FAILED, .code = VAULT_IO};
	struct bao_call c = {.method = method,
	    .path = path,
	    .ns = ns[0] != '\0' ? ns : NULL,
	    .token = token,
	    .once = token != NULL,
	    .backend = 1};
	struct ask *a = calloc(1, sizeof(*a));

	if (a == NULL || (w != NULL && jsonw_done(w) == -1)) {
		free(a);
		fn(who, &no);
		return;
	}
	if (w != NULL)
		c.body = span_mem(w->out->p, w->out->len);
	a->who = who;
	a->fn = fn;
	bao_session_call(&c, done, a);
}

static void
finish(struct ask *a, const struct lease_reply *reply)
{
	void *who = a->who;
	lease_reply_fn fn = a->fn;

	free(a);
	fn(who, reply);
}

/* What a failure means; a missing lease is for those who ask about one. */
static struct lease_reply
failure(const struct bao_result *r)
{
	struct lease_reply reply = {
	    .result = LEASE_FAILED, .code = r->code, .why = r->why};

	if (r->unanswered)
		reply.result = LEASE_UNKNOWN;
	else if (r->status == 400 || r->status == 403 || r->status == 404)
		reply.result = LEASE_REFUSED;
	if (r->code == VAULT_OK) { /* 404 */
		reply.code = VAULT_MISSING;
		reply.why = "OpenBao has no such path";
	}
	return reply;
}

static struct secret *
text_of(const struct json_doc *d, uint32_t map, const char *name)
{
	struct secret *s = bao_json_secret(d, json_get(d, map, name), FIELD_MAX);

	if (secret_len(s) > 0)
		return s;
	secret_free(s);
	return NULL;
}

static int
seconds_of(const struct json_doc *d, uint32_t map, uint32_t *seconds)
{
	int64_t n;

	if (json_int64(d, json_get(d, map, "lease_duration"), &n) == -1 || n < 0 ||
	    n > UINT32_MAX)
		return -1;
	*seconds = (uint32_t)n;
	return 0;
}

/* -- the token -- */

static void
on_token(const struct bao_result *r, void *arg)
{
	struct ask *a = arg;
	struct lease_token *t = a->who;
	struct lease_reply reply = failure(r);
	struct json_doc d;
	uint32_t auth, seconds;

	json_init(&d);
	if (r->code == VAULT_OK && r->status == 200) {
		reply = (struct lease_reply){.result = LEASE_REFUSED,
		    .code = VAULT_REFUSED,
		    .why = "OpenBao's answer has no token with an end"};
		if (json_parse(&d, r->body.p, r->body.len, NULL) == JSON_OK) {
			auth = json_get(&d, json_root(&d), "auth");
			t->secret = text_of(&d, auth, "client_token");
			if (t->secret != NULL && seconds_of(&d, auth, &seconds) == 0 &&
			    seconds > 0 &&
			    json_str_copy(&d, json_get(&d, auth, "accessor"), t->accessor,
				sizeof(t->accessor), NULL) == 0 &&
			    t->accessor[0] != '\0') {
				reply = (struct lease_reply){.ttl_s = seconds};
			}
		}
	} else if (reply.code == VAULT_DENIED || reply.result == LEASE_REFUSED) {
		reply.why = "OpenBao gives no token for the lease: it needs the token "
			    "role of secrets.openbao.lease_role and the policy for it";
	}
	json_free(&d);
	finish(a, &reply);
}

void
lease_bao_token(struct lease_token *t, lease_reply_fn fn)
{
	char path[200];
	struct jsonw w;
	struct buf body;

	buf_init(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "ttl", TOKEN_TTL);
	jsonw_key_str(&w, "display_name", "aegis");
	jsonw_obj_close(&w);
	snprintf(path, sizeof(path), "/v1/auth/token/create/%s", role);
	call(t->ns, t, fn, on_token, "POST", path, NULL, &w);
	buf_free(&body);
}

/* -- the credential -- */

static void
on_read(const struct bao_result *r, void *arg)
{
	struct ask *a = arg;
	struct lease *l = a->who;
	struct lease_reply reply = failure(r);
	struct json_doc d;
	uint32_t data;

	json_init(&d);
	if (r->code == VAULT_OK && r->status == 200) {
		reply = (struct lease_reply){.result = LEASE_UNKNOWN,
		    .code = VAULT_REFUSED,
		    .why = "OpenBao's answer is not that of a database engine"};
		if (json_parse(&d, r->body.p, r->body.len, NULL) == JSON_OK) {
			data = json_get(&d, json_root(&d), "data");
			l->username = text_of(&d, data, "username");
			l->password = text_of(&d, data, "password");
			if (json_str_copy(&d, json_get(&d, json_root(&d), "lease_id"),
				l->id, sizeof(l->id), NULL) == 0 &&
			    l->id[0] != '\0' && l->username != NULL &&
			    l->password != NULL &&
			    seconds_of(&d, json_root(&d), &reply.ttl_s) == 0 &&
			    reply.ttl_s > 0 &&
			    json_bool(&d, json_get(&d, json_root(&d), "renewable"),
				&reply.renewable) == 0) {
				reply.result = LEASE_DONE;
				reply.code = VAULT_OK;
				reply.why = NULL;
			}
		}
	} else if (reply.code == VAULT_DENIED) {
		reply.why = "OpenBao does not allow it: the policy of the lease's token "
			    "must give read on this path";
	} else if (r->status == 500) {
		reply.why = "the database behind OpenBao makes no user: OpenBao's log "
			    "says why";
	} else if (reply.result == LEASE_REFUSED) {
		reply.why = "OpenBao's database engine has no such role";
	}
	json_free(&d);
	finish(a, &reply);
}

void
lease_bao_read(struct lease *l, lease_reply_fn fn)
{
	char path[400];

	snprintf(path, sizeof(path), "/v1/%s", l->path);
	call(l->ns, l, fn, on_read, "GET", path, l->token->secret, NULL);
}

/* -- more time -- */

/* OpenBao has no code for what went wrong, only words. */
static bool
says(const struct bao_result *r, const char *words)
{
	return r->status == 400 && r->body.len > 0 &&
	    memmem(r->body.p, r->body.len, words, strlen(words)) != NULL;
}

static void
on_renewed(const struct bao_result *r, void *arg)
{
	struct ask *a = arg;
	struct lease_reply reply = failure(r);
	struct json_doc d;

	json_init(&d);
	if (r->code == VAULT_OK && r->status == 200) {
		reply = (struct lease_reply){.result = LEASE_FAILED,
		    .code = VAULT_REFUSED,
		    .why = "OpenBao's answer to a renewal is none"};
		if (json_parse(&d, r->body.p, r->body.len, NULL) == JSON_OK &&
		    seconds_of(&d, json_root(&d), &reply.ttl_s) == 0 &&
		    json_bool(&d, json_get(&d, json_root(&d), "renewable"),
			&reply.renewable) == 0)
			reply.result = LEASE_DONE;
	} else if (says(r, "lease not found") || says(r, "lease expired")) {
		reply.result = LEASE_GONE;
		reply.why = "OpenBao has ended it";
	} else if (r->status == 400 || r->status == 500) {
		reply.result = LEASE_FAILED; /* what its database says comes as a 400 */
		reply.why = "the database behind OpenBao does not renew it";
	}
	json_free(&d);
	finish(a, &reply);
}

static void
about_lease(struct jsonw *w, struct buf *body, const struct lease *l)
{
	buf_init(body);
	jsonw_init(w, body);
	jsonw_obj_open(w);
	jsonw_key_str(w, "lease_id", l->id);
}

void
lease_bao_renew(struct lease *l, lease_reply_fn fn)
{
	struct jsonw w;
	struct buf body;

	about_lease(&w, &body, l);
	jsonw_key_int(&w, "increment", l->ttl_s);
	jsonw_obj_close(&w);
	call(l->ns, l, fn, on_renewed, "POST", "/v1/sys/leases/renew", NULL, &w);
	buf_free(&body);
}

/* -- the end -- */

static void
on_ended(const struct bao_result *r, void *arg)
{
	struct lease_reply reply = failure(r);

	if (r->code == VAULT_OK && (r->status == 204 || r->status == 200))
		reply.result = LEASE_DONE;
	else if (r->status == 500 || r->status == 400)
		reply.why = "the database behind OpenBao does not drop the user: do the "
			    "role's revocation_statements fail when it is gone?";
	else if (r->status == 403)
		reply.why = "OpenBao's policy does not allow revoking it";
	finish(arg, &reply);
}

void
lease_bao_revoke(struct lease *l, lease_reply_fn fn)
{
	struct jsonw w;
	struct buf body;

	about_lease(&w, &body, l);
	jsonw_key_bool(&w, "sync", true); /* so that what fails is known here */
	jsonw_obj_close(&w);
	call(l->ns, l, fn, on_ended, "POST", "/v1/sys/leases/revoke", NULL, &w);
	buf_free(&body);
}

void
lease_bao_end(const struct lease_token *t, void *who, lease_reply_fn fn)
{
	struct jsonw w;
	struct buf body;

	buf_init(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "accessor", t->accessor);
	jsonw_obj_close(&w);
	call(
	    t->ns, who, fn, on_ended, "POST", "/v1/auth/token/revoke-accessor", NULL, &w);
	buf_free(&body);
}

/* -- what there is -- */

static void (*on_id)(struct lease *, const char *);

bool
lease_bao_sweeps(void)
{
	return sweeps;
}

static void
on_listed(const struct bao_result *r, void *arg)
{
	struct ask *a = arg;
	struct lease *l = a->who;
	struct lease_reply reply = failure(r);
	char key[LEASE_ID_MAX / 2], id[LEASE_ID_MAX + 1];
	struct json_iter it;
	struct json_doc d;

	json_init(&d);
	if (r->code == VAULT_OK && r->status == 404) {
		reply.result = LEASE_DONE; /* there is none */
	} else if (r->code == VAULT_OK && r->status == 200 &&
	    json_parse(&d, r->body.p, r->body.len, NULL) == JSON_OK) {
		reply.result = LEASE_DONE;
		json_iter_init(
		    &it, &d, json_get(&d, json_get(&d, json_root(&d), "data"), "keys"));
		while (json_iter_next(&it, &d))
			if (json_str_copy(&d, it.value, key, sizeof(key), NULL) == 0 &&
			    snprintf(id, sizeof(id), "%s/%s", l->path, key) <
				(int)sizeof(id))
				on_id(l, id);
	} else if (r->status == 403) {
		reply.why = "secrets.openbao.lease_sweep needs sudo on "
			    "sys/leases/lookup for the database roles";
	}
	json_free(&d);
	finish(a, &reply);
}

void
lease_bao_list(
    struct lease *l, void (*fn_id)(struct lease *, const char *), lease_reply_fn fn)
{
	char path[420];

	on_id = fn_id; /* the same for all */
	snprintf(path, sizeof(path), "/v1/sys/leases/lookup/%s", l->path);
	call(l->ns, l, fn, on_listed, "LIST", path, NULL, NULL);
}
