/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verifier found, in words.
 */
#include <inttypes.h>
#include <stdio.h>

#include "aegis/verify.h"

const char *
verify_kind_name(enum verify_kind k)
{
	static const char *const names[] = {"malformed", "changed", "missing",
	    "reordered", "foreign", "bad_signature", "other_rows_sealed", "other_root",
	    "cut", "old", "other_history", "foreign_evidence", "bad_envelope"};

	return names[k];
}

/* What stands before and after the rows that a finding names. */
static const struct {
	const char *before, *after;
} said[] = {
    [VERIFY_CHANGED] = {"", " was changed ("},
    [VERIFY_MISSING] = {"", " missing (before "},
    [VERIFY_REORDERED] = {"", " out of order or repeated ("},
    [VERIFY_FOREIGN] = {"", " of another chain or key ("},
    [VERIFY_SIGNATURE] = {"the checkpoint over ", " was not signed by this key ("},
    [VERIFY_HEAD] = {"", ": chained anew, since the checkpoint seals other rows ("},
    [VERIFY_ROOT] = {"", ": the checkpoint has another Merkle root ("},
    [VERIFY_HISTORY] = {"",
	": another history than that whose head was kept elsewhere ("},
    [VERIFY_EVIDENCE] = {"the evidence of ", " is not what the row names ("},
    [VERIFY_ENVELOPE] = {"the request of ", " was not signed by its session's key ("},
};

void
verify_describe(const struct verify_finding *f, char *out, size_t size)
{
	char row[64], where[300];

	if (f->file != NULL)
		snprintf(
		    where, sizeof(where), "line %" PRIu64 " of %.200s", f->line, f->file);
	else
		snprintf(where, sizeof(where), "line %" PRIu64, f->line);
	if (f->last > f->first)
		snprintf(
		    row, sizeof(row), "rows %" PRIu64 " to %" PRIu64, f->first, f->last);
	else if (f->kind == VERIFY_FOREIGN && f->first == 0)
		snprintf(row, sizeof(row), "the header is");
	else
		snprintf(row, sizeof(row), "row %" PRIu64, f->first);
	if (f->kind == VERIFY_MALFORMED)
		snprintf(out, size, "%s is no line of a ledger (%s was expected)", where,
		    f->first > 0 ? row : "the header");
	else if (f->kind == VERIFY_OLD)
		snprintf(out, size,
		    "%s missing: this is an old copy, since a head of row %" PRIu64
		    " was kept elsewhere",
		    row, f->last);
	else if (f->kind == VERIFY_CUT && f->last > 0)
		snprintf(
		    out, size, "%s cut off: a checkpoint seals what is not here", row);
	else if (f->kind == VERIFY_CUT)
		snprintf(out, size,
		    "the end is cut off: nothing seals the rows from %" PRIu64 " on",
		    f->first);
	else
		snprintf(out, size, "%s%s%s%s)", said[f->kind].before, row,
		    said[f->kind].after, where);
}
