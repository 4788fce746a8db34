/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider in front of OpenBao. Runs in vault. Our own file keeps what it has in the
 * embedded provider as well: the descriptions of credentials, with the domains each is
 * bound to, and the ledger's key. References lead to OpenBao, and where a Transit key is
 * configured security tokens are signed there.
 */
#include "common/log.h"
#include "keymasterd/vault/bao_board.h"
#include "keymasterd/vault/bao_kv.h"
#include "keymasterd/vault/bao_place.h"
#include "keymasterd/vault/bao_session.h"
#include "keymasterd/vault/bao_transit.h"
#include "keymasterd/vault/bao_wrap.h"
#include "keymasterd/vault/lease.h"
#include "keymasterd/vault/board.h"
#include "keymasterd/vault/openbao.h"
#include "keymasterd/vault/provider.h"

static int
openbao_open(const struct vault_open *o, char *why, size_t size)
{
	if (provider_embedded.open(o, why, size) == -1)
		return -1;
	bao_wrap_open(o->dirfd);
	bao_session_start();
	(void)lease_start(o->dirfd); /* what cannot be leased is told to who asks */
	if (bao_transit_on())
		bao_transit_start(o->keys_changed);
	return 0;
}

static void
openbao_close(void)
{
	bao_session_close();
	lease_close();
	bao_transit_close();
	bao_kv_forget();
	bao_wrap_close();
	provider_embedded.close();
}

static uint32_t
openbao_count(void)
{
	return provider_embedded.count();
}

static uint64_t
openbao_expire(uint64_t now_ms, void (*over)(struct span, struct span))
{
	return provider_embedded.expire(now_ms, over);
}

static enum vault_code
openbao_seal(const struct credential *c, const struct secret *s, int replace)
{
	return provider_embedded.seal(c, s, replace);
}

static enum vault_code
openbao_drop(struct span tenant, struct span name)
{
	return provider_embedded.drop(tenant, name);
}

static int
openbao_describe(struct span tenant, struct span name, struct credential *out)
{
	return provider_embedded.describe(tenant, name, out);
}

static void
openbao_fetch(struct span tenant, struct span name, vault_done_fn done, void *arg)
{
	provider_embedded.fetch(tenant, name, done, arg);
}

static void
openbao_resolve(const struct vault_question *q, vault_done_fn done, void *arg)
{
	struct vault_answer a = {.code = VAULT_BAD_REFERENCE};
	char name_space[BAO_NAMESPACE_SIZE];
	struct reference ref;

	a.why = bao_place_reference(q->reference, &ref);
	if (a.why == NULL && ref.dynamic)
		a.why = "what is made for each execution can only be a variable of a "
			"tool server";
	if (a.why == NULL) {
		a.code = VAULT_DENIED;
		a.why = bao_place_of(q->tenant, name_space);
	}
	if (a.why != NULL)
		done(&a, arg);
	else
		bao_kv_get(name_space, &ref, q->fresh != 0, done, arg);
}

static void
openbao_lease_over(uint32_t instance, int ended)
{
	if (ended)
		lease_ended(instance);
	else
		lease_handed(instance);
}

static void
openbao_refresh(void)
{
	lease_again();
	bao_kv_forget();
	if (bao_transit_on())
		bao_transit_refresh();
}

static bool
in_transit(enum vault_key key)
{
	return key == VAULT_KEY_TOKEN && bao_transit_on();
}

static void
openbao_sign(enum vault_key key, const void *p, size_t len, vault_done_fn done, void *arg)
{
	if (in_transit(key))
		bao_transit_sign(p, len, done, arg);
	else
		provider_embedded.sign(key, p, len, done, arg);
}

static const uint8_t *
openbao_public_key(enum vault_key key)
{
	return in_transit(key) ? bao_transit_public() : provider_embedded.public_key(key);
}

static void
openbao_wait(vault_done_fn done, void *arg)
{
	if (bao_transit_on())
		bao_transit_wait(done, arg);
	else
		provider_embedded.wait(done, arg);
}

static uint64_t
openbao_saves(void)
{
	return provider_embedded.saves();
}

/* We may sign with the key there, not change it. */
static void
openbao_rotate(uint64_t now_s, uint64_t retires_s, vault_done_fn done, void *arg)
{
	static const struct vault_answer elsewhere = {.code = VAULT_REFUSED,
	    .why = "this key is in OpenBao: rotate it there, with \"bao write -f "
		   "transit/keys/NAME/rotate\"; it is noticed within 20 seconds"};

	if (bao_transit_on())
		done(&elsewhere, arg);
	else
		provider_embedded.rotate(now_s, retires_s, done, arg);
}

static size_t
openbao_old_keys(uint64_t now_s, struct vault_old_key out[VAULT_OLD_MAX])
{
	return bao_transit_on() ? bao_transit_old(now_s, out)
				: provider_embedded.old_keys(now_s, out);
}

static int
openbao_node_key(int make, uint8_t modulus[VAULT_RSA_LEN])
{
	return provider_embedded.node_key(make, modulus);
}

static void
openbao_node_sign(const void *p, size_t len, vault_done_fn done, void *arg)
{
	provider_embedded.node_sign(p, len, done, arg);
}

static void
openbao_encrypt(const struct vault_object *o, int new_key, const struct secret *plain,
    vault_done_fn done, void *arg)
{
	struct vault_answer a = {.code = VAULT_REFUSED,
	    .why =
		"this key is in OpenBao: make a new version there, with \"bao write -f "
		"transit/keys/NAME/rotate\""};
	char name_space[BAO_NAMESPACE_SIZE];

	if (!bao_board_on()) {
		provider_embedded.encrypt(o, new_key, plain, done, arg);
		return;
	}
	if (!new_key) {
		a.code = VAULT_DENIED;
		a.why = bao_place_of(o->tenant, name_space);
	}
	if (a.why != NULL)
		done(&a, arg);
	else
		bao_board_encrypt(name_space, o, plain, done, arg);
}

/* What was encrypted before the key was in OpenBao is still known here. */
static void
openbao_decrypt(
    const struct vault_object *o, struct span text, vault_done_fn done, void *arg)
{
	struct vault_answer a = {.code = VAULT_DENIED};
	char name_space[BAO_NAMESPACE_SIZE];
	struct span rest;

	if (!bao_board_on() || board_version(text, BOARD_OWN, &rest) != 0) {
		provider_embedded.decrypt(o, text, done, arg);
		return;
	}
	a.why = bao_place_of(o->tenant, name_space);
	if (a.why != NULL)
		done(&a, arg);
	else
		bao_board_decrypt(name_space, o, text, done, arg);
}

const struct vault_provider provider_openbao = {
    .name = "openbao",
    .open = openbao_open,
    .count = openbao_count,
    .saves = openbao_saves,
    .seal = openbao_seal,
    .expire = openbao_expire,
    .drop = openbao_drop,
    .describe = openbao_describe,
    .fetch = openbao_fetch,
    .resolve = openbao_resolve,
    .lease = lease_get,
    .lease_over = openbao_lease_over,
    .drain = lease_drain,
    .refresh = openbao_refresh,
    .sign = openbao_sign,
    .public_key = openbao_public_key,
    .wait = openbao_wait,
    .rotate = openbao_rotate,
    .old_keys = openbao_old_keys,
    .node_key = openbao_node_key,
    .node_sign = openbao_node_sign,
    .stop = bao_session_stop,
    .encrypt = openbao_encrypt,
    .decrypt = openbao_decrypt,
    .close = openbao_close,
};
