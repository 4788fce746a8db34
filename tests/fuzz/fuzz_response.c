/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: heads of upstreams on their way to agents. What passes is made of whole
 * lines of the head, none of them about the connection, the framing or cookies.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "egressd/worker/respond.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void
check_line(const struct http1_head *head, struct span line)
{
	static const char *const never[] = {"connection", "keep-alive",
	    "transfer-encoding", "te", "trailer", "upgrade", "set-cookie",
	    "proxy-authenticate", "proxy-authorization"};
	const char *colon = memchr(line.p, ':', line.len);
	struct span name;
	bool known = false;

	must(colon != NULL && colon > line.p && colon[1] == ' ');
	must(memchr(line.p, '\r', line.len) == NULL &&
	    memchr(line.p, '\0', line.len) == NULL);
	name = span_mem(line.p, (size_t)(colon - line.p));
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		must(!span_ieq(name, never[i]));
	if (span_ieq(name, "content-length"))
		must(head->kind == HTTP1_RESPONSE_HEAD || head->status == 304);
	must(!http1_connection_names(head, name));
	for (size_t i = 0; i < head->nheaders; i++)
		known |= span_same(head->headers[i].name, name);
	must(known);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char out[RESPOND_HEADERS_MAX];
	struct http1_parser parser;
	struct http1_head head;
	struct span rest;
	ssize_t n;

	if (size < 1)
		return 0;
	http1_parser_init(
	    &parser, data[0] & 1 ? HTTP1_RESPONSE_HEAD : HTTP1_RESPONSE, &respond_limits);
	if (http1_head_parse(&parser, (const char *)data + 1, size - 1, &head) <= 0)
		return 0;
	n = respond_headers(&head, out, data[0] & 2 ? size % 128 : sizeof(out));
	if (n < 0)
		return 0;
	for (rest = span_mem(out, (size_t)n); rest.len > 0;) {
		const char *nl = memchr(rest.p, '\n', rest.len);

		must(nl != NULL && nl > rest.p && nl[-1] == '\r');
		check_line(&head, span_mem(rest.p, (size_t)(nl - 1 - rest.p)));
		rest.len -= (size_t)(nl + 1 - rest.p);
		rest.p = nl + 1;
	}
	if (head.body == HTTP1_BODY_NONE)
		must(respond_refuse(&head) == NULL);
	return 0;
}
