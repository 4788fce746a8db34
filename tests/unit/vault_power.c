/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vault file after power cuts while it is saved: the old one or the new one opens,
 * never neither, and the new one once somebody was told that it is saved. And one octet
 * of a large file that is another one. power.h says what a disk may do.
 */
#include "tests/unit/power.h"

#include <sodium.h>

#include "common/secret.h"
#include "keymasterd/vault/file.h"
#include "keymasterd/vault/provider.h"
#include "keymasterd/vault/store.h"

#define P (&provider_embedded)
#define SAVES 100
#define NAME span_str("k")

static char dir[64], after[64];
static int dirfd_, afterfd;
static struct secret *master;
static struct kdf_keys keys;

static void
put(const char *name, const char *value, int replace)
{
	struct credential c = {.tenant = span_str("t"),
	    .name = span_str(name),
	    .service = span_str("stripe"),
	    .domains = span_str("api.stripe.com"),
	    .auth_type = span_str("bearer"),
	    .header_name = span_str(""),
	    .query_param = span_str(""),
	    .scheme = span_str("https"),
	    .port = 443};
	struct secret *s = secret_new(value, strlen(value));

	ck_assert_int_eq(P->seal(&c, s, replace), VAULT_OK);
	secret_free(s);
}

static void
setup(void)
{
	struct kdf_params k = {KDF_PBKDF2_SHA512, KDF_ITERATIONS, {0}};
	struct vault_open o = {.path = dir, .name = "v", .create = 1};
	uint8_t octets[32] = {1}, *p;
	char why[1024] = "";
	size_t len;

	ck_assert_int_ne(sodium_init(), -1);
	snprintf(dir, sizeof(dir), "/tmp/aegis-vault-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(after, sizeof(after), "/tmp/aegis-after-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(after));
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	afterfd = open(after, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	master = secret_new(octets, sizeof(octets));
	o.dirfd = dirfd_;
	o.master_key = master;
	ck_assert_msg(P->open(&o, why, sizeof(why)) == 0, "%s", why);
	/* the keys, so that no look at a file takes PBKDF2 again */
	ck_assert_int_eq(file_read(dirfd_, "v.vault", STORE_FILE_MAX, &p, &len), 0);
	memcpy(k.salt, p + 20, sizeof(k.salt));
	ck_assert_int_eq(kdf_derive(&k, master, &keys), 0);
	free(p);
	put("k", "0", 0);
}

static void
teardown(void)
{
	char command[200];

	P->close();
	secret_free(master);
	kdf_keys_free(&keys);
	snprintf(command, sizeof(command), "rm -r %s %s", dir, after);
	ck_assert_int_eq(system(command), 0);
	close(dirfd_);
	close(afterfd);
}

static int
number(const void *p, size_t len, void *arg)
{
	char text[16] = "";

	ck_assert_uint_lt(len, sizeof(text));
	memcpy(text, p, len);
	*(int *)arg = atoi(text);
	return 0;
}

/* The credential's value in these octets; -1: they are no vault. */
static int
value_in(const uint8_t *p, size_t len)
{
	const struct record *rec;
	struct secret *s;
	struct store st;
	int n = -1;

	ck_assert_int_eq(store_init(&st, dirfd_, "v"), 0);
	st.keys = keys;
	if (store_decode(&st, p, len) == STORE_OK) {
		rec = store_find(&st, RECORD_CREDENTIAL, span_str("t"), NAME);
		ck_assert_ptr_nonnull(rec);
		s = record_open(st.keys.record, rec);
		ck_assert_ptr_nonnull(s);
		secret_use(s, number, &n);
		secret_free(s);
	}
	memset(&st.keys, 0, sizeof(st.keys)); /* borrowed */
	store_free(&st);
	return n;
}

/* Behind every call of a hundred saves, on each kind of disk. */
START_TEST(saves)
{
	unsigned way, states = 0, olds = 0;
	size_t cut, len;
	uint64_t told;
	uint8_t *p;
	char text[16];
	int i, value;

	power.no_sync = 1;
	power_begin(dir);
	srand(5);
	for (i = 1; i <= SAVES; i++) {
		snprintf(text, sizeof(text), "%d", i);
		put("k", text, 1);
		power_told((uint64_t)i);
	}
	power_end();
	ck_assert_uint_ge(power.n - power.begun, 500);
	for (cut = power.begun, told = 0; cut <= power.n; cut++) {
		if (cut > power.begun && power.op[cut - 1].kind == POWER_TOLD)
			told = power.op[cut - 1].value;
		for (way = 0; way < POWER_WAYS; way++) {
			power_cut(after, cut, way);
			ck_assert_msg(
			    file_read(afterfd, "v.vault", STORE_FILE_MAX, &p, &len) == 0,
			    "cut %zu way %u: no file", cut, way);
			value = value_in(p, len);
			free(p);
			ck_assert_msg(value == (int)told || value == (int)told + 1,
			    "cut %zu way %u: %d, and %d was saved", cut, way, value,
			    (int)told);
			olds += value == (int)told;
			states++;
		}
	}
	printf("vault_power: %u states behind %zu calls, the old vault in %u\n", states,
	    power.n - power.begun, olds);
	ck_assert_uint_gt(olds, states / 10);
	ck_assert_uint_gt(states - olds, states / 20);
}
END_TEST

/* A file of more than 10,000 octets, one bit in each of them another way. */
START_TEST(every_octet)
{
	char name[16];
	uint8_t *p;
	size_t len, i;
	int n;

	power.no_sync = 1;
	for (n = 0; n < 80; n++) {
		snprintf(name, sizeof(name), "k%d", n);
		put(name, "a secret that is somewhat longer than most others are", 0);
	}
	ck_assert_int_eq(file_read(dirfd_, "v.vault", STORE_FILE_MAX, &p, &len), 0);
	ck_assert_uint_gt(len, 10000);
	ck_assert_int_eq(value_in(p, len), 0);
	for (i = 0; i < len; i++) {
		p[i] ^= (uint8_t)(1 << i % 8);
		ck_assert_msg(value_in(p, len) == -1, "octet %zu", i);
		p[i] ^= (uint8_t)(1 << i % 8);
	}
	free(p);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("vault_power");
	TCase *t = tcase_create("vault file");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, saves);
	tcase_add_test(t, every_octet);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
