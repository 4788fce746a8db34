/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: tokens. The input is a whole token, and once more a header, a newline and
 * claims that get encoded, so the JSON behind the base64 is reached. Nothing here is
 * signed by the key of the set, so nothing may ever verify.
 */
#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

/* RFC 8032 test 1; its secret is public, but no fuzzer signs with it */
static const struct jwt_key key = {.alg = JWT_EDDSA,
    .ed25519 = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3,
	0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf,
	0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a}};

static void
try_token(struct jwt *t, const char *token, size_t len)
{
	const struct jwt_keyset set = {.keys = &key, .n = 1};
	const struct jwt_expect want = {
	    .now = 1500, .leeway = 5, .max_life = 3600, .iss = "i", .aud = "a"};
	int64_t exp;

	if (jwt_header_claims_split(t, token, len) == JWT_OK) {
		must(t->signed_len < len && token[t->signed_len] == '.');
		must(t->sig_len > 0 && t->sig_len <= JWT_SIG_MAX);
		must(memchr(t->kid, 0, sizeof(t->kid)) != NULL);
		if (jwt_check_claims(t, &want) == JWT_OK) {
			must(json_int64(
				 &t->claims, json_get(&t->claims, 0, "exp"), &exp) == 0);
			must(exp > 1495);
		}
	} else {
		must(json_root(&t->claims) == JSON_NONE && t->sig_len == 0);
	}
	must(jwt_verify(t, token, len, &set) != JWT_OK);
	must(json_root(&t->claims) == JSON_NONE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nl;
	struct buf token;
	struct jwt t;
	size_t head;

	jwt_init(&t);
	buf_init(&token);
	try_token(&t, (const char *)data, size);
	nl = size == 0 ? NULL : memchr(data, '\n', size);
	head = nl == NULL ? size : (size_t)(nl - data);
	must(b64_put(B64_URL, &token, data, head) == 0 && buf_putc(&token, '.') == 0);
	if (nl != NULL)
		must(b64_put(B64_URL, &token, nl + 1, size - head - 1) == 0);
	must(jwt_append_sig(&token, "0123456789abcdef0123456789abcdef", 32) == 0);
	try_token(&t, (const char *)token.p, token.len);
	buf_free(&token);
	jwt_free(&t);
	return 0;
}
