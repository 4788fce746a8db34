/* SPDX-License-Identifier: Apache-2.0 */
/* Acts under way; see act.h. Judge only. */
#include "keymasterd/judge/act.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/proto.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/turn.h"

static LIST_HEAD(, act) acts = LIST_HEAD_INITIALIZER(acts);

void *
act_new(struct chan *c, uint64_t reqid, const char *event, size_t size)
{
	struct act *a = calloc(1, size);

	if (a == NULL) {
		admin_done(c, reqid, ADMIN_FAILED, "The judge has no memory left.");
		return NULL;
	}
	a->chan = c;
	a->reqid = reqid;
	a->event = event;
	LIST_INSERT_HEAD(&acts, a, entry);
	return a;
}

bool
act_pending(const char *event)
{
	const struct act *a;

	LIST_FOREACH (a, &acts, entry)
		if (strcmp(a->event, event) == 0)
			return true;
	return false;
}

bool
act_changes(struct span credential)
{
	const struct act *a;

	LIST_FOREACH (a, &acts, entry)
		if (a->credential.len == credential.len && credential.len > 0 &&
		    memcmp(a->credential.p, credential.p, credential.len) == 0)
			return true;
	return false;
}

void
act_end_json(struct act *a, uint32_t code, const char *message, struct span json)
{
	if (a->chan != NULL)
		turn_admin_done(a->chan, a->reqid, code, message, json);
	LIST_REMOVE(a, entry);
	free(a);
}

void
act_end(struct act *a, uint32_t code, const char *message)
{
	act_end_json(a, code, message, span_str(""));
}

void
act_result(struct act *a, const struct buf *json)
{
	act_end_json(a, ADMIN_OK, "", span_mem(json->p, json->len));
}

void
act_fail(struct act *a, const char *message)
{
	struct ledger_row row = {.kind = LEDGER_ADMIN,
	    .event = span_str(a->event),
	    .code = span_str("failed"),
	    .reason = span_str(message),
	    .credential = a->credential,
	    .detail = a->detail};

	(void)ledger_append(&row, NULL);
	act_end(a, ADMIN_FAILED, message);
}

const char *
act_vault_why(const struct msg_vault_done *m)
{
	static char why[257];

	if (m->message.len == 0 || span_copy(m->message, why, sizeof(why)) == -1)
		snprintf(why, sizeof(why), "Vault refused (code %u).", m->code);
	return why;
}

void
act_on_vault(struct chan *vault, enum chan_status status, void *msg, void *arg)
{
	const struct msg_vault_done *m = msg;

	(void)vault;
	if (status != CHAN_OK)
		act_fail(arg, "Vault did not answer; try again.");
	else if (m->code != VAULT_OK)
		act_fail(arg, act_vault_why(m));
	else
		act_end(arg, ADMIN_OK, "");
}

void
act_gone(const struct chan *c)
{
	struct act *a;

	LIST_FOREACH (a, &acts, entry)
		if (a->chan == c)
			a->chan = NULL;
}
