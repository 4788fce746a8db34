/* SPDX-License-Identifier: Apache-2.0 */
/* What others may ask the egress worker. */
#ifndef AEGIS_WORKER_PERMIT_H
#define AEGIS_WORKER_PERMIT_H

#include "common/chan.h"

extern const struct permit permit_worker_gate[];
extern const struct permit permit_worker_judge[];
extern const struct permit permit_worker_vault[];
extern const struct permit permit_worker_dispatch[];

#endif
