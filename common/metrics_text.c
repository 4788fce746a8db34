/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' text exposition format, version 0.0.4. Runs in gates, for whoever asks for
 * /_aegis/metrics; the judge's loop is spared.
 */
#include "common/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/metrics_int.h"

struct item {
	struct metric_value v;
	size_t at; /* where it stood, for a stable order */
};

static int
compare(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	size_t n = x->v.labels.len < y->v.labels.len ? x->v.labels.len : y->v.labels.len;
	int r;

	if (x->v.id != y->v.id)
		return x->v.id < y->v.id ? -1 : 1;
	r = n > 0 ? memcmp(x->v.labels.p, y->v.labels.p, n) : 0;
	if (r == 0 && x->v.labels.len != y->v.labels.len)
		r = x->v.labels.len < y->v.labels.len ? -1 : 1;
	if (r != 0)
		return r;
	return x->at < y->at ? -1 : x->at > y->at;
}

static int
same(const struct item *x, const struct item *y)
{
	return x->v.id == y->v.id && x->v.labels.len == y->v.labels.len &&
	    (x->v.labels.len == 0 ||
		memcmp(x->v.labels.p, y->v.labels.p, x->v.labels.len) == 0);
}

static struct span
next_part(struct span *rest, const char *sep)
{
	const char *end = rest->len > 0 ? memchr(rest->p, sep[0], rest->len) : NULL;
	struct span part = *rest;

	if (end == NULL) {
		rest->len = 0;
		return part;
	}
	part.len = (size_t)(end - rest->p);
	*rest = span_mem(end + 1, rest->len - part.len - 1);
	return part;
}

static int
put_escaped(struct buf *out, struct span s)
{
	int bad = 0;

	for (size_t i = 0; i < s.len && bad == 0; i++) {
		if (s.p[i] == '\\' || s.p[i] == '"')
			bad |= buf_putc(out, '\\');
		bad |= buf_putc(out, s.p[i]);
	}
	return bad;
}

/* name="value", ... without braces; what is left of the values goes to *rest. */
static int
put_labels(struct buf *out, const char *names, struct span *rest, bool *any)
{
	struct span n = span_str(names), name;
	int bad = 0;

	while (n.len > 0) {
		name = next_part(&n, ",");
		bad |= buf_puts(out, *any ? "," : "{");
		bad |= buf_put(out, name.p, name.len) | buf_puts(out, "=\"");
		bad |= put_escaped(out, next_part(rest, METRIC_SEP)) | buf_putc(out, '"');
		*any = true;
	}
	return bad;
}

static int
put_seconds(struct buf *out, uint64_t us)
{
	char frac[8];
	int n = 6;

	if (buf_printf(out, "%" PRIu64, us / 1000000) == -1)
		return -1;
	if (us % 1000000 == 0)
		return 0;
	frac[6] = '\0';
	for (us %= 1000000; n > 0; us /= 10)
		frac[--n] = (char)('0' + us % 10);
	for (n = 6; frac[n - 1] == '0'; n--)
		frac[n - 1] = '\0';
	return buf_printf(out, ".%s", frac);
}

static int
put_value(struct buf *out, const struct metric_info *m, uint64_t value, bool seconds)
{
	int bad = buf_putc(out, ' ');

	(void)m;
	bad |= seconds ? put_seconds(out, value) : buf_printf(out, "%" PRIu64, value);
	return bad | buf_putc(out, '\n');
}

/* The bucket is the last of the values: microseconds, "inf", "sum" or "tally". */
static int
put_bucket(struct buf *out, const struct metric_info *m, const struct metric_value *v)
{
	struct span rest = v->labels, which;
	const char *suffix = "_bucket";
	bool any = false;
	char text[24];
	size_t n = v->labels.len;
	int bad = 0;

	while (n > 0 && v->labels.p[n - 1] != METRIC_SEP[0])
		n--;
	which = span_mem(v->labels.p + n, v->labels.len - n);
	if (span_eq(which, "sum"))
		suffix = "_sum";
	else if (span_eq(which, "tally"))
		suffix = "_count";
	bad |= buf_puts(out, m->name) | buf_puts(out, suffix);
	bad |= put_labels(out, m->labels, &rest, &any);
	if (suffix[1] == 'b') {
		bad |= buf_puts(out, any ? ",le=\"" : "{le=\"");
		if (span_copy(which, text, sizeof(text)) == 0 && text[0] != 'i')
			bad |= put_seconds(out, strtoull(text, NULL, 10));
		else
			bad |= buf_puts(out, "+Inf");
		bad |= buf_putc(out, '"');
		any = true;
	}
	if (any)
		bad |= buf_putc(out, '}');
	return bad | put_value(out, m, v->value, suffix[1] == 's');
}

static int
put_one(struct buf *out, const struct metric_value *v)
{
	const struct metric_info *m = &metric_table[v->id];
	struct span rest = v->labels;
	bool any = false;
	int bad;

	if (m->kind == METRIC_HISTOGRAM_US)
		return put_bucket(out, m, v);
	bad = buf_puts(out, m->name);
	if (m->who & METRIC_EACH)
		bad |= put_labels(out, "process,name", &rest, &any);
	bad |= put_labels(out, m->labels, &rest, &any);
	if (any)
		bad |= buf_putc(out, '}');
	return bad | put_value(out, m, v->value, m->kind == METRIC_COUNTER_US);
}

static int
put_head(struct buf *out, const struct metric_info *m)
{
	const char *type = m->kind == METRIC_GAUGE ? "gauge"
	    : m->kind == METRIC_HISTOGRAM_US       ? "histogram"
						   : "counter";

	return buf_printf(
	    out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, type);
}

static struct item *
read_all(struct span list, size_t *n)
{
	struct metric_value v;
	struct item *items = NULL, *more;
	size_t cap = 0;
	int r;

	*n = 0;
	while ((r = metrics_next(&list, ROLE_NONE, &v)) == 1) {
		if (*n == cap) {
			cap = cap == 0 ? 256 : 2 * cap;
			more = reallocarray(items, cap, sizeof(*items));
			if (more == NULL)
				goto fail;
			items = more;
		}
		items[*n] = (struct item){v, *n};
		(*n)++;
	}
	if (r == 0)
		return items != NULL ? items : calloc(1, sizeof(*items));
fail:
	free(items);
	return NULL;
}

int
metrics_text(struct span list, struct buf *out)
{
	size_t n, i, last = 0;
	struct item *items = read_all(list, &n);
	int bad = 0, first = 1;

	if (items == NULL)
		return -1;
	qsort(items, n, sizeof(*items), compare);
	for (i = 0; i < n && bad == 0; i++) {
		if (i + 1 < n && same(&items[i], &items[i + 1])) {
			items[i + 1].v.value += items[i].v.value;
			continue;
		}
		if (first || items[i].v.id != items[last].v.id)
			bad |= put_head(out, &metric_table[items[i].v.id]);
		bad |= put_one(out, &items[i].v);
		first = 0;
		last = i;
	}
	free(items);
	return bad != 0 ? -1 : 0;
}
