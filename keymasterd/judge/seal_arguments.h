/* SPDX-License-Identifier: Apache-2.0 */
/* What the ledger says of a call's arguments. Judge only. */
#ifndef AEGIS_JUDGE_SEAL_ARGUMENTS_H
#define AEGIS_JUDGE_SEAL_ARGUMENTS_H

#include <stdint.h>

#include "common/json.h"

struct buf;

#define SEAL_ARGUMENTS_MAX 1536 /* octets */

/*
 * Appends the arguments as JSON without what must not be kept: values of members with
 * names such as password, token or api_key, and texts that look like a credential, become
 * "***"; long texts are cut, deep and large ones left out. 0, or -1 without memory.
 */
int seal_arguments(const struct json_doc *, uint32_t node, struct buf *out);

#endif
