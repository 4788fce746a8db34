/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a SEAL envelope: its form, its instant, its signature. Pure functions, in the
 * judge and in tests; the bytes are anybody's. Sections 2, 3 and 6.2 of the protocol
 * notes.
 */
#ifndef AEGIS_JUDGE_SEAL_ENVELOPE_H
#define AEGIS_JUDGE_SEAL_ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/canon.h"
#include "common/json.h"
#include "common/span.h"

#define SEAL_METHOD_MAX 128
#define SEAL_TOKEN_MAX 16384

enum seal_form {
	SEAL_FORM_GOOD = 0,
	SEAL_FORM_BAD = -1 /* answer 1000 */
};

/* A read envelope; used again and again, keeps its memory. Points into the input. */
struct seal_envelope {
	bool node; /* set before reading: a node's, whose payload is any object */
	struct json_doc doc;
	struct buf token; /* decoded */
	struct buf canon; /* scratch for the signed bytes */
	uint8_t signature[64];
	int64_t timestamp;       /* Unix seconds, rounded down */
	uint32_t payload;        /* node: the JSON-RPC message */
	uint32_t params;         /* node or JSON_NONE */
	struct span payload_raw; /* its bytes as received */
	uint32_t payload_off;    /* where they stand in the input */
	struct span id;          /* of the JSON-RPC message, raw; p NULL until known */
	char method[SEAL_METHOD_MAX + 1];
	/* after seal_envelope_verify(): how `canon` was written, and the payload in it */
	enum canon_order signed_order;
	struct span signed_payload;
	const char *fault; /* why the form is bad, for people */
};

void seal_envelope_init(struct seal_envelope *);
void seal_envelope_free(struct seal_envelope *);

/*
 * Reads the envelope: strict JSON without duplicate names; protocol "seal/v1" (or its old
 * name "smcp/v1", it is not signed); security_token a text; signature 88 characters of
 * Base64; timestamp RFC 3339 or an integer; payload a JSON-RPC 2.0 request whose id is a
 * text or an integer. Other members are ignored. On SEAL_FORM_BAD e->fault says why and
 * e->id is set if the payload's id could be read.
 */
enum seal_form seal_envelope_read(struct seal_envelope *e, const void *p, size_t len);

/* Is the instant within the window around now, both in Unix seconds? */
bool seal_envelope_fresh(const struct seal_envelope *, int64_t now, uint32_t window);

/*
 * Does the signature fit the canonical form under this key? Tried in the protocol's order
 * of names; in UTF-16 order only when that makes a difference; in the spaced form of one
 * old client only when asked for. 0, or -1.
 */
int seal_envelope_verify(
    struct seal_envelope *, const uint8_t public_key[32], bool compat_spaced);

#endif
