/* SPDX-License-Identifier: Apache-2.0 */
/* Questions under way; see pending.h. Runs in vault. */
#include "keymasterd/vault/pending.h"

#include <stdlib.h>

#include "keymasterd/vault/access.h"
#include "keymasterd/vault/serve.h"

static LIST_HEAD(, pending) all = LIST_HEAD_INITIALIZER(all);
static unsigned count;

struct pending *
pending_new(struct chan *c, uint64_t reqid)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->chan = c;
	p->reqid = reqid;
	p->began_us = access_clock_us();
	buf_init(&p->text);
	LIST_INSERT_HEAD(&all, p, entry);
	count++;
	return p;
}

void
pending_free(struct pending *p)
{
	LIST_REMOVE(p, entry);
	count--;
	buf_wipe_free(&p->text);
	free(p);
}

void
pending_forget(const struct chan *c)
{
	struct pending *p;

	LIST_FOREACH (p, &all, entry)
		if (p->chan == c)
			p->chan = NULL;
}

unsigned
pending_count(void)
{
	return count;
}

const struct vault_answer *
pending_tell(
    const struct pending *p, enum access_use use, const struct vault_answer *answer)
{
	return pending_tell_act(p, use, ACCESS_RESOLVE, answer);
}

const struct vault_answer *
pending_tell_act(const struct pending *p, enum access_use use, enum access_act act,
    const struct vault_answer *answer)
{
	static const struct vault_answer untold = {.code = VAULT_IO,
	    .why = "no secret is handed out now: the ledger cannot be told"};
	const struct access a = {.use = use,
	    .act = act,
	    .tenant = span_str(p->tenant),
	    .subject = span_str(p->subject),
	    .variable = span_str(p->variable),
	    .execution = span_str(p->execution),
	    .reference = span_str(p->reference),
	    .code = answer->code,
	    .reason = span_str(answer->code == VAULT_OK ? ""
		    : answer->why != NULL               ? answer->why
							: serve_text(answer->code)),
	    .version = answer->version,
	    .cached = answer->cached != 0,
	    .lease = span_str(answer->lease),
	    .lease_s = answer->lease_s,
	    .latency_us = access_clock_us() - p->began_us};

	return access_tell(&a) == 0 || answer->code != VAULT_OK ? answer : &untold;
}
