/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field filters. gated. A request's fields have passed the strict parser; a worker's
 * lines are checked here, so that a captured worker cannot write a second answer onto an
 * agent's connection.
 */
#include "gated/headers.h"

#include "common/http1_class.h"

struct name_row {
	const char *name;
	bool prefix;
	bool ws; /* of a WebSocket's handshake, which worker and gate make anew */
};

/* Credentials, the gate's own, the agent's place, framing. */
static const struct name_row kept_back[] = {
    {"authorization", false, false},
    {"x-api-key", false, false},
    {"proxy-authorization", false, false},
    {"proxy-connection", false, false},
    {"host", false, false},
    {"x-target-host", false, false},
    {"x-aegis-", true, false},
    {"content-length", false, false},
    {"expect", false, false},
    {"forwarded", false, false},
    {"x-forwarded-", true, false},
    {"x-real-ip", false, false},
    {"via", false, false},
    {"upgrade", false, true},
    {"sec-websocket-key", false, true},
    {"sec-websocket-version", false, true},
    {"sec-websocket-extensions", false, true},
    {"sec-websocket-accept", false, false},
};

/* What only the gate may say on an agent's connection. */
static const struct name_row gates_own[] = {
    {"content-length", false, false},
    {"transfer-encoding", false, false},
    {"connection", false, false},
    {"keep-alive", false, false},
    {"upgrade", false, false},
    {"trailer", false, false},
    {"set-cookie", false, false},
    {"sec-websocket-accept", false, false},
    {"sec-websocket-extensions", false, false},
    {"x-aegis-", true, false},
};

static const struct name_row *
in_table(struct span name, const struct name_row *rows, size_t n)
{
	char first = name.len > 0 ? ascii_lower(name.p[0]) : '\0';
	size_t i, len;

	for (i = 0; i < n; i++) {
		if (rows[i].name[0] != first)
			continue;
		len = strlen(rows[i].name);
		if (name.len < len || (!rows[i].prefix && name.len != len))
			continue;
		if (span_same(
			(struct span){name.p, len}, (struct span){rows[i].name, len}))
			return &rows[i];
	}
	return NULL;
}

/* Does a Connection field name anything that could be another field? */
static bool
connection_matters(const struct http1_head *h)
{
	struct span rest, item;
	size_t i;

	for (i = 0; i < h->nheaders; i++) {
		if (!span_ieq(h->headers[i].name, "connection"))
			continue;
		rest = h->headers[i].value;
		while (http1_list_next(&rest, &item))
			if (!span_ieq(item, "keep-alive") && !span_ieq(item, "close"))
				return true;
	}
	return false;
}

static int
put_line(struct buf *out, struct span name, struct span value)
{
	char *p;

	if (buf_reserve(out, name.len + value.len + 4) != 0)
		return -1;
	p = (char *)out->p + out->len;
	memcpy(p, name.p, name.len);
	p += name.len;
	*p++ = ':';
	*p++ = ' ';
	memcpy(p, value.p, value.len);
	p += value.len;
	*p++ = '\r';
	*p = '\n';
	out->len += name.len + value.len + 4;
	return 0;
}

int
headers_forward(const struct http1_head *h, struct buf *out, bool *ws)
{
	bool named = connection_matters(h);
	const struct name_row *row;
	size_t i;

	*ws = false;
	for (i = 0; i < h->nheaders; i++) {
		struct span name = h->headers[i].name;

		row = in_table(name, kept_back, sizeof(kept_back) / sizeof(kept_back[0]));
		if (row != NULL) {
			*ws = *ws || row->ws;
			continue;
		}
		if (http1_is_hop_by_hop(name) ||
		    (named && http1_connection_names(h, name)))
			continue;
		if (put_line(out, name, h->headers[i].value) != 0)
			return -1;
	}
	return 0;
}

static bool
read_length(struct span v, uint64_t *n)
{
	size_t i;

	if (v.len == 0 || v.len > 19)
		return false;
	*n = 0;
	for (i = 0; i < v.len; i++) {
		if (!http1_is(v.p[i], HTTP1_C_DIGIT))
			return false;
		*n = *n * 10 + (uint64_t)(v.p[i] - '0');
	}
	return true;
}

/* Takes one line off; false when it is not a well-formed field. */
static bool
next_line(struct span *rest, struct span *name, struct span *value)
{
	const char *p = rest->p, *end = p + rest->len;

	name->p = p;
	while (p < end && http1_is(*p, HTTP1_C_TOKEN))
		p++;
	name->len = (size_t)(p - name->p);
	if (name->len == 0 || p == end || *p++ != ':')
		return false;
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	value->p = p;
	while (p < end && http1_is(*p, HTTP1_C_VALUE))
		p++;
	value->len = (size_t)(p - value->p);
	if (end - p < 2 || p[0] != '\r' || p[1] != '\n')
		return false;
	p += 2;
	*rest = (struct span){p, (size_t)(end - p)};
	return true;
}

int
headers_answer(struct span lines, struct buf *out, struct headers_seen *seen)
{
	struct span name, value;

	*seen = (struct headers_seen){0};
	while (lines.len > 0) {
		if (!next_line(&lines, &name, &value))
			return -1;
		if (span_ieq(name, "content-length"))
			seen->has_length = read_length(value, &seen->length);
		if (span_ieq(name, "date"))
			seen->date = true;
		if (in_table(name, gates_own, sizeof(gates_own) / sizeof(gates_own[0])) !=
		    NULL)
			continue;
		if (put_line(out, name, value) != 0)
			return -1;
	}
	return 0;
}
