/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See line.h. What comes after a row's hash is evidence, which the text binds by its own
 * hash.
 */
#include "aegis/line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/b64.h"
#include "common/hex.h"
#include "common/rfc3339.h"

#define LEN(literal) (sizeof(literal) - 1)

/* -- header and checkpoint -- */

int
line_read_header(const char *line, size_t len, struct line_header *h)
{
	struct line_cursor c = {line, line + len, false};

	LINE_EXPECT(&c, "{\"ledger\":\"aegis-2\",\"chain\":\"");
	line_copy(&c, h->chain, sizeof(h->chain));
	LINE_EXPECT(&c, "\",\"from\":");
	h->from = line_number(&c);
	LINE_EXPECT(&c, ",\"prev\":\"");
	line_hash(&c, h->prev);
	LINE_EXPECT(&c, "\"}");
	return line_done(&c) ? 0 : -1;
}

void
line_take_checkpoint(struct line_cursor *c, struct line_checkpoint *cp)
{
	struct span signature;
	int64_t when;

	LINE_EXPECT(c, "{\"chain\":\"");
	line_copy(c, cp->chain, sizeof(cp->chain));
	LINE_EXPECT(c, "\",\"seq\":");
	cp->seq = line_number(c);
	LINE_EXPECT(c, ",\"head\":\"");
	line_hash(c, cp->head);
	LINE_EXPECT(c, "\",\"root\":\"");
	line_hash(c, cp->root);
	LINE_EXPECT(c, "\",\"time\":\"");
	line_copy(c, cp->time, sizeof(cp->time));
	LINE_EXPECT(c, "\",\"kid\":\"");
	line_copy(c, cp->kid, sizeof(cp->kid));
	LINE_EXPECT(c, "\"},\"signature\":\"");
	signature = line_text(c);
	LINE_EXPECT(c, "\"");
	if (c->bad || rfc3339_parse(cp->time, strlen(cp->time), &when, NULL) == -1 ||
	    b64_decode(B64_STD, signature.p, signature.len, cp->signature,
		sizeof(cp->signature)) != 64)
		c->bad = true;
}

int
line_read_checkpoint(const char *line, size_t len, struct line_checkpoint *cp)
{
	struct line_cursor c = {line, line + len, false};

	LINE_EXPECT(&c, "{\"checkpoint\":");
	line_take_checkpoint(&c, cp);
	LINE_EXPECT(&c, "}");
	return line_done(&c) ? 0 : -1;
}

size_t
line_signed_text(const struct line_checkpoint *cp, char *out, size_t size)
{
	char head[LINE_HEX + 1], root[LINE_HEX + 1];
	int n;

	(void)hex_encode(cp->head, 32, head, sizeof(head));
	(void)hex_encode(cp->root, 32, root, sizeof(root));
	n = snprintf(out, size, "aegis-checkpoint-2\n%s\n%" PRIu64 "\n%s\n%s\n%s\n",
	    cp->chain, cp->seq, head, root, cp->time);
	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

/* -- rows -- */

int
line_read_text(struct span text, uint64_t *seq, struct span *chain)
{
	struct line_cursor c = {text.p, text.p + text.len, false};

	LINE_EXPECT(&c, "{\"seq\":");
	*seq = line_number(&c);
	LINE_EXPECT(&c, ",\"time\":\"");
	(void)line_text(&c);
	LINE_EXPECT(&c, "\",\"chain\":\"");
	*chain = line_text(&c);
	LINE_EXPECT(&c, "\"");
	return !c.bad && chain->len <= 64 && text.p[text.len - 1] == '}' ? 0 : -1;
}

/* {"payload":P,"timestamp":N}} at the end of the line; P is not looked into here. */
static void
take_signed(struct line_cursor *c, struct line_row *r)
{
	const char *end = c->end - 2, *digits = end;

	if (!line_try(c, "{\"payload\":")) {
		r->evidence = LINE_SIGNED_TEXT;
		r->object = span_mem(c->p, (size_t)(c->end - c->p) - 1);
		c->bad = c->bad || r->object.len < 2 || *c->p != '{';
		c->p = c->end - 1;
		LINE_EXPECT(c, "}");
		return;
	}
	r->evidence = LINE_SIGNED;
	while (digits > c->p && digits[-1] >= '0' && digits[-1] <= '9')
		digits--;
	r->timestamp = span_mem(digits, (size_t)(end > digits ? end - digits : 0));
	if (digits - c->p <= (ptrdiff_t)LEN(",\"timestamp\":") || digits >= end) {
		c->bad = true;
		return;
	}
	r->payload = span_mem(c->p, (size_t)(digits - c->p) - LEN(",\"timestamp\":"));
	c->p = digits - LEN(",\"timestamp\":");
	LINE_EXPECT(c, ",\"timestamp\":");
	c->p = end;
	LINE_EXPECT(c, "}}");
}

int
line_read_row(const char *line, size_t len, struct line_row *r)
{
	struct line_cursor c = {line, line + len, false};
	const char *hash;

	LINE_EXPECT(&c, LINE_ROW);
	hash = line_row_end(&c);
	if (hash == NULL)
		return -1;
	r->text = span_mem(c.p, (size_t)(hash - c.p));
	c.p = hash;
	LINE_EXPECT(&c, LINE_HASH);
	line_hash(&c, r->hash);
	LINE_EXPECT(&c, "\"");
	r->bare_len = (size_t)(c.p - line);
	r->evidence = LINE_NONE;
	if (line_try(&c, ",\"signed\":")) {
		take_signed(&c, r);
	} else if (line_try(&c, ",\"token\":\"")) {
		r->evidence = LINE_TOKEN;
		r->token = line_text(&c);
		LINE_EXPECT(&c, "\"}");
	} else {
		LINE_EXPECT(&c, "}");
	}
	return line_done(&c) && line_read_text(r->text, &r->seq, &r->chain) == 0 ? 0 : -1;
}

struct span
line_member(struct span text, const char *name)
{
	char pattern[32];
	const char *p, *end;
	int n = snprintf(pattern, sizeof(pattern), ",\"%s\":\"", name);

	p = memmem(text.p, text.len, pattern, (size_t)n);
	if (p == NULL)
		return (struct span){NULL, 0};
	p += n;
	end = memchr(p, '"', (size_t)(text.p + text.len - p));
	if (end == NULL || memchr(p, '\\', (size_t)(end - p)) != NULL)
		return (struct span){NULL, 0};
	return (struct span){p, (size_t)(end - p)};
}
