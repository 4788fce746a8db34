/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers, hashes and the clock of a turn. Judge only. */
#include "keymasterd/judge/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/hex.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/sha256.h"

#define POOL 4096

void
judge_random(void *p, size_t n)
{
	static uint8_t pool[POOL];
	static size_t left;
	uint8_t *out = p;
	size_t take;
	ssize_t r;

	while (n > 0) {
		if (left == 0) {
			r = getrandom(pool, sizeof(pool), 0);
			if (r != (ssize_t)sizeof(pool))
				fatal("getrandom");
			left = sizeof(pool);
		}
		take = n < left ? n : left;
		memcpy(out, pool + sizeof(pool) - left, take);
		/* what was given out is known to nobody else from here on */
		explicit_bzero(pool + sizeof(pool) - left, take);
		left -= take;
		out += take;
		n -= take;
	}
}

void
judge_uuid(char out[STORE_ID_MAX])
{
	static const uint8_t dash_before[] = {4, 6, 8, 10};
	uint8_t raw[16];
	char hex[33];
	size_t i, o = 0, d = 0;

	judge_random(raw, sizeof(raw));
	raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x40);
	raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
	(void)hex_encode(raw, sizeof(raw), hex, sizeof(hex));
	for (i = 0; i < 16; i++) {
		if (d < sizeof(dash_before) && i == dash_before[d]) {
			out[o++] = '-';
			d++;
		}
		out[o++] = hex[2 * i];
		out[o++] = hex[2 * i + 1];
	}
	out[o] = '\0';
}

void
judge_sha256(const void *p, size_t len, uint8_t out[32])
{
	sha256_two(p, len, NULL, 0, out);
}

uint64_t
judge_now_ms(void)
{
	static uint64_t turn = UINT64_MAX, now;

	if (turn != loop_now_ms()) {
		turn = loop_now_ms();
		now = loop_unix_ms();
	}
	return now;
}

uint64_t
judge_limit_ms(void)
{
	static uint64_t base;
	struct timespec t;
	uint64_t now;

	/* not loop_now_ms(): that is when the loop last went to sleep, and a window would
	 * be wrong by as much as it slept */
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	if (base == 0)
		base = loop_unix_ms() - now;
	return base + now;
}

void
judge_token(const char *prefix, char text[JUDGE_TOKEN_MAX], uint8_t hash[32])
{
	char uuid[STORE_ID_MAX], tail[17];
	uint8_t raw[8];

	judge_uuid(uuid);
	judge_random(raw, sizeof(raw));
	(void)hex_encode(raw, sizeof(raw), tail, sizeof(tail));
	snprintf(text, JUDGE_TOKEN_MAX, "%s%s_%s", prefix, uuid, tail);
	judge_sha256(text, strlen(text), hash);
}

struct span
judge_token_of(struct span token, struct span authorization)
{
	if (token.len == 0 && authorization.len > 7 &&
	    span_ieq(span_mem(authorization.p, 7), "bearer "))
		token = span_mem(authorization.p + 7, authorization.len - 7);
	return span_trim(token);
}
