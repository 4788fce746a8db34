/* SPDX-License-Identifier: Apache-2.0 */
/* Finding rows by their text, and sums over them. Judge only. */
#ifndef AEGIS_JUDGE_LEDGER_FIND_H
#define AEGIS_JUDGE_LEDGER_FIND_H

#include <stdint.h>

#include "common/msg.h"
#include "common/span.h"

struct chan;

/* What a row must contain; each as it stands in the text. Empty: anything. */
struct ledger_filter {
	char since[40]; /* RFC 3339 with microseconds */
	char parts[5][160];
	unsigned nparts;
};

/* 0, or -1 when a filter cannot be understood. */
int ledger_filter_make(struct ledger_filter *, const struct msg_ledger_read *);
int ledger_filter_since(struct ledger_filter *, struct span since);
int ledger_filter_text(struct ledger_filter *, const char *key, struct span value);
int ledger_filter_match(const struct ledger_filter *, struct span text);
/* The value of a member that is a string without escapes; len 0 when absent. The key is a
 * literal: starts read many rows. */
#define ledger_text_get(text, key) \
	ledger_text_find((text), ",\"" key "\":\"", sizeof(key) + 4)
struct span ledger_text_find(struct span text, const char *mark, size_t len);
/* Does it have this member, with whatever text? */
#define ledger_text_has(text, key) \
	(memmem((text).p, (text).len, ",\"" key "\":\"", sizeof(key) + 4) != NULL)
/* When it was written, Unix milliseconds; 0 when that cannot be read. */
uint64_t ledger_text_ms(struct span text);

/* A connection of an administrator is gone: its sums stop. */
void ledger_stats_gone(const struct chan *);

#endif
