/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads of answers, filtered; see respond.h.
 */
#include "egressd/worker/respond.h"

#include <string.h>

#include "common/jsonw.h"

const struct http1_limits respond_limits = {RESPOND_HEADERS_MAX, 8192, HTTP1_MAX_HEADERS};

static bool
is_dropped(const struct http1_head *head, struct span name)
{
	static const char *const dropped[] = {"set-cookie", "set-cookie2",
	    "proxy-authenticate", "proxy-authentication-info", "trailer",
	    "transfer-encoding", "alt-svc", "sec-websocket-accept",
	    "sec-websocket-extensions"};

	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		if (span_ieq(name, dropped[i]))
			return true;
	if (span_ieq(name, "content-length"))
		return head->kind != HTTP1_RESPONSE_HEAD && head->status != 304;
	return http1_is_hop_by_hop(name) || http1_connection_names(head, name);
}

ssize_t
respond_headers(const struct http1_head *head, char *out, size_t cap)
{
	size_t len = 0;

	for (size_t i = 0; i < head->nheaders; i++) {
		const struct http1_header *h = &head->headers[i];

		if (is_dropped(head, h->name))
			continue;
		if (h->name.len + h->value.len + 4 > cap - len)
			return -1;
		memcpy(out + len, h->name.p, h->name.len);
		len += h->name.len;
		memcpy(out + len, ": ", 2);
		len += 2;
		if (h->value.len > 0)
			memcpy(out + len, h->value.p, h->value.len);
		len += h->value.len;
		memcpy(out + len, "\r\n", 2);
		len += 2;
	}
	return (ssize_t)len;
}

/* RFC 9110 14.6; the media type's case does not matter. */
static bool
is_byteranges(struct span type)
{
	const size_t n = sizeof("multipart/byteranges") - 1;

	return type.len >= n && span_ieq(span_mem(type.p, n), "multipart/byteranges");
}

const char *
respond_refuse(const struct http1_head *head)
{
	bool empty = head->body == HTTP1_BODY_NONE ||
	    (head->body == HTTP1_BODY_LENGTH && head->content_length == 0);

	if (empty)
		return NULL;
	if (head->status == 206)
		return "a part although no range was asked for; it cannot be searched";
	for (size_t i = 0; i < head->nheaders; i++)
		if (span_ieq(head->headers[i].name, "content-encoding") &&
		    head->headers[i].value.len > 0 &&
		    !span_ieq(head->headers[i].value, "identity"))
			return "compressed although identity was asked for; it cannot be "
			       "searched";
		else if (span_ieq(head->headers[i].name, "content-type") &&
		    is_byteranges(head->headers[i].value))
			return "parts although no range was asked for; they cannot be "
			       "searched";
	return NULL;
}

int
respond_made(struct buf *out, const char *error, const struct respond_kv *kv, size_t n)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "error", error);
	for (size_t i = 0; i < n; i++)
		if (kv[i].value != NULL)
			jsonw_key_str(&w, kv[i].key, kv[i].value);
	jsonw_obj_close(&w);
	return jsonw_done(&w);
}
