/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be done with blackboards; see board_offer.h. Runs in vault only. */
#include "keymasterd/vault/board_offer.h"

#include <sodium.h>
#include <stdlib.h>

#include "common/loop.h"

static LIST_HEAD(, board_offer) offers = LIST_HEAD_INITIALIZER(offers);

static struct board_offer *
of_connection(const struct chan *c)
{
	struct board_offer *o;

	LIST_FOREACH (o, &offers, entry)
		if (o->chan == c)
			return o;
	return NULL;
}

void
board_offer_forget(const struct chan *c)
{
	struct board_offer *o = of_connection(c);

	if (o != NULL)
		LIST_REMOVE(o, entry);
	free(o);
}

const struct board_offer *
board_offer_keep(
    const struct chan *c, struct span tenant, struct span object, enum board_act act)
{
	struct board_offer *o = calloc(1, sizeof(*o));

	if (o == NULL || span_copy(tenant, o->tenant, sizeof(o->tenant)) == -1 ||
	    span_copy(object, o->object, sizeof(o->object)) == -1) {
		free(o);
		return NULL;
	}
	board_offer_forget(c);
	o->chan = c;
	o->act = act;
	o->until_ms = loop_now_ms() + OFFER_LIFE_MS;
	randombytes_buf(o->id, sizeof(o->id));
	LIST_INSERT_HEAD(&offers, o, entry);
	return o;
}

const char *
board_offer_confirm(const uint8_t id[OFFER_ID_LEN], struct span tenant,
    struct span object, enum board_act act)
{
	struct board_offer *o;

	LIST_FOREACH (o, &offers, entry)
		if (sodium_memcmp(o->id, id, OFFER_ID_LEN) == 0)
			break;
	if (o == NULL || loop_now_ms() >= o->until_ms)
		return "no administrator wants this of vault, or it took too long";
	if (!span_eq(tenant, o->tenant) || !span_eq(object, o->object) || act != o->act)
		return "the judge named other than what was asked of vault";
	o->confirmed = true;
	return NULL;
}

struct board_offer *
board_offer_take(const struct chan *c, bool decrypt, const char **why)
{
	struct board_offer *o = of_connection(c);

	*why = "vault was not told what is to be done";
	if (o == NULL)
		return NULL;
	LIST_REMOVE(o, entry);
	if (!o->confirmed)
		*why = "the judge has not confirmed it";
	else if (loop_now_ms() >= o->until_ms)
		*why = "it took too long: do it again";
	else if ((o->act == BOARD_DECRYPT) != decrypt)
		*why = "something else was confirmed";
	else
		*why = NULL;
	return o;
}
