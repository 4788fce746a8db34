/* SPDX-License-Identifier: Apache-2.0 */
/* Lines to workers and toolexec; see line.h and serve.h. Runs in vault. */
#include "keymasterd/vault/line.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/proc.h"
#include "keymasterd/vault/pending.h"
#include "keymasterd/vault/serve.h"

struct line_list lines = LIST_HEAD_INITIALIZER(lines);

/* NULL when there is no memory: its handlers then refuse, and the peer loses the door. */
void *
serve_line_new(struct chan *c, uint32_t instance, const char *tenant, const char *name)
{
	struct line *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->chan = c;
	l->instance = instance;
	if ((size_t)snprintf(l->tenant, sizeof(l->tenant), "%s", tenant) >=
		sizeof(l->tenant) ||
	    (size_t)snprintf(l->name, sizeof(l->name), "%s", name) >= sizeof(l->name) ||
	    (size_t)snprintf(l->execution, sizeof(l->execution), "%s",
		proc_peer_execution()) >= sizeof(l->execution)) {
		free(l);
		return NULL;
	}
	LIST_INSERT_HEAD(&lines, l, entry);
	return l;
}

void
serve_line_gone(struct chan *c, void *owner)
{
	struct line *l = owner;

	pending_forget(c);
	if (l == NULL)
		return;
	LIST_REMOVE(l, entry);
	if (chan_peer_role(c) == ROLE_TOOLEXEC)
		serve_provider->lease_over(l->instance, 0);
	free(l);
}

void
serve_judge_gone(struct chan *c, void *owner)
{
	(void)owner;
	pending_forget(c);
}
