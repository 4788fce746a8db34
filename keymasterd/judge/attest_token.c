/* SPDX-License-Identifier: Apache-2.0 */
/* A workload is an agent when it shows the agent's token. Judge only. */
#include <stddef.h>

#include "keymasterd/judge/attest_method.h"
#include "keymasterd/judge/registry.h"

static int
check(struct attest_ask *a, const char **why)
{
	enum agent_token_state state;

	if (a->token.len == 0) {
		*why = "The workload showed no agent token";
		return -1;
	}
	a->found = token_by_text(a->token, judge_now_ms(), &state);
	if (a->found == NULL) {
		*why = state == TOKEN_EXPIRED ? "The agent token has expired"
					      : "The agent token is not known";
		return -1;
	}
	a->agent = a->found->agent;
	return 0;
}

const struct attest_method attest_by_token = {"token", check};

int
attest_check(struct attest_ask *a, const char **why)
{
	static const struct attest_method *const methods[] = {
	    &attest_by_token, &attest_by_process};

	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
		if (methods[i]->check(a, why) != 0)
			return -1;
	return 0;
}
