/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a word look like a credential? gated cuts the words out of what agents send; the
 * judge asks before it writes a path down. The octets are agents'.
 */
#ifndef AEGIS_INSPECT_MATCH_H
#define AEGIS_INSPECT_MATCH_H

#include <stddef.h>

#include <stdbool.h>

#define INSPECT_WORD_MAX 512

/* What stood before a word. */
enum inspect_before {
	BEFORE_NOTHING,
	BEFORE_BEARER, /* the word "Bearer" */
	BEFORE_BASIC,
	BEFORE_SECRET_NAME, /* a name such as api_key and an equals sign or colon */
	BEFORE_PASSWORD_NAME,
	BEFORE_SIGNER, /* X-Amz-Credential: the public id of who signed a URL */
};

/* Letters, digits, '_' and '-': a credential begins where none of these stands before. */
bool inspect_inner(unsigned char);
/* What this word says about the next one, when an assignment follows or not. */
enum inspect_before inspect_name(const char *word, size_t len, bool assigned);
/* Tells fn about each credential in the word. */
void inspect_match(const char *word, size_t len, enum inspect_before,
    void (*fn)(void *arg, const char *name, size_t length, bool sure), void *arg);

#endif
