/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of webhooks that wait for a worker. Judge only. */
#ifndef AEGIS_JUDGE_HOOK_TEST_H
#define AEGIS_JUDGE_HOOK_TEST_H

struct chan;

/* Ten times a second. */
void hook_test_tick(void);
/* An administrator is gone. */
void hook_test_gone(const struct chan *);

#endif
