/* SPDX-License-Identifier: Apache-2.0 */
/* What agents write and the ledger keeps must hold no credential. Judge only. */
#ifndef AEGIS_JUDGE_REDACT_H
#define AEGIS_JUDGE_REDACT_H

#include "common/span.h"

/*
 * A path as the ledger may keep it: parts that look like credentials, as they are or
 * percent-decoded, become "[redacted]". The path itself when there are none, else octets
 * of our own that live until the next call.
 */
struct span redact_path(struct span);

#endif
