/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes in memory, and their envelopes; see cluster.h. Judge only, on anybody's bytes. A
 * node can register and say that it lives; its token opens nothing else.
 */
#include "keymasterd/judge/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/replay.h"
#include "common/rfc3339.h"
#include "common/sha256.h"
#include "keymasterd/judge/cluster_int.h"
#include "keymasterd/judge/judge.h"

#include "keymasterd/judge/map.h"
#include "keymasterd/judge/seal_envelope.h"
#include "keymasterd/judge/seal_error.h"
#include "keymasterd/judge/trust.h"
#include "keymasterd/judge/turn.h"

#define LIST_ROOM 44000

static struct node *nodes[CLUSTER_NODES_MAX];
static size_t nnodes;
static struct map by_id; /* tenants have no node in common: an id is random */
static struct seal_envelope envelope;
static struct replay *replay;
static struct jwt token;
static struct buf body;

bool
cluster_uuid_ok(const char *s)
{
	return strlen(s) == 36 && strspn(s, "0123456789abcdefABCDEF-") == 36 &&
	    s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-';
}

struct node *
cluster_find(const char *tenant, const char *id)
{
	struct node *n = map_get(&by_id, id, strlen(id));

	return n != NULL && strcmp(n->row.tenant, tenant) == 0 ? n : NULL;
}

static struct node *
enter(const struct store_node *row)
{
	struct node *n = map_get(&by_id, row->id, strlen(row->id));

	if (n == NULL) {
		if (nnodes == CLUSTER_NODES_MAX || (n = calloc(1, sizeof *n)) == NULL)
			return NULL;
		n->row = *row;
		if (map_put(&by_id, n->row.id, strlen(n->row.id), n) != 0) {
			free(n);
			return NULL;
		}
		nodes[nnodes++] = n;
	}
	if (strcmp(n->row.tenant, row->tenant) != 0)
		return NULL;
	n->row = *row;
	return n;
}

struct node *
cluster_enter(const struct store_node *row)
{
	turn_touched();
	return store_node_put(judge_store, row) == 0 ? enter(row) : NULL;
}

static int
load_one(const struct store_node *row, void *arg)
{
	struct node *n = enter(row);

	(void)arg;
	if (n != NULL)
		n->floor = row->last_time;
	return 0;
}

/* A turn was rolled back. Nodes that are not in the database after all stay in memory
 * until the next start: they can do nothing that they could not do by attesting anew. */
static void
load_again(void *arg)
{
	(void)arg;
	if (store_node_each(judge_store, load_one, NULL) != 0)
		LOG_ERROR("cluster.load", LS("error", store_error(judge_store)));
}

int
cluster_load(void)
{
	if (!judge_conf.cluster)
		return 0;
	seal_envelope_init(&envelope);
	envelope.node = true;
	turn_on_rollback(load_again, NULL);
	if ((replay = replay_new(2000 * (uint64_t)judge_conf.seal_window_s + 2000)) ==
	    NULL)
		return -1;
	return store_node_each(judge_store, load_one, NULL);
}

int
cluster_on(struct api_call *c)
{
	if (judge_conf.cluster)
		return 0;
	c->d->budget = LEDGER_CAUSE_ATTEST;
	api_refuse(c->d, 404, "There is nothing at this path");
	return -1;
}

static int
refuse(struct seal_refusal *r, unsigned code, const char *message, const char *reason)
{
	*r = (struct seal_refusal){.code = code, .message = message, .reason = reason};
	return -1;
}

/* The token is ours, for a node, and of now; `id` becomes whose it says it is. */
static int
check_token(char id[65], char role[17], struct seal_refusal *r)
{
	struct jwt_expect want = {.now = (int64_t)(judge_now_ms() / 1000),
	    .max_life = 3600,
	    .iss = judge_conf.issuer,
	    .aud = TRUST_AUD_NODES};
	const struct json_doc *d = &token.claims;
	uint32_t root;
	enum jwt_err err;

	err = jwt_verify(
	    &token, (const char *)envelope.token.p, envelope.token.len, trust_nodes());
	if (err == JWT_OK)
		err = jwt_check_claims(&token, &want);
	if (err == JWT_E_EXPIRED)
		return refuse(
		    r, SEAL_EXPIRED, "The node's token has expired", "token_expired");
	root = json_root(d);
	if (err != JWT_OK ||
	    json_str_copy(d, json_get(d, root, "nid"), id, 65, NULL) != 0 ||
	    !json_str_eq(d, json_get(d, root, "sub"), id) ||
	    json_str_copy(d, json_get(d, root, "role"), role, 17, NULL) != 0)
		return refuse(
		    r, SEAL_TOKEN, "The node's token is not acceptable", "token_refused");
	return 0;
}

