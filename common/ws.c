/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of WebSockets; see ws.h. gated and the egress worker; the octets are hostile.
 */
#include "common/ws.h"

#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#include "common/b64.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455 section 1.3 */

/* -- reading -- */

static bool
is_control(uint8_t opcode)
{
	return (opcode & 8) != 0;
}

/* How long the head is, by its second octet. */
static size_t
head_len(uint8_t second)
{
	size_t n = second & 0x80 ? 6 : 2;

	return n + ((second & 0x7f) == 127 ? 8 : (second & 0x7f) == 126 ? 2 : 0);
}

/* The first two octets are here. Section 5.2. */
static int
check_head(const struct ws_reader *r)
{
	uint8_t opcode = r->head[0] & 15, len = r->head[1] & 0x7f;

	if (r->head[0] & 0x70)
		return WS_ERR_RESERVED;
	if ((opcode > WS_BINARY && opcode < WS_CLOSE) || opcode > WS_PONG)
		return WS_ERR_OPCODE;
	if (((r->head[1] & 0x80) != 0) != r->masked)
		return WS_ERR_MASK;
	if (is_control(opcode)) {
		if ((r->head[0] & 0x80) == 0 || len > WS_CONTROL_MAX)
			return WS_ERR_CONTROL;
		return opcode == WS_CLOSE && len == 1 ? WS_ERR_CLOSE : 0;
	}
	return (opcode == WS_CONTINUATION) == (r->kind == 0) ? WS_ERR_SEQUENCE : 0;
}

/* All of the head is here. */
static int
begin_frame(struct ws_reader *r)
{
	const uint8_t *p = r->head + 2;
	uint8_t n = r->head[1] & 0x7f;
	uint64_t len = n;
	size_t i, more = n == 127 ? 8 : n == 126 ? 2 : 0;

	if (more > 0)
		for (i = 0, len = 0; i < more; i++)
			len = len << 8 | *p++;
	if ((n == 126 && len < 126) || (n == 127 && (len <= 0xffff || len >> 63 != 0)))
		return WS_ERR_LENGTH;
	memset(r->mask, 0, sizeof(r->mask));
	if (r->masked)
		memcpy(r->mask, p, sizeof(r->mask));
	r->fin = (r->head[0] & 0x80) != 0;
	r->opcode = r->head[0] & 15;
	r->phase = 0;
	r->left = len;
	r->in_frame = true;
	r->have = 0;
	if (is_control(r->opcode)) {
		r->ncontrol = 0;
		return 0;
	}
	if (len > r->max || r->total > r->max - len)
		return WS_ERR_TOO_BIG;
	r->total += len;
	if (r->opcode != WS_CONTINUATION)
		r->kind = r->opcode;
	return 0;
}

static int
take_head(struct ws_reader *r, uint8_t **p, size_t *len)
{
	size_t want = r->have < 2 ? 2 : head_len(r->head[1]), n;
	int err;

	while (*len > 0 && r->have < want) {
		n = want - r->have < *len ? want - r->have : *len;
		memcpy(r->head + r->have, *p, n);
		r->have += (uint8_t)n;
		*p += n;
		*len -= n;
		if (r->have != 2 || want != 2)
			continue;
		if ((err = check_head(r)) < 0)
			return err;
		want = head_len(r->head[1]);
	}
	return r->have == want ? begin_frame(r) : 0;
}

/* XORs with the mask from `phase` on; returns the phase behind it. */
static unsigned
apply_mask(uint8_t *p, size_t len, const uint8_t mask[4], unsigned phase)
{
	uint8_t turned[8];
	uint64_t all, w;
	unsigned i;

	for (i = 0; i < sizeof(turned); i++)
		turned[i] = mask[(phase + i) & 3];
	memcpy(&all, turned, sizeof(all));
	for (; len >= sizeof(w); p += sizeof(w), len -= sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		w ^= all;
		memcpy(p, &w, sizeof(w));
	}
	for (i = 0; i < len; i++)
		p[i] ^= turned[i];
	return (phase + (unsigned)len) & 3;
}

int
ws_next(struct ws_reader *r, uint8_t **p, size_t *len, struct ws_piece *piece)
{
	size_t n;
	int err;

	while (*len > 0 || (r->in_frame && r->left == 0)) {
		if (!r->in_frame) {
			if ((err = take_head(r, p, len)) < 0)
				return err;
			continue;
		}
		n = r->left < *len ? (size_t)r->left : *len;
		if (r->masked)
			r->phase = apply_mask(*p, n, r->mask, r->phase);
		*piece = (struct ws_piece){.kind = r->kind, .p = *p, .len = n};
		*p += n;
		*len -= n;
		r->left -= n;
		r->in_frame = r->left > 0;
		if (is_control(r->opcode)) {
			memcpy(r->control + r->ncontrol, piece->p, n);
			r->ncontrol += (uint8_t)n;
			if (r->in_frame)
				continue;
			*piece =
			    (struct ws_piece){r->opcode, true, r->control, r->ncontrol};
			return 1;
		}
		piece->last = r->fin && !r->in_frame;
		if (piece->last) {
			r->kind = 0;
			r->total = 0;
		}
		if (n > 0 || piece->last)
			return 1;
	}
	return 0;
}

