/* SPDX-License-Identifier: Apache-2.0 */
/* KV version 2 of OpenBao; see bao_kv.h. Runs in vault. */
#include "keymasterd/vault/bao_kv.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/loop.h"
#include "common/secret.h"
#include "keymasterd/vault/bao_session.h"

#define CACHE_MAX 64
#define KEY_SIZE 1024

struct kept {
	char key[KEY_SIZE];
	struct secret *value; /* NULL: free */
	uint64_t until_ms;
	unsigned version;
};

struct get {
	char key[KEY_SIZE];
	struct reference ref;
	unsigned generation; /* of the cache when it was asked */
	vault_done_fn done;
	void *arg;
};

static struct kept cache[CACHE_MAX];
static unsigned generation;

static struct kept *
cache_find(const char *key)
{
	uint64_t now = loop_now_ms();
	struct kept *found = NULL;
	size_t i;

	for (i = 0; i < CACHE_MAX; i++) {
		if (cache[i].value == NULL)
			continue;
		if (cache[i].until_ms <= now) {
			secret_free(cache[i].value);
			cache[i].value = NULL;
		} else if (strcmp(cache[i].key, key) == 0) {
			found = &cache[i];
		}
	}
	return found;
}

static int
copy_secret(const void *p, size_t len, void *arg)
{
	*(struct secret **)arg = secret_new(p, len);
	return 0;
}

/* In a free place, or in that of the one which would go first. */
static void
cache_put(const struct get *g, const struct secret *value, unsigned version)
{
	struct kept *k = &cache[0];
	size_t i;

	if (g->generation != generation)
		return;
	for (i = 0; i < CACHE_MAX; i++) {
		if (cache[i].value == NULL || strcmp(cache[i].key, g->key) == 0) {
			k = &cache[i];
			break;
		}
		if (cache[i].until_ms < k->until_ms)
			k = &cache[i];
	}
	secret_free(k->value);
	k->value = NULL;
	memcpy(k->key, g->key, sizeof(k->key));
	k->until_ms = loop_now_ms() + BAO_KV_CACHE_MS;
	k->version = version;
	(void)secret_use(value, copy_secret, &k->value);
}

void
bao_kv_forget(void)
{
	size_t i;

	generation++;
	for (i = 0; i < CACHE_MAX; i++) {
		secret_free(cache[i].value);
		cache[i].value = NULL;
	}
}

struct text_at {
	const struct json_doc *doc;
	uint32_t node;
};

static long
fill_text(void *p, size_t max, void *arg)
{
	const struct text_at *t = arg;
	size_t len;

	/* max has one for the NUL, which nobody counts */
	return json_str_copy(t->doc, t->node, p, max, &len) == 0 ? (long)len : -1;
}

/* The field that is meant; JSON_NONE with *why. */
static uint32_t
choose(const struct json_doc *d, uint32_t fields, const struct reference *ref,
    const char **why)
{
	const char *name = ref->field[0] != '\0' ? ref->field : "value";
	uint32_t node = json_get(d, fields, name);
	struct json_iter it;

	if (node == JSON_NONE && ref->field[0] == '\0' && json_count(d, fields) == 1) {
		json_iter_init(&it, d, fields);
		if (json_iter_next(&it, d))
			node = it.value;
	}
	*why = ref->field[0] != '\0'
	    ? "the secret in OpenBao has no such field, or it is no text"
	    : "the secret in OpenBao has several fields and none called value: name one "
	      "as #FIELD";
	return json_type(d, node) == JT_STRING ? node : JSON_NONE;
}

static unsigned
version_of(const struct json_doc *d)
{
	uint32_t data = json_get(d, json_root(d), "data");
	int64_t n;

	return json_int64(d, json_get(d, json_get(d, data, "metadata"), "version"), &n) ==
		    0 &&
		n > 0 && n <= INT32_MAX
	    ? (unsigned)n
	    : 0;
}

static void
read_secret(const struct bao_result *r, const struct get *g, struct vault_answer *a)
{
	struct text_at at;
	struct json_doc doc;
	uint32_t data;

	a->code = VAULT_MISSING;
	if (r->status == 404) {
		a->why = "there is no such secret in OpenBao, or not in this version";
		return;
	}
	json_init(&doc);
	at.doc = &doc;
	a->code = VAULT_REFUSED;
	a->why = "OpenBao's answer is not that of a KV version 2 engine";
	if (json_parse(&doc, r->body.p, r->body.len, NULL) != JSON_OK)
		goto out;
	data = json_get(&doc, json_get(&doc, json_root(&doc), "data"), "data");
	if (json_type(&doc, data) != JT_OBJECT)
		goto out;
	at.node = choose(&doc, data, &g->ref, &a->why);
	if (at.node == JSON_NONE)
		goto out;
	a->why = "the secret in OpenBao is empty, or has more than 32768 octets";
	a->secret = secret_new_fill(CREDENTIAL_SECRET_MAX + 1, fill_text, &at);
	if (secret_len(a->secret) == 0)
		goto out;
	a->version = version_of(&doc);
	a->code = VAULT_OK;
	a->why = NULL;
out:
	json_free(&doc);
}

static void
on_result(const struct bao_result *r, void *arg)
{
	struct get *g = arg;
	struct vault_answer a = {.code = r->code, .why = r->why};

	if (r->code == VAULT_OK)
		read_secret(r, g, &a);
	if (a.code == VAULT_OK)
		cache_put(g, a.secret, a.version);
	g->done(&a, g->arg);
	secret_free(a.secret);
	free(g);
}

void
bao_kv_get(const char *ns, const struct reference *ref, bool fresh, vault_done_fn done,
    void *arg)
{
	struct vault_answer a = {.code = VAULT_IO};
	char path[400], version[32] = "";
	const struct bao_call call = {.method = "GET", .path = path, .ns = ns};
	struct get *g = calloc(1, sizeof(*g));
	const struct kept *k;

	if (g == NULL) {
		done(&a, arg);
		return;
	}
	g->ref = *ref;
	g->generation = generation;
	g->done = done;
	g->arg = arg;
	snprintf(g->key, sizeof(g->key), "%s\n%s/%s\n%s\n%u", ns, ref->mount, ref->path,
	    ref->field, ref->version);
	k = fresh ? NULL : cache_find(g->key);
	if (k != NULL) {
		a = (struct vault_answer){.code = VAULT_OK,
		    .secret = k->value,
		    .version = k->version,
		    .cached = 1};
		done(&a, arg);
		free(g);
		return;
	}
	if (ref->version != 0)
		snprintf(version, sizeof(version), "?version=%u", ref->version);
	snprintf(path, sizeof(path), "/v1/%s/data/%s%s", ref->mount, ref->path, version);
	bao_session_call(&call, on_result, g);
}
