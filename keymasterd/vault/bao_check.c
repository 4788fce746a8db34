/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `aegis doctor` in front of OpenBao: is the token good, may it do all it must and little
 * else, are the keys of the right kind, do the clocks agree? Three questions, one after
 * the other; each finding is a line that says what to do next. Runs in vault; what
 * OpenBao says is shown, never obeyed.
 */
#include "keymasterd/vault/bao_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/jsonw.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/rfc3339.h"
#include "keymasterd/vault/bao_login.h"
#include "keymasterd/vault/bao_place.h"
#include "keymasterd/vault/bao_session.h"
#include "keymasterd/vault/bao_transit.h"
#include "keymasterd/vault/lease_bao.h"
#include "keymasterd/vault/openbao.h"
#include "keymasterd/vault/pending.h"
#include "keymasterd/vault/serve.h"
#include "keymasterd/vault/toolenv.h"

#define PATHS_MAX 96
#define JSON_ROOM 31000
#define SKEW_S 5
#define TTL_MIN_S 60

struct path {
	char text[420];
	char needs[8]; /* a capability, or "" for one that nobody should have */
	char what[100];
};

struct check {
	struct pending *p;
	struct buf json;
	struct jsonw w;
	size_t npaths;
	struct path paths[PATHS_MAX];
};

static bool tls;
static char host[256];

void
bao_check_setup(bool with_tls, const char *name)
{
	tls = with_tls;
	snprintf(host, sizeof(host), "%s", name);
}

static void __attribute__((format(printf, 4, 5)))
line(struct check *k, const char *result, const char *what, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (k->json.len + strlen(text) + 100 > JSON_ROOM)
		return;
	jsonw_obj_open(&k->w);
	jsonw_key_str(&k->w, "check", what);
	jsonw_key_str(&k->w, "result", result);
	jsonw_key_str(&k->w, "message", text);
	jsonw_obj_close(&k->w);
}

static void
finish(struct check *k)
{
	MSG_INIT(openbao_checked, a);

	jsonw_arr_close(&k->w);
	a.code = jsonw_done(&k->w) == 0 ? VAULT_OK : VAULT_IO;
	if (a.code == VAULT_OK)
		a.json = span_mem(k->json.p, k->json.len);
	if (k->p->chan != NULL)
		(void)chan_answer(k->p->chan, k->p->reqid, MSG_openbao_checked, &a);
	buf_free(&k->json);
	pending_free(k->p);
	free(k);
}

/* -- what the token may do -- */

static void
add_path(struct check *k, const char *needs, const char *text, const char *what)
{
	size_t i;

	for (i = 0; i < k->npaths; i++)
		if (strcmp(k->paths[i].text, text) == 0 &&
		    strcmp(k->paths[i].needs, needs) == 0)
			return;
	if (k->npaths == PATHS_MAX)
		return;
	snprintf(k->paths[k->npaths].text, sizeof(k->paths[0].text), "%s", text);
	snprintf(k->paths[k->npaths].needs, sizeof(k->paths[0].needs), "%s", needs);
	snprintf(k->paths[k->npaths].what, sizeof(k->paths[0].what), "%s", what);
	k->npaths++;
}

/* Tokens that credentials of databases hang on; what those may read is not asked here. */
static void
add_lease(struct check *k, const char *what)
{
	char text[400];

	snprintf(text, sizeof(text), "auth/token/create/%s", lease_bao_role());
	add_path(k, "update", text, what);
	add_path(k, "update", "auth/token/revoke-accessor", what);
	add_path(k, "update", "sys/leases/renew", what);
	add_path(k, "update", "sys/leases/revoke", what);
}

static void
add_references(struct check *k)
{
	const struct toolenv *t;
	struct reference ref;
	char text[400], what[100];
	size_t i;

	for (i = 0; (t = toolenv_at(i)) != NULL; i++) {
		if (t->reference[0] == '\0' ||
		    bao_place_reference(span_str(t->reference), &ref) != NULL)
			continue;
		snprintf(what, sizeof(what), "tool server %.40s", t->server);
		if (ref.dynamic) {
			add_lease(k, what);
			continue;
		}
		snprintf(text, sizeof(text), "%s/data/%s", ref.mount, ref.path);
		add_path(k, "read", text, what);
	}
}