static int
verify(struct api_call *c, struct node **out, char id[65], struct seal_refusal *r)
{
	struct seal_envelope *e = &envelope;
	uint8_t mark[32];
	struct node *n;
	char role[17];

	if (seal_envelope_read(e, c->m->body.p, c->m->body.len) != SEAL_FORM_GOOD)
		return refuse(r, SEAL_MALFORMED,
		    e->fault != NULL ? e->fault : "malformed", "malformed");
	if (!seal_envelope_fresh(
		e, (int64_t)(judge_now_ms() / 1000), judge_conf.seal_window_s))
		return refuse(
		    r, SEAL_EXPIRED, "The timestamp is not of now", "stale_timestamp");
	if (check_token(id, role, r) != 0)
		return -1;
	if ((n = cluster_find(c->tenant, id)) == NULL)
		return refuse(
		    r, SEAL_NO_SESSION, "There is no such node", "unknown_node");
	c->d->row.proof = e->signature; /* also of a refusal: it is what was shown */
	if (seal_envelope_verify(e, n->row.public_key, false) != 0)
		return refuse(
		    r, SEAL_SIGNATURE, "The signature is not the node's", "signature");
	c->d->budget = -1;
	sha256_two(id, strlen(id), e->signature, sizeof e->signature, mark);
	/* what came before our start is known by its second only */
	if (e->timestamp <= (int64_t)n->floor ||
	    replay_stamped(replay, mark, loop_now_ms(), e->timestamp) != 1)
		return refuse(
		    r, SEAL_EXPIRED, "This envelope has been received before", "replay");
	*out = n;
	return 0;
}

static void
answer(struct api_call *c, const struct node *n, const char *op)
{
	struct jsonw w;

	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "protocol", "seal/v1");
	jsonw_key_str(&w, "status", "success");
	jsonw_key(&w, "payload");
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "op", op);
	jsonw_key_str(&w, "node_id", n->row.id);
	jsonw_key_bool(&w, "registered", n->row.registered != 0);
	jsonw_obj_close(&w);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) != 0)
		api_refuse(c->d, 503, "The answer could not be written");
	else
		api_answer(c->d, 200, body.p, body.len);
}

void
cluster_invoke(struct api_call *c)
{
	const struct json_doc *d = &envelope.doc;
	struct seal_refusal r = {.code = 0};
	char id[65] = "", op[17];
	struct store_node row;
	struct node *n = NULL;
	uint32_t named;

	if (cluster_on(c) != 0)
		return;
	c->d->budget = LEDGER_CAUSE_ENVELOPE;
	if (verify(c, &n, id, &r) != 0) {
		if (id[0] != '\0')
			c->d->row.workload = span_str(id);
		seal_refuse(c->d, &r);
		return;
	}
	c->d->row.workload = span_str(id);
	named = json_get(d, envelope.payload, "node_id");
	if (json_str_copy(d, json_get(d, envelope.payload, "op"), op, sizeof op, NULL) !=
		0 ||
	    (strcmp(op, "register") != 0 && strcmp(op, "heartbeat") != 0) ||
	    (named != JSON_NONE && !json_str_eq(d, named, id))) {
		(void)refuse(&r, SEAL_MALFORMED,
		    "payload.op must be register or heartbeat, payload.node_id the "
		    "node's",
		    "malformed");
		seal_refuse(c->d, &r);
		return;
	}
	c->d->row.event =
	    span_str(strcmp(op, "register") == 0 ? "NodeRegistered" : "NodeHeartbeat");
	row = n->row;
	row.seen_ms = judge_now_ms();
	if (envelope.timestamp > (int64_t)row.last_time)
		row.last_time = (uint64_t)envelope.timestamp;
	if (strcmp(op, "register") == 0) {
		row.registered = 1;
	} else if (!row.registered) {
		(void)refuse(&r, SEAL_NO_SESSION, "The node has to register first",
		    "not_registered");
		seal_refuse(c->d, &r);
		return;
	}
	if (cluster_enter(&row) == NULL)
		api_refuse(c->d, 503, "The node could not be stored");
	else
		answer(c, n, op);
}

static void
key_time(struct jsonw *w, const char *name, uint64_t ms)
{
	char text[RFC3339_SIZE];

	if (rfc3339_format((int64_t)(ms / 1000), 0, 0, text, sizeof text) > 0)
		jsonw_key_str(w, name, text);
}

void
cluster_list(struct api_call *c)
{
	char key[B64_SIZE(32)];
	struct jsonw w;

	if (cluster_on(c) != 0)
		return;
	buf_reset(&body);
	jsonw_init(&w, &body);
	jsonw_arr_open(&w);
	for (size_t i = 0; i < nnodes && body.len < LIST_ROOM; i++) {
		const struct store_node *row = &nodes[i]->row;

		if (strcmp(row->tenant, c->tenant) != 0)
			continue;
		(void)b64_encode(B64_STD, row->public_key, 32, key, sizeof key);
		jsonw_obj_open(&w);
		jsonw_key_str(&w, "node_id", row->id);
		jsonw_key_str(&w, "role", row->role);
		jsonw_key_str(&w, "public_key", key);
		jsonw_key_bool(&w, "registered", row->registered != 0);
		key_time(&w, "created_at", row->created_ms);
		key_time(&w, "seen_at", row->seen_ms);
		jsonw_obj_close(&w);
	}
	jsonw_arr_close(&w);
	c->d->row.kind = 0;
	if (jsonw_done(&w) != 0)
		api_refuse(c->d, 503, "The answer could not be written");
	else
		api_answer(c->d, 200, body.p, body.len);
}
