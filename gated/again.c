/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration once more; see again.h. Connections that are open keep the
 * certificate they began with; limits and times count for all from the next time on that
 * they are looked at. gated; the master is trusted, its files may be wrong.
 */
#include "gated/again.h"

#include <stdbool.h>

#include "common/chan.h"
#include "gated/conf.h"
#include "gated/timer.h"
#include "gated/tls.h"

static struct gate_conf next;
static bool have;
static const char *wrong; /* NULL: it can be used */

int
again_conf_gate(struct chan *c, uint64_t reqid, void *msg)
{
	struct msg_conf_gate *m = msg;
	int cert = m->tls_cert, key = m->tls_key;

	(void)c;
	(void)reqid;
	next = gate_conf;
	gate_conf_read(m, &next);
	next.limits = gate_conf.limits; /* requests under way are read by them */
	have = true;
	wrong = NULL;
	tls_forget();
	if ((cert < 0) != (key < 0)) {
		wrong = "gate.tls: certificate or key is missing";
	} else if (cert >= 0 && tls_wanted()) {
		m->tls_cert = m->tls_key = -1;
		wrong = tls_stage_take(cert, key);
	}
	return 0;
}

int
again_check(struct chan *c, uint64_t reqid, void *msg)
{
	MSG_INIT(conf_checked, a);

	(void)msg;
	a.code = wrong != NULL;
	if (wrong != NULL)
		a.message = span_str(wrong);
	return chan_answer(c, reqid, MSG_conf_checked, &a);
}

int
again_apply(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_conf_apply *m = msg;

	(void)c;
	(void)reqid;
	if (have && m->commit && wrong == NULL) {
		gate_conf = next;
		timers_lengths();
		tls_commit();
	}
	tls_forget();
	have = false;
	return 0;
}
