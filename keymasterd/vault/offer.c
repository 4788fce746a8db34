/* SPDX-License-Identifier: Apache-2.0 */
/* What administrators have brought; see offer.h. Runs in vault only. */
#include "keymasterd/vault/offer.h"

#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/loop.h"
#include "common/proto.h"

struct offer {
	LIST_ENTRY(offer) entry;
	const struct chan *chan;
	uint8_t id[OFFER_ID_LEN];
	uint64_t until_ms;
	int add;
	uint32_t set;
	struct secret *secret;
	struct credential meta; /* points into texts */
	char texts[];
};

static LIST_HEAD(, offer) offers = LIST_HEAD_INITIALIZER(offers);

void
offer_end(struct offer *o)
{
	LIST_REMOVE(o, entry);
	secret_free(o->secret);
	free(o);
}

void
offer_forget(const struct chan *c)
{
	struct offer *o, *next;

	for (o = LIST_FIRST(&offers); o != NULL; o = next) {
		next = LIST_NEXT(o, entry);
		if (o->chan == c)
			offer_end(o);
	}
}

const struct offer *
offer_keep(const struct chan *c, const struct credential *m, int add, uint32_t set,
    struct secret *secret)
{
	struct offer *o = calloc(1, sizeof(*o) + credential_octets(m));

	if (o == NULL)
		return NULL;
	offer_forget(c);
	o->chan = c;
	randombytes_buf(o->id, sizeof(o->id));
	o->until_ms = loop_now_ms() + OFFER_LIFE_MS;
	o->add = add;
	o->set = set;
	o->secret = secret;
	o->meta = *m;
	credential_move(&o->meta, o->texts);
	LIST_INSERT_HEAD(&offers, o, entry);
	return o;
}

const uint8_t *
offer_id(const struct offer *o)
{
	return o->id;
}

const struct secret *
offer_secret(const struct offer *o)
{
	return o->secret;
}

struct offer *
offer_find(const uint8_t id[OFFER_ID_LEN])
{
	struct offer *o;

	LIST_FOREACH (o, &offers, entry)
		if (sodium_memcmp(o->id, id, OFFER_ID_LEN) == 0)
			return loop_now_ms() < o->until_ms ? o : NULL;
	return NULL;
}

static int
same(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static int
same_text(const struct credential *a, const struct credential *b, size_t offset)
{
	const struct span *x = (const void *)((const char *)a + offset);
	const struct span *y = (const void *)((const char *)b + offset);

	return same(*x, *y);
}

static int
same_upstream(const struct credential *a, const struct credential *b, size_t offset)
{
	(void)offset;
	return same(a->scheme, b->scheme) && a->port == b->port;
}

static int
same_reference(const struct credential *a, const struct credential *b, size_t offset)
{
	(void)offset;
	return a->reference == b->reference;
}

static int
same_private(const struct credential *a, const struct credential *b, size_t offset)
{
	(void)offset;
	return a->allow_private == b->allow_private;
}

/* What is compared: with what was brought if it was, else with what is sealed. */
#define SEALED(flag)                                                               \
	"vault has another value sealed with it than the judge has recorded: set " \
	"it again with `aegis vault update " flag "`, then repeat this"
static const struct detail {
	uint32_t bit; /* enum credential_field */
	int (*same)(const struct credential *, const struct credential *, size_t);
	size_t offset;
	const char *sealed;
} details[] = {
    {CREDENTIAL_DOMAINS, same_text, offsetof(struct credential, domains),
	SEALED("--domains")},
    {CREDENTIAL_AUTH_TYPE, same_text, offsetof(struct credential, auth_type),
	SEALED("--auth-type")},
    {CREDENTIAL_HEADER_NAME, same_text, offsetof(struct credential, header_name),
	SEALED("--header-name")},
    {CREDENTIAL_QUERY_PARAM, same_text, offsetof(struct credential, query_param),
	SEALED("--query-param")},
    {CREDENTIAL_UPSTREAM, same_upstream, 0, SEALED("--upstream")},
    {CREDENTIAL_PRIVATE, same_private, 0, SEALED("--[no-]allow-private")},
    {CREDENTIAL_METHODS, same_text, offsetof(struct credential, methods),
	SEALED("--allow-methods")},
    {CREDENTIAL_ALLOW_PATHS, same_text, offsetof(struct credential, allow_paths),
	SEALED("--allow-paths")},
    {CREDENTIAL_DENY_PATHS, same_text, offsetof(struct credential, deny_paths),
	SEALED("--deny-paths")},
    {CREDENTIAL_REFERENCE, same_reference, 0, SEALED("--secret-ref")},
};

const char *
offer_refuses(const struct offer *o, const struct credential *asked,
    const struct credential *old, int replace)
{
	static const char other[] = "the judge named other than what was brought";
	const struct credential *m = &o->meta;
	const struct detail *d;
	size_t i;
	int brought;

	if (!same(asked->tenant, m->tenant) || !same(asked->name, m->name))
		return other;
	if (asked->grace_s != m->grace_s)
		return other;
	if (!o->add && old == NULL)
		return "there is no credential of this name";
	if (!o->add && !replace)
		return other;
	if (!same(asked->service, o->add ? m->service : old->service))
		return other;
	for (i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
		d = &details[i];
		/* what was brought as a secret is never sealed as a reference, which
		 * is no secret, nor the other way round */
		brought = d->bit == CREDENTIAL_REFERENCE
		    ? o->secret != NULL
		    : o->add || (o->set & d->bit) != 0;
		if (!d->same(asked, brought ? m : old, d->offset))
			return brought ? other : d->sealed;
	}
	return NULL;
}
