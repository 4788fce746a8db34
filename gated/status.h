/* SPDX-License-Identifier: Apache-2.0 */
/* Names of HTTP status codes (RFC 9110 15). gated. */
#ifndef AEGIS_GATED_STATUS_H
#define AEGIS_GATED_STATUS_H

/* The reason phrase; "" for a code without one. */
const char *status_reason(unsigned status);

#endif
