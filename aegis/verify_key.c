/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public key that an operator names on the command line.
 */
#include "aegis/verify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/b64.h"
#include "common/ed25519.h"
#include "common/hex.h"

/* Base64 in either alphabet, or hexadecimal. */
static int
decode(const char *text, size_t len, uint8_t key[32])
{
	if (len == 64 && hex_decode(text, len, key, 32) == 32)
		return 0;
	if (b64_decode(B64_STD, text, len, key, 32) == 32)
		return 0;
	return b64_decode(B64_URL, text, len, key, 32) == 32 ? 0 : -1;
}

int
verify_key_parse(const char *text, uint8_t key[32], char *err, size_t err_size)
{
	char file[256];
	size_t len;
	FILE *f;

	if (decode(text, strlen(text), key) == 0)
		goto check;
	f = fopen(text, "re");
	if (f == NULL) {
		snprintf(err, err_size, "\"%.80s\" is neither a key nor a file (%s)",
		    text, strerror(errno));
		return -1;
	}
	len = fread(file, 1, sizeof(file), f);
	fclose(f);
	if (len == 32) {
		memcpy(key, file, 32);
		goto check;
	}
	while (len > 0 && strchr(" \t\r\n", file[len - 1]) != NULL)
		len--;
	if (decode(file, len, key) == -1) {
		snprintf(err, err_size,
		    "%.80s holds no key: expected what \"aegis ledger key\" prints",
		    text);
		return -1;
	}
check:
	if (!ed25519_pub_ok(key)) {
		snprintf(err, err_size, "that is no Ed25519 public key");
		return -1;
	}
	return 0;
}
