/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's attestation. Nobody vouches for it, so the first key that a node shows is its
 * key for good, a nonce is good once, and all nodes together share one rate. Judge only;
 * the body is anybody's.
 */
#include <string.h>

#include "common/json.h"
#include "common/jsonw.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/attest_key.h"
#include "keymasterd/judge/cluster.h"
#include "keymasterd/judge/cluster_int.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/limit.h"
#include "keymasterd/judge/mint.h"
#include "keymasterd/judge/seal_error.h"
#include "keymasterd/judge/trust.h"
#include "keymasterd/judge/turn.h"

#define TOKEN_S (STORE_NONCE_KEEP_MS / 1000)
#define VAULT_MS 10000 /* the first time it makes a key */

static struct buf body;

static void
refuse(struct decide *d, unsigned code, const char *message)
{
	api_refuse(d, code, message);
}

/* NULL, or what is wrong. The node's id goes to row.sub, its role to task. */
static const char *
read_body(const struct json_doc *doc, struct mint *m, char nonce[static 65])
{
	char key[ATTEST_KEY_TEXT_MAX + 1];
	uint32_t root = json_root(doc), role = json_get(doc, root, "role");

	if (json_type(doc, root) != JT_OBJECT ||
	    json_str_copy(doc, json_get(doc, root, "node_id"), m->row.sub, 65, NULL) !=
		0 ||
	    !cluster_uuid_ok(m->row.sub))
		return "node_id must be a UUID";
	if (json_str_copy(doc, json_get(doc, root, "nonce"), nonce, 65, NULL) != 0 ||
	    !cluster_uuid_ok(nonce))
		return "nonce must be a UUID";
	if (json_str_copy(
		doc, json_get(doc, root, "public_key"), key, sizeof key, NULL) != 0 ||
	    attest_key_read(span_str(key), m->row.public_key) != 0)
		return "public_key must be an Ed25519 public key: Base64 of 32 octets, "
		       "or 64 "
		       "hexadecimal digits";
	(void)span_copy(span_str("worker"), m->task, sizeof m->task);
	if (role != JSON_NONE &&
	    (json_str_copy(doc, role, m->task, 17, NULL) != 0 ||
		(strcmp(m->task, "worker") != 0 && strcmp(m->task, "controller") != 0)))
		return "role must be worker or controller";
	return NULL;
}

static void
answer(struct mint *m, struct span token)
{
	char expires[RFC3339_SIZE];
	struct jsonw w;

	(void)rfc3339_format(
	    (int64_t)(m->row.expires_ms / 1000), 0, 3, expires, sizeof(expires));
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "protocol", "seal/v1");
	jsonw_key_str(&w, "status", "success");
	jsonw_key(&w, "node_security_token");
	jsonw_strn(&w, token.p, token.len);
	jsonw_key_str(&w, "expires_at", expires);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) != 0) {
		refuse(&m->d, 503, "The answer could not be written");
		return;
	}
	m->d.row.event = span_str("NodeAttestationSucceeded");
	api_answer(&m->d, 200, body.p, body.len);
}

/* The node as it is known from now on. 0, or -1: refused. */
static int
keep(struct mint *m)
{
	struct node *n = cluster_find(m->row.tenant, m->row.sub);
	struct store_node row = {.created_ms = judge_now_ms(), .seen_ms = judge_now_ms()};

	if (n != NULL && memcmp(n->row.public_key, m->row.public_key, 32) != 0) {
		refuse(&m->d, SEAL_WORKLOAD, "This node is known by another key");
		return -1;
	}
	if (n != NULL)
		row = n->row;
	memcpy(row.tenant, m->row.tenant, sizeof row.tenant);
	(void)span_copy(span_str(m->row.sub), row.id, sizeof row.id);
	(void)span_copy(span_str(m->task), row.role, sizeof row.role);
	memcpy(row.public_key, m->row.public_key, sizeof row.public_key);
	row.seen_ms = judge_now_ms();
	if (cluster_enter(&row) != NULL)
		return 0;
	refuse(&m->d, 503, "The node could not be stored");
	return -1;
}

