/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a command is that takes long: one line on standard error, and only when that is
 * a terminal. Nothing is shown of what is over within a second.
 */
#ifndef AEGIS_PROGRESS_H
#define AEGIS_PROGRESS_H

#include <stdint.h>

/* So many are done: "3,141,592 rows". Cheap enough for every row. */
void progress(uint64_t done, const char *unit);
/* The line goes, if there is one. Before anything else is said. */
void progress_end(void);

#endif
