/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519: vectors of RFC 8032 and Wycheproof, and every kind of key and signature that
 * must be refused. */
#include "common/ed25519.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hex.h"

/* RFC 8032 section 7.1, tests 1 to 3 */
static const struct {
	const char *pub, *msg, *sig;
} rfc8032[] = {
    {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac"
	"c61e"
	"39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e"
	"458f"
	"3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
	"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290"
	"ae67"
	"f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

static void
unhex(const char *s, uint8_t *out, size_t n)
{
	ck_assert_int_eq(hex_decode(s, strlen(s), out, n), (ssize_t)n);
}

START_TEST(vectors)
{
	uint8_t pub[32], msg[2], sig[64];
	size_t n = strlen(rfc8032[_i].msg) / 2;
	unsigned int bit;

	unhex(rfc8032[_i].pub, pub, 32);
	unhex(rfc8032[_i].sig, sig, 64);
	unhex(rfc8032[_i].msg, msg, n);
	ck_assert(ed25519_pub_ok(pub));
	ck_assert_int_eq(ed25519_verify(pub, msg, n, sig), 0);
	for (bit = 0; bit < 512; bit++) {
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(ed25519_verify(pub, msg, n, sig), -1);
		sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (bit = 0; bit < 256; bit++) {
		pub[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(ed25519_verify(pub, msg, n, sig), -1);
		pub[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (bit = 0; bit < 8 * n; bit++) {
		msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(ed25519_verify(pub, msg, n, sig), -1);
		msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert_int_eq(ed25519_verify(pub, msg, n, sig), 0);
}
END_TEST

/* the order of the group, RFC 8032 section 5.1 */
static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6,
    0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};

/* the same signature with S + L, S + 2L ... is no signature */
START_TEST(large_s)
{
	uint8_t pub[32], msg[2], sig[64];
	size_t n = strlen(rfc8032[_i].msg) / 2;
	unsigned int carry, i, times;

	unhex(rfc8032[_i].pub, pub, 32);
	unhex(rfc8032[_i].sig, sig, 64);
	unhex(rfc8032[_i].msg, msg, n);
	for (times = 1; times < 15; times++) {
		for (carry = i = 0; i < 32; i++) {
			carry += (unsigned int)sig[32 + i] + order[i];
			sig[32 + i] = (uint8_t)carry;
			carry >>= 8;
		}
		ck_assert_uint_eq(carry, 0);
		ck_assert_int_eq(ed25519_verify(pub, msg, n, sig), -1);
	}
}
END_TEST

static const char *const weak[] = {
    /* small order, canonical */
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    /* x = 0 with the sign set */
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    /* y >= p: 2^255-19 and all above, either sign */
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    /* y = 2: not on the curve */
    "0200000000000000000000000000000000000000000000000000000000000000",
};

/* under a neutral key S*B = R holds for every message when R = S*B */
START_TEST(weak_keys)
{
	uint8_t pub[32], r[32], sig[64] = {0};
	int i;

	unhex(weak[_i], pub, 32);
	ck_assert(!ed25519_pub_ok(pub));
	for (i = 1; i < 100; i++) {
		uint8_t s[32] = {(uint8_t)i, 1};

		ck_assert_int_eq(crypto_scalarmult_ed25519_base_noclamp(r, s), 0);
		memcpy(sig, r, 32);
		memcpy(sig + 32, s, 32);
		ck_assert_int_eq(ed25519_verify(pub, &i, sizeof(i), sig), -1);
	}
	memset(sig, 0, 64);
	sig[0] = 1; /* R neutral, S = 0 */
	ck_assert_int_eq(ed25519_verify(pub, "x", 1, sig), -1);
	memcpy(sig, pub, 32);
	ck_assert_int_eq(ed25519_verify(pub, "x", 1, sig), -1);
}
END_TEST

START_TEST(mixed_order_key)
{
	uint8_t pub[32], torsion[32], sum[32];

	unhex(rfc8032[0].pub, pub, 32);
	unhex(weak[4], torsion, 32);
	ck_assert_int_eq(crypto_core_ed25519_add(sum, pub, torsion), 0);
	ck_assert(ed25519_pub_ok(pub));
	ck_assert(!ed25519_pub_ok(sum));
}
END_TEST

/* who has the key can make a "signature" with a neutral R; the equation holds, yet no */
START_TEST(neutral_r)
{
	uint8_t seed[32] = {7}, pub[32], sec[64], a[64], h[64], k[32], sig[64] = {1};
	crypto_hash_sha512_state st;

	ck_assert_int_eq(crypto_sign_seed_keypair(pub, sec, seed), 0);
	crypto_hash_sha512(a, seed, sizeof(seed));
	a[0] &= 248;
	a[31] = (uint8_t)((a[31] & 63) | 64);
	crypto_hash_sha512_init(&st);
	crypto_hash_sha512_update(&st, sig, 32);
	crypto_hash_sha512_update(&st, pub, 32);
	crypto_hash_sha512_update(&st, (const uint8_t *)"m", 1);
	crypto_hash_sha512_final(&st, h);
	crypto_core_ed25519_scalar_reduce(k, h);
	crypto_core_ed25519_scalar_mul(sig + 32, k, a);
	ck_assert_int_eq(ed25519_verify(pub, "m", 1, sig), -1);
}
END_TEST

/* Wycheproof's vectors. Of what has another length than a signature, no function here can
 * be asked. */
START_TEST(wycheproof)
{
	FILE *f = fopen(SRCDIR_VECTORS "/ed25519.txt", "r");
	static char line[8192], result[16], key[80], msg[4200], sig[400];
	static uint8_t octets[2100];
	uint8_t pub[32], s[64];
	unsigned number, good = 0, bad = 0, others = 0;
	size_t n;

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (line[0] == '#')
			continue;
		ck_assert_int_eq(sscanf(line, "%u %15s %79s %4199s %399s", &number,
				     result, key, msg, sig),
		    5);
		if (strlen(sig) != 128) {
			ck_assert_str_eq(result, "invalid");
			others++;
			continue;
		}
		n = strcmp(msg, "-") == 0 ? 0 : strlen(msg) / 2;
		unhex(key, pub, 32);
		unhex(sig, s, 64);
		if (n > 0)
			unhex(msg, octets, n);
		ck_assert_msg((ed25519_verify(pub, octets, n, s) == 0) ==
			(strcmp(result, "valid") == 0),
		    "vector %u is %s", number, result);
		good += result[0] == 'v';
		bad += result[0] == 'i';
	}
	fclose(f);
	ck_assert_uint_eq(good, 88);
	ck_assert_uint_eq(bad + others, 63);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("ed25519");
	TCase *t = tcase_create("ed25519");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, vectors, 0, sizeof(rfc8032) / sizeof(rfc8032[0]));
	tcase_add_loop_test(t, large_s, 0, sizeof(rfc8032) / sizeof(rfc8032[0]));
	tcase_add_loop_test(t, weak_keys, 0, sizeof(weak) / sizeof(weak[0]));
	tcase_add_test(t, mixed_order_key);
	tcase_add_test(t, neutral_r);
	tcase_add_test(t, wycheproof);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
