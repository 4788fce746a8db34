/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices when files of policies change. The master.
 */
#ifndef AEGIS_POLICY_WATCH_H
#define AEGIS_POLICY_WATCH_H

/*
 * Watches a file, or the policy files of a directory, and every directory and link on the
 * way there, whether they exist or not; NULL ends it. `changed` is called when nothing
 * has happened for 500 ms, 5 s after the first change at the latest. What was watched
 * before is forgotten: watch again and then read, so that nothing falls between. The path
 * is absolute.
 */
void policy_watch(const char *path, void (*changed)(void));
/* As if something had changed now: what was read is from before the watch. */
void policy_watch_soon(void);

#endif
