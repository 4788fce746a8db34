/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers of the judge beside those in judge.h. */
#ifndef AEGIS_JUDGE_UTIL_H
#define AEGIS_JUDGE_UTIL_H

#include "common/sha256.h"

#endif
