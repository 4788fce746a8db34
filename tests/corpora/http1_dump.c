/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads one HTTP/1.1 request from standard input and prints what common/http1
 * makes of it as one line of JSON, for http1_differential.py.  Bytes are
 * printed as hexadecimal.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/http1.h"
#include "common/http1_chunk.h"

#define INPUT_MAX (1 << 20)

static char input[INPUT_MAX], decoded[INPUT_MAX];

static void
print_hex(const char *key, struct span s)
{
	printf(",\"%s\":\"", key);
	for (size_t i = 0; i < s.len; i++)
		printf("%02x", (unsigned char)s.p[i]);
	putchar('"');
}

static int
finish(const char *verdict, const char *why)
{
	printf("{\"verdict\":\"%s\",\"why\":\"%s\"}\n", verdict, why);
	return EXIT_SUCCESS;
}

/* Decode a chunked body into decoded; *rest moves to what follows it. */
static int
read_chunked(struct span *rest, struct span *body)
{
	struct http1_chunked c = {0};
	struct span data;
	int r;

	*body = (struct span){decoded, 0};
	while ((r = http1_chunk_next(&c, rest, &data)) == HTTP1_CHUNK_DATA) {
		memcpy(decoded + body->len, data.p, data.len);
		body->len += data.len;
	}
	return r;
}

static void
print_head(const struct http1_head *head)
{
	static const char *const bodies[] = {"none", "length", "chunked", "until-close"};

	printf(",\"minor\":%d,\"framing\":\"%s\",\"keep_alive\":%s", head->minor,
	    bodies[head->body], head->keep_alive ? "true" : "false");
	print_hex("method", head->method);
	print_hex("target", head->target);
	printf(",\"headers\":[");
	for (size_t i = 0; i < head->nheaders; i++) {
		printf("%s{\"index\":%zu", i > 0 ? "," : "", i);
		print_hex("name", head->headers[i].name);
		print_hex("value", head->headers[i].value);
		putchar('}');
	}
	putchar(']');
}

int
main(void)
{
	static struct http1_head head;
	struct http1_parser parser;
	size_t len = fread(input, 1, sizeof(input), stdin);
	struct span body, rest;
	ssize_t n;
	int r;

	http1_parser_init(&parser, HTTP1_REQUEST, NULL);
	n = http1_head_parse(&parser, input, len, &head);
	if (n < 0)
		return finish("refuse", http1_errname((int)n));
	if (n == 0)
		return finish("incomplete", "head");
	rest = (struct span){input + n, len - (size_t)n};
	body = (struct span){rest.p, 0};
	if (head.body == HTTP1_BODY_CHUNKED) {
		r = read_chunked(&rest, &body);
		if (r < 0)
			return finish("refuse", http1_errname(r));
		if (r == HTTP1_CHUNK_MORE)
			return finish("incomplete", "body");
	} else if (head.body == HTTP1_BODY_LENGTH) {
		if (head.content_length > rest.len)
			return finish("incomplete", "body");
		body.len = (size_t)head.content_length;
		rest.p += body.len;
		rest.len -= body.len;
	}
	printf("{\"verdict\":\"accept\"");
	print_head(&head);
	print_hex("body", body);
	print_hex("rest", rest);
	printf("}\n");
	return EXIT_SUCCESS;
}
