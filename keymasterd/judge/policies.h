/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policies in force, and the rate windows of their rules. They come whole from the
 * master, which reads the files, at the start and whenever these changed; a set takes the
 * place of the one before in one step. Judge only.
 */
#ifndef AEGIS_JUDGE_POLICIES_H
#define AEGIS_JUDGE_POLICIES_H

#include "common/chan.h"
#include "common/policy.h"

struct agent;
struct limiter;

struct policy_set {
	enum policy_mode mode;
	bool allow; /* agents without a policy */
	char source[1025];
	struct policy **v; /* by agent */
	size_t n;
	struct zone **zones;
	size_t nzones;
	char sha256[65]; /* of all that decides */
	uint64_t since_ms;
	char refused[1001]; /* "", or what is wrong with the files as they are now */
	uint64_t refused_ms;
};

/* Never NULL; POLICY_OFF before the first came. */
const struct policy_set *policies_now(void);
/* The agent's policy, NULL: none, or no agent. */
const struct policy *policy_of(const struct agent *);

/* Before the process serves: the same messages as conf_*. */
int policies_conf_begin(void *msg);
int policies_conf_zone(void *msg);
int policies_conf_add(void *msg);
int policies_conf_commit(void *msg);
/* From the master at any time. */
int policies_begin(struct chan *, uint64_t reqid, void *msg);
int policies_zone(struct chan *, uint64_t reqid, void *msg);
int policies_add(struct chan *, uint64_t reqid, void *msg);
int policies_commit(struct chan *, uint64_t reqid, void *msg);
int policies_refused(struct chan *, uint64_t reqid, void *msg);
/* The ledger is open: a row says what is in force. */
void policies_started(void);

int admin_policy_list(struct chan *, uint64_t reqid, void *msg);
int admin_policies_reload(struct chan *, uint64_t reqid, void *msg);
/* An administrator is gone. */
void policies_forget(const struct chan *);

/* ---- windows: one a rule with a rate, kept while its rule comes and goes ---- */

/* Gives each rule of a set its window; those of no rule stay until they are empty. */
int policy_windows_attach(struct policy_set *);
/* By a rule's key; made for a rule that is not there, since it may come back. NULL: no
 * key, or no memory. */
struct limiter *policy_window(struct span key);
/* fn for each that changed since it was saved. */
void policy_windows_dirty(void (*fn)(struct limiter *, const char *key));
/* Marks all as changed: what was saved was not committed. */
void policy_windows_unsaved(void);
/* Forgets those of no rule that are empty; now and then. */
void policy_windows_sweep(void);

#endif
