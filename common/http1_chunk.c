/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunked bodies, one byte at a time between the chunks, in one step within
 * them.  Used by gated and egressd workers on hostile input.
 */
#include "common/http1_chunk.h"
#include "common/http1_class.h"

enum { /* struct http1_chunked.state; negative is an error */
	SIZE_FIRST = 0,
	SIZE,
	EXT_FIRST,
	EXT,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_FIRST,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF,
	DONE,
};

/* The byte c is not what the grammar wants: is there a more exact reason? */
static int
bad_byte(char c, int otherwise)
{
	unsigned char u = (unsigned char)c;

	if (u == '\n')
		return HTTP1_ERR_BARE_LF;
	if ((u < 0x20 && u != '\t' && u != '\r') || u == 0x7f)
		return HTTP1_ERR_CONTROL;
	return otherwise;
}

/* 1*HEXDIG, then CR or an extension. */
static int
take_size(struct http1_chunked *c, char b)
{
	if (http1_is(b, HTTP1_C_HEX)) {
		if (c->digits++ == HTTP1_CHUNK_DIGITS || c->left > (INT64_MAX >> 4))
			return HTTP1_ERR_CHUNK_SIZE;
		c->left = c->left << 4 | http1_hex(b);
		return SIZE;
	}
	if (c->digits > 0 && b == ';')
		return EXT_FIRST;
	if (c->digits > 0 && b == '\r')
		return SIZE_LF;
	return bad_byte(b, HTTP1_ERR_CHUNK_SIZE);
}

static int
take_ext(struct http1_chunked *c, char b)
{
	if (b == '\r')
		return c->state == EXT ? SIZE_LF : HTTP1_ERR_CHUNK_EXT;
	if (!http1_is(b, HTTP1_C_VALUE) || (unsigned char)b >= 0x80)
		return bad_byte(b, HTTP1_ERR_CHUNK_EXT);
	if (++c->ext > HTTP1_CHUNK_EXT_MAX || ++c->ext_total > HTTP1_CHUNK_EXT_TOTAL)
		return HTTP1_ERR_CHUNK_EXT;
	return EXT;
}

/* The chunk header is complete. */
static int
begin_chunk(struct http1_chunked *c)
{
	c->digits = 0;
	c->ext = 0;
	if (c->left == 0)
		return TRAILER_FIRST;
	if (c->left > INT64_MAX - c->total)
		return HTTP1_ERR_CHUNK_SIZE;
	c->total += c->left;
	return DATA;
}

static int
take_trailer(struct http1_chunked *c, char b)
{
	if (++c->trailer > HTTP1_TRAILER_MAX)
		return HTTP1_ERR_TRAILER_SIZE;
	switch (c->state) {
	case TRAILER_FIRST:
		if (b == '\r')
			return END_LF;
		if (b == ' ' || b == '\t')
			return HTTP1_ERR_FOLD;
		if (b == ':')
			return HTTP1_ERR_EMPTY_NAME;
		return http1_is(b, HTTP1_C_TOKEN) ? TRAILER_NAME
						  : bad_byte(b, HTTP1_ERR_NAME);
	case TRAILER_NAME:
		if (b == ':')
			return TRAILER_VALUE;
		if (b == ' ' || b == '\t')
			return HTTP1_ERR_SPACE_COLON;
		if (b == '\r')
			return HTTP1_ERR_NO_COLON;
		return http1_is(b, HTTP1_C_TOKEN) ? TRAILER_NAME
						  : bad_byte(b, HTTP1_ERR_NAME);
	default: /* TRAILER_VALUE */
		if (b == '\r')
			return TRAILER_LF;
		return http1_is(b, HTTP1_C_VALUE) ? TRAILER_VALUE
						  : bad_byte(b, HTTP1_ERR_CONTROL);
	}
}

/* A byte outside chunk data: the next state, or the error. */
static int
take_byte(struct http1_chunked *c, char b)
{
	switch (c->state) {
	case SIZE_FIRST:
	case SIZE:
		return take_size(c, b);
	case EXT_FIRST:
	case EXT:
		return take_ext(c, b);
	case SIZE_LF:
		return b == '\n' ? begin_chunk(c) : HTTP1_ERR_BARE_CR;
	case DATA_CR:
		return b == '\r' ? DATA_LF : HTTP1_ERR_CHUNK_END;
	case DATA_LF:
		return b == '\n' ? SIZE_FIRST : HTTP1_ERR_CHUNK_END;
	case TRAILER_LF:
		c->trailer++;
		return b == '\n' ? TRAILER_FIRST : HTTP1_ERR_BARE_CR;
	case END_LF:
		return b == '\n' ? DONE : HTTP1_ERR_BARE_CR;
	default:
		return take_trailer(c, b);
	}
}

int
http1_chunk_next(struct http1_chunked *c, struct span *in, struct span *data)
{
	while (in->len > 0 && c->state >= 0 && c->state != DATA && c->state != DONE) {
		c->state = take_byte(c, *in->p);
		in->p++;
		in->len--;
	}
	if (c->state < 0)
		return c->state;
	if (c->state == DONE)
		return HTTP1_CHUNK_END;
	if (in->len == 0)
		return HTTP1_CHUNK_MORE;
	data->p = in->p;
	data->len = c->left < in->len ? (size_t)c->left : in->len;
	in->p += data->len;
	in->len -= data->len;
	c->left -= data->len;
	if (c->left == 0)
		c->state = DATA_CR;
	return HTTP1_CHUNK_DATA;
}
