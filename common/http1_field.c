/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fields of a head mean: framing, persistence, lists, hop-by-hop.
 * Runs wherever http1.c runs and is fed only what http1.c found well formed.
 */
#include "common/host.h"
#include "common/http1_class.h"
#include "common/http1_field.h"

#define LENGTH_DIGITS 19 /* fewer than 2^63, so off_t and int64_t hold it too */

/* RFC 9112 9.3 and RFC 9110 7.6.1. */
static int
note_connection(struct http1_framing *f, struct span value)
{
	struct span item;

	while (http1_list_next(&value, &item)) {
		for (size_t i = 0; i < item.len; i++)
			if (!http1_is(item.p[i], HTTP1_C_TOKEN))
				return HTTP1_ERR_CONNECTION;
		if (span_ieq(item, "close"))
			f->close = true;
		else if (span_ieq(item, "keep-alive"))
			f->keep_alive = true;
		else if (span_ieq(item, "upgrade"))
			f->conn_upgrade = true;
		else if (span_ieq(item, "host") || span_ieq(item, "content-length") ||
		    span_ieq(item, "transfer-encoding"))
			return HTTP1_ERR_CONNECTION; /* a proxy would remove the framing
						      */
	}
	return 0;
}

static int
note_length(struct http1_framing *f, struct span value)
{
	uint64_t n = 0;

	if (f->has_length)
		return HTTP1_ERR_LENGTH_REPEATED;
	if (value.len == 0 || value.len > LENGTH_DIGITS ||
	    (value.p[0] == '0' && value.len > 1))
		return HTTP1_ERR_LENGTH_VALUE;
	for (size_t i = 0; i < value.len; i++) {
		if (!http1_is(value.p[i], HTTP1_C_DIGIT))
			return HTTP1_ERR_LENGTH_VALUE;
		n = n * 10 + (uint64_t)(value.p[i] - '0');
	}
	if (n > INT64_MAX)
		return HTTP1_ERR_LENGTH_VALUE;
	f->has_length = true;
	f->length = n;
	return 0;
}

static int
note_coding(const struct http1_head *head, struct http1_framing *f, struct span value)
{
	if (head->minor == 0)
		return HTTP1_ERR_CODING_VERSION;
	if (f->chunked)
		return HTTP1_ERR_CODING_REPEATED;
	if (!span_ieq(value, "chunked"))
		return HTTP1_ERR_CODING;
	f->chunked = true;
	return 0;
}

static int
note_host(struct http1_head *head, struct span value)
{
	char name[HOST_MAX];
	uint16_t port;

	if (head->has_host)
		return HTTP1_ERR_HOST_REPEATED;
	if (host_normalise(value.p, value.len, name, &port) < 0)
		return HTTP1_ERR_HOST_VALUE;
	head->has_host = true;
	head->host = value;
	return 0;
}

int
http1_field_note(
    struct http1_head *head, struct http1_framing *f, const struct http1_header *field)
{
	struct span name = field->name;

	switch (name.len) {
	case 4:
		if (head->kind == HTTP1_REQUEST && span_ieq(name, "host"))
			return note_host(head, field->value);
		break;
	case 6:
		if (head->kind != HTTP1_REQUEST || !span_ieq(name, "expect"))
			break;
		if (!span_ieq(field->value, "100-continue"))
			return HTTP1_ERR_EXPECT;
		f->expect = true;
		break;
	case 7:
		if (span_ieq(name, "upgrade"))
			f->has_upgrade = true;
		break;
	case 10:
		if (span_ieq(name, "connection"))
			return note_connection(f, field->value);
		break;
	case 14:
		if (span_ieq(name, "content-length"))
			return note_length(f, field->value);
		break;
	case 17:
		if (span_ieq(name, "transfer-encoding"))
			return note_coding(head, f, field->value);
		break;
	default:
		break;
	}
	return 0;
}

/* RFC 9112 6.3, given the request's method by way of head->kind. */
static int
response_body(struct http1_head *head, const struct http1_framing *f)
{
	if (head->status < 200 || head->status == 204) {
		if (f->chunked || (f->has_length && f->length != 0))
			return HTTP1_ERR_BODYLESS;
		head->body = HTTP1_BODY_NONE;
	} else if (head->status == 304 || head->kind == HTTP1_RESPONSE_HEAD) {
		head->body = HTTP1_BODY_NONE;
	} else if (f->chunked) {
		head->body = HTTP1_BODY_CHUNKED;
	} else if (f->has_length) {
		head->body = HTTP1_BODY_LENGTH;
	} else {
		head->body = HTTP1_BODY_UNTIL_CLOSE;
	}
	return 0;
}

