/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict, incremental, allocation-free HTTP/1.1 heads (RFC 9112, RFC 9110).
 * gated reads agents' requests with it, an egressd worker reads upstreams'
 * answers; both are hostile.  Whatever two readers could understand
 * differently is refused, never repaired.
 *
 * Stricter than the RFC on purpose:
 *  - no empty line before the start line (RFC 9112 2.2 allows a server to skip it);
 *  - Content-Length has no leading zeros, Host is never empty;
 *  - Connection may not name Host, Content-Length or Transfer-Encoding;
 *  - 1xx and 204 answers may carry nothing but "Content-Length: 0".
 * Laxer on purpose, since nothing can be misread: obs-text in field values,
 * and a status line without the space before an absent reason phrase.
 */
#ifndef AEGIS_COMMON_HTTP1_H
#define AEGIS_COMMON_HTTP1_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

#define HTTP1_MAX_HEADERS 128
#define HTTP1_MAX_METHOD 32

/* name, code, status for the client, stable short name, text */
#define HTTP1_ERRORS(X)                                                                \
	X(BARE_LF, 1, 400, "bare-lf", "line feed without carriage return")             \
	X(BARE_CR, 2, 400, "bare-cr", "carriage return without line feed")             \
	X(CONTROL, 3, 400, "control", "control byte")                                  \
	X(EMPTY_LINE, 4, 400, "empty-line", "empty line before the start line")        \
	X(START_LINE, 5, 400, "start-line", "malformed start line")                    \
	X(METHOD, 6, 501, "method", "method too long")                                 \
	X(TARGET, 7, 400, "target", "malformed request target")                        \
	X(TARGET_LONG, 8, 414, "target-long", "request target too long")               \
	X(VERSION, 9, 505, "version", "HTTP version is neither 1.0 nor 1.1")           \
	X(FOLD, 10, 400, "fold", "line starts with whitespace")                        \
	X(SPACE_COLON, 11, 400, "space-colon", "whitespace before the colon")          \
	X(NAME, 12, 400, "name", "field name is not a token")                          \
	X(EMPTY_NAME, 13, 400, "empty-name", "empty field name")                       \
	X(NO_COLON, 14, 400, "no-colon", "field line without a colon")                 \
	X(HEAD_SIZE, 15, 431, "head-size", "head too large")                           \
	X(HEAD_COUNT, 16, 431, "head-count", "too many fields")                        \
	X(HOST_MISSING, 17, 400, "host-missing", "HTTP/1.1 request without Host")      \
	X(HOST_REPEATED, 18, 400, "host-repeated", "more than one Host")               \
	X(HOST_VALUE, 19, 400, "host-value", "malformed Host")                         \
	X(LENGTH_REPEATED, 20, 400, "length-repeated", "more than one Content-Length") \
	X(LENGTH_VALUE, 21, 400, "length-value", "malformed Content-Length")           \
	X(LENGTH_CODING, 22, 400, "length-coding",                                     \
	    "both Content-Length and Transfer-Encoding")                               \
	X(CODING, 23, 501, "coding", "transfer coding other than chunked")             \
	X(CODING_REPEATED, 24, 400, "coding-repeated",                                 \
	    "more than one Transfer-Encoding")                                         \
	X(CODING_VERSION, 25, 400, "coding-version", "Transfer-Encoding in HTTP/1.0")  \
	X(CONNECTION, 26, 400, "connection", "malformed or dangerous Connection")      \
	X(EXPECT, 27, 417, "expect", "unknown expectation")                            \
	X(STATUS, 28, 400, "status", "status code is not 100 to 599")                  \
	X(BODYLESS, 29, 400, "bodyless", "body announced where none can be")           \
	X(CHUNK_SIZE, 30, 400, "chunk-size", "malformed chunk size")                   \
	X(CHUNK_EXT, 31, 400, "chunk-ext", "malformed or too long chunk extension")    \
	X(CHUNK_END, 32, 400, "chunk-end", "chunk data not followed by CRLF")          \
	X(TRAILER_SIZE, 33, 431, "trailer-size", "trailer section too large")

#define HTTP1_ENUM(name, code, status, slug, text) HTTP1_ERR_##name = -(code),
enum http1_err { HTTP1_OK = 0, HTTP1_ERRORS(HTTP1_ENUM) };
#undef HTTP1_ENUM