const char *
ws_strerror(int err)
{
	static const char *const texts[] = {
	    [-WS_ERR_RESERVED] = "a reserved bit is set",
	    [-WS_ERR_OPCODE] = "an unknown opcode",
	    [-WS_ERR_MASK] = "masked by the server, or not masked by the client",
	    [-WS_ERR_LENGTH] = "a malformed length",
	    [-WS_ERR_CONTROL] = "a control frame in fragments, or too long",
	    [-WS_ERR_SEQUENCE] = "fragments out of order",
	    [-WS_ERR_CLOSE] = "half a status code",
	    [-WS_ERR_TOO_BIG] = "the message is too large",
	};

	return err < 0 && err >= WS_ERR_TOO_BIG ? texts[-err] : "no error";
}

enum ws_code
ws_code_of(int err)
{
	return err == WS_ERR_TOO_BIG ? WS_TOO_BIG : WS_PROTOCOL_ERROR;
}

/* -- writing -- */

/* Unpredictable to whoever chose the payload (section 10.3); many for one system call. */
static int
random_mask(uint8_t mask[4])
{
	static uint8_t stock[4 * 64];
	static size_t left;

	if (left == 0) {
		if (getrandom(stock, sizeof(stock), 0) != (ssize_t)sizeof(stock))
			return -1;
		left = sizeof(stock);
	}
	left -= 4;
	memcpy(mask, stock + left, 4);
	return 0;
}

static size_t
make_head(uint8_t *out, uint8_t first, enum ws_mask how, uint64_t len)
{
	uint8_t bit = how == WS_PLAIN ? 0 : 0x80;
	unsigned more = len > 0xffff ? 8 : len > 125 ? 2 : 0, i;

	out[0] = first;
	out[1] = (uint8_t)(bit | (more == 8 ? 127 : more == 2 ? 126 : len));
	for (i = 0; i < more; i++)
		out[2 + i] = (uint8_t)(len >> (8 * (more - 1 - i)));
	return 2 + more;
}

int
ws_put(struct ws_writer *w, struct buf *out, uint8_t kind, bool last, const void *p,
    size_t len)
{
	uint8_t opcode = is_control(kind) || !w->inside ? kind : WS_CONTINUATION;
	uint8_t mask[4] = {0};
	size_t n;

	if ((w->mask == WS_RANDOM && random_mask(mask) == -1) ||
	    len > SIZE_MAX - WS_HEAD_MAX || buf_reserve(out, len + WS_HEAD_MAX) == -1)
		return -1;
	n = make_head(
	    out->p + out->len, (uint8_t)((last ? 0x80 : 0) | opcode), w->mask, len);
	if (w->mask != WS_PLAIN) {
		memcpy(out->p + out->len + n, mask, sizeof(mask));
		n += sizeof(mask);
	}
	if (len > 0)
		memcpy(out->p + out->len + n, p, len);
	if (w->mask == WS_RANDOM)
		(void)apply_mask(out->p + out->len + n, len, mask, 0);
	out->len += n + len;
	if (!is_control(kind))
		w->inside = !last;
	return 0;
}

int
ws_put_close(struct ws_writer *w, struct buf *out, enum ws_code code, const char *reason)
{
	uint8_t payload[WS_CONTROL_MAX];
	size_t len = strlen(reason);

	if (len > sizeof(payload) - 2)
		len = sizeof(payload) - 2;
	payload[0] = (uint8_t)((unsigned)code >> 8);
	payload[1] = (uint8_t)code;
	memcpy(payload + 2, reason, len);
	return ws_put(w, out, WS_CLOSE, true, payload, len + 2);
}

/* -- the handshake -- */

int
ws_accept(struct span key, char out[WS_ACCEPT_LEN + 1])
{
	char both[WS_KEY_LEN + sizeof(GUID) - 1];
	uint8_t raw[16], digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (key.len != WS_KEY_LEN ||
	    b64_decode(B64_STD, key.p, key.len, raw, sizeof(raw)) != sizeof(raw))
		return -1;
	memcpy(both, key.p, WS_KEY_LEN);
	memcpy(both + WS_KEY_LEN, GUID, sizeof(GUID) - 1);
	if (EVP_Digest(both, sizeof(both), digest, &len, EVP_sha1(), NULL) != 1)
		return -1;
	return b64_encode(B64_STD, digest, len, out, WS_ACCEPT_LEN + 1) == WS_ACCEPT_LEN
	    ? 0
	    : -1;
}

int
ws_key(char out[WS_KEY_LEN + 1])
{
	uint8_t raw[16];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return -1;
	return b64_encode(B64_STD, raw, sizeof(raw), out, WS_KEY_LEN + 1) == WS_KEY_LEN
	    ? 0
	    : -1;
}
