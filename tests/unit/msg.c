/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages: for every type in proto/, a filled message survives the way there and back;
 * every truncation, an octet too many and a field too long are refused.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/msg.h"
#include "common/secret.h"

static uint8_t octets[MSG_MAX];
static char filler[MSG_MAX];

/* A message with every field set to something; strings `len` long, cut to their max. */
static void
fill(const struct msg_desc *d, void *msg, size_t len)
{
	const struct msg_field *f;
	size_t n, i, want;
	uint8_t *at;

	msg_init(d, msg);
	for (f = d->fields(&n), i = 0; i < n; i++) {
		at = (uint8_t *)msg + f[i].offset;
		want = len < f[i].max ? len : f[i].max;
		switch (f[i].kind) {
		case FIELD_U8:
			*at = 7;
			break;
		case FIELD_U32:
			memcpy(at, &(uint32_t){0x01020304}, 4);
			break;
		case FIELD_U64:
			memcpy(at, &(uint64_t){0x0102030405060708}, 8);
			break;
		case FIELD_FIX:
			memset(at, 0xa5, f[i].max);
			break;
		case FIELD_STR:
		case FIELD_BLOB:
			memcpy(at, &(struct span){filler, want}, sizeof(struct span));
			break;
		case FIELD_SECRET:
			if (want > 0)
				memcpy(at, &(struct secret *){secret_new(filler, want)},
				    sizeof(void *));
			break;
		case FIELD_FD:
		case FIELD_OPTFD:
			memcpy(at, &(int){dup(0)}, sizeof(int));
			break;
		}
	}
}

static size_t
encode(const struct msg_desc *d, void *msg, struct wire_w *w)
{
	*w = (struct wire_w){.p = octets, .cap = sizeof(octets)};
	ck_assert_msg(msg_encode(w, d, msg, 42, 1000) == 0, "%s", d->name);
	return w->len;
}

/* Descriptors that somebody else closed. */
static void
forget_fd(const struct msg_desc *d, union msg_any *msg)
{
	const struct msg_field *f;
	size_t n, i;

	for (f = d->fields(&n), i = 0; i < n; i++)
		if (f[i].kind == FIELD_FD || f[i].kind == FIELD_OPTFD)
			memcpy(msg->octets + f[i].offset, &(int){-1}, sizeof(int));
}

START_TEST(there_and_back)
{
	const struct msg_desc *d = msg_desc_at((size_t)_i);
	union msg_any msg, back;
	uint8_t copy[MSG_MAX], again[MSG_MAX];
	struct msg_head h;
	struct wire_w w, w2 = {.p = again, .cap = sizeof(again)};
	size_t len;

	fill(d, &msg, 40);
	len = encode(d, &msg, &w);
	memcpy(copy, octets, len);
	ck_assert_int_eq(msg_head_decode(octets, len, &h), 0);
	ck_assert_uint_eq(h.type, d->type);
	ck_assert_uint_eq(h.reqid, 42);
	ck_assert_uint_eq(h.nfds, w.nfds);
	ck_assert_int_eq(
	    msg_decode(d, octets + MSG_HEADER, len - MSG_HEADER, w.fds, w.nfds, &back),
	    0);
	ck_assert_int_eq(msg_encode(&w2, d, &back, 42, 1000), 0);
	ck_assert_uint_eq(w2.len, len);
	ck_assert_mem_eq(again, copy, len);
	msg_release(d, &back); /* closes the descriptors both have */
	forget_fd(d, &msg);
	msg_release(d, &msg);
	for (size_t i = 0; i < len; i++)
		ck_assert_int_eq(msg_head_decode(copy, i, &h), -1);
}
END_TEST

START_TEST(cut_or_too_long)
{
	const struct msg_desc *d = msg_desc_at((size_t)_i);
	uint8_t copy[MSG_MAX];
	union msg_any msg, back;
	struct wire_w w;
	size_t len, i;

	fill(d, &msg, 9);
	len = encode(d, &msg, &w);
	for (i = 0; i + MSG_HEADER < len; i++) {
		memcpy(copy, octets, len);
		ck_assert_msg(
		    msg_decode(d, copy + MSG_HEADER, i, w.fds, w.nfds, &back) == -1,
		    "%s %zu", d->name, i);
	}
	memcpy(copy, octets, len);
	copy[len] = 0;
	ck_assert_int_eq(
	    msg_decode(d, copy + MSG_HEADER, len - MSG_HEADER + 1, w.fds, w.nfds, &back),
	    -1);
	if (w.nfds > 0) {
		memcpy(copy, octets, len);
		ck_assert_int_eq(msg_decode(d, copy + MSG_HEADER, len - MSG_HEADER, w.fds,
				     w.nfds - 1, &back),
		    -1);
	}
	memcpy(copy, octets, len);
	w.fds[w.nfds] = 0;
	ck_assert_int_eq(
	    msg_decode(d, copy + MSG_HEADER, len - MSG_HEADER, w.fds, w.nfds + 1, &back),
	    -1);
	msg_release(d, &msg);
}
END_TEST

START_TEST(limits_of_fields)
{
	const struct msg_desc *d = msg_desc_at((size_t)_i);
	const struct msg_field *f;
	struct wire_w w;
	union msg_any msg;
	size_t n, i;

	for (f = d->fields(&n), i = 0; i < n; i++) {
		if (f[i].kind != FIELD_STR && f[i].kind != FIELD_BLOB)
			continue;
		msg_init(d, &msg);
		for (size_t k = 0; k < n; k++) /* required descriptors */
			if (f[k].kind == FIELD_FD)
				memcpy(msg.octets + f[k].offset, &(int){0}, sizeof(int));
		memcpy(msg.octets + f[i].offset, &(struct span){filler, f[i].max},
		    sizeof(struct span));
		w = (struct wire_w){.p = octets, .cap = sizeof(octets)};
		ck_assert_msg(
		    msg_encode(&w, d, &msg, 1, 0) == 0, "%s.%s", d->name, f[i].name);
		memcpy(msg.octets + f[i].offset, &(struct span){filler, f[i].max + 1},
		    sizeof(struct span));
		w = (struct wire_w){.p = octets, .cap = sizeof(octets)};
		ck_assert_msg(
		    msg_encode(&w, d, &msg, 1, 0) == -1, "%s.%s", d->name, f[i].name);
	}
}
END_TEST

START_TEST(secrets_do_not_print)
{
	const struct msg_desc *d = msg_desc_get(MSG_credential_secret);
	struct msg_credential_secret m;
	struct buf out;

	msg_init(d, &m);
	m.secret = secret_new("planted-value", 13);
	m.name = span_str("a\"b\n");
	buf_init(&out);
	msg_print(d, &m, &out);
	buf_putc(&out, '\0');
	ck_assert_ptr_eq(strstr((char *)out.p, "planted"), NULL);
	ck_assert_ptr_nonnull(strstr((char *)out.p, "secret=[REDACTED]"));
	ck_assert_ptr_nonnull(strstr((char *)out.p, "name=\"a\\x22b\\x0a\""));
	buf_free(&out);
	msg_release(d, &m);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("msg");
	TCase *tc = tcase_create("all");
	int n = 0, failed;
	SRunner *sr;

	memset(filler, 'x', sizeof(filler));
	while (msg_desc_at((size_t)n) != NULL)
		n++;
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, there_and_back, 0, n);
	tcase_add_loop_test(tc, cut_or_too_long, 0, n);
	tcase_add_loop_test(tc, limits_of_fields, 0, n);
	tcase_add_test(tc, secrets_do_not_print);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
