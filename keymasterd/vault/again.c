/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration once more; see again.h. Runs in vault; the master is trusted, what an
 * operator wrote may be wrong.
 */
#include "keymasterd/vault/again.h"

#include <stddef.h>

#include "common/chan.h"
#include "keymasterd/vault/hook.h"
#include "keymasterd/vault/openbao.h"
#include "keymasterd/vault/serve.h"

static const char *wrong; /* NULL: it can be used */
static int asked;         /* so all of it is here; else we have started with it */

int
again_conf_openbao(struct chan *c, uint64_t reqid, void *msg)
{
	(void)c;
	(void)reqid;
	wrong = openbao_stage(msg);
	return 0;
}

int
again_conf_webhook_secret(struct chan *c, uint64_t reqid, void *msg)
{
	(void)c;
	(void)reqid;
	if (hook_stage(msg) == -1)
		wrong = "webhooks: there are too many, or one cannot be used";
	return 0;
}

int
again_check(struct chan *c, uint64_t reqid, void *msg)
{
	MSG_INIT(conf_checked, a);

	(void)msg;
	asked = 1;
	a.code = wrong != NULL;
	if (wrong != NULL)
		a.message = span_str(wrong);
	return chan_answer(c, reqid, MSG_conf_checked, &a);
}

int
again_apply(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_conf_apply *m = msg;
	int commit = asked && m->commit && wrong == NULL;

	(void)c;
	(void)reqid;
	wrong = NULL;
	asked = 0;
	openbao_stage_end(commit);
	hook_stage_end(commit);
	if (commit)
		serve_provider->refresh();
	return 0;
}
