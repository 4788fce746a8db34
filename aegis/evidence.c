/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See evidence.h. What an agent signed is put together from the row's evidence and the
 * token of the session, which stands in the row that began it.
 */
#include "aegis/evidence.h"

#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/ed25519.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/sha256.h"

struct session {
	char id[65];
	bool has_key, has_token;
	uint8_t key[32];
	struct buf token;
};

struct evidence {
	void *sessions; /* tsearch(3) */
	struct buf octets, again;
	struct json_doc doc;
};

static int
by_id(const void *a, const void *b)
{
	return strcmp(((const struct session *)a)->id, ((const struct session *)b)->id);
}

struct evidence *
evidence_new(void)
{
	struct evidence *e = calloc(1, sizeof(*e));

	if (e != NULL)
		json_init(&e->doc);
	return e;
}

static void
session_free(void *arg)
{
	struct session *s = arg;

	buf_free(&s->token);
	free(s);
}

void
evidence_free(struct evidence *e)
{
	if (e == NULL)
		return;
	tdestroy(e->sessions, session_free);
	buf_free(&e->octets);
	buf_free(&e->again);
	json_free(&e->doc);
	free(e);
}

/* The session that a row names; with `make` one is made. */
static struct session *
session_of(struct evidence *e, struct span text, bool make)
{
	struct session key = {.has_key = false}, *s, **found;

	if (span_copy(line_member(text, "session"), key.id, sizeof(key.id)) == -1 ||
	    key.id[0] == '\0')
		return NULL;
	found = tfind(&key, &e->sessions, by_id);
	if (found != NULL || !make)
		return found != NULL ? *found : NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	memcpy(s->id, key.id, sizeof(s->id));
	if (tsearch(s, &e->sessions, by_id) == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

/* Whether the octets are those that the row names as `member`. */
static bool
names(struct span text, const char *member, const void *p, size_t len)
{
	struct span hex = line_member(text, member);
	uint8_t want[32], is[32];

	if (hex.len != LINE_HEX || hex_decode(hex.p, hex.len, want, 32) != 32)
		return false;
	sha256_two(p, len, NULL, 0, is);
	return memcmp(want, is, 32) == 0;
}

/* A row that begins a session: its key, and the token when it is here. What the first
 * such row said stands. */
static enum evidence_result
take_begin(struct evidence *e, const struct line_row *r, struct span text)
{
	struct session *s;
	uint8_t key[32];
	bool other;

	if ((r->evidence != LINE_NONE && r->evidence != LINE_TOKEN) ||
	    (r->evidence == LINE_TOKEN &&
		!names(r->text, "token", r->token.p, r->token.len)) ||
	    b64_decode(B64_STD, text.p, text.len, key, 32) != 32)
		return EVIDENCE_FOREIGN;
	s = session_of(e, r->text, true);
	if (s == NULL)
		return EVIDENCE_FOREIGN;
	other = s->has_key && memcmp(s->key, key, 32) != 0;
	if (!s->has_key)
		memcpy(s->key, key, 32);
	s->has_key = true;
	if (!s->has_token && r->evidence == LINE_TOKEN)
		s->has_token = buf_put(&s->token, r->token.p, r->token.len) == 0;
	return other ? EVIDENCE_FOREIGN : EVIDENCE_NOTHING;
}

/* {"payload":P,"security_token":"T","timestamp":N} (SEAL, section 3.1 of its notes). */
static int
put_plain(struct buf *out, const struct line_row *r, const struct session *s)
{
	int bad = 0;

	bad |= buf_puts(out, "{\"payload\":");
	bad |= buf_put(out, r->payload.p, r->payload.len);
	bad |= buf_puts(out, ",\"security_token\":\"");
	bad |= buf_put(out, s->token.p, s->token.len);
	bad |= buf_puts(out, "\",\"timestamp\":");
	bad |= buf_put(out, r->timestamp.p, r->timestamp.len);
	bad |= buf_puts(out, "}");
	return bad;
}

/*
 * {"form":"utf16","text":"<the octets>"}: of a form that cannot be put together here.
 * Only one spelling of the text is accepted, so that no change of it goes unseen.
 */
static int
put_text(struct evidence *e, const struct line_row *r)
{
	struct line_cursor c = {r->object.p, r->object.p + r->object.len, false};
	struct jsonw w;
	int bad;

	if (!line_try(&c, "{\"form\":\"utf16\",\"text\":") &&
	    !line_try(&c, "{\"form\":\"plain\",\"text\":"))
		LINE_EXPECT(&c, "{\"form\":\"spaced\",\"text\":");
	if (c.bad || c.end[-1] != '}' || --c.end == c.p ||
	    json_parse(&e->doc, c.p, (size_t)(c.end - c.p), NULL) != JSON_OK ||
	    json_str_put(&e->doc, 0, &e->octets) != 0)
		return -1;
	buf_reset(&e->again);
	jsonw_init(&w, &e->again);
	jsonw_strn(&w, (char *)e->octets.p, e->octets.len);
	bad = jsonw_done(&w) != 0 || e->again.len != (size_t)(c.end - c.p) ||
	    memcmp(e->again.p, c.p, e->again.len) != 0;
	return bad ? -1 : 0;
}

static enum evidence_result
take_signed(struct evidence *e, const struct line_row *r, bool signatures)
{
	struct span proof = line_member(r->text, "proof");
	const struct session *s = session_of(e, r->text, false);
	uint8_t signature[64];

	if (r->evidence == LINE_NONE || s == NULL || !s->has_key || !s->has_token)
		return EVIDENCE_WITHOUT;
	if (r->evidence == LINE_TOKEN)
		return EVIDENCE_FOREIGN;
	buf_reset(&e->octets);
	if ((r->evidence == LINE_SIGNED ? put_plain(&e->octets, r, s) : put_text(e, r)) !=
		0 ||
	    !names(r->text, "signed", e->octets.p, e->octets.len))
		return EVIDENCE_FOREIGN;
	if (!signatures)
		return EVIDENCE_GOOD;
	if (b64_decode(B64_STD, proof.p, proof.len, signature, 64) != 64 ||
	    ed25519_verify(s->key, e->octets.p, e->octets.len, signature) == -1)
		return EVIDENCE_FORGED;
	return EVIDENCE_GOOD;
}

enum evidence_result
evidence_take(struct evidence *e, const struct line_row *r, bool signatures)
{
	struct span key;

	if (r->evidence == LINE_NONE && !signatures)
		return EVIDENCE_NOTHING;
	key = line_member(r->text, "key");
	if (key.len > 0)
		return take_begin(e, r, key);
	if (line_member(r->text, "signed").len > 0)
		return take_signed(e, r, signatures);
	return r->evidence == LINE_NONE ? EVIDENCE_NOTHING : EVIDENCE_FOREIGN;
}
