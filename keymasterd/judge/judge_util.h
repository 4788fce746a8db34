/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers of the judge beside those in judge.h. */
#ifndef AEGIS_JUDGE_UTIL_H
#define AEGIS_JUDGE_UTIL_H

#include <stddef.h>
#include <stdint.h>

/* SHA-256 of a followed by b. */
void sha256_two(const void *a, size_t alen, const void *b, size_t blen, uint8_t out[32]);

#endif