static void
on_signed(struct chan *vault, enum chan_status status, void *msg, void *arg)
{
	const struct msg_node_signed *a = msg;
	struct mint *m = arg;

	(void)vault;
	if (m->d.chan == NULL) {
		mint_free(m);
		return;
	}
	if (status != CHAN_OK || a->code != 0 || trust_node_key(a->modulus) == -1)
		refuse(&m->d, 503, "Tokens cannot be signed at the moment");
	else if (keep(m) == 0)
		answer(m, a->token);
	mint_free(m);
}

static void
ask_vault(struct mint *m)
{
	struct chan *vault = proc_peer(ROLE_VAULT);
	MSG_INIT(node_sign, q);

	q.node = span_str(m->row.sub);
	q.role = span_str(m->task);
	q.issuer = span_str(judge_conf.issuer);
	q.iat = m->row.created_ms / 1000;
	q.exp = m->row.expires_ms / 1000;
	if (vault != NULL &&
	    chan_ask(vault, MSG_node_sign, &q, VAULT_MS, on_signed, m) != 0)
		return;
	refuse(&m->d, 503, "Tokens cannot be signed at the moment");
	mint_free(m);
}

/* 0, or in how many seconds a node may try again. */
static uint32_t
count_attempt(void)
{
	static struct limiter *limiter;
	uint32_t wait;

	if (limiter == NULL &&
	    (limiter = limiter_new(
		 (struct limit_rate){judge_conf.cluster_per_minute, 60000})) == NULL)
		return 1;
	if ((wait = limiter_check(limiter, loop_now_ms())) == 0)
		limiter_take(limiter, loop_now_ms());
	return wait;
}

void
cluster_attest(struct api_call *c)
{
	struct seal_refusal busy = {
	    .code = SEAL_RATE, .message = "Too many attestations of nodes", .flat = true};
	char nonce[65];
	struct json_doc doc;
	const struct node *n;
	const char *why = "The body must be a JSON object";
	struct mint *m;

	if (cluster_on(c) != 0)
		return;
	c->d->row.event = span_str("NodeAttestationFailed");
	c->d->budget = LEDGER_CAUSE_ATTEST;
	if ((busy.retry_after = count_attempt()) != 0) {
		seal_refuse(c->d, &busy);
		return;
	}
	if ((m = mint_new()) == NULL) {
		refuse(c->d, 503, "Too many attestations at once");
		return;
	}
	json_init(&doc);
	if (json_parse(&doc, c->m->body.p, c->m->body.len, NULL) == JSON_OK)
		why = read_body(&doc, m, nonce);
	json_free(&doc);
	if (why != NULL) {
		refuse(c->d, SEAL_ATTEST, why);
		mint_free(m);
		return;
	}
	c->d->row.workload = span_str(m->row.sub);
	n = cluster_find(c->tenant, m->row.sub);
	if (n != NULL && memcmp(n->row.public_key, m->row.public_key, 32) != 0) {
		refuse(c->d, SEAL_WORKLOAD, "This node is known by another key");
		mint_free(m);
		return;
	}
	turn_touched();
	switch (store_node_nonce(judge_store, c->tenant, nonce, judge_now_ms())) {
	case 0:
		break;
	case STORE_EXISTS:
		seal_refuse(c->d,
		    &(struct seal_refusal){.code = SEAL_ATTEST,
			.message = "This nonce was used before",
			.reason = "replay",
			.flat = true});
		mint_free(m);
		return;
	default:
		refuse(c->d, 503, "The nonce could not be stored");
		mint_free(m);
		return;
	}
	mint_row(m, c->tenant, TOKEN_S);
	(void)span_copy(span_str(m->row.sub), m->wid, sizeof m->wid);
	c->d->budget = -1;
	mint_take(m, c->d, c->m->peer, c->d->row.path);
	m->d.row.event = span_str("NodeAttestationFailed");
	m->d.row.context = m->d.row.exec = (struct span){NULL, 0};
	ask_vault(m);
}
