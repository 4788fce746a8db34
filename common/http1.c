/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of HTTP/1.1 heads: start line and field lines (RFC 9112 2 to 5).
 * Runs in gated on what agents send and in egressd workers on what upstreams
 * answer; trusts neither.  What the fields mean is in http1_field.c.
 *
 * Two passes: a search for the empty line, resumed where it stopped, and then
 * one parse of the complete head.  The head is known to end in CRLF CRLF by
 * then, so the loops of the second pass need no end: CR is in no byte class.
 */
#include <string.h>

#include "common/http1.h"
#include "common/http1_class.h"
#include "common/http1_field.h"

#define VERSION_LEN 8                                      /* "HTTP/1.1" */
#define LINE_OVERHEAD (HTTP1_MAX_METHOD + VERSION_LEN + 4) /* two SP, CRLF */

const struct http1_limits http1_default_limits = {16384, 8192, 100};

void
http1_parser_init(
    struct http1_parser *p, enum http1_kind kind, const struct http1_limits *limits)
{
	p->kind = kind;
	p->limits = limits != NULL ? limits : &http1_default_limits;
	p->scan = 0;
	p->line = 0;
}

/* Why the byte at p ended a token: something worse than `otherwise`? */
static int
bad_byte(const char *p, int otherwise)
{
	unsigned char c = (unsigned char)*p;

	if (c == '\r')
		return p[1] == '\n' ? otherwise : HTTP1_ERR_BARE_CR;
	if ((c < 0x20 && c != '\t') || c == 0x7f)
		return HTTP1_ERR_CONTROL;
	return otherwise;
}

static int
check_first_byte(char c, enum http1_kind kind)
{
	if (c == '\r' || c == '\n')
		return HTTP1_ERR_EMPTY_LINE;
	if (kind == HTTP1_REQUEST ? http1_is(c, HTTP1_C_TOKEN) : c == 'H')
		return 0;
	return bad_byte(&c, HTTP1_ERR_START_LINE);
}

/*
 * Look for the empty line.  Every refusal here depends on the bytes up to one
 * position only, the first such position wins, however the input was split.
 */
static ssize_t
find_end(struct http1_parser *p, const char *buf, size_t len)
{
	size_t max = p->limits->head;
	size_t window = len < max ? len : max;
	size_t first_max =
	    p->kind == HTTP1_REQUEST ? p->limits->target + LINE_OVERHEAD : max;

	while (p->scan < window) {
		const char *nl = memchr(buf + p->scan, '\n', window - p->scan);
		size_t at = nl != NULL ? (size_t)(nl - buf) : window;

		p->scan = at;
		if (p->line == 0 && at >= first_max)
			return HTTP1_ERR_TARGET_LONG;
		if (nl == NULL)
			break;
		if (at == p->line || buf[at - 1] != '\r')
			return HTTP1_ERR_BARE_LF;
		p->scan = at + 1;
		if (at - 1 == p->line)
			return (ssize_t)(at + 1);
		p->line = at + 1;
	}
	return len >= max ? HTTP1_ERR_HEAD_SIZE : 0;
}

/* HTTP-version at p, at least 8 bytes: sets the minor version. */
static int
parse_version(const char *p, int *minor)
{
	if (memcmp(p, "HTTP/", 5) != 0 || !http1_is(p[5], HTTP1_C_DIGIT) || p[6] != '.' ||
	    !http1_is(p[7], HTTP1_C_DIGIT))
		return HTTP1_ERR_START_LINE;
	if (p[5] != '1' || p[7] > '1')
		return HTTP1_ERR_VERSION;
	*minor = p[7] - '0';
	return 0;
}

/* method SP request-target SP HTTP-version CRLF; exactly one SP each. */
static ssize_t
parse_request_line(const char *buf, const char *end, const struct http1_limits *limits,
    struct http1_head *out)
{
	const char *p = buf;
	int r;

	while (http1_is(*p, HTTP1_C_TOKEN))
		p++;
	if (*p != ' ')
		return bad_byte(p, HTTP1_ERR_START_LINE);
	out->method = (struct span){buf, (size_t)(p - buf)};
	if (out->method.len > HTTP1_MAX_METHOD)
		return HTTP1_ERR_METHOD;
	out->target.p = ++p;
	while (http1_is(*p, HTTP1_C_TARGET))
		p++;
	out->target.len = (size_t)(p - out->target.p);
	if (*p != ' ')
		return bad_byte(p,
		    *p == '\r' || *p == '\t' ? HTTP1_ERR_START_LINE : HTTP1_ERR_TARGET);
	if (out->target.len == 0)
		return HTTP1_ERR_START_LINE;
	if (out->target.len > limits->target)
		return HTTP1_ERR_TARGET_LONG;
	p++;
	if (end - p < VERSION_LEN + 4)
		return bad_byte(p, HTTP1_ERR_START_LINE);
	if ((r = parse_version(p, &out->minor)) < 0)
		return r;
	p += VERSION_LEN;
	if (*p != '\r' || p[1] != '\n')
		return bad_byte(p, HTTP1_ERR_START_LINE);
	if ((r = http1_target_form(out)) < 0)
		return r;
	return p + 2 - buf;
}

