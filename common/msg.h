/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of proto/all.def as C: a struct, a type number, an encoder, a decoder and
 * a printer for each. Strings and blobs of a decoded message point into the datagram and
 * live as long as the handler runs. Descriptors and secrets of a decoded message belong
 * to the message; a handler that keeps one sets the member to -1 or NULL.
 */
#ifndef AEGIS_MSG_H
#define AEGIS_MSG_H

#include "common/wire.h"

#define MSG_VERSION 21 /* raise with every change of proto/ */
#define MSG_MAX 65536  /* one datagram, header included */
#define MSG_HEADER 24

struct buf;

#define F_U8(f) uint8_t f;
#define F_U32(f) uint32_t f;
#define F_U64(f) uint64_t f;
#define F_FIX(f, n) uint8_t f[n];
#define F_STR(f, n) struct span f;
#define F_BLOB(f, n) struct span f;
#define F_SECRET(f, n) struct secret *f;
#define F_FD(f) int f;
#define F_OPTFD(f) int f;
#define ASK(n, t, a) struct msg_##n {
#define ANSWER(n, t) struct msg_##n {
#define NOTE(n, t) struct msg_##n {
#define END(n)        \
	uint8_t end_; \
	}             \
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
enum msg_type {
#define ASK(n, t, a) MSG_##n = t,
#define ANSWER(n, t) MSG_##n = t,
#define NOTE(n, t) MSG_##n = t,
#include "common/proto/all.def"
#undef ASK
#undef ANSWER
#undef NOTE
	MSG_TYPE_END = 0x0700
};
#undef F_U8
#undef F_U32
#undef F_U64
#undef F_FIX
#undef F_STR
#undef F_BLOB
#undef F_SECRET
#undef F_FD
#undef F_OPTFD
#undef END

enum msg_kind { MSG_IS_ASK = 1, MSG_IS_ANSWER, MSG_IS_NOTE };

enum msg_field_kind {
	FIELD_U8 = 1,
	FIELD_U32,
	FIELD_U64,
	FIELD_FIX,
	FIELD_STR,
	FIELD_BLOB,
	FIELD_SECRET,
	FIELD_FD,
	FIELD_OPTFD
};

struct msg_field {
	const char *name;
	enum msg_field_kind kind;
	size_t offset; /* in the struct */
	size_t max;    /* octets of FIX, STR, BLOB, SECRET */
};

struct msg_desc {
	const char *name;
	uint16_t type;
	uint16_t answer; /* of an ASK */
	enum msg_kind kind;
	size_t size; /* of the struct */
	int owns;    /* has descriptors or secrets */
	void (*encode)(struct wire_w *, const void *);
	void (*decode)(struct wire_r *, void *);
	const struct msg_field *(*fields)(size_t *count);
};

/* Large enough for any decoded message. */
union msg_any {
	uint64_t align;
	uint8_t octets[1024];
};

/* The header of a datagram, as decoded. */
struct msg_head {
	uint16_t version, type;
	uint32_t len; /* of what follows the header */
	uint64_t reqid;
	uint32_t deadline_ms; /* left of the asker's patience when it was sent; 0: none */
	uint8_t nfds;
};

/* The description of a type, or NULL. */
const struct msg_desc *msg_desc_get(unsigned type);
/* The i-th message, for tests and tables; NULL beyond the end. */
const struct msg_desc *msg_desc_at(size_t i);

/*
 * Encodes header and message into w (which the caller set up over an empty buffer).
 * Descriptors are listed in w->fds, still the caller's. 0, or -1 when a field is too long
 * or not UTF-8.
 */
int msg_encode(struct wire_w *w, const struct msg_desc *, const void *msg, uint64_t reqid,
    uint32_t deadline_ms);

/*
 * Decodes the header at the start of what is left of a datagram, `len` octets. 0, or -1
 * when it is not one of this version or its message would reach beyond.
 */
int msg_head_decode(const uint8_t *, size_t len, struct msg_head *);

/*
 * Decodes a datagram's message into *msg (of desc->size). It must use up every octet and
 * every descriptor. On -1 the message holds nothing; the descriptors are still the
 * caller's; errno is ENOMEM when it was memory for a secret that was missing.
 */
int msg_decode(const struct msg_desc *, uint8_t *body, size_t len, const int *fds,
    unsigned nfds, void *msg);

/* Fresh, empty message: descriptors -1, all else 0. */
void msg_init(const struct msg_desc *, void *msg);
/* Closes descriptors and frees secrets that the message still holds. */
void msg_release(const struct msg_desc *, void *msg);
/* "name{field=value ...}" for traces; secrets print as [REDACTED], blobs as their length.
 */
void msg_print(const struct msg_desc *, const void *msg, struct buf *);

/* SHA-256 of everything in proto/ and edges.def, fixed when it was built. */
const uint8_t *msg_schema_hash(void);

#define MSG_INIT(name, var)    \
	struct msg_##name var; \
	msg_init(msg_desc_get(MSG_##name), &var)

#endif
