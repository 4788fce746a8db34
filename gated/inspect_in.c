/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inspector on a request: target and fields at once, the body as it comes. gated. The
 * judge says whether; what was found goes to it, as names and lengths only.
 */
#include <string.h>

#include "common/proto.h"
#include "gated/ask.h"
#include "gated/body.h"
#include "gated/inspect.h"
#include "gated/refuse.h"

static void
look_at_head(struct req *r)
{
	struct span text = req_part(r, r->headers), line;
	const char *end;

	inspect_text(r->body.look, req_part(r, r->target));
	while (text.len > 0) {
		end = memchr(text.p, '\n', text.len);
		line = text;
		if (end != NULL)
			line.len = (size_t)(end + 1 - text.p);
		inspect_text(r->body.look, line);
		text.p += line.len;
		text.len -= line.len;
	}
}

/* How the body is packed; -1: in a way that cannot be looked into, or in several. */
static int
coding_of(const struct req *r, enum inspect_coding *coding)
{
	static const char name[] = "content-encoding:";
	struct span text = req_part(r, r->headers), v = {NULL, 0};
	const char *end;

	while ((end = memchr(text.p, '\r', text.len)) != NULL) {
		if ((size_t)(end - text.p) >= sizeof(name) - 1 &&
		    strncasecmp(text.p, name, sizeof(name) - 1) == 0) {
			if (v.p != NULL)
				return -1;
			v = span_mem(text.p + sizeof(name) - 1,
			    (size_t)(end - text.p) - (sizeof(name) - 1));
		}
		text.len -= (size_t)(end + 2 - text.p);
		text.p = end + 2;
	}
	while (v.len > 0 && *v.p == ' ')
		v = span_mem(v.p + 1, v.len - 1);
	return inspect_coding(v, coding);
}

static void
tell(struct req *r)
{
	struct body *b = &r->body;
	char words[256];

	if (b->told)
		return;
	inspect_words(b->look, inspect_hit(b->look), words, sizeof(words));
	if (words[0] == '\0')
		return;
	b->told = true;
	judge_tell_found(r, words);
}

static int
unreadable(struct req *r)
{
	if (r->body.look_blocks) {
		refuse(r, REFUSAL_BODY_UNREADABLE, 415,
		    "it cannot be unpacked, or unpacks beyond measure");
		return -1;
	}
	judge_tell_found(r, "a body that cannot be looked into");
	inspect_free(r->body.look);
	r->body.look = NULL;
	return 0;
}

static int
found(struct req *r)
{
	char words[256];

	if (!inspect_hit(r->body.look))
		return 0;
	if (!r->body.look_blocks) {
		tell(r);
		return 0;
	}
	inspect_words(r->body.look, true, words, sizeof(words));
	refuse(r, REFUSAL_BODY_INSPECTION, 403, words);
	return -1;
}

int
inspect_begin(struct req *r, unsigned mode)
{
	struct span held = req_body(r);
	struct body *b = &r->body;
	enum inspect_coding coding = INSPECT_PLAIN;
	int known = coding_of(r, &coding);

	if (mode == INSPECT_OFF)
		return 0;
	b->look = inspect_new(coding);
	b->look_blocks = mode == INSPECT_BLOCK;
	if (b->look == NULL) {
		refuse(r, REFUSAL_BODY_TOO_LARGE, 503, "no memory");
		return -1;
	}
	look_at_head(r);
	if (found(r) == -1)
		return -1;
	if (known == -1 && (held.len > 0 || !b->done) && unreadable(r) == -1)
		return -1;
	if (b->look == NULL)
		return 0;
	if (inspect_more(r, held) == -1)
		return -1;
	return b->done ? inspect_finish(r) : 0;
}

int
inspect_more(struct req *r, struct span data)
{
	if (r->body.look == NULL)
		return 0;
	if (inspect_feed(r->body.look, data.p, data.len) == -1)
		return unreadable(r);
	return found(r);
}

int
inspect_finish(struct req *r)
{
	if (r->body.look == NULL)
		return 0;
	if (inspect_end(r->body.look) == -1)
		return unreadable(r);
	if (found(r) == -1)
		return -1;
	tell(r);
	return 0;
}
