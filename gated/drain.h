/* SPDX-License-Identifier: Apache-2.0 */
/* The end: finish what is begun, take nothing new. gated. */
#ifndef AEGIS_GATED_DRAIN_H
#define AEGIS_GATED_DRAIN_H

#include <stdint.h>

/* The master says stop, or a signal. */
void drain_begin(uint32_t drain_ms);
/* The last connection is closed. */
void drain_over(void);

#endif
