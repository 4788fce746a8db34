/* SPDX-License-Identifier: Apache-2.0 */
/* Media types of requests. gated. */
#ifndef AEGIS_GATED_MEDIA_H
#define AEGIS_GATED_MEDIA_H

#include "common/http1.h"

/*
 * True if a request with a body says application/json, with or without parameters (RFC
 * 9110 8.3), or there is no body. A page of another origin can make a browser send other
 * types, or none, without asking first; so those are refused.
 */
bool media_is_json(const struct http1_head *);

#endif