int
http1_field_finish(struct http1_head *head, const struct http1_framing *f)
{
	int r;

	if (f->has_length && f->chunked)
		return HTTP1_ERR_LENGTH_CODING;
	if (head->kind == HTTP1_REQUEST) {
		if (head->minor == 1 && !head->has_host)
			return HTTP1_ERR_HOST_MISSING;
		head->body = f->chunked ? HTTP1_BODY_CHUNKED
		    : f->has_length     ? HTTP1_BODY_LENGTH
					: HTTP1_BODY_NONE;
	} else if ((r = response_body(head, f)) < 0) {
		return r;
	}
	if (head->body == HTTP1_BODY_LENGTH)
		head->content_length = f->length;
	head->keep_alive = !f->close && (head->minor == 1 || f->keep_alive) &&
	    head->body != HTTP1_BODY_UNTIL_CLOSE && head->status != 101;
	head->upgrade = head->status == 101 ||
	    (head->minor == 1 && f->has_upgrade && f->conn_upgrade);
	head->expect_continue = head->minor == 1 && f->expect &&
	    (head->body == HTTP1_BODY_CHUNKED || head->content_length > 0);
	return 0;
}

/* scheme "://" followed by something; RFC 3986 3.1. */
static bool
is_absolute(struct span t)
{
	size_t i = 0;

	if ((t.p[0] | 0x20) < 'a' || (t.p[0] | 0x20) > 'z')
		return false;
	while (i < t.len && (http1_is(t.p[i], HTTP1_C_NAME) || t.p[i] == '+') &&
	    t.p[i] != '_')
		i++;
	return t.len - i > 3 && memcmp(t.p + i, "://", 3) == 0 && t.p[i + 3] != '/';
}

int
http1_target_form(struct http1_head *head)
{
	struct span t = head->target;
	char name[HOST_MAX];
	uint16_t port;

	if (span_eq(head->method, "CONNECT")) {
		if (host_normalise(t.p, t.len, name, &port) < 0 || port == 0)
			return HTTP1_ERR_TARGET;
		head->form = HTTP1_FORM_AUTHORITY;
	} else if (t.p[0] == '/') {
		head->form = HTTP1_FORM_ORIGIN;
	} else if (span_eq(t, "*") && span_eq(head->method, "OPTIONS")) {
		head->form = HTTP1_FORM_ASTERISK;
	} else if (is_absolute(t)) {
		head->form = HTTP1_FORM_ABSOLUTE;
	} else {
		return HTTP1_ERR_TARGET;
	}
	return 0;
}

#define HTTP1_ROW(name, code, status, slug, text) [code] = {status, slug, text},
static const struct {
	int status;
	const char *slug, *text;
} errors[] = {{200, "ok", "no error"}, HTTP1_ERRORS(HTTP1_ROW)};
#undef HTTP1_ROW

/* Row of an error; 0 for what is none of ours. */
static size_t
error_row(int err)
{
	int n = (int)(sizeof(errors) / sizeof(errors[0]));

	return err < 0 && err > -n ? (size_t)-err : 0;
}

const char *
http1_errname(int err)
{
	return errors[error_row(err)].slug;
}

const char *
http1_strerror(int err)
{
	return errors[error_row(err)].text;
}

int
http1_error_status(int err)
{
	return errors[error_row(err)].status;
}

const struct http1_header *
http1_find(const struct http1_head *head, const char *name)
{
	struct span want = {name, strlen(name)};

	for (size_t i = 0; i < head->nheaders; i++)
		if (span_same(head->headers[i].name, want))
			return &head->headers[i];
	return NULL;
}

size_t
http1_count(const struct http1_head *head, const char *name)
{
	struct span want = {name, strlen(name)};
	size_t n = 0;

	for (size_t i = 0; i < head->nheaders; i++)
		n += span_same(head->headers[i].name, want);
	return n;
}

bool
http1_list_next(struct span *rest, struct span *item)
{
	const char *p = rest->p, *end = p + rest->len, *last;

	while (p < end && (*p == ' ' || *p == '\t' || *p == ','))
		p++;
	item->p = p;
	while (p < end && *p != ',')
		p++;
	last = p;
	while (last > item->p && (last[-1] == ' ' || last[-1] == '\t'))
		last--;
	item->len = (size_t)(last - item->p);
	*rest = (struct span){p, (size_t)(end - p)};
	return item->len > 0;
}

bool
http1_list_has(struct span value, const char *token)
{
	struct span item;

	while (http1_list_next(&value, &item))
		if (span_ieq(item, token))
			return true;
	return false;
}

bool
http1_same_name(struct span name, const char *other)
{
	size_t i;

	for (i = 0; i < name.len; i++) {
		char a = ascii_lower(name.p[i]), b = ascii_lower(other[i]);

		if ((a == '_' ? '-' : a) != (b == '_' ? '-' : b) || b == '\0')
			return false;
	}
	return other[i] == '\0';
}

bool
http1_is_hop_by_hop(struct span name)
{
	static const char *const names[] = {"connection", "keep-alive",
	    "proxy-authenticate", "proxy-authentication-info", "proxy-authorization",
	    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
	    "http2-settings"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_ieq(name, names[i]))
			return true;
	return false;
}

bool
http1_connection_names(const struct http1_head *head, struct span name)
{
	for (size_t i = 0; i < head->nheaders; i++) {
		struct span rest = head->headers[i].value, item;

		if (!span_ieq(head->headers[i].name, "connection"))
			continue;
		while (http1_list_next(&rest, &item))
			if (span_same(item, name))
				return true;
	}
	return false;
}
