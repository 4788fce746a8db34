/* SPDX-License-Identifier: Apache-2.0 */
/* What toolhost tells the judge: catalogues and completions. */
#ifndef AEGIS_TOOLHOSTD_REPORT_H
#define AEGIS_TOOLHOSTD_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "common/proto.h"

struct call;
struct chan;
struct server;

/* State and tools of one server, over all its processes; event: the state that this one
 * just reached, 0 when it is only said again. */
void report_catalogue(const struct server *, const char *why, enum tool_state event);
/* All of them, to a judge that is new. */
void report_all(void);
/* The completion row of one call. */
void report_done(const struct call *, unsigned outcome, unsigned status,
    uint64_t bytes_out, const char *detail);
/* Bytes as a sealed memfd, for what does not fit a message; -1 on failure. */
int report_memfd(const void *p, size_t len);

#endif
