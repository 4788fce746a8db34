/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider of a sealed vault: nothing is opened, so it has nothing and signs nothing.
 * Runs in vault until shares have made the key; then the master starts another vault.
 */
#include "keymasterd/vault/provider.h"

static const struct vault_answer locked = {.code = VAULT_LOCKED};

static int
locked_open(const struct vault_open *o, char *why, size_t size)
{
	(void)o;
	(void)why;
	(void)size;
	return 0;
}

static uint32_t
locked_count(void)
{
	return 0;
}

static enum vault_code
locked_seal(const struct credential *c, const struct secret *s, int replace)
{
	(void)c;
	(void)s;
	(void)replace;
	return VAULT_LOCKED;
}

static enum vault_code
locked_drop(struct span tenant, struct span name)
{
	(void)tenant;
	(void)name;
	return VAULT_LOCKED;
}

static uint64_t
locked_expire(uint64_t now_ms, void (*over)(struct span, struct span))
{
	(void)now_ms;
	(void)over;
	return 0;
}

static int
locked_describe(struct span tenant, struct span name, struct credential *out)
{
	(void)tenant;
	(void)name;
	(void)out;
	return -1;
}

static void
locked_fetch(struct span tenant, struct span name, vault_done_fn done, void *arg)
{
	(void)tenant;
	(void)name;
	done(&locked, arg);
}

static void
locked_resolve(const struct vault_question *q, vault_done_fn done, void *arg)
{
	(void)q;
	done(&locked, arg);
}

static void
locked_lease(
    const struct vault_holder *h, struct span reference, vault_done_fn done, void *arg)
{
	(void)h;
	(void)reference;
	done(&locked, arg);
}

static void
locked_lease_over(uint32_t instance, int ended)
{
	(void)instance;
	(void)ended;
}

static void
locked_refresh(void)
{
}

static void
locked_sign(enum vault_key key, const void *p, size_t len, vault_done_fn done, void *arg)
{
	(void)key;
	(void)p;
	(void)len;
	done(&locked, arg);
}

static const uint8_t *
locked_public_key(enum vault_key key)
{
	(void)key;
	return NULL;
}

static void
locked_wait(vault_done_fn done, void *arg)
{
	done(&locked, arg);
}

static void
locked_rotate(uint64_t now_s, uint64_t retires_s, vault_done_fn done, void *arg)
{
	(void)now_s;
	(void)retires_s;
	done(&locked, arg);
}

static size_t
locked_old_keys(uint64_t now_s, struct vault_old_key out[VAULT_OLD_MAX])
{
	(void)now_s;
	(void)out;
	return 0;
}

static int
locked_node_key(int make, uint8_t modulus[VAULT_RSA_LEN])
{
	(void)make;
	(void)modulus;
	return -1;
}

static void
locked_node_sign(const void *p, size_t len, vault_done_fn done, void *arg)
{
	(void)p;
	(void)len;
	done(&locked, arg);
}

static void
locked_encrypt(const struct vault_object *o, int new_key, const struct secret *plain,
    vault_done_fn done, void *arg)
{
	(void)o;
	(void)new_key;
	(void)plain;
	done(&locked, arg);
}

static void
locked_decrypt(
    const struct vault_object *o, struct span text, vault_done_fn done, void *arg)
{
	(void)o;
	(void)text;
	done(&locked, arg);
}

static void
locked_close(void)
{
}

const struct vault_provider provider_locked = {
    .name = "sealed",
    .open = locked_open,
    .count = locked_count,
    .seal = locked_seal,
    .drop = locked_drop,
    .expire = locked_expire,
    .describe = locked_describe,
    .fetch = locked_fetch,
    .resolve = locked_resolve,
    .lease = locked_lease,
    .lease_over = locked_lease_over,
    .refresh = locked_refresh,
    .sign = locked_sign,
    .public_key = locked_public_key,
    .wait = locked_wait,
    .rotate = locked_rotate,
    .old_keys = locked_old_keys,
    .node_key = locked_node_key,
    .node_sign = locked_node_sign,
    .encrypt = locked_encrypt,
    .decrypt = locked_decrypt,
    .close = locked_close,
};
