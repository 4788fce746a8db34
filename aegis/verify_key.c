/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The public key and the head that an operator names on the command line.
 */
#include "aegis/verify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aegis/line.h"
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

/* -- heads -- */

/* ROW:HASH, with white space around. */
static int
parse_head(const char *text, size_t len, uint64_t *row, uint8_t hash[32])
{
	struct line_cursor c;

	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		len--;
	c = (struct line_cursor){text, text + len, false};
	*row = line_number(&c);
	LINE_EXPECT(&c, ":");
	line_hash(&c, hash);
	return line_done(&c) ? 0 : -1;
}

/* The last line of what ends with a checkpoint. */
static int
parse_checkpoint(const char *text, size_t len, uint64_t *row, uint8_t hash[32])
{
	struct line_checkpoint cp;
	const char *line;

	if (len > 0 && text[len - 1] == '\n')
		len--;
	line = memrchr(text, '\n', len);
	line = line != NULL ? line + 1 : text;
	if (line_read_checkpoint(line, (size_t)(text + len - line), &cp) == -1)
		return -1;
	*row = cp.seq;
	memcpy(hash, cp.head, 32);
	return 0;
}

int
verify_head_parse(
    const char *text, uint64_t *row, uint8_t hash[32], char *err, size_t err_size)
{
	char end[2048];
	size_t len = 0;
	long size;
	FILE *f;

	if (parse_head(text, strlen(text), row, hash) == 0)
		return 0;
	f = fopen(text, "re");
	if (f == NULL) {
		snprintf(err, err_size, "\"%.80s\" is neither ROW:HASH nor a file (%s)",
		    text, strerror(errno));
		return -1;
	}
	if (fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0 &&
	    fseek(f, size > (long)sizeof(end) ? size - (long)sizeof(end) : 0, SEEK_SET) ==
		0)
		len = fread(end, 1, sizeof(end), f);
	fclose(f);
	if (parse_head(end, len, row, hash) == 0 ||
	    parse_checkpoint(end, len, row, hash) == 0)
		return 0;
	snprintf(err, err_size,
	    "%.80s holds no head: expected ROW:HASH, as \"aegis ledger verify\" prints, "
	    "or "
	    "an export",
	    text);
	return -1;
}
