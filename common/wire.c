/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded reader and writer. Failure is sticky: callers check once, at the end.
 */
#include "common/wire.h"

#include <string.h>

#include "common/secret.h"
#include "common/utf8.h"

static uint8_t *
room(struct wire_w *w, size_t n)
{
	uint8_t *at;

	if (w->failed || n > w->cap - w->len) {
		w->failed = 1;
		return NULL;
	}
	at = w->p + w->len;
	w->len += n;
	return at;
}

void
wire_put_u8(struct wire_w *w, uint8_t v)
{
	uint8_t *at = room(w, 1);

	if (at != NULL)
		*at = v;
}

void
wire_put_u32(struct wire_w *w, uint32_t v)
{
	uint8_t *at = room(w, 4);

	if (at == NULL)
		return;
	v = __builtin_bswap32(v);
	memcpy(at, &v, 4);
}

void
wire_put_u64(struct wire_w *w, uint64_t v)
{
	uint8_t *at = room(w, 8);

	if (at == NULL)
		return;
	v = __builtin_bswap64(v);
	memcpy(at, &v, 8);
}

void
wire_put_fix(struct wire_w *w, const void *p, size_t n)
{
	uint8_t *at = room(w, n);

	if (at != NULL)
		memcpy(at, p, n);
}

void
wire_put_span(struct wire_w *w, struct span s, size_t max)
{
	uint8_t *at;

	if (s.len > max || s.len > UINT32_MAX) {
		w->failed = 1;
		return;
	}
	wire_put_u32(w, (uint32_t)s.len);
	at = room(w, s.len);
	if (at != NULL && s.len > 0)
		memcpy(at, s.p, s.len);
}

/* Well-formed UTF-8 without NUL. */
static int
text_ok(struct span s)
{
	return s.len == 0 ||
	    (memchr(s.p, '\0', s.len) == NULL && utf8_valid((const uint8_t *)s.p, s.len));
}

void
wire_put_str(struct wire_w *w, struct span s, size_t max)
{
	if (!text_ok(s)) {
		w->failed = 1;
		return;
	}
	wire_put_span(w, s, max);
}

static int
put_octets(const void *p, size_t len, void *arg)
{
	struct wire_w *w = arg;

	wire_put_u32(w, (uint32_t)len);
	wire_put_fix(w, p, len);
	return 0;
}

void
wire_put_secret(struct wire_w *w, const struct secret *s, size_t max)
{
	if (s == NULL) {
		wire_put_u32(w, 0);
		return;
	}
	if (secret_len(s) > max) {
		w->failed = 1;
		return;
	}
	secret_use(s, put_octets, w);
}

void
wire_put_fd(struct wire_w *w, int fd, int optional)
{
	if (optional)
		wire_put_u8(w, fd >= 0);
	if (fd < 0) {
		if (!optional)
			w->failed = 1;
		return;
	}
	if (w->nfds == WIRE_MAX_FDS) {
		w->failed = 1;
		return;
	}
	w->fds[w->nfds++] = fd;
}

static uint8_t *
take(struct wire_r *r, size_t n)
{
	uint8_t *at;

	if (r->failed || n > r->len - r->off) {
		r->failed = 1;
		return NULL;
	}
	at = r->p + r->off;
	r->off += n;
	return at;
}

uint8_t
wire_get_u8(struct wire_r *r)
{
	const uint8_t *at = take(r, 1);

	return at == NULL ? 0 : *at;
}

uint32_t
wire_get_u32(struct wire_r *r)
{
	const uint8_t *at = take(r, 4);
	uint32_t v;

	if (at == NULL)
		return 0;
	memcpy(&v, at, 4);
	return __builtin_bswap32(v);
}

uint64_t
wire_get_u64(struct wire_r *r)
{
	const uint8_t *at = take(r, 8);
	uint64_t v;

	if (at == NULL)
		return 0;
	memcpy(&v, at, 8);
	return __builtin_bswap64(v);
}

void
wire_get_fix(struct wire_r *r, void *p, size_t n)
{
	const uint8_t *at = take(r, n);

	if (at != NULL)
		memcpy(p, at, n);
	else
		memset(p, 0, n);
}

struct span
wire_get_span(struct wire_r *r, size_t max)
{
	struct span s = {0};
	uint32_t n = wire_get_u32(r);

	if (n > max)
		r->failed = 1;
	s.p = (const char *)take(r, n);
	if (s.p != NULL)
		s.len = n;
	return s;
}

struct span
wire_get_str(struct wire_r *r, size_t max)
{
	struct span s = wire_get_span(r, max);

	if (!text_ok(s))
		r->failed = 1;
	return s;
}

struct secret *
wire_get_secret(struct wire_r *r, size_t max)
{
	struct secret *secret = NULL;
	uint32_t n = wire_get_u32(r);
	uint8_t *at;

	if (n > max)
		r->failed = 1;
	at = take(r, n);
	if (at == NULL)
		return NULL;
	if (n > 0 && (secret = secret_new(at, n)) == NULL)
		r->failed = r->no_memory = 1;
	explicit_bzero(at, n);
	return secret;
}

int
wire_get_fd(struct wire_r *r, int optional)
{
	if (optional) {
		uint8_t present = wire_get_u8(r);

		if (present > 1)
			r->failed = 1;
		if (present != 1)
			return -1;
	}
	if (r->failed || r->nextfd >= r->nfds) {
		r->failed = 1;
		return -1;
	}
	return r->fds[r->nextfd++];
}
