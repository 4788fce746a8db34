/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request heads (RFC 9112 3) with a credential: bearer (RFC 6750), basic (RFC 7617), a
 * field of its own, or a query parameter.
 */
#include "egressd/worker/inject.h"

#include <stdio.h>
#include <string.h>

#include "common/http1.h"
#include "common/http1_class.h"
#include "common/proto.h"
#include "common/secret.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/hook.h"
#include "egressd/worker/target.h"

#define SCRATCH_SIZE (64 * 1024) /* head and body of nearly every request */

struct out {
	uint8_t *p;
	size_t len, cap;
	int failed;
};

static void
put(struct out *o, const void *p, size_t len)
{
	if (o->failed || len > o->cap - o->len) {
		o->failed = 1;
		return;
	}
	if (len > 0)
		memcpy(o->p + o->len, p, len);
	o->len += len;
}

static void
put_span(struct out *o, struct span s)
{
	put(o, s.p, s.len);
}

static void
put_text(struct out *o, const char *s)
{
	put(o, s, strlen(s));
}

/* -- the agent's fields -- */

/* The next line of "name: value\r\n"...; 1, 0 at the end, -1 malformed. */
static int
field_next(struct span *rest, struct span *name, struct span *line)
{
	const char *nl, *colon;

	if (rest->len == 0)
		return 0;
	nl = memchr(rest->p, '\n', rest->len);
	if (nl == NULL || nl == rest->p || nl[-1] != '\r')
		return -1;
	*line = span_mem(rest->p, (size_t)(nl + 1 - rest->p));
	colon = memchr(line->p, ':', line->len);
	if (colon == NULL || colon == line->p)
		return -1;
	*name = span_mem(line->p, (size_t)(colon - line->p));
	rest->p += line->len;
	rest->len -= line->len;
	return 1;
}

/* Whatever ends like this is taken for a credential: x-forwarded-authorization... */
static bool
ends_in_authorization(struct span name)
{
	const size_t n = sizeof("authorization") - 1;

	return name.len >= n &&
	    http1_same_name(span_mem(name.p + name.len - n, n), "authorization");
}

static bool
is_dropped(struct span name, const struct credential *c)
{
	static const char *const dropped[] = {"host", "x-api-key", "x-aegis-agent",
	    "x-target-host", "content-length", "transfer-encoding", "connection",
	    "expect", "accept-encoding", "upgrade", "te", "trailer", "keep-alive",
	    "proxy-connection", "http2-settings",
	    /* the worker makes its own handshake, and offers no extension */
	    "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions",
	    "sec-websocket-accept",
	    /* pieces of an agent's choice escape the search for the secret */
	    "range", "if-range", "request-range", "x-range",
	    /* the method that was judged is the method */
	    "x-http-method-override", "x-http-method", "x-method-override"};

	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		if (http1_same_name(name, dropped[i]))
			return true;
	return ends_in_authorization(name) || http1_is_hop_by_hop(name) ||
	    (c->kind == INJECT_HEADER && http1_same_name(name, c->header_name));
}

static int
field_check(struct span name, struct span line)
{
	for (size_t i = 0; i < name.len; i++)
		if (!http1_is(name.p[i], HTTP1_C_TOKEN))
			return -1;
	for (size_t i = name.len; i < line.len - 2; i++) {
		unsigned char c = (unsigned char)line.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return -1;
	}
	return 0;
}

int
inject_check(const struct inject_request *r)
{
	struct span rest = r->headers, name, line;
	int n;

	if (r->method.len == 0 || r->method.len > HTTP1_MAX_METHOD ||
	    span_eq(r->method, "CONNECT"))
		return -1;
	for (size_t i = 0; i < r->method.len; i++)
		if (!http1_is(r->method.p[i], HTTP1_C_TOKEN))
			return -1;
	if (r->target.len == 0 ||
	    (r->target.p[0] != '/' &&
		!(span_eq(r->target, "*") && span_eq(r->method, "OPTIONS"))))
		return -1;
	for (size_t i = 0; i < r->target.len; i++)
		if (!http1_is(r->target.p[i], HTTP1_C_TARGET))
			return -1;
	while ((n = field_next(&rest, &name, &line)) == 1)
		if (field_check(name, line) == -1)
			return -1;
	return n;
}

/* -- the credential -- */

static int
put_raw(const void *p, size_t len, void *arg)
{
	put(arg, p, len);
	return 0;
}

static int
put_base64(const void *p, size_t len, void *arg)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *s = p;
	struct out *o = arg;
	char quad[4];

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		unsigned v = (unsigned)s[i] << 16 |
		    (n > 1 ? (unsigned)s[i + 1] << 8 : 0) | (n > 2 ? s[i + 2] : 0);

		quad[0] = alphabet[v >> 18];
		quad[1] = alphabet[v >> 12 & 63];
		quad[2] = n > 1 ? alphabet[v >> 6 & 63] : '=';
		quad[3] = n > 2 ? alphabet[v & 63] : '=';
		put(o, quad, 4);
	}
	explicit_bzero(quad, sizeof(quad));
	return 0;
}

/* All but the unreserved characters of RFC 3986 2.3 escaped. */
static int
put_percent(const void *p, size_t len, void *arg)
{
	static const char digits[] = "0123456789ABCDEF";
	const uint8_t *s = p;
	char esc[3] = "%";

	for (size_t i = 0; i < len; i++) {
		if (http1_is((char)s[i], HTTP1_C_NAME) || s[i] == '~') {
			put(arg, &s[i], 1);
			continue;
		}
		esc[1] = digits[s[i] >> 4];
		esc[2] = digits[s[i] & 15];
		put(arg, esc, 3);
	}
	return 0;
}

