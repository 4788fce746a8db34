/* SPDX-License-Identifier: Apache-2.0 */
/* Reads public keys of attestations. Judge only. */
#include "keymasterd/judge/attest_key.h"

#include <string.h>

#include "common/b64.h"
#include "common/ed25519.h"
#include "common/hex.h"

static const uint8_t spki[12] = {
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
static const char pem_begin[] = "-----BEGIN PUBLIC KEY-----";
static const char pem_end[] = "-----END PUBLIC KEY-----";

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Both alphabets become Base64url without padding and blanks. Returns the length. */
static size_t
simplify(struct span s, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (is_blank(s.p[i]))
			continue;
		out[n++] = s.p[i] == '+' ? '-' : s.p[i] == '/' ? '_' : s.p[i];
	}
	for (unsigned pad = 0; pad < 2 && n > 0 && out[n - 1] == '='; pad++)
		n--;
	return n;
}

int
attest_key_read(struct span s, uint8_t key[32])
{
	char text[ATTEST_KEY_TEXT_MAX];
	uint8_t raw[sizeof spki + 32];
	size_t begin = sizeof pem_begin - 1, end = sizeof pem_end - 1;
	ssize_t n;

	while (s.len > 0 && is_blank(s.p[s.len - 1]))
		s.len--;
	if (s.len == 0 || s.len > sizeof text)
		return -1;
	if (s.len == 64 && hex_decode(s.p, s.len, key, 32) == 32)
		return ed25519_pub_ok(key) ? 0 : -1;
	if (s.len > begin + end && memcmp(s.p, pem_begin, begin) == 0) {
		if (memcmp(s.p + s.len - end, pem_end, end) != 0)
			return -1;
		s = span_mem(s.p + begin, s.len - begin - end);
	}
	n = b64_decode(B64_URL, text, simplify(s, text), raw, sizeof raw);
	if (n == (ssize_t)sizeof raw && memcmp(raw, spki, sizeof spki) == 0)
		memcpy(key, raw + sizeof spki, 32);
	else if (n == 32)
		memcpy(key, raw, 32);
	else
		return -1;
	return ed25519_pub_ok(key) ? 0 : -1;
}
