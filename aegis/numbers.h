/* SPDX-License-Identifier: Apache-2.0 */
/* The master's numbers: what each process uses. Only it can look. */
#ifndef AEGIS_NUMBERS_H
#define AEGIS_NUMBERS_H

#include "common/role.h"

/* Before the loop runs. */
void numbers_setup(void);
/* A process was started. */
void numbers_started(enum role);

#endif