static void
put_target(struct out *o, const struct inject_request *r, const struct credential *c)
{
	const char *query, *end = r->target.p + r->target.len;

	put_span(o, r->target);
	if (c->kind != INJECT_QUERY || r->target.p[0] != '/')
		return;
	query = memchr(r->target.p, '?', r->target.len);
	/* a later ? is an octet of a value: without & the secret would be its end */
	if (query == NULL)
		put_text(o, "?");
	else if (query + 1 < end && end[-1] != '&')
		put_text(o, "&");
	put_percent(c->query_param, strlen(c->query_param), o);
	put_text(o, "=");
	secret_use(c->secret, put_percent, o);
}

static void
put_credential(struct out *o, const struct credential *c)
{
	switch (c->kind) {
	case INJECT_BEARER:
		put_text(o, "Authorization: Bearer ");
		secret_use(c->secret, put_raw, o);
		break;
	case INJECT_BASIC:
		put_text(o, "Authorization: Basic ");
		secret_use(c->secret, put_base64, o);
		break;
	case INJECT_HEADER:
		put_text(o, c->header_name);
		put_text(o, ": ");
		secret_use(c->secret, put_raw, o);
		break;
	case INJECT_WEBHOOK:
	case INJECT_QUERY:
		return;
	}
	put_text(o, "\r\n");
}

/* -- all of it -- */

static void
put_framing(struct out *o, const struct inject_request *r)
{
	char text[48];

	if (r->body_len == BODY_LEN_UNKNOWN) {
		put_text(o, "Transfer-Encoding: chunked\r\n");
	} else if (r->body_len > 0 || span_eq(r->method, "POST") ||
	    span_eq(r->method, "PUT") || span_eq(r->method, "PATCH")) {
		/* RFC 9110 8.6: say 0 where the method suggests a body */
		snprintf(text, sizeof(text), "Content-Length: %llu\r\n",
		    (unsigned long long)r->body_len);
		put_text(o, text);
	}
}

/* RFC 6455 section 4.1. */
static void
put_upgrade(struct out *o, const struct inject_request *r)
{
	if (r->ws_key == NULL)
		return;
	put_text(o,
	    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: ");
	put_text(o, r->ws_key);
	put_text(o, "\r\n");
}

ssize_t
inject_build(
    const struct inject_request *r, const struct credential *c, uint8_t *out, size_t cap)
{
	struct out o = {.p = out, .cap = cap};
	struct span rest = r->headers, name, line;
	char port[8], signature[HOOK_SIGNATURE_MAX];

	put_span(&o, r->method);
	put_text(&o, " ");
	put_target(&o, r, c);
	put_text(&o, " HTTP/1.1\r\nHost: ");
	put_text(&o, r->to->host);
	if (r->to->port != (r->to->tls ? 443 : 80)) {
		snprintf(port, sizeof(port), ":%u", r->to->port);
		put_text(&o, port);
	}
	put_text(&o, "\r\n");
	put_credential(&o, c);
	while (field_next(&rest, &name, &line) == 1)
		if (!is_dropped(name, c))
			put_span(&o, line);
	if (c->kind == INJECT_WEBHOOK) {
		if (hook_sign(r, c, signature, sizeof(signature)) == -1)
			return -1;
		put_text(&o, signature);
	}
	put_text(&o, "Accept-Encoding: identity\r\n");
	put_upgrade(&o, r);
	put_framing(&o, r);
	put_text(&o, "\r\n");
	put_span(&o, r->body);
	return o.failed ? -1 : (ssize_t)o.len;
}

size_t
inject_size(const struct inject_request *r, const struct credential *c)
{
	return r->method.len + r->target.len + r->headers.len + r->body.len + HOST_MAX +
	    512 + CREDENTIAL_INJECTED_MAX(c) + sizeof(c->header_name) +
	    3 * sizeof(c->query_param);
}

struct send_job {
	const struct inject_request *r;
	const struct credential *c;
	size_t skip;
	ssize_t (*fn)(const void *, size_t, void *);
	void *arg;
	ssize_t result;
};

/* The arena's octets, writable: this file made them and nobody else has the handle. */
static int
build_and_send(const void *p, size_t size, void *arg)
{
	struct send_job *j = arg;
	uint8_t *out = (uint8_t *)(uintptr_t)p;
	ssize_t n = inject_build(j->r, j->c, out, size);

	if (n >= 0 && (size_t)n >= j->skip)
		j->result = j->fn(out + j->skip, (size_t)n - j->skip, j->arg);
	explicit_bzero(out, n >= 0 ? (size_t)n : size);
	return 0;
}

static long
fill_nothing(void *p, size_t max, void *arg)
{
	(void)p;
	(void)arg;
	return (long)max;
}

ssize_t
inject_send(const struct inject_request *r, const struct credential *c, size_t skip,
    ssize_t (*fn)(const void *p, size_t len, void *arg), void *arg)
{
	static struct secret *scratch; /* made once, wiped after every use */
	struct send_job j = {r, c, skip, fn, arg, INJECT_FAILED};
	size_t size = inject_size(r, c);
	struct secret *large;

	if (size <= SCRATCH_SIZE) {
		if (scratch == NULL)
			scratch = secret_new_fill(SCRATCH_SIZE, fill_nothing, NULL);
		if (scratch != NULL)
			secret_use(scratch, build_and_send, &j);
		return j.result;
	}
	large = secret_new_fill(size, fill_nothing, NULL);
	if (large != NULL)
		secret_use(large, build_and_send, &j);
	secret_free(large);
	return j.result;
}
