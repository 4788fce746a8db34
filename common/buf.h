/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable byte buffer, used by every process. Growing copies into a new block and wipes
 * the old one, so a buffer that holds a secret leaves nothing behind in freed heap as
 * long as it ends with buf_wipe_free(). Every size is checked; a failed call leaves the
 * buffer as it was.
 */
#ifndef AEGIS_COMMON_BUF_H
#define AEGIS_COMMON_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
	uint8_t *p; /* NULL until something was put */
	size_t len; /* bytes in use */
	size_t cap; /* bytes allocated */
};

/* Makes b an empty buffer without memory; never fails. */
void buf_init(struct buf *b);

/* Frees the memory; b is an empty buffer afterwards and may be used again. */
void buf_free(struct buf *b);

/* As buf_free(), but clears the whole allocation first: for secrets. */
void buf_wipe_free(struct buf *b);

/* Slow path of buf_reserve(); use that one. */
int buf_grow(struct buf *b, size_t extra);

/* Appends formatted text without its final NUL. Returns 0, or -1 on error. */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Empties the buffer and keeps its memory. */
static inline void
buf_reset(struct buf *b)
{
	b->len = 0;
}

/*
 * The first *off bytes are done with. They are given up as soon as no more are left
 * behind them, so that a buffer that is never quite empty does not grow; *off is 0 then.
 */
static inline void
buf_behind(struct buf *b, size_t *off)
{
	if (*off == 0 || *off < b->len - *off)
		return;
	memmove(b->p, b->p + *off, b->len - *off);
	b->len -= *off;
	*off = 0;
}

/* Makes room for extra more bytes. Returns 0, or -1 when memory or size_t ends. */
static inline int
buf_reserve(struct buf *b, size_t extra)
{
	return b->cap - b->len >= extra ? 0 : buf_grow(b, extra);
}

/* Appends len bytes; p may be NULL when len is 0. Returns 0 or -1. */
static inline int
buf_put(struct buf *b, const void *p, size_t len)
{
	if (len == 0)
		return 0;
	if (buf_reserve(b, len) != 0)
		return -1;
	memcpy(b->p + b->len, p, len);
	b->len += len;
	return 0;
}

/* Appends one byte. Returns 0 or -1. */
static inline int
buf_putc(struct buf *b, uint8_t c)
{
	if (buf_reserve(b, 1) != 0)
		return -1;
	b->p[b->len++] = c;
	return 0;
}

/* Appends a C string without its NUL. Returns 0 or -1. */
static inline int
buf_puts(struct buf *b, const char *s)
{
	return buf_put(b, s, strlen(s));
}

#endif
