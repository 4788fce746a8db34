/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a refused head seems to have asked for. For the ledger's row and the form of the
 * refusal only; nothing is ever allowed on this ground. gated.
 */
#ifndef AEGIS_GATED_HTTP_GUESS_H
#define AEGIS_GATED_HTTP_GUESS_H

#include "common/span.h"

struct http_guess {
	struct span method; /* a token of at most 32 octets, or empty */
	struct span target; /* visible ASCII, at most 1024 octets, or empty */
};

void http_guess(const char *, size_t len, struct http_guess *);

#endif
