/* SPDX-License-Identifier: Apache-2.0 */
/* What metrics.c and metrics_text.c share: the table of metrics.def. No process else. */
#ifndef AEGIS_COMMON_METRICS_INT_H
#define AEGIS_COMMON_METRICS_INT_H

#include "common/metrics.h"

#define METRIC_EACH 0x100u

struct metric_info {
	const char *name;
	enum metric_kind kind;
	unsigned who; /* a role, or ROLE_NONE for any; METRIC_EACH */
	const char *labels, *help;
};

extern const struct metric_info metric_table[METRIC_COUNT];

/* How many labels a daemon says of it; of a histogram the bucket is one more. */
unsigned metric_labels(enum metric);

#endif
