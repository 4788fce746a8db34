/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time zones of the system's database as tables (common/zone.h). Command line and master,
 * which have files.
 */
#ifndef AEGIS_ZONEINFO_H
#define AEGIS_ZONEINFO_H

#include <stdint.h>

struct buf;

#define ZONEINFO_YEARS                                                   \
	20 /* a table reaches so far; made anew at each start and reload \
	    */

/* Is it in the database? The C library takes an unknown one for UTC without a word. */
int zoneinfo_known(const char *name);
/*
 * Appends the table of a known zone, from the year 2000 to ZONEINFO_YEARS after unix_s. 0
 * or -1. Uses TZ of this process meanwhile, so other threads must not ask for local time.
 */
int zoneinfo_table(const char *name, int64_t unix_s, struct buf *out);

#endif
