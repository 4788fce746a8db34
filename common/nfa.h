/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regular expressions in linear time: a set of states is carried along the text, so a
 * search takes at most (states x characters) steps whatever pattern and text are, and
 * nothing is ever tried twice. The judge and workers match paths that agents wrote;
 * patterns come from administrators. Pure functions, one thread.
 *
 * The language is that of ECMAScript without what cannot be had in linear time
 * (backreferences, lookaround): literals, ., [a-z] and [^a-z], \d \w \s \D \W \S, \b \B,
 * ^ and $ (of the whole text), ( ) and (?: ), |, * + ? {m} {m,} {m,n}, each also with ?
 * behind it (which changes nothing, as only whether there is a match is asked), \t \n \r
 * \f \v, \xHH, \uHHHH, and \ before punctuation. Upper and lower case differ; characters
 * are those of Unicode, \d \w \s and \b know ASCII only.
 */
#ifndef AEGIS_COMMON_NFA_H
#define AEGIS_COMMON_NFA_H

#include <stdbool.h>
#include <stddef.h>

#include "common/span.h"

#define NFA_PATTERN_MAX 512 /* octets of a pattern */
#define NFA_STATES_MAX 1000 /* of a pattern, counted repetitions written out */

struct nfa;

/*
 * Compiles a pattern. NULL with a text for the administrator and the octet of the pattern
 * it is about. Free with nfa_free.
 */
struct nfa *nfa_compile(struct span pattern, char *err, size_t err_size, size_t *at);
void nfa_free(struct nfa *);
/* Is there a match anywhere in the text? Octets that are not UTF-8 are characters that
 * only . and negated classes match. */
bool nfa_search(const struct nfa *, struct span text);
/* States of the compiled pattern. */
size_t nfa_states(const struct nfa *);
/* Does it match only from the beginning of the text? */
bool nfa_anchored(const struct nfa *);

#endif