/* HTTP-version SP 3DIGIT [ SP reason ] CRLF */
static ssize_t
parse_status_line(const char *buf, const char *end, struct http1_head *out)
{
	const char *p = buf + VERSION_LEN;
	int r;

	if (end - buf < VERSION_LEN + 4 + 4)
		return HTTP1_ERR_START_LINE;
	if ((r = parse_version(buf, &out->minor)) < 0)
		return r;
	if (*p++ != ' ')
		return HTTP1_ERR_START_LINE;
	out->status = 0;
	for (int i = 0; i < 3; i++, p++) {
		if (!http1_is(*p, HTTP1_C_DIGIT))
			return bad_byte(p, HTTP1_ERR_STATUS);
		out->status = out->status * 10 + (*p - '0');
	}
	if (out->status < 100 || out->status > 599)
		return HTTP1_ERR_STATUS;
	if (*p != ' ' && *p != '\r')
		return bad_byte(p, HTTP1_ERR_STATUS);
	if (*p == ' ')
		p++;
	out->reason.p = p;
	while (http1_is(*p, HTTP1_C_VALUE))
		p++;
	out->reason.len = (size_t)(p - out->reason.p);
	if (*p != '\r' || p[1] != '\n')
		return bad_byte(p, HTTP1_ERR_START_LINE);
	return p + 2 - buf;
}

/* First byte from p on that cannot be in a field value; there is one before end. */
static const char *
skip_value(const char *p, const char *end)
{
	const uint64_t ones = 0x0101010101010101u;

	while (end - p >= 8) { /* eight bytes that are all 0x20.. but not 0x7f */
		uint64_t w, del;

		memcpy(&w, p, sizeof(w));
		del = w ^ (ones * 0x7f);
		if (((((w - ones * 0x20) & ~w) | ((del - ones) & ~del)) &
			(ones * 0x80)) != 0)
			break;
		p += 8;
	}
	while (http1_is(*p, HTTP1_C_VALUE))
		p++;
	return p;
}

/* field-name ":" OWS field-value OWS CRLF; returns where the next line begins. */
static int
parse_field(const char **pp, const char *end, struct http1_header *field)
{
	const char *p = *pp, *last;

	field->name.p = p;
	while (http1_is(*p, HTTP1_C_TOKEN))
		p++;
	field->name.len = (size_t)(p - field->name.p);
	if (*p != ':') {
		bool space = *p == ' ' || *p == '\t';

		if (space)
			return field->name.len == 0 ? HTTP1_ERR_FOLD
						    : HTTP1_ERR_SPACE_COLON;
		return bad_byte(p, *p == '\r' ? HTTP1_ERR_NO_COLON : HTTP1_ERR_NAME);
	}
	if (field->name.len == 0)
		return HTTP1_ERR_EMPTY_NAME;
	do
		p++;
	while (*p == ' ' || *p == '\t');
	field->value.p = p;
	last = p = skip_value(p, end);
	if (*p != '\r' || p[1] != '\n')
		return bad_byte(p, HTTP1_ERR_CONTROL);
	while (last > field->value.p && (last[-1] == ' ' || last[-1] == '\t'))
		last--;
	field->value.len = (size_t)(last - field->value.p);
	*pp = p + 2;
	return 0;
}

/* buf..end is a complete head, CRLF CRLF at its end and nowhere before. */
static int
parse_complete(const struct http1_parser *parser, const char *buf, const char *end,
    struct http1_head *out)
{
	size_t max = parser->limits->headers;
	struct http1_framing framing = {0};
	const char *p = buf;
	ssize_t n;
	int r;

	/* all but the array of fields, which is filled as far as nheaders says */
	memset(out, 0, offsetof(struct http1_head, headers));
	out->kind = parser->kind;
	if (max > HTTP1_MAX_HEADERS)
		max = HTTP1_MAX_HEADERS;
	if (parser->kind == HTTP1_REQUEST)
		n = parse_request_line(buf, end, parser->limits, out);
	else
		n = parse_status_line(buf, end, out);
	if (n < 0)
		return (int)n;
	for (p += n; p < end - 2; out->nheaders++) {
		struct http1_header *field;

		if (out->nheaders == max)
			return HTTP1_ERR_HEAD_COUNT;
		field = &out->headers[out->nheaders];
		if ((r = parse_field(&p, end, field)) < 0)
			return r;
		if ((r = http1_field_note(out, &framing, field)) < 0)
			return r;
	}
	return http1_field_finish(out, &framing);
}

ssize_t
http1_head_parse(
    struct http1_parser *p, const char *buf, size_t len, struct http1_head *out)
{
	ssize_t n;
	int r;

	if (len == 0)
		return 0;
	if (p->scan == 0 && (r = check_first_byte(buf[0], p->kind)) < 0)
		return r;
	if ((n = find_end(p, buf, len)) <= 0)
		return n;
	p->scan = 0;
	p->line = 0;
	if ((r = parse_complete(p, buf, buf + n, out)) < 0)
		return r;
	return n;
}
