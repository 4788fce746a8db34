/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receipts (doc/ledger-format.md): one row, the path from it to the root of the Merkle
 * tree, and the checkpoint that signs the root. They have one form only, as the ledger's
 * lines have; each octet of it is shown to be right, or the whole is refused.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aegis/line.h"
#include "aegis/verify.h"
#include "common/b64.h"
#include "common/ed25519.h"
#include "common/sha256.h"

struct shown {
	struct span text, chain;
	uint64_t seq, index;
	uint8_t hash[32], prev[32], path[MERKLE_PATH_MAX][32];
	size_t npath;
};

/* "row":TEXT,"hash":H,"prev":H,"index":N,"path":[H,...] */
static void
take_shown(struct line_cursor *c, struct shown *s)
{
	const char *end;

	LINE_EXPECT(c, "\"row\":");
	end = c->bad ? NULL : memmem(c->p, (size_t)(c->end - c->p), ",\"hash\":\"", 9);
	if (end == NULL || end == c->p) {
		c->bad = true;
		return;
	}
	s->text = span_mem(c->p, (size_t)(end - c->p));
	if (line_read_text(s->text, &s->seq, &s->chain) == -1)
		c->bad = true;
	c->p = end;
	LINE_EXPECT(c, ",\"hash\":\"");
	line_hash(c, s->hash);
	LINE_EXPECT(c, "\",\"prev\":\"");
	line_hash(c, s->prev);
	LINE_EXPECT(c, "\",\"index\":");
	s->index = line_number(c);
	LINE_EXPECT(c, ",\"path\":[");
	s->npath = 0;
	if (line_try(c, "]"))
		return;
	do {
		if (s->npath == MERKLE_PATH_MAX) {
			c->bad = true;
			return;
		}
		LINE_EXPECT(c, "\"");
		line_hash(c, s->path[s->npath++]);
		LINE_EXPECT(c, "\"");
	} while (line_try(c, ","));
	LINE_EXPECT(c, "]");
}

/* NULL, or why the row is not shown to be in the tree. */
static const char *
check_shown(const struct shown *s, const struct line_checkpoint *cp)
{
	uint8_t hash[32], leaf[32];

	if (s->index != s->seq)
		return "it names another row's number than the row itself";
	if (!span_eq(s->chain, cp->chain))
		return "row and checkpoint are of two ledgers";
	sha256_two(s->prev, 32, s->text.p, s->text.len, hash);
	if (memcmp(hash, s->hash, 32) != 0)
		return "the row does not have the hash that it had in the ledger";
	merkle_leaf(hash, 32, leaf);
	if (merkle_path_verify(leaf, s->seq - 1, cp->seq, (const uint8_t(*)[32])s->path,
		s->npath, cp->root) == -1)
		return "the row is not among those that the checkpoint seals";
	return NULL;
}

static bool
is_member(const struct span text, const char *name, const char *value)
{
	return span_eq(line_member(text, name), value);
}

/* NULL, or why the second row is not the completion of the first. */
static const char *
check_completion(const struct shown *row, const struct shown *completion)
{
	struct span request = line_member(row->text, "request");
	struct span other = line_member(completion->text, "request");

	if (!is_member(completion->text, "kind", "completion") || request.len == 0 ||
	    request.len != other.len || memcmp(request.p, other.p, other.len) != 0 ||
	    completion->seq <= row->seq)
		return "what it calls the row's completion is another row";
	return NULL;
}

static const char *
check(const struct shown *row, const struct shown *completion,
    const struct line_checkpoint *cp, const uint8_t named[32], const uint8_t key[32])
{
	char text[320], kid[17];
	size_t n = line_signed_text(cp, text, sizeof(text));
	const char *why;

	verify_kid(key, kid);
	if (memcmp(named, key, 32) != 0 || strcmp(kid, cp->kid) != 0)
		return "it was made with another key";
	if (n == 0 || ed25519_verify(key, text, n, cp->signature) == -1)
		return "its checkpoint was not signed by this key";
	why = check_shown(row, cp);
	if (why == NULL && completion->seq > 0)
		why = check_shown(completion, cp);
	if (why == NULL && completion->seq > 0)
		why = check_completion(row, completion);
	return why;
}

int
verify_receipt(const char *json, size_t len, const uint8_t key[32],
    struct verify_receipt *r, char *err, size_t err_size)
{
	struct line_cursor c = {json, json + len, false};
	struct shown row, completion = {.seq = 0};
	struct line_checkpoint cp;
	struct span b64;
	uint8_t named[32];
	const char *why = NULL;

	memset(r, 0, sizeof(*r));
	if (len > 0 && json[len - 1] == '\n')
		c.end--;
	LINE_EXPECT(&c, "{\"receipt\":\"aegis-1\",");
	take_shown(&c, &row);
	if (line_try(&c, ",\"completion\":{")) {
		take_shown(&c, &completion);
		LINE_EXPECT(&c, "}");
	}
	LINE_EXPECT(&c, ",\"checkpoint\":");
	line_take_checkpoint(&c, &cp);
	LINE_EXPECT(&c, ",\"public_key\":\"");
	b64 = line_text(&c);
	LINE_EXPECT(&c, "\"}");
	if (!line_done(&c) || b64_decode(B64_STD, b64.p, b64.len, named, 32) != 32)
		why =
		    "it does not have the form of one; it must stand as it was given, to "
		    "the octet";
	else
		why = check(&row, &completion, &cp, named, key);
	if (why != NULL) {
		snprintf(err, err_size, "this is no receipt of that ledger: %s", why);
		return -1;
	}
	*r = (struct verify_receipt){.row = row.seq,
	    .sealed_row = cp.seq,
	    .text = row.text.p,
	    .text_len = row.text.len,
	    .completion = completion.seq};
	memcpy(r->chain, cp.chain, sizeof(r->chain));
	memcpy(r->sealed_time, cp.time, sizeof(r->sealed_time));
	return 0;
}
