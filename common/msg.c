/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoders, decoders and tables made from proto/all.def. Runs in every process; the
 * decoder is the only parser that stands between two of them.
 */
#include "common/msg.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/secret.h"
#include "schema_hash.h"

/* -- encoders -- */
#define F_U8(f) wire_put_u8(w, m->f);
#define F_U32(f) wire_put_u32(w, m->f);
#define F_U64(f) wire_put_u64(w, m->f);
#define F_FIX(f, n) wire_put_fix(w, m->f, n);
#define F_STR(f, n) wire_put_str(w, m->f, n);
#define F_BLOB(f, n) wire_put_span(w, m->f, n);
#define F_SECRET(f, n) wire_put_secret(w, m->f, n);
#define F_FD(f) wire_put_fd(w, m->f, 0);
#define F_OPTFD(f) wire_put_fd(w, m->f, 1);
#define MESSAGE(n)                                              \
	static void encode_##n(struct wire_w *w, const void *v) \
	{                                                       \
		const struct msg_##n *m = v;                    \
		(void)m;                                        \
		(void)w;
#define ASK(n, t, a) MESSAGE(n)
#define ANSWER(n, t) MESSAGE(n)
#define NOTE(n, t) MESSAGE(n)
#define END(n) }
#include "common/proto/all.def"
#undef F_U8
#undef F_U32
#undef F_U64
#undef F_FIX
#undef F_STR
#undef F_BLOB
#undef F_SECRET
#undef F_FD
#undef F_OPTFD
#undef MESSAGE

/* -- decoders -- */
#define F_U8(f) m->f = wire_get_u8(r);
#define F_U32(f) m->f = wire_get_u32(r);
#define F_U64(f) m->f = wire_get_u64(r);
#define F_FIX(f, n) wire_get_fix(r, m->f, n);
#define F_STR(f, n) m->f = wire_get_str(r, n);
#define F_BLOB(f, n) m->f = wire_get_span(r, n);
#define F_SECRET(f, n) m->f = wire_get_secret(r, n);
#define F_FD(f) m->f = wire_get_fd(r, 0);
#define F_OPTFD(f) m->f = wire_get_fd(r, 1);
#define MESSAGE(n)                                        \
	static void decode_##n(struct wire_r *r, void *v) \
	{                                                 \
		struct msg_##n *m = v;                    \
		(void)m;                                  \
		(void)r;
#include "common/proto/all.def"
#undef F_U8
#undef F_U32
#undef F_U64
#undef F_FIX
#undef F_STR
#undef F_BLOB
#undef F_SECRET
#undef F_FD
#undef F_OPTFD
#undef MESSAGE
#undef ASK
#undef ANSWER
#undef NOTE
#undef END

/* -- field tables: a function each, so that T names the struct -- */
#define F_U8(f) {#f, FIELD_U8, offsetof(T, f), 1},
#define F_U32(f) {#f, FIELD_U32, offsetof(T, f), 4},
#define F_U64(f) {#f, FIELD_U64, offsetof(T, f), 8},
#define F_FIX(f, n) {#f, FIELD_FIX, offsetof(T, f), n},
#define F_STR(f, n) {#f, FIELD_STR, offsetof(T, f), n},
#define F_BLOB(f, n) {#f, FIELD_BLOB, offsetof(T, f), n},
#define F_SECRET(f, n) {#f, FIELD_SECRET, offsetof(T, f), n},
#define F_FD(f) {#f, FIELD_FD, offsetof(T, f), 0},
#define F_OPTFD(f) {#f, FIELD_OPTFD, offsetof(T, f), 0},
#define MESSAGE(n)                                               \
	static const struct msg_field *fields_##n(size_t *count) \
	{                                                        \
		typedef struct msg_##n T;                        \
		static const struct msg_field fields[] = {
#define ASK(n, t, a) MESSAGE(n)
#define ANSWER(n, t) MESSAGE(n)
#define NOTE(n, t) MESSAGE(n)
#define END(n)                                           \
	{                                                \
		"", FIELD_U8, offsetof(T, end_), 0       \
	}                                                \
	}                                                \
	;                                                \
	*count = sizeof(fields) / sizeof(fields[0]) - 1; \
	return fields;                                   \
	}
#include "common/proto/all.def"
#undef F_U8
#undef F_U32
#undef F_U64
#undef F_FIX
#undef F_STR
#undef F_BLOB
#undef F_SECRET
#undef F_FD
#undef F_OPTFD
#undef MESSAGE
#undef ASK
#undef ANSWER
#undef NOTE
#undef END

/* -- which messages hold descriptors or secrets: the others need no walk -- */
#define F_U8(f)
#define F_U32(f)
#define F_U64(f)
#define F_FIX(f, n)
#define F_STR(f, n)
#define F_BLOB(f, n)
#define F_SECRET(f, n) +1
#define F_FD(f) +1
#define F_OPTFD(f) +1
#define MESSAGE(n) enum { owns_##n = 0
#define ASK(n, t, a) MESSAGE(n)
#define ANSWER(n, t) MESSAGE(n)
#define NOTE(n, t) MESSAGE(n)
#define END(n) \
	}      \
	;
#include "common/proto/all.def"
#undef F_U8
#undef F_U32
#undef F_U64
#undef F_FIX
#undef F_STR
#undef F_BLOB
#undef F_SECRET
#undef F_FD
#undef F_OPTFD
#undef MESSAGE
#undef ASK
#undef ANSWER
#undef NOTE
#undef END

#define F_U8(f)
#define F_U32(f)
#define F_U64(f)
#define F_FIX(f, n)
#define F_STR(f, n)
#define F_BLOB(f, n)
#define F_SECRET(f, n)
#define F_FD(f)
#define F_OPTFD(f)
#define END(n)
#define ROW(n, t, a, k)                                                      \
	_Static_assert(sizeof(struct msg_##n) <= sizeof(union msg_any), #n); \
	_Static_assert((t) < MSG_TYPE_END, #n);
#define ASK(n, t, a) ROW(n, t, MSG_##a, MSG_IS_ASK)
#define ANSWER(n, t) ROW(n, t, 0, MSG_IS_ANSWER)
#define NOTE(n, t) ROW(n, t, 0, MSG_IS_NOTE)
#include "common/proto/all.def"
#undef ROW
#define ROW(n, t, a, k)                                                         \
	{#n, t, a, k, sizeof(struct msg_##n), owns_##n, encode_##n, decode_##n, \
	    fields_##n},
static const struct msg_desc descs[] = {
#include "common/proto/all.def"
};
#undef ROW
#define ROW(n, t, a, k) [t] = __COUNTER__ - FIRST + 1,
/* type -> 1 + place in descs[]; a type written twice is a compile error (-Woverride-init)
 */
enum { FIRST = __COUNTER__ + 1 };
static const uint16_t place[MSG_TYPE_END] = {
#include "common/proto/all.def"
};

const struct msg_desc *
msg_desc_get(unsigned type)
{
	if (type >= MSG_TYPE_END || place[type] == 0)
		return NULL;
	return &descs[place[type] - 1];
}

const struct msg_desc *
msg_desc_at(size_t i)
{
	return i < sizeof(descs) / sizeof(descs[0]) ? &descs[i] : NULL;
}

const uint8_t *
msg_schema_hash(void)
{
	static const uint8_t hash[32] = {SCHEMA_HASH};

	return hash;
}

int
msg_encode(struct wire_w *w, const struct msg_desc *d, const void *msg, uint64_t reqid,
    uint32_t deadline_ms)
{
	uint8_t *head = w->p + w->len;
	size_t start = w->len;
	uint32_t len;

	wire_put_u32(w, (uint32_t)MSG_VERSION << 16 | d->type);
	wire_put_u32(w, 0); /* the length, below */
	wire_put_u64(w, reqid);
	wire_put_u32(w, deadline_ms);
	wire_put_u32(w, 0); /* flags (none yet), descriptors, zero */
	d->encode(w, msg);
	if (w->failed || w->len - start > MSG_MAX)
		return -1;
	len = __builtin_bswap32((uint32_t)(w->len - start - MSG_HEADER));
	memcpy(head + 4, &len, 4);
	head[22] = (uint8_t)w->nfds;
	return 0;
}

int
msg_head_decode(const uint8_t *p, size_t len, struct msg_head *h)
{
	uint8_t copy[MSG_HEADER];
	struct wire_r r = {.p = copy, .len = MSG_HEADER};
	uint32_t first, last;

	if (len < MSG_HEADER || len > MSG_MAX)
		return -1;
	memcpy(copy, p, MSG_HEADER);
	first = wire_get_u32(&r);
	h->version = (uint16_t)(first >> 16);
	h->type = (uint16_t)first;
	h->len = wire_get_u32(&r);
	h->reqid = wire_get_u64(&r);
	h->deadline_ms = wire_get_u32(&r);
	last = wire_get_u32(&r);
	h->nfds = (uint8_t)(last >> 8);
	if (h->version != MSG_VERSION || h->len > len - MSG_HEADER ||
	    h->nfds > WIRE_MAX_FDS || (last & 0xffff00ff) != 0)
		return -1;
	return 0;
}

int
msg_decode(const struct msg_desc *d, uint8_t *body, size_t len, const int *fds,
    unsigned nfds, void *msg)
{
	struct wire_r r = {.p = body, .len = len, .fds = fds, .nfds = nfds};
	const struct msg_field *f;
	size_t i, n;

	msg_init(d, msg);
	d->decode(&r, msg);
	if (!r.failed && r.off == r.len && r.nextfd == nfds)
		return 0;
	/* the descriptors stay the caller's: forget them before the rest is freed */
	for (f = d->fields(&n), i = 0; i < n; i++)
		if (f[i].kind == FIELD_FD || f[i].kind == FIELD_OPTFD)
			memcpy((uint8_t *)msg + f[i].offset, &(int){-1}, sizeof(int));
	msg_release(d, msg);
	msg_init(d, msg);
	errno = r.no_memory ? ENOMEM : EPROTO;
	return -1;
}

void
msg_init(const struct msg_desc *d, void *msg)
{
	const struct msg_field *f;
	size_t i, n;

	memset(msg, 0, d->size);
	if (!d->owns)
		return;
	for (f = d->fields(&n), i = 0; i < n; i++)
		if (f[i].kind == FIELD_FD || f[i].kind == FIELD_OPTFD)
			memcpy((uint8_t *)msg + f[i].offset, &(int){-1}, sizeof(int));
}

void
msg_release(const struct msg_desc *d, void *msg)
{
	const struct msg_field *f;
	struct secret *s;
	size_t i, n;
	int fd;

	if (!d->owns) /* nothing to give back, and nobody reads it again */
		return;
	for (f = d->fields(&n), i = 0; i < n; i++) {
		if (f[i].kind == FIELD_FD || f[i].kind == FIELD_OPTFD) {
			memcpy(&fd, (uint8_t *)msg + f[i].offset, sizeof(fd));
			if (fd >= 0)
				close(fd);
		} else if (f[i].kind == FIELD_SECRET) {
			memcpy(&s, (uint8_t *)msg + f[i].offset, sizeof(s));
			secret_free(s);
		}
	}
	msg_init(d, msg);
}

static void
print_field(const struct msg_field *f, const uint8_t *at, struct buf *out)
{
	struct span s;
	uint32_t u32;
	uint64_t u64;
	size_t i;
	int fd;

	buf_printf(out, "%s=", f->name);
	switch (f->kind) {
	case FIELD_U8:
		buf_printf(out, "%u", *at);
		break;
	case FIELD_U32:
		memcpy(&u32, at, sizeof(u32));
		buf_printf(out, "%u", u32);
		break;
	case FIELD_U64:
		memcpy(&u64, at, sizeof(u64));
		buf_printf(out, "%llu", (unsigned long long)u64);
		break;
	case FIELD_FIX:
		for (i = 0; i < f->max; i++)
			buf_printf(out, "%02x", at[i]);
		break;
	case FIELD_STR:
		memcpy(&s, at, sizeof(s));
		buf_putc(out, '"');
		for (i = 0; i < s.len; i++) {
			unsigned char c = (unsigned char)s.p[i];

			if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
				buf_printf(out, "\\x%02x", c);
			else
				buf_putc(out, (char)c);
		}
		buf_putc(out, '"');
		break;
	case FIELD_BLOB:
		memcpy(&s, at, sizeof(s));
		buf_printf(out, "[%zu]", s.len);
		break;
	case FIELD_SECRET:
		buf_printf(out, "[REDACTED]");
		break;
	case FIELD_FD:
	case FIELD_OPTFD:
		memcpy(&fd, at, sizeof(fd));
		buf_printf(out, fd >= 0 ? "fd" : "none");
		break;
	}
}

void
msg_print(const struct msg_desc *d, const void *msg, struct buf *out)
{
	const struct msg_field *f;
	size_t i, n;

	buf_printf(out, "%s{", d->name);
	for (f = d->fields(&n), i = 0; i < n; i++) {
		if (i > 0)
			buf_putc(out, ' ');
		print_field(&f[i], (const uint8_t *)msg + f[i].offset, out);
	}
	buf_putc(out, '}');
}
