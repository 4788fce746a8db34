/* SPDX-License-Identifier: Apache-2.0 */
/* Who may say what to the judge. */
#ifndef AEGIS_JUDGE_PERMIT_H
#define AEGIS_JUDGE_PERMIT_H

#include "common/chan.h"

extern const struct permit permit_judge_gate[];
extern const struct permit permit_judge_api[];
extern const struct permit permit_judge_worker[];
extern const struct permit permit_judge_toolhost[];
extern const struct permit permit_judge_dispatch[];
extern const struct permit permit_judge_vault[];
extern const struct permit permit_judge_admin[];
extern const struct permit permit_judge_master[];

#endif
