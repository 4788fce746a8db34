/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of two secrets a request carries; see grace.h. The worker, on what upstreams
 * answer: the worst that a hostile one gets is the other one of two secrets that are both
 * meant for it.
 */
#include "egressd/worker/grace.h"

#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/exchange.h"
#include "egressd/worker/respond.h"

#define LOOK_MS 30000 /* while the old one is taken, the new one is tried this often */

static bool
is_over(const struct grace *g)
{
	return g->old == NULL || loop_boot_ms() >= g->until_ms;
}

/* Its body is here in whole, and twice is like once. */
static bool
may_repeat(const struct exchange *ex)
{
	return ex->idempotent && !ex->up_body.streamed && !ex->hook && ex->gate != NULL;
}

void
grace_choose(struct exchange *ex)
{
	struct grace *g = &ex->credential->grace;

	if (is_over(g) || !g->old_first)
		return;
	if (may_repeat(ex) && loop_boot_ms() >= g->look_ms) {
		g->look_ms = loop_boot_ms() + LOOK_MS;
		return;
	}
	ex->with_old = true;
}

const struct credential *
grace_secret(const struct exchange *ex)
{
	return ex->with_old ? ex->credential->grace.old : ex->credential;
}

static void
prefer(const struct exchange *ex, bool old)
{
	struct grace *g = &ex->credential->grace;

	if (g->old_first != old)
		LOG_WARN("credential.grace", LS("service", ex->credential->service),
		    LS("taken", old ? "the secret before the rotation" : "the new one"),
		    exchange_log(ex));
	if (old && !g->old_first)
		g->look_ms = loop_boot_ms() + LOOK_MS;
	g->old_first = old;
}

static void
start_over(struct exchange *ex)
{
	ex->with_both = true;
	ex->with_old = !ex->with_old;
	ex->keep = false;
	exchange_release(ex);
	buf_wipe_free(&ex->in);
	ex->need = 0;
	ex->interim = 0;
	ex->answered = false;
	http1_parser_init(&ex->parser,
	    ex->head_only ? HTTP1_RESPONSE_HEAD : HTTP1_RESPONSE, &respond_limits);
}

bool
grace_answered(struct exchange *ex, int status)
{
	struct grace *g = &ex->credential->grace;

	if (is_over(g))
		return false;
	if (status != 401) {
		g->proven = g->proven || !ex->with_old;
		prefer(ex, ex->with_old);
		return false;
	}
	if (ex->with_both) /* neither is good for this: nothing learned */
		return false;
	if (may_repeat(ex)) {
		start_over(ex);
		return true;
	}
	if (ex->with_old)
		prefer(ex, false);
	else if (!g->proven)
		prefer(ex, true);
	return false;
}
