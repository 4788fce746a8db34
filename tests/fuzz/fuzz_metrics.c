/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a daemon says its numbers are. What a collector takes of it, it can read itself,
 * and it becomes text in which no line is of the daemon's making.
 */
#include <stdlib.h>
#include <string.h>

#include "common/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_text(const struct buf *text)
{
	size_t i, start = 0;

	for (i = 0; i < text->len; i++) {
		if (text->p[i] != '\n')
			continue;
		if (memcmp(text->p + start, "aegis_", 6) != 0 &&
		    memcmp(text->p + start, "# HELP aegis_", 13) != 0 &&
		    memcmp(text->p + start, "# TYPE aegis_", 13) != 0)
			abort();
		start = i + 1;
	}
	if (start != text->len)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf list, text;
	enum role from;

	if (len == 0)
		return 0;
	from = (enum role)(ROLE_MASTER + data[0] % (ROLE_MAX - ROLE_MASTER));
	buf_init(&list);
	buf_init(&text);
	if (metrics_collect(&list, span_mem(data + 1, len - 1), from, "a\"name\\") ==
	    -1) {
		if (list.len != 0)
			abort();
	} else {
		if (metrics_text(span_mem(list.p, list.len), &text) == -1)
			abort();
		check_text(&text);
	}
	buf_free(&list);
	buf_free(&text);
	return 0;
}
