/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for the secret in what an upstream answers, in every usual spelling
 * (reflect_forms.h), across the borders of the pieces in which the answer arrives. Runs
 * in the egress worker on hostile octets; linear in them whatever they are.
 *
 * What it does not find, and cannot: an upstream that wants to give the secret away has
 * countless codes for it. This stops the echo, which needs no intent. Pieces of the
 * secret (a range of an answer, half of a token) are not found either.
 */
#ifndef AEGIS_REFLECT_H
#define AEGIS_REFLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reflect;
struct secret;

/* How far a text has matched; all zero at its beginning. */
struct reflect_at {
	uint16_t node;
};

/*
 * The automaton of a secret. basic: it is user:password, and the password is searched for
 * by itself as well. Of a secret longer than REFLECT_PREFIX its beginning is searched
 * for; one shorter than REFLECT_FORMED only as it is; one shorter than REFLECT_MIN never.
 * Lives in the locked arena, where the secret's octets never stand side by side: some 20
 * KiB for a token of 40 octets, up to 600 KiB while one of the worst is made. NULL when
 * the arena is full.
 */
struct reflect *reflect_new(const struct secret *, bool basic);
void reflect_free(struct reflect *);

/* Searches the next piece of a text. True: the secret ends in this piece. */
bool reflect_feed(const struct reflect *, struct reflect_at *, const void *, size_t len);

/*
 * How many octets at the end of what was fed may be the beginning of the secret. They
 * must not be passed on before more was fed or the text is over.
 */
size_t reflect_hold(const struct reflect *, const struct reflect_at *);

#endif
