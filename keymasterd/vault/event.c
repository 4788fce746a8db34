/* SPDX-License-Identifier: Apache-2.0 */
/* Notes to the judge about OpenBao; see event.h. Runs in vault. */
#include "keymasterd/vault/event.h"

#include <stdio.h>

#include "common/proc.h"

#define KEPT_MAX 16 /* the oldest goes; the log has them all */

static struct kept {
	enum openbao_event event;
	char detail[401];
} kept[KEPT_MAX];
static unsigned first, nkept;

static int
send(enum openbao_event event, const char *detail)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(openbao_event, m);

	if (judge == NULL)
		return -1;
	m.event = (uint8_t)event;
	m.detail = span_str(detail);
	return chan_note(judge, MSG_openbao_event, &m);
}

void
event_tell(enum openbao_event event, const char *detail)
{
	struct kept *k;

	if (nkept == 0 && send(event, detail) == 0)
		return;
	if (nkept == KEPT_MAX)
		first = (first + 1) % KEPT_MAX;
	else
		nkept++;
	k = &kept[(first + nkept - 1) % KEPT_MAX];
	k->event = event;
	snprintf(k->detail, sizeof(k->detail), "%s", detail);
}

void
event_flush(void)
{
	for (; nkept > 0; nkept--, first = (first + 1) % KEPT_MAX)
		if (send(kept[first].event, kept[first].detail) == -1)
			return;
}
