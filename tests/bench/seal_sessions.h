/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of seal_load: keys, attestations and signed calls made as they are sent. */
#ifndef AEGIS_TESTS_SEAL_SESSIONS_H
#define AEGIS_TESTS_SEAL_SESSIONS_H

#include <stddef.h>

/* Keys for n sessions; token is the agent's, context what they attest into. */
int sessions_new(size_t n, const char *token, const char *context);
/* The whole HTTP request, to be freed by the caller. */
char *sessions_attest(size_t session);
char *sessions_call(size_t session, size_t number);
/* Takes the SecurityToken out of an answer; -1 if there is none. */
int sessions_attested(size_t session, const char *answer);

#endif
