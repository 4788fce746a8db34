/* SPDX-License-Identifier: Apache-2.0 */
/* Filters over the text of rows (see admin_ledger.c for why that is sound). Judge only.
 */
#include "keymasterd/judge/ledger_find.h"

#include <stdio.h>
#include <string.h>

#include "common/loop.h"
#include "common/rfc3339.h"
#include "keymasterd/judge/judge.h"

int
ledger_filter_text(struct ledger_filter *f, const char *key, struct span value)
{
	size_t i;
	int n;

	if (value.len == 0)
		return 0;
	for (i = 0; i < value.len; i++)
		if (value.p[i] == '"' || value.p[i] == '\\' ||
		    (unsigned char)value.p[i] < 0x20)
			return -1;
	if (f->nparts == sizeof(f->parts) / sizeof(f->parts[0]))
		return -1;
	n = snprintf(f->parts[f->nparts], sizeof(f->parts[0]), ",\"%s\":\"%.*s\"", key,
	    (int)value.len, value.p);
	if (n < 0 || (size_t)n >= sizeof(f->parts[0]))
		return -1;
	f->nparts++;
	return 0;
}

int
ledger_filter_since(struct ledger_filter *f, struct span since)
{
	char text[41];
	int64_t sec;

	if (since.len == 0)
		return 0;
	if (span_copy(since, text, sizeof(text)) == -1 ||
	    since_parse(text, (int64_t)(judge_now_ms() / 1000), &sec) == -1 ||
	    rfc3339_format(sec, 0, 6, f->since, sizeof(f->since)) < 0)
		return -1;
	return 0;
}

int
ledger_filter_make(struct ledger_filter *f, const struct msg_ledger_read *m)
{
	const char *key = "kind";

	memset(f, 0, sizeof(*f));
	if (span_eq(m->kind, "blocked") || span_eq(m->kind, "allowed"))
		key = "decision";
	else if (m->kind.len > 0 && !span_eq(m->kind, "decision") &&
	    !span_eq(m->kind, "completion") && !span_eq(m->kind, "admin") &&
	    !span_eq(m->kind, "system"))
		return -1;
	return ledger_filter_since(f, m->since) == -1 ||
		ledger_filter_text(f, key, m->kind) == -1 ||
		ledger_filter_text(f, "service", m->service) == -1 ||
		ledger_filter_text(f, "agent", m->agent) == -1 ||
		ledger_filter_text(f, "request", m->request) == -1
	    ? -1
	    : 0;
}

uint64_t
ledger_text_ms(struct span text)
{
	struct span when = ledger_text_get(text, "time");
	uint32_t ns;
	int64_t sec;

	return when.len > 0 && rfc3339_parse(when.p, when.len, &sec, &ns) == 0 && sec > 0
	    ? (uint64_t)sec * 1000 + ns / 1000000
	    : 0;
}

struct span
ledger_text_find(struct span text, const char *mark, size_t len)
{
	const char *p = memmem(text.p, text.len, mark, len), *end;

	if (p == NULL)
		return (struct span){NULL, 0};
	p += len;
	end = memchr(p, '"', (size_t)(text.p + text.len - p));
	if (end == NULL || memchr(p, '\\', (size_t)(end - p)) != NULL)
		return (struct span){NULL, 0};
	return (struct span){p, (size_t)(end - p)};
}

int
ledger_filter_match(const struct ledger_filter *f, struct span text)
{
	struct span when;
	unsigned i;

	for (i = 0; i < f->nparts; i++)
		if (memmem(text.p, text.len, f->parts[i], strlen(f->parts[i])) == NULL)
			return 0;
	if (f->since[0] != '\0') {
		/* both have the same form, so their order is that of time */
		when = ledger_text_get(text, "time");
		if (when.len != strlen(f->since) ||
		    memcmp(when.p, f->since, when.len) < 0)
			return 0;
	}
	return 1;
}
