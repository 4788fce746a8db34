/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of old secrets, as they come; see grace.h. Runs in vault only. */
#include <event2/event.h>

#include "common/log.h"
#include "common/loop.h"
#include "keymasterd/vault/grace.h"
#include "keymasterd/vault/serve.h"

#define AGAIN_MS 5000      /* the file could not be saved */
#define LONGEST_MS 3600000 /* the clock may be set meanwhile */

static struct event *timer;

static void
over(struct span tenant, struct span name)
{
	LOG_INFO("vault.grace_over", LSN("tenant", tenant.p, tenant.len),
	    LSN("credential", name.p, name.len));
	serve_credential_changed(tenant, name, 0);
}

static void
on_end(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	grace_watch();
}

void
grace_watch(void)
{
	uint64_t now = grace_now_ms(), next = serve_provider->expire(now, over), ms;
	struct timeval tv;

	if (timer == NULL)
		timer = evtimer_new(loop_base(), on_end, NULL);
	if (timer == NULL)
		return; /* it is not given out any more in any case */
	(void)evtimer_del(timer);
	if (next == 0)
		return;
	ms = next == UINT64_MAX ? AGAIN_MS : next - now;
	if (ms > LONGEST_MS)
		ms = LONGEST_MS;
	tv = (struct timeval){(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};
	(void)evtimer_add(timer, &tv);
}
