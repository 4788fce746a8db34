/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: regular expressions. The first line is the pattern, the rest the text. A
 * refusal has a place and a text; what is compiled is within its limits, and says the
 * same with (?: ) around it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/nfa.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nl = size == 0 ? NULL : memchr(data, '\n', size);
	size_t len = nl == NULL ? size : (size_t)(nl - data), at;
	char err[256] = "", around[NFA_PATTERN_MAX + 4];
	struct span pattern = span_mem(data, len), text = {NULL, 0};
	struct nfa *p, *q;

	if (nl != NULL)
		text = span_mem(nl + 1, size - len - 1);
	if (text.len > 4096)
		text.len = 4096;
	p = nfa_compile(pattern, err, sizeof err, &at);
	must(p != NULL || (err[0] != '\0' && at <= len));
	if (p == NULL)
		return 0;
	must(nfa_states(p) <= NFA_STATES_MAX);
	if (len + 4 <= NFA_PATTERN_MAX) {
		memcpy(around, "(?:", 3);
		if (len > 0)
			memcpy(around + 3, data, len);
		around[len + 3] = ')';
		q = nfa_compile(span_mem(around, len + 4), err, sizeof err, &at);
		/* one group, or one item of work, more than allowed, perhaps */
		must(q != NULL || strstr(err, "groups in groups") != NULL ||
		    strstr(err, "too large") != NULL);
		must(q == NULL || nfa_search(p, text) == nfa_search(q, text));
		nfa_free(q);
	}
	nfa_free(p);
	return 0;
}
