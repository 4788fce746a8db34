/* SPDX-License-Identifier: Apache-2.0 */
/* /health; see health.h. gated. */
#include "gated/health.h"

#include "gated/answer.h"

static bool sealed;

int
health_vault_state(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_vault_state *m = msg;

	(void)c;
	(void)reqid;
	sealed = m->sealed != 0;
	return 0;
}

void
health_answer(struct req *r)
{
	static char good[] = "{\"status\":\"ok\",\"version\":\"" AEGIS_VERSION "\"}\n";
	static char shut[] =
	    "{\"status\":\"sealed\",\"version\":\"" AEGIS_VERSION
	    "\",\"error\":\"The vault is sealed\",\"hint\":\"Nothing is served until its "
	    "operators have opened it with: aegis vault unseal\"}\n";
	struct iovec iov = {
	    sealed ? shut : good, sealed ? sizeof(shut) - 1 : sizeof(good) - 1};

	answer_json(r, sealed ? 503 : 200, (struct span){"", 0}, &iov, 1);
}
