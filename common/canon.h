/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Canonical form of SEAL v1: the bytes an agent signs. Members sorted by name at every
 * level, no white space, raw UTF-8 with only the escapes JSON needs, numbers with the
 * very text they had on the wire. Runs in judge on parsed input from agents, and in
 * clients. After an error the buffer holds a part of the text: discard it.
 */
#ifndef AEGIS_COMMON_CANON_H
#define AEGIS_COMMON_CANON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/json.h"

enum canon_order {
	CANON_UTF8,  /* the order of the protocol: bytes of the decoded name */
	CANON_UTF16, /* as JavaScript sorts; only tried when canon_has_astral_ambiguity()
		      */
	/* not another order but another writing: ", " and ": ", ASCII escapes. Signed by
	 * one old client; must stay off unless the configuration asks for it */
	CANON_BOOT,
};

/*
 * Appends the canonical form of a parsed value. The recursion is as deep as the value, so
 * bounded by the parser's limit. Returns 0, or -1 when out of memory or node is none.
 */
int canon_value(
    const struct json_doc *d, uint32_t node, struct buf *out, enum canon_order order);

/*
 * True when CANON_UTF16 gives other bytes than CANON_UTF8 for this value: some object has
 * a name with a character from U+10000 on and another with one in U+E000-U+FFFF that
 * decide their order.
 */
bool canon_has_astral_ambiguity(const struct json_doc *d, uint32_t node);

/*
 * Appends {"payload":P,"security_token":"T","timestamp":N}: what an agent's envelope
 * signs. token is the decoded string, ts Unix seconds. Returns 0, or -1 when the token is
 * not UTF-8, the payload is none or memory ends.
 */
int canon_seal(const struct json_doc *d, uint32_t payload, const void *token,
    size_t token_len, int64_t ts, enum canon_order order, struct buf *out);

/* The same for a node's envelope: {"node_security_token":"T","payload":P,"timestamp":N}
 */
int canon_seal_node(const struct json_doc *d, uint32_t payload, const void *token,
    size_t token_len, int64_t ts, enum canon_order order, struct buf *out);

#endif
