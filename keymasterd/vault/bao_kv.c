/* SPDX-License-Identifier: Apache-2.0 */
/* KV version 2 of OpenBao; see bao_kv.h. Runs in vault. */
#include "keymasterd/vault/bao_kv.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json.h"
#include "common/loop.h"
#include "common/rfc3339.h"
#include "common/secret.h"
#include "keymasterd/vault/bao_json.h"
#include "keymasterd/vault/bao_session.h"
#include "keymasterd/vault/bao_stats.h"

#define CACHE_MAX 64
#define CACHE_OCTETS (512u * 1024) /* of the memory for secrets */
#define KEY_SIZE 1024

struct kept {
	char key[KEY_SIZE];
	struct secret *value; /* NULL: free */
	uint64_t until_ms;    /* kept until then */
	uint64_t ends_ms;     /* its own end, 0: none */
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
static size_t octets; /* of all that is kept */
static unsigned generation;
static struct event sweep;
static bool sweeping; /* sweep is set up */

static void
drop(struct kept *k)
{
	octets -= secret_len(k->value);
	secret_free(k->value);
	k->value = NULL;
}

/* What is over goes, whether somebody asks for it or not. */
static void
cache_sweep(void)
{
	uint64_t now = loop_now_ms(), next = UINT64_MAX;
	struct timeval tv;
	size_t i;

	for (i = 0; i < CACHE_MAX; i++) {
		if (cache[i].value != NULL && cache[i].until_ms <= now)
			drop(&cache[i]);
		if (cache[i].value != NULL && cache[i].until_ms < next)
			next = cache[i].until_ms;
	}
	if (next == UINT64_MAX)
		return;
	tv = (struct timeval){
	    (time_t)((next - now) / 1000), (suseconds_t)((next - now) % 1000) * 1000};
	(void)evtimer_add(&sweep, &tv);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	cache_sweep();
}

static struct kept *
cache_find(const char *key)
{
	size_t i;

	for (i = 0; i < CACHE_MAX; i++)
		if (cache[i].value != NULL && cache[i].until_ms > loop_now_ms() &&
		    strcmp(cache[i].key, key) == 0)
			return &cache[i];
	return NULL;
}

/* A free place, with memory for this many octets: what would go first has to. */
static struct kept *
cache_room(size_t len)
{
	struct kept *place, *first;
	size_t i;

	for (;;) {
		place = first = NULL;
		for (i = 0; i < CACHE_MAX; i++)
			if (cache[i].value == NULL)
				place = &cache[i];
			else if (first == NULL || cache[i].until_ms < first->until_ms)
				first = &cache[i];
		if (place != NULL && octets + len <= CACHE_OCTETS)
			return place;
		if (first == NULL)
			return NULL;
		drop(first);
	}
}

static int
copy_secret(const void *p, size_t len, void *arg)
{
	*(struct secret **)arg = secret_new(p, len);
	return 0;
}

static void
cache_put(const struct get *g, const struct vault_answer *a)
{
	uint64_t until = loop_now_ms() + BAO_KV_CACHE_MS;
	struct kept *k;

	if (g->generation != generation)
		return;
	k = cache_find(g->key);
	if (k != NULL)
		drop(k);
	k = cache_room(secret_len(a->secret));
	if (k == NULL || secret_use(a->secret, copy_secret, &k->value) != 0 ||
	    k->value == NULL)
		return;
	octets += secret_len(k->value);
	memcpy(k->key, g->key, sizeof(k->key));
	k->ends_ms = a->until_ms;
	k->until_ms = a->until_ms != 0 && a->until_ms < until ? a->until_ms : until;
	k->version = a->version;
	if (!sweeping) {
		sweeping = evtimer_assign(&sweep, loop_base(), on_sweep, NULL) == 0;
		cache_sweep();
	} else if (!evtimer_pending(&sweep, NULL)) {
		cache_sweep();
	}
}

void
bao_kv_forget(void)
{
	size_t i;

	generation++;
	for (i = 0; i < CACHE_MAX; i++)
		if (cache[i].value != NULL)
			drop(&cache[i]);
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

/* Its version, and its end if it has one. 0, or -1 when it has ended. */
static int
read_metadata(const struct json_doc *d, uint32_t node, struct vault_answer *a)
{
	int64_t version, ends, now = (int64_t)(loop_unix_ms() / 1000);
	char text[64];
	size_t len;

	if (json_int64(d, json_get(d, node, "version"), &version) == 0 && version > 0 &&
	    version <= INT32_MAX)
		a->version = (unsigned)version;
	if (json_str_copy(
		d, json_get(d, node, "deletion_time"), text, sizeof(text), &len) == -1 ||
	    rfc3339_parse(text, len, &ends, NULL) == -1)
		return 0;
	if (ends <= now)
		return -1;
	a->until_ms = loop_now_ms() + (uint64_t)(ends - now) * 1000;
	return 0;
}

static void
read_secret(const struct bao_result *r, const struct get *g, struct vault_answer *a)
{
	struct json_doc doc;
	uint32_t outer, data, field;

	a->code = VAULT_MISSING;
	a->why = "there is no such secret in OpenBao, or not in this version";
	if (r->status == 404)
		return;
	json_init(&doc);
	a->code = VAULT_REFUSED;
	a->why = "OpenBao's answer is not that of a KV version 2 engine";
	if (json_parse(&doc, r->body.p, r->body.len, NULL) != JSON_OK)
		goto out;
	outer = json_get(&doc, json_root(&doc), "data");
	data = json_get(&doc, outer, "data");
	if (json_type(&doc, data) != JT_OBJECT)
		goto out;
	field = choose(&doc, data, &g->ref, &a->why);
	if (field == JSON_NONE)
		goto out;
	a->why = "the secret in OpenBao is empty, or has more than 32768 octets";
	a->secret = bao_json_secret(&doc, field, CREDENTIAL_SECRET_MAX + 1);
	if (secret_len(a->secret) == 0)
		goto out;
	if (read_metadata(&doc, json_get(&doc, outer, "metadata"), a) == -1) {
		a->code = VAULT_MISSING;
		a->why = "the secret in OpenBao has ended";
		goto out;
	}
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
	struct kept *old;

	if (r->code == VAULT_OK)
		read_secret(r, g, &a);
	if (a.code == VAULT_OK)
		cache_put(g, &a);
	else if (a.code != VAULT_AWAY && (old = cache_find(g->key)) != NULL)
		drop(old); /* it is gone, or no longer ours */
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
	bao_stats_cache(k != NULL);
	if (k != NULL) {
		a = (struct vault_answer){.code = VAULT_OK,
		    .secret = k->value,
		    .version = k->version,
		    .until_ms = k->ends_ms,
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
