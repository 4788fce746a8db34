/* SPDX-License-Identifier: Apache-2.0 */
/* Questions under way; see pending.h. Runs in vault. */
#include "keymasterd/vault/pending.h"

#include <stdlib.h>

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
