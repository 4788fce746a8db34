/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an administrator types about a credential, brought into the form in which vault
 * seals it. The command line brings it to vault, the judge names it to vault, and vault
 * compares octets: so both must get there by the same code.
 */
#ifndef AEGIS_CREDENTIAL_TEXT_H
#define AEGIS_CREDENTIAL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

/*
 * A comma separated list of domain patterns, each normalised, 64 at most. NULL, or what
 * is wrong in a few words for the message; then `out` is void.
 */
const char *check_domains(struct span, char *out, size_t size);
/* The same for scopes: read, write or *; "*" when there are none. */
const char *check_scopes(struct span, char *out, size_t size);

/* The header and the query parameter of an auth type that named none; "" for others. */
const char *credential_header_default(struct span auth_type);
const char *credential_param_default(struct span auth_type);

/*
 * Splits upstream "scheme://[host][:port]"; https and port 0 (the scheme's own) for "".
 * host may be NULL. 0 or -1.
 */
int upstream_parse(
    const char *text, char scheme[8], char *host, size_t host_size, uint32_t *port);

#endif
