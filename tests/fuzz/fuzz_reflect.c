/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the search for the secret. However a text is cut, the verdict is that of a
 * naive search for every spelling, and nothing of the secret is let go before it is
 * found. Input: flags, length of the secret, which spelling to plant, size of the pieces,
 * the secret, the text.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/reflect.h"
#include "common/reflect_forms.h"
#include "common/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

#define FORMS_MAX 64
#define TEXT_MAX 8192

static struct {
	uint8_t p[REFLECT_FORM_MAX];
	size_t len;
} forms[FORMS_MAX];
static size_t nforms;

static void
keep(const uint8_t *form, size_t len, void *arg)
{
	(void)arg;
	must(nforms < FORMS_MAX && len >= REFLECT_MIN && len <= REFLECT_FORM_MAX);
	memcpy(forms[nforms].p, form, len);
	forms[nforms++].len = len;
}

/* Where the first spelling ends and the longest one that ends there begins; or false. */
static bool
naive(const uint8_t *text, size_t len, size_t *begin, size_t *end)
{
	for (size_t e = 1; e <= len; e++) {
		bool hit = false;

		for (size_t i = 0; i < nforms; i++) {
			size_t n = forms[i].len;

			if (n > e || memcmp(text + e - n, forms[i].p, n) != 0)
				continue;
			*begin = hit && *begin < e - n ? *begin : e - n;
			*end = e;
			hit = true;
		}
		if (hit)
			return true;
	}
	return false;
}

static void
check_pieces(const struct reflect *r, const uint8_t *text, size_t len, size_t piece,
    bool hit, size_t begin, size_t end)
{
	struct reflect_at at = {0};
	size_t fed = 0, gone = 0, held;

	while (fed < len) {
		size_t n = len - fed < piece ? len - fed : piece;

		if (reflect_feed(r, &at, text + fed, n)) {
			must(hit && end > fed && end <= fed + n);
			must(gone <= begin);
			return;
		}
		fed += n;
		held = reflect_hold(r, &at);
		must(held <= fed && fed - held >= gone);
		gone = fed - held;
	}
	must(!hit);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t text[TEXT_MAX + REFLECT_FORM_MAX], folded[sizeof(text)];
	uint8_t work[REFLECT_FORM_MAX];
	size_t len, secret_size, begin = 0, end = 0, piece;
	const uint8_t *colon, *secret;
	struct secret *s;
	struct reflect *r;
	bool basic, hit;

	if (size < 4)
		return 0;
	must(secret_init(4u * 1024 * 1024) == 0); /* the first time */
	basic = data[0] & 1;
	piece = 1u + data[3];
	secret = data + 4;
	secret_size = data[1] > size - 4 ? size - 4 : data[1];
	len = size - 4 - secret_size;
	if (len > TEXT_MAX)
		len = TEXT_MAX;
	nforms = 0;
	reflect_forms(secret, secret_size, work, keep, NULL);
	colon = basic && secret_size > 0 ? memchr(secret, ':', secret_size) : NULL;
	if (colon != NULL && (size_t)(secret + secret_size - colon - 1) >= REFLECT_FORMED)
		reflect_forms(colon + 1, (size_t)(secret + secret_size - colon - 1), work,
		    keep, NULL);
	memcpy(text, secret + secret_size, len);
	if ((data[0] & 2) && nforms > 0) {
		size_t i = data[2] % nforms, cut = len / 2;

		memmove(text + cut + forms[i].len, text + cut, len - cut);
		memcpy(text + cut, forms[i].p, forms[i].len);
		len += forms[i].len;
	}
	for (size_t i = 0; i < len; i++)
		folded[i] = reflect_fold(text[i]);
	s = secret_new(secret, secret_size);
	must(s != NULL);
	r = reflect_new(s, basic);
	must(r != NULL);
	hit = naive(folded, len, &begin, &end);
	check_pieces(r, text, len, len + 1, hit, begin, end);
	check_pieces(r, text, len, piece, hit, begin, end);
	check_pieces(r, text, len, 1, hit, begin, end);
	reflect_free(r);
	secret_free(s);
	return 0;
}
