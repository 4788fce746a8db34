/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of signatures; see bao_sign.h. While one request is under way what comes waits,
 * and goes together in the next one. Runs in vault.
 */
#include "keymasterd/vault/bao_sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/ed25519.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/loop.h"
#include "keymasterd/vault/bao_session.h"
#include "keymasterd/vault/bao_transit.h"

#define BATCH_MAX 32
#define BATCHES_MAX 2 /* under way */
#define WAITING_MAX 1024
#define WAIT_MS BAO_CALL_MS

struct item {
	TAILQ_ENTRY(item) entry;
	const char *mount, *key;
	unsigned version;
	uint8_t pub[VAULT_PUBLIC_LEN];
	struct buf input;
	uint64_t due_ms;
	vault_done_fn done;
	void *arg;
};

TAILQ_HEAD(items, item);

struct batch {
	struct items items;
};

static struct items waiting = TAILQ_HEAD_INITIALIZER(waiting);
static unsigned nwaiting, nbatches;

static void flush(void);

static void
item_end(struct item *it, const struct vault_answer *a)
{
	it->done(a, it->arg);
	buf_wipe_free(&it->input);
	free(it);
}

/* "vault:vN:" and base64, of the version that was asked for. 0 or -1. */
static int
read_signature(const struct json_doc *d, uint32_t node, const struct item *it,
    uint8_t out[VAULT_SIGNATURE_LEN])
{
	char text[160], prefix[32];
	size_t len, n;

	n = (size_t)snprintf(prefix, sizeof(prefix), "vault:v%u:", it->version);
	if (json_str_copy(d, node, text, sizeof(text), &len) == -1 || len <= n ||
	    memcmp(text, prefix, n) != 0 ||
	    b64_decode(B64_STD, text + n, len - n, out, VAULT_SIGNATURE_LEN) !=
		VAULT_SIGNATURE_LEN)
		return -1;
	return ed25519_verify(it->pub, it->input.p, it->input.len, out);
}

static void
answer_batch(struct batch *b, const struct bao_result *r)
{
	uint8_t signature[VAULT_SIGNATURE_LEN];
	struct json_doc doc;
	struct json_iter iter;
	uint32_t list = JSON_NONE;
	struct item *it;

	json_init(&doc);
	if (r->code == VAULT_OK && r->status == 200 &&
	    json_parse(&doc, r->body.p, r->body.len, NULL) == JSON_OK)
		list = json_get(
		    &doc, json_get(&doc, json_root(&doc), "data"), "batch_results");
	json_iter_init(&iter, &doc, list);
	while ((it = TAILQ_FIRST(&b->items)) != NULL) {
		struct vault_answer a = {.code = r->code, .why = r->why};

		TAILQ_REMOVE(&b->items, it, entry);
		if (r->code == VAULT_OK) {
			a.code = VAULT_REFUSED;
			a.why = "OpenBao did not sign it with the key it has named";
			if (json_iter_next(&iter, &doc) &&
			    read_signature(&doc, json_get(&doc, iter.value, "signature"),
				it, signature) == 0)
				a = (struct vault_answer){
				    .code = VAULT_OK, .signature = signature};
			else
				bao_transit_refresh(); /* was it made anew? */
		}
		item_end(it, &a);
	}
	json_free(&doc);
}

static void
on_signed(const struct bao_result *r, void *arg)
{
	struct batch *b = arg;

	answer_batch(b, r);
	free(b);
	nbatches--;
	flush();
}

static int
put_batch(struct buf *body, const struct batch *b, unsigned version)
{
	const struct item *it;
	struct jsonw w;
	struct buf text;
	int r = 0;

	buf_init(&text);
	jsonw_init(&w, body);
	jsonw_obj_open(&w);
	jsonw_key_int(&w, "key_version", version);
	jsonw_key(&w, "batch_input");
	jsonw_arr_open(&w);
	TAILQ_FOREACH (it, &b->items, entry) {
		buf_reset(&text);
		if (b64_put(B64_STD, &text, it->input.p, it->input.len) == -1)
			r = -1;
		jsonw_obj_open(&w);
		jsonw_key(&w, "input");
		jsonw_strn(&w, text.p, text.len);
		jsonw_obj_close(&w);
	}
	jsonw_arr_close(&w);
	jsonw_obj_close(&w);
	buf_free(&text);
	return r == 0 ? jsonw_done(&w) : -1;
}

/* Those of one version from the front of the queue. */
static void
send_batch(struct batch *b)
{
	const struct item *first = TAILQ_FIRST(&waiting);
	struct bao_result failed = {.code = VAULT_IO};
	struct bao_call call = {.method = "POST"};
	unsigned version = first->version, n;
	struct item *it;
	struct buf body;
	char path[300];

	snprintf(path, sizeof(path), "/v1/%s/sign/%s", first->mount, first->key);
	TAILQ_INIT(&b->items);
	for (n = 0; n < BATCH_MAX && (it = TAILQ_FIRST(&waiting)) != NULL &&
	     it->version == version;
	     n++) {
		TAILQ_REMOVE(&waiting, it, entry);
		nwaiting--;
		TAILQ_INSERT_TAIL(&b->items, it, entry);
	}
	nbatches++;
	buf_init(&body);
	if (put_batch(&body, b, version) == -1) {
		on_signed(&failed, b);
	} else {
		call.path = path;
		call.body = span_mem(body.p, body.len);
		bao_session_call(&call, on_signed, b);
	}
	buf_wipe_free(&body);
}

static void
flush(void)
{
	static const struct vault_answer late = {
	    .code = VAULT_AWAY, .why = "OpenBao did not answer in time"};
	struct batch *b;
	struct item *it;

	while ((it = TAILQ_FIRST(&waiting)) != NULL && nbatches < BATCHES_MAX) {
		if (loop_now_ms() < it->due_ms && (b = calloc(1, sizeof(*b))) != NULL) {
			send_batch(b);
			continue;
		}
		TAILQ_REMOVE(&waiting, it, entry);
		nwaiting--;
		item_end(it, &late);
	}
}

void
bao_sign(const char *mount, const char *key, unsigned version,
    const uint8_t pub[VAULT_PUBLIC_LEN], struct span input, vault_done_fn done, void *arg)
{
	static const struct vault_answer busy = {
	    .code = VAULT_AWAY, .why = "too many questions to OpenBao at once"};
	struct item *it = nwaiting < WAITING_MAX ? calloc(1, sizeof(*it)) : NULL;

	if (it == NULL) {
		done(&busy, arg);
		return;
	}
	it->mount = mount;
	it->key = key;
	it->version = version;
	memcpy(it->pub, pub, sizeof(it->pub));
	it->done = done;
	it->arg = arg;
	it->due_ms = loop_now_ms() + WAIT_MS;
	buf_init(&it->input);
	if (buf_put(&it->input, input.p, input.len) == -1) {
		free(it);
		done(&busy, arg);
		return;
	}
	TAILQ_INSERT_TAIL(&waiting, it, entry);
	nwaiting++;
	flush();
}
