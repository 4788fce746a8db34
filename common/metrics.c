/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of numbers: writing, reading, collecting. Daemons write, the judge collects,
 * gates read. A list is its sender's word and no more.
 */
#include "common/metrics.h"

#include <string.h>

#include "common/metrics_int.h"
#include "common/utf8.h"

#define HEAD 4
#define WHO(role, each) (ROLE_##role | ((each) ? METRIC_EACH : 0))
#define WHO_JUDGE WHO(JUDGE, 0)
#define WHO_VAULT WHO(VAULT, 0)
#define WHO_MASTER WHO(MASTER, 0)
#define WHO_DISPATCH WHO(DISPATCH, 0)
#define WHO_GATE_EACH WHO(GATE, 1)
#define WHO_WORKER_EACH WHO(WORKER, 1)
#define WHO_API_EACH WHO(API, 1)
#define WHO_EACH (ROLE_NONE | METRIC_EACH)
#define METRIC_GAUGE_US METRIC_GAUGE

const struct metric_info metric_table[METRIC_COUNT] = {
#define METRIC(id, name, kind, who, labels, help) \
	{name, METRIC_##kind, WHO_##who, labels, help},
#include "common/metrics.def"
#undef METRIC
};

int
metrics_put_span(struct buf *b, enum metric id, struct span labels, uint64_t value)
{
	uint8_t head[HEAD] = {(uint8_t)id, (uint8_t)(id >> 8), (uint8_t)labels.len,
	    (uint8_t)(labels.len >> 8)};
	uint8_t tail[8];
	int i;

	if (labels.len > METRIC_LABELS_MAX ||
	    buf_reserve(b, sizeof(head) + labels.len + sizeof(tail)) == -1)
		return -1;
	for (i = 0; i < 8; i++)
		tail[i] = (uint8_t)(value >> (8 * i));
	(void)buf_put(b, head, sizeof(head));
	(void)buf_put(b, labels.p, labels.len);
	return buf_put(b, tail, sizeof(tail));
}

int
metrics_put(struct buf *b, enum metric id, const char *labels, uint64_t value)
{
	return metrics_put_span(b, id, span_str(labels != NULL ? labels : ""), value);
}

unsigned
metric_labels(enum metric id)
{
	const char *p = metric_table[id].labels;
	unsigned n = *p != '\0';

	for (; *p != '\0'; p++)
		n += *p == ',';
	return n + (metric_table[id].kind == METRIC_HISTOGRAM_US);
}

/* As many values as there are labels, each without controls. */
static bool
labels_good(struct span s, unsigned want)
{
	unsigned n = want > 0;
	size_t i;

	if (want == 0)
		return s.len == 0;
	for (i = 0; i < s.len; i++) {
		if (s.p[i] == METRIC_SEP[0])
			n++;
		else if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	}
	return n == want && utf8_valid((const uint8_t *)s.p, s.len);
}

int
metrics_next(struct span *rest, enum role from, struct metric_value *v)
{
	const uint8_t *p = (const uint8_t *)rest->p;
	unsigned id, want;
	size_t len;
	int i;

	if (rest->len == 0)
		return 0;
	if (rest->len < HEAD + 8)
		return -1;
	id = (unsigned)(p[0] | p[1] << 8);
	len = (size_t)(p[2] | p[3] << 8);
	if (id >= METRIC_COUNT || len > METRIC_LABELS_MAX || rest->len < HEAD + len + 8)
		return -1;
	v->id = (enum metric)id;
	v->labels = span_mem(p + HEAD, len);
	want = metric_labels(v->id);
	if (from == ROLE_NONE && (metric_table[id].who & METRIC_EACH))
		want += 2;
	if (!labels_good(v->labels, want))
		return -1;
	v->value = 0;
	for (i = 7; i >= 0; i--)
		v->value = v->value << 8 | p[HEAD + len + (size_t)i];
	*rest = span_mem(p + HEAD + len + 8, rest->len - HEAD - len - 8);
	return 1;
}

static bool
is_own(enum metric id, enum role from)
{
	unsigned who = metric_table[id].who & ~METRIC_EACH;

	return who == ROLE_NONE || who == (unsigned)from;
}

static int
add(struct buf *out, const struct metric_value *v, enum role from, const char *name)
{
	struct buf labels;
	int r = -1;

	if (!(metric_table[v->id].who & METRIC_EACH))
		return metrics_put_span(out, v->id, v->labels, v->value);
	buf_init(&labels);
	if (buf_puts(&labels, role_name(from)) == 0 &&
	    buf_puts(&labels, METRIC_SEP) == 0 && buf_puts(&labels, name) == 0 &&
	    (metric_labels(v->id) == 0 || buf_puts(&labels, METRIC_SEP) == 0) &&
	    buf_put(&labels, v->labels.p, v->labels.len) == 0)
		r = metrics_put_span(
		    out, v->id, span_mem(labels.p, labels.len), v->value);
	buf_free(&labels);
	return r;
}

int
metrics_collect(struct buf *out, struct span said, enum role from, const char *name)
{
	struct metric_value v;
	size_t was = out->len;
	int r;

	while ((r = metrics_next(&said, from, &v)) == 1)
		if (is_own(v.id, from) && add(out, &v, from, name) == -1) {
			r = -1;
			break;
		}
	if (r == -1)
		out->len = was;
	return r;
}
