/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of WebSockets (RFC 6455), incremental and without extensions. gated reads
 * agents' frames with it, an egress worker those of both sides; all are hostile. What is
 * read are pieces of payload; what is written are frames of our own around them, so no
 * octet of a frame's head crosses from one side to the other.
 */
#ifndef AEGIS_COMMON_WS_H
#define AEGIS_COMMON_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/span.h"

#define WS_HEAD_MAX 14
#define WS_CONTROL_MAX 125 /* octets of a control frame's payload */
#define WS_KEY_LEN 24      /* Sec-WebSocket-Key: base64 of 16 octets */
#define WS_ACCEPT_LEN 28

enum ws_opcode {
	WS_CONTINUATION = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10
};

/* RFC 6455 section 7.4.1, and IANA's for 1012. */
enum ws_code {
	WS_GOING_AWAY = 1001,
	WS_PROTOCOL_ERROR = 1002,
	WS_POLICY = 1008,
	WS_TOO_BIG = 1009,
	WS_INTERNAL = 1011,
	WS_RESTART = 1012
};

enum ws_err {
	WS_ERR_RESERVED = -1, /* a bit that an extension would have to explain */
	WS_ERR_OPCODE = -2,
	WS_ERR_MASK = -3,     /* a client's without, a server's with */
	WS_ERR_LENGTH = -4,   /* not the shortest form, or beyond 2^63 */
	WS_ERR_CONTROL = -5,  /* in fragments, or too long */
	WS_ERR_SEQUENCE = -6, /* a message inside another, a continuation of none */
	WS_ERR_CLOSE = -7,    /* half a status code */
	WS_ERR_TOO_BIG = -8   /* a message longer than max */
};

/* All zero but the first two members at the beginning. */
struct ws_reader {
	bool masked;  /* frames are a client's */
	uint64_t max; /* octets of a message */
	uint8_t head[WS_HEAD_MAX], have;
	bool in_frame, fin;
	uint8_t opcode, mask[4];
	unsigned phase; /* of the mask */
	uint64_t left;  /* of the frame's payload */
	uint8_t kind;   /* of the message under way, 0: none is */
	uint64_t total; /* its octets so far */
	uint8_t control[WS_CONTROL_MAX], ncontrol;
};

/* A control frame's payload comes in one piece, a message's in as many as it happens. */
struct ws_piece {
	uint8_t kind; /* WS_TEXT, WS_BINARY, WS_CLOSE, WS_PING, WS_PONG */
	bool last;    /* the message ends with it */
	const uint8_t *p;
	size_t len; /* 0 is possible, with last */
};

/*
 * Takes what it can off the front of *p, *len, which it may change (masks come off in
 * place), and which the piece may point into. 1 with a piece, 0 when all is used up, or a
 * negative enum ws_err: then nothing after it can be understood. The pieces, joined, do
 * not depend on how the octets were split.
 */
int ws_next(struct ws_reader *, uint8_t **p, size_t *len, struct ws_piece *);
/* Text for people. */
const char *ws_strerror(int err);
/* The status with which a frame that was refused is answered. */
enum ws_code ws_code_of(int err);

enum ws_mask {
	WS_PLAIN,     /* a server's frames */
	WS_RANDOM,    /* a client's, to strangers */
	WS_MASK_ZERO, /* a client's, to one of us */
};

struct ws_writer {
	enum ws_mask mask;
	bool inside; /* a message is under way */
};

/* Appends a frame with this payload to out. 0 or -1 (no memory, no random octets). */
int ws_put(struct ws_writer *, struct buf *out, uint8_t kind, bool last, const void *p,
    size_t len);
/* The same, a Close with a reason of at most 123 octets. */
int ws_put_close(struct ws_writer *, struct buf *out, enum ws_code, const char *reason);

/*
 * The handshake (section 4). key: as sent; out gets WS_ACCEPT_LEN characters and NUL. -1:
 * it is not base64 of 16 octets.
 */
int ws_accept(struct span key, char out[WS_ACCEPT_LEN + 1]);
/* A key of our own, with NUL. 0 or -1. */
int ws_key(char out[WS_KEY_LEN + 1]);

#endif