static void
add_all(struct check *k)
{
	const char *mount, *key;
	char text[400];

	add_path(k, "read", "auth/token/lookup-self", "the session");
	add_path(k, "update", "auth/token/renew-self", "the session");
	add_path(k, "update", "auth/token/revoke-self", "the session");
	if (bao_transit_names(&mount, &key)) {
		snprintf(text, sizeof(text), "%s/keys/%s", mount, key);
		add_path(k, "read", text, "security tokens");
		snprintf(text, sizeof(text), "%s/sign/%s", mount, key);
		add_path(k, "update", text, "security tokens");
		snprintf(text, sizeof(text), "%s/export/signing-key/%s", mount, key);
		add_path(k, "", text, "taking the signing key away");
		snprintf(text, sizeof(text), "%s/keys/%s/config", mount, key);
		add_path(k, "", text, "changing the signing key");
	}
	add_references(k);
	add_path(k, "", "sys/policies/acl/aegis-doctor", "writing policies");
	add_path(k, "", "sys/mounts/aegis-doctor", "mounting engines");
	add_path(k, "", "sys/auth/aegis-doctor", "adding ways to log in");
	add_path(k, "", "auth/token/create", "making other tokens");
	add_path(k, "", "auth/approle/role/aegis-doctor/secret-id", "making secret ids");
	add_path(k, "", "aegis-doctor/data/aegis-doctor", "secrets of every engine");
}

static bool
has(const struct json_doc *d, uint32_t list, const char *capability)
{
	struct json_iter it;

	json_iter_init(&it, d, list);
	while (json_iter_next(&it, d))
		if (json_str_eq(d, it.value, capability) ||
		    json_str_eq(d, it.value, "root"))
			return true;
	return false;
}

static void
judge_path(struct check *k, const struct json_doc *d, uint32_t data, const struct path *p,
    unsigned *good, unsigned *broad)
{
	uint32_t list = json_get(d, data, p->text);

	if (p->needs[0] != '\0' && has(d, list, p->needs))
		(*good)++;
	else if (p->needs[0] != '\0')
		line(k, "fail", "openbao policy",
		    "%s is not allowed on %s (%s): add it to the AppRole's policy, "
		    "contrib/openbao has the least ones",
		    p->needs, p->text, p->what);
	else if (!has(d, list, "deny")) {
		(*broad)++;
		line(k, "warn", "openbao policy",
		    "too broad: the token may do something on %s (%s): narrow the "
		    "AppRole's policies to those of contrib/openbao",
		    p->text, p->what);
	}
	if (json_count(d, list) > 0 && !has(d, list, "deny") && p->needs[0] != '\0' &&
	    has(d, list, "sudo"))
		line(k, "warn", "openbao policy", "too broad: sudo on %s", p->text);
}

static void
on_key(const struct bao_result *r, void *arg)
{
	struct check *k = arg;
	const char *mount, *name;
	struct json_doc doc;
	uint32_t data;
	bool flag;
	int64_t latest = 0;

	(void)bao_transit_names(&mount, &name);
	json_init(&doc);
	if (r->code != VAULT_OK) {
		line(k, "fail", "openbao key", "%s/keys/%s: %s", mount, name, r->why);
	} else if (r->status == 404) {
		line(k, "fail", "openbao key",
		    "there is no key %s in %s: bao write -f %s/keys/%s type=ed25519",
		    name, mount, mount, name);
	} else if (json_parse(&doc, r->body.p, r->body.len, NULL) == JSON_OK) {
		data = json_get(&doc, json_root(&doc), "data");
		(void)json_int64(&doc, json_get(&doc, data, "latest_version"), &latest);
		if (!json_str_eq(&doc, json_get(&doc, data, "type"), "ed25519"))
			line(k, "fail", "openbao key",
			    "%s/keys/%s is not of type ed25519: make another one and "
			    "name "
			    "it in transit_keys.seal_signing",
			    mount, name);
		else
			line(k, "pass", "openbao key",
			    "%s/keys/%s is ed25519, version %lld", mount, name,
			    (long long)latest);
		if (json_bool(&doc, json_get(&doc, data, "exportable"), &flag) == 0 &&
		    flag)
			line(k, "warn", "openbao key",
			    "%s/keys/%s can be exported: make one that cannot", mount,
			    name);
		if (json_bool(&doc, json_get(&doc, data, "deletion_allowed"), &flag) ==
			0 &&
		    flag)
			line(k, "warn", "openbao key",
			    "%s/keys/%s may be deleted: bao write %s/keys/%s/config "
			    "deletion_allowed=false",
			    mount, name, mount, name);
	}
	json_free(&doc);
	finish(k);
}

static void
on_capabilities(const struct bao_result *r, void *arg)
{
	char path[300];
	const struct bao_call call = {.method = "GET", .path = path};
	const char *mount, *name;
	struct check *k = arg;
	struct json_doc doc;
	uint32_t data;
	unsigned good = 0, needed = 0, broad = 0;
	size_t i;

	json_init(&doc);
	if (r->code != VAULT_OK || r->status != 200 ||
	    json_parse(&doc, r->body.p, r->body.len, NULL) != JSON_OK) {
		line(k, "warn", "openbao policy",
		    "cannot be looked at: allow update on sys/capabilities-self "
		    "(contrib/openbao/session.hcl)");
	} else {
		data = json_get(&doc, json_root(&doc), "data");
		for (i = 0; i < k->npaths; i++) {
			needed += k->paths[i].needs[0] != '\0';
			judge_path(k, &doc, data, &k->paths[i], &good, &broad);
		}
		if (good == needed)
			line(k, "pass", "openbao policy",
			    "all that is needed is allowed (%u paths)%s", needed,
			    broad == 0 ? ", and nothing else that was tried" : "");
	}
	json_free(&doc);
	if (bao_transit_names(&mount, &name)) {
		snprintf(path, sizeof(path), "/v1/%s/keys/%s", mount, name);
		bao_session_call(&call, on_key, k);
	} else {
		finish(k);
	}
}

