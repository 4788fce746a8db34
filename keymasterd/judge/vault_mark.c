/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Noticing an older vault file; see vault_mark.h. Judge only. The number comes from vault
 * and is authenticated by its file; who changes this database as well is found by a kept
 * export or checkpoint of the ledger, which has the rows.
 */
#include "keymasterd/judge/vault_mark.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/turn.h"

#define KEY "vault_saves"

static uint64_t missing;

static uint64_t
known(void)
{
	char text[24];

	return store_meta_get(judge_store, KEY, text, sizeof(text)) == 0
	    ? strtoull(text, NULL, 10)
	    : 0;
}

static void
keep(uint64_t saves)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)saves);
	(void)store_meta_set(judge_store, KEY, text); /* a failure fails the turn */
}

static void
row(const char *event, const char *detail)
{
	struct ledger_row r = {
	    .kind = LEDGER_SYSTEM, .event = span_str(event), .detail = span_str(detail)};

	(void)ledger_append(&r, NULL);
}

void
vault_mark_saved(uint64_t saves)
{
	char text[32];

	if (saves <= known())
		return;
	snprintf(text, sizeof(text), "save %llu", (unsigned long long)saves);
	row("vault.save", text);
	keep(saves);
}

void
vault_mark_opened(uint64_t saves)
{
	uint64_t last = known();
	char text[320];

	missing = 0;
	if (saves == 0)
		return;
	if (last == 0) {
		keep(saves);
	} else if (saves >= last) {
		vault_mark_saved(saves);
	} else {
		missing = last - saves;
		snprintf(text, sizeof(text),
		    "vault's file is that of save %llu, save %llu was made: an older one "
		    "was put in its place, so credentials that were rotated, changed or "
		    "removed since may be as before. Bring the newest file back, or "
		    "compare with `aegis vault list` and rotate",
		    (unsigned long long)saves, (unsigned long long)last);
		LOG_ERROR("vault.rollback", LU("saves", saves), LU("known", last),
		    LS("what", text));
		row("vault.rollback", text);
		/* told once; from here on the file that is there counts */
		keep(saves);
	}
}

uint64_t
vault_mark_missing(void)
{
	return missing;
}