enum http1_kind {
	HTTP1_REQUEST,
	HTTP1_RESPONSE,      /* to any method but HEAD; CONNECT is never sent */
	HTTP1_RESPONSE_HEAD, /* to a HEAD request: never has a body */
};

enum http1_form { /* request target, RFC 9112 3.2; the caller decides which it serves */
	HTTP1_FORM_ORIGIN,    /* begins with a slash */
	HTTP1_FORM_ABSOLUTE,  /* scheme://authority..., authority not looked at */
	HTTP1_FORM_AUTHORITY, /* host:port, with CONNECT and only there */
	HTTP1_FORM_ASTERISK,  /* a single *, with OPTIONS and only there */
};

enum http1_body { /* RFC 9112 6.3 */
	HTTP1_BODY_NONE,
	HTTP1_BODY_LENGTH, /* content_length bytes; 0 is possible */
	HTTP1_BODY_CHUNKED,
	HTTP1_BODY_UNTIL_CLOSE, /* responses only */
};

struct http1_limits {
	size_t head;    /* bytes of the whole head, final CRLF included */
	size_t target;  /* bytes of the request target */
	size_t headers; /* field lines; more than HTTP1_MAX_HEADERS is cut to that */
};

extern const struct http1_limits http1_default_limits; /* 16 KiB, 8 KiB, 100 */

struct http1_header {
	struct span name;
	struct span value; /* without the whitespace around it */
};

struct http1_head {
	enum http1_kind kind;
	int minor;  /* HTTP/1.minor: 0 or 1 */
	int status; /* responses: 100..599 */
	struct span method;
	struct span target;
	struct span reason; /* responses, may be empty */
	enum http1_form form;
	enum http1_body body;
	uint64_t content_length; /* 0 unless body is HTTP1_BODY_LENGTH */
	bool keep_alive;         /* the connection may carry another message */
	bool expect_continue;    /* the client waits for 100 before sending the body */
	bool upgrade; /* 1.1, Upgrade present and named in Connection; or a 101 */
	bool has_host;
	struct span host; /* valid if has_host */
	size_t nheaders;
	struct http1_header headers[HTTP1_MAX_HEADERS];
};

struct http1_parser {
	enum http1_kind kind;
	const struct http1_limits *limits;
	size_t scan; /* bytes already searched for the end of the head */
	size_t line; /* where the line under search begins */
};

/*
 * Prepare p.  limits are borrowed and must outlive it; NULL for the default.
 */
void http1_parser_init(
    struct http1_parser *p, enum http1_kind kind, const struct http1_limits *limits);

/*
 * Parse the head at the start of buf, of which len bytes have arrived.  Call
 * again with the same beginning and more bytes while it returns 0; buf may move
 * between calls.  Bytes already seen are not searched again and the fields are
 * read once, so the cost over any splitting is linear in the head.
 *
 * Returns the length of the head (out is filled, its spans point into buf; p is
 * ready for the next message), 0 if more is needed, or a negative enum
 * http1_err.  The verdict does not depend on how the bytes were split.  After
 * an error the connection is beyond repair: answer and close.
 */
ssize_t http1_head_parse(
    struct http1_parser *p, const char *buf, size_t len, struct http1_head *out);

/* Stable short name of an error, for logs and tests: "bare-lf". */
const char *http1_errname(int err);

/* Text for people. */
const char *http1_strerror(int err);

/*
 * Status with which a server answers a request refused with err.  Of no use
 * for a response: that is always a 502 towards the agent.
 */
int http1_error_status(int err);

/* First field of that name (any case) or NULL. */
const struct http1_header *http1_find(const struct http1_head *head, const char *name);

/* How many fields have that name (any case). */
size_t http1_count(const struct http1_head *head, const char *name);

/*
 * Cut the next element off a comma-separated list (RFC 9110 5.6.1), whitespace
 * trimmed, empty elements skipped, quoted strings not understood.  False at the
 * end.
 */
bool http1_list_next(struct span *rest, struct span *item);

/* True if a comma-separated list has that element (any case). */
bool http1_list_has(struct span value, const char *token);

/*
 * True if a field's name is this one for a careless reader: CGI and its heirs make one
 * variable of X-A-B and x_a_b.
 */
bool http1_same_name(struct span name, const char *other);

/* True for the fields that never cross a proxy (RFC 9110 7.6.1 and 11.7). */
bool http1_is_hop_by_hop(struct span name);

/* True if a Connection field of this head names the field: not to be forwarded. */
bool http1_connection_names(const struct http1_head *head, struct span name);

#endif