static void
ask_capabilities(struct check *k)
{
	struct bao_call call = {.method = "POST", .path = "/v1/sys/capabilities-self"};
	struct jsonw w;
	struct buf body;
	size_t i;

	add_all(k);
	buf_init(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key(&w, "paths");
	jsonw_arr_open(&w);
	for (i = 0; i < k->npaths; i++)
		jsonw_str(&w, k->paths[i].text);
	jsonw_arr_close(&w);
	jsonw_obj_close(&w);
	call.body = span_mem(body.p, body.len);
	bao_session_call(&call, on_capabilities, k);
	buf_free(&body);
}

/* -- the token -- */

/* OpenBao's clock is when the token ends less how long it still lives. */
static void
check_clock(struct check *k, const struct json_doc *d, uint32_t data, int64_t ttl)
{
	int64_t ends, now = (int64_t)(loop_unix_ms() / 1000), off;
	char text[64];
	size_t len;

	if (ttl <= 0 ||
	    json_str_copy(
		d, json_get(d, data, "expire_time"), text, sizeof(text), &len) == -1 ||
	    rfc3339_parse(text, len, &ends, NULL) == -1)
		return;
	off = ends - ttl - now;
	if (off > SKEW_S || off < -SKEW_S)
		line(k, "warn", "openbao clock",
		    "OpenBao's clock is %lld s %s ours: keep both in step (NTP), or "
		    "tokens end at the wrong time",
		    (long long)(off < 0 ? -off : off), off > 0 ? "ahead of" : "behind");
	else
		line(k, "pass", "openbao clock", "in step");
}

static void
check_policies(struct check *k, const struct json_doc *d, uint32_t data)
{
	struct json_iter it;

	json_iter_init(&it, d, json_get(d, data, "policies"));
	while (json_iter_next(&it, d))
		if (json_str_eq(d, it.value, "root"))
			line(k, "warn", "openbao policy",
			    "too broad: the token has the policy root: make an AppRole "
			    "with the policies of contrib/openbao");
}

static void
on_token(const struct bao_result *r, void *arg)
{
	struct check *k = arg;
	struct json_doc doc;
	int64_t ttl = -1;
	bool renewable = false;
	uint32_t data;

	if (r->code != VAULT_OK) {
		line(k, "fail", "openbao token", "%s", r->why);
		finish(k);
		return;
	}
	json_init(&doc);
	if (json_parse(&doc, r->body.p, r->body.len, NULL) == JSON_OK) {
		data = json_get(&doc, json_root(&doc), "data");
		(void)json_int64(&doc, json_get(&doc, data, "ttl"), &ttl);
		(void)json_bool(&doc, json_get(&doc, data, "renewable"), &renewable);
		if (ttl == 0)
			line(k, "warn", "openbao token",
			    "never ends: set token_ttl and token_max_ttl of the AppRole");
		else if (!renewable)
			line(k, "warn", "openbao token",
			    "lives %lld s and cannot be renewed: use token_type=service",
			    (long long)ttl);
		else if (bao_login_full_s() < TTL_MIN_S)
			line(k, "warn", "openbao token",
			    "lives %u s only: give the AppRole a token_ttl of some "
			    "minutes",
			    bao_login_full_s());
		else
			line(k, "pass", "openbao token",
			    "logged in, ends in %lld s, is renewed before",
			    (long long)ttl);
		check_clock(k, &doc, data, ttl);
		check_policies(k, &doc, data);
	}
	json_free(&doc);
	ask_capabilities(k);
}

int
serve_openbao_check(struct chan *c, uint64_t reqid, void *msg)
{
	static const struct bao_call token = {
	    .method = "GET", .path = "/v1/auth/token/lookup-self"};
	struct pending *p = pending_new(c, reqid);
	struct check *k = p != NULL ? calloc(1, sizeof(*k)) : NULL;
	MSG_INIT(openbao_checked, failed);

	(void)msg;
	if (k == NULL) {
		if (p != NULL)
			pending_free(p);
		failed.code = VAULT_IO;
		return chan_answer(c, reqid, MSG_openbao_checked, &failed);
	}
	k->p = p;
	buf_init(&k->json);
	jsonw_init(&k->w, &k->json);
	jsonw_arr_open(&k->w);
	if (openbao_port() == NULL) {
		finish(k);
		return 0;
	}
	line(k, tls ? "pass" : "warn", "openbao connection",
	    tls ? "TLS, which proves %s"
		: "%s without TLS: for a server on this machine only",
	    host);
	bao_session_call(&token, on_token, k);
	return 0;
}
