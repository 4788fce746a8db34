/* SPDX-License-Identifier: Apache-2.0 */
/* What vault says of OpenBao; see openbao.h. Judge only. */
#include "keymasterd/judge/openbao.h"

#include "common/chan.h"
#include "common/log.h"
#include "common/proto.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"

static const struct {
	const char *event, *state; /* NULL: the state stays */
} rows[] = {
    [OPENBAO_LOGIN] = {"openbao.login", "ready"},
    [OPENBAO_REFUSED] = {"openbao.refused", "refused"},
    [OPENBAO_AWAY] = {"openbao.away", "away"},
    [OPENBAO_BACK] = {"openbao.back", "ready"},
    [OPENBAO_UNWRAPPED] = {"openbao.unwrapped", NULL},
    [OPENBAO_WRAP_USED] = {"openbao.wrap_used", NULL},
    [OPENBAO_WRAP_FOREIGN] = {"openbao.wrap_foreign", NULL},
};

static const char *state = "none";
static char why[401];

int
openbao_event(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_openbao_event *m = msg;
	struct ledger_row row = {.kind = LEDGER_SYSTEM, .detail = m->detail};

	(void)c;
	(void)reqid;
	if (m->event == 0 || m->event >= sizeof(rows) / sizeof(rows[0])) {
		LOG_WARN("openbao.event", LU("unknown", m->event));
		return 0;
	}
	row.event = span_str(rows[m->event].event);
	(void)ledger_append(&row, NULL);
	if (rows[m->event].state == NULL)
		return 0;
	state = rows[m->event].state;
	why[0] = '\0';
	if (m->event == OPENBAO_REFUSED || m->event == OPENBAO_AWAY)
		(void)span_copy(m->detail, why, sizeof(why));
	return 0;
}

const char *
openbao_state(void)
{
	return state;
}

const char *
openbao_why(void)
{
	return why;
}
