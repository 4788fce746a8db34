/* SPDX-License-Identifier: Apache-2.0 */
/* Reads envelopes and checks their signatures; in the judge, on anybody's bytes. */
#include "keymasterd/judge/seal_envelope.h"

#include <string.h>

#include "common/b64.h"
#include "common/ed25519.h"
#include "common/rfc3339.h"

#define SIGNATURE_TEXT 88
#define UNIX_MAX 253402300799 /* the end of year 9999 */

void
seal_envelope_init(struct seal_envelope *e)
{
	memset(e, 0, sizeof *e);
	json_init(&e->doc);
	buf_init(&e->token);
	buf_init(&e->canon);
}

void
seal_envelope_free(struct seal_envelope *e)
{
	json_free(&e->doc);
	buf_free(&e->token);
	buf_free(&e->canon);
}

static enum seal_form
bad(struct seal_envelope *e, const char *fault)
{
	e->fault = fault;
	return SEAL_FORM_BAD;
}

/* The id of the JSON-RPC message: a text or an integer, as it was written. */
static int
read_id(struct seal_envelope *e, uint32_t node)
{
	const uint8_t *p;
	size_t len;

	if (json_raw(&e->doc, node, &p, &len) != 0 || len > 256)
		return -1;
	if (json_type(&e->doc, node) == JT_NUMBER) {
		for (size_t i = 0; i < len; i++)
			if (p[i] == '.' || p[i] == 'e' || p[i] == 'E')
				return -1;
	} else if (json_type(&e->doc, node) != JT_STRING) {
		return -1;
	}
	e->id = span_mem(p, len);
	return 0;
}

static int
read_timestamp(struct seal_envelope *e, uint32_t node)
{
	char text[RFC3339_SIZE + 16];
	size_t len;

	if (json_type(&e->doc, node) == JT_STRING)
		return json_str_copy(&e->doc, node, text, sizeof text, &len) != 0
		    ? -1
		    : rfc3339_parse(text, len, &e->timestamp, NULL);
	/* also refuses 1e9 and 1.0: the signed form has one way to write an integer */
	if (json_int64(&e->doc, node, &e->timestamp) != 0)
		return -1;
	return e->timestamp < 0 || e->timestamp > UNIX_MAX ? -1 : 0;
}

static int
read_signature(struct seal_envelope *e, uint32_t node)
{
	char text[SIGNATURE_TEXT + 1];
	size_t len;

	if (json_str_copy(&e->doc, node, text, sizeof text, &len) != 0 ||
	    len != SIGNATURE_TEXT)
		return -1;
	return b64_decode(B64_STD, text, len, e->signature, sizeof e->signature) == 64
	    ? 0
	    : -1;
}

static enum seal_form
read_payload(struct seal_envelope *e)
{
	const struct json_doc *d = &e->doc;
	const uint8_t *p;
	uint32_t method;
	size_t len;

	if (json_raw(d, e->payload, &p, &len) != 0)
		return bad(e, "payload cannot be read");
	e->payload_raw = span_mem(p, len);
	e->payload_off = (uint32_t)(p - d->base);
	if (e->node)
		return SEAL_FORM_GOOD;
	if (!json_str_eq(d, json_get(d, e->payload, "jsonrpc"), "2.0"))
		return bad(e, "payload.jsonrpc must be \"2.0\"");
	if (e->id.p == NULL)
		return bad(e, "payload.id must be a text or an integer");
	method = json_get(d, e->payload, "method");
	if (json_type(d, method) != JT_STRING ||
	    json_str_copy(d, method, e->method, sizeof e->method, NULL) != 0 ||
	    e->method[0] == '\0')
		return bad(e, "payload.method must be a text");
	e->params = json_get(d, e->payload, "params");
	return SEAL_FORM_GOOD;
}

enum seal_form
seal_envelope_read(struct seal_envelope *e, const void *p, size_t len)
{
	static const struct json_limits limits = {.size = 64u << 20, .nodes = 1u << 20};
	const struct json_doc *d = &e->doc;
	uint32_t root, node;
	enum json_err err;

	e->id = span_str(NULL);
	e->fault = NULL;
	e->params = JSON_NONE;
	if ((err = json_parse(&e->doc, p, len, &limits)) != JSON_OK)
		return bad(e, json_strerror(err));
	root = json_root(d);
	if (json_type(d, root) != JT_OBJECT)
		return bad(e, "the envelope must be an object");
	e->payload = json_get(d, root, "payload");
	if (json_type(d, e->payload) != JT_OBJECT)
		return bad(e, "payload must be an object");
	(void)read_id(e, json_get(d, e->payload, "id"));

	node = json_get(d, root, "protocol");
	if (!json_str_eq(d, node, "seal/v1") && !json_str_eq(d, node, "smcp/v1"))
		return bad(e, "protocol must be \"seal/v1\"");
	node = json_get(d, root, e->node ? "node_security_token" : "security_token");
	buf_reset(&e->token);
	if (json_type(d, node) != JT_STRING || json_str_put(d, node, &e->token) != 0 ||
	    e->token.len == 0 || e->token.len > SEAL_TOKEN_MAX)
		return bad(e, "security_token must be a text");
	if (read_signature(e, json_get(d, root, "signature")) != 0)
		return bad(e, "signature must be 64 octets in Base64");
	if (read_timestamp(e, json_get(d, root, "timestamp")) != 0)
		return bad(e, "timestamp must be RFC 3339 or an integer");
	return read_payload(e);
}

bool
seal_envelope_fresh(const struct seal_envelope *e, int64_t now, uint32_t window)
{
	return e->timestamp <= now + window && now <= e->timestamp + window;
}

/* The payload between the brace and the token; the token's own quotes are escaped. */
static struct span
payload_of(const struct buf *canon)
{
	static const char before[] = "{\"payload\":", after[] = ",\"security_token\":\"";
	const char *begin = (const char *)canon->p + sizeof before - 1;
	const char *p = (const char *)canon->p + canon->len - (sizeof after - 1),
		   *end = begin;

	while (end == begin && (p = memrchr(begin, ',', (size_t)(p - begin))) != NULL)
		if (memcmp(p, after, sizeof after - 1) == 0)
			end = p;
	return span_mem(begin, (size_t)(end - begin));
}

static int
verify_as(struct seal_envelope *e, const uint8_t public_key[32], enum canon_order order)
{
	buf_reset(&e->canon);
	if ((e->node ? canon_seal_node : canon_seal)(&e->doc, e->payload, e->token.p,
		e->token.len, e->timestamp, order, &e->canon) != 0)
		return -1;
	if (ed25519_verify(public_key, e->canon.p, e->canon.len, e->signature) != 0)
		return -1;
	e->signed_order = order;
	e->signed_payload = order == CANON_UTF8 ? payload_of(&e->canon) : span_str(NULL);
	return 0;
}

int
seal_envelope_verify(
    struct seal_envelope *e, const uint8_t public_key[32], bool compat_spaced)
{
	if (verify_as(e, public_key, CANON_UTF8) == 0)
		return 0;
	if (canon_has_astral_ambiguity(&e->doc, e->payload) &&
	    verify_as(e, public_key, CANON_UTF16) == 0)
		return 0;
	return compat_spaced ? verify_as(e, public_key, CANON_BOOT) : -1;
}
