/* SPDX-License-Identifier: Apache-2.0 */
/* What the peers of toolhostd may ask it. */
#ifndef AEGIS_TOOLHOSTD_PERMIT_H
#define AEGIS_TOOLHOSTD_PERMIT_H

#include "common/chan.h"

extern const struct permit permit_toolhost_gate[];
extern const struct permit permit_toolhost_judge[];

#endif
