/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers about the running system: their names (metrics.def), how they travel between
 * processes, and Prometheus' text. A list of numbers is records back to back: id (16
 * bits), length of the labels (16 bits), the labels' values with a unit separator
 * (U+001F) between them, the value (64 bits); little-endian. What a daemon says of itself
 * is bounded and checked, since any one of them may have been taken over.
 */
#ifndef AEGIS_COMMON_METRICS_H
#define AEGIS_COMMON_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/role.h"
#include "common/span.h"

enum metric {
#define METRIC(id, name, kind, who, labels, help) METRIC_##id,
#include "common/metrics.def"
#undef METRIC
	METRIC_COUNT
};

enum metric_kind {
	METRIC_COUNTER = 1,
	METRIC_GAUGE,
	METRIC_COUNTER_US,
	METRIC_HISTOGRAM_US
};

#define METRIC_SEP "\x1f"
#define METRIC_LABELS_MAX 600 /* octets of a record's labels */
#define METRIC_BLOB_MAX 60000 /* of what one daemon may say */

struct metric_value {
	enum metric id;
	struct span labels;
	uint64_t value;
};

/* Adds a number; labels NULL or "" when it has none. 0; -1 without memory or when the
 * labels are too long. */
int metrics_put(struct buf *, enum metric, const char *labels, uint64_t value);
int metrics_put_span(struct buf *, enum metric, struct span labels, uint64_t value);

/*
 * The next record of *rest, which is shortened. 1; 0 at the end; -1 when it is no list:
 * unknown ids, wrong numbers of labels, controls, malformed UTF-8. from: the role whose
 * words these are, ROLE_NONE: a collector's, with `process` and `name` in place.
 */
int metrics_next(struct span *rest, enum role from, struct metric_value *);

/* Adds what a daemon said to a collector's list: numbers that are not its own are left
 * out, `process` and `name` put in front where they belong. 0, or -1: no list. */
int metrics_collect(struct buf *, struct span said, enum role from, const char *name);

/*
 * A collector's list as text (format 0.0.4). Numbers with the same labels are added up.
 * 0, or -1: no list, or no memory.
 */
int metrics_text(struct span list, struct buf *out);

#endif
