/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Incremental decoder of chunked bodies (RFC 9112 7.1); gated runs it on
 * requests, egressd workers on answers.  Copies nothing: the data comes out as
 * spans of what was put in.
 *
 * Chunk extensions are ignored as the RFC demands, but must be printable and
 * stay within bounds per chunk and per body.  Trailer fields are checked for
 * form and thrown away, so it does not matter what they are called.
 */
#ifndef AEGIS_COMMON_HTTP1_CHUNK_H
#define AEGIS_COMMON_HTTP1_CHUNK_H

#include <stdint.h>

#include "common/http1.h"

#define HTTP1_CHUNK_DIGITS 16
#define HTTP1_CHUNK_EXT_MAX 256    /* bytes of extension in one chunk */
#define HTTP1_CHUNK_EXT_TOTAL 4096 /* and in all chunks of a body */
#define HTTP1_TRAILER_MAX 4096     /* bytes of the trailer section, last CRLF included */

enum http1_chunk { /* or a negative enum http1_err */
	HTTP1_CHUNK_MORE = 0,
	HTTP1_CHUNK_DATA,
	HTTP1_CHUNK_END,
};

struct http1_chunked {  /* all zero at the start of a body */
	uint64_t left;  /* of the current chunk */
	uint64_t total; /* data bytes announced so far */
	uint32_t digits;
	uint32_t ext;
	uint32_t ext_total;
	uint32_t trailer;
	int state; /* or the error, once there was one */
};

/*
 * Consume bytes from the front of in.  HTTP1_CHUNK_DATA: data is a non-empty
 * span of the input, call again.  HTTP1_CHUNK_MORE: in is used up.
 * HTTP1_CHUNK_END: the body is over, in begins with what follows it.  Negative:
 * an enum http1_err, also at every later call.  The data and the verdict do not
 * depend on how the input was split.
 */
int http1_chunk_next(struct http1_chunked *c, struct span *in, struct span *data);

#endif
