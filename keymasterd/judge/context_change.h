/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing SecurityContexts: what the command line and the API have in common. Each
 * change is a version of its own, kept for good; the caller writes the ledger's row.
 * Judge only.
 */
#ifndef AEGIS_JUDGE_CONTEXT_CHANGE_H
#define AEGIS_JUDGE_CONTEXT_CHANGE_H

#include "keymasterd/judge/context_table.h"

enum context_result {
	CONTEXT_CHANGED = 0,
	CONTEXT_INVALID, /* it is no SecurityContext */
	CONTEXT_CLASH,   /* there is one of that name, or it belongs to the program */
	CONTEXT_UNKNOWN,
	CONTEXT_FAILED /* memory or database */
};

enum context_mode { CONTEXT_ADD = 0, CONTEXT_PUT = 1, CONTEXT_UPDATE = 2 };

struct context_change {
	const char *tenant;
	/* what came of it */
	char name[STORE_CONTEXT_MAX];
	char detail[96]; /* of the row: "version 3 sha256 ..." */
	uint32_t version;
	char sha256[65];
	char err[320]; /* for people: what is wrong and what to do */
};

/* Puts a context into force: a new one, in place of one, or either. */
enum context_result context_put(
    struct context_change *, struct span json, enum context_mode);
/* Takes one away that an administrator made. One of the same name that is built in is in
 * force again. */
enum context_result context_remove(struct context_change *, struct span name);

/* Version 0: the one in force. fn is called once with the JSON, unless it was not found.
 */
enum context_result context_version(struct context_change *, struct span name,
    uint32_t version, void (*fn)(struct span json, void *), void *arg);

#endif
