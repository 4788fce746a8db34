/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the body inspector says of each body on standard input: "CODING LENGTH CHUNK\n"
 * and the octets, which are fed CHUNK at a time. A line each: "sure", "likely", "clean"
 * or "broken", a tab, and the names. Also checks that nothing of a finding would have
 * left before it was found: then the line begins with "leaked".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gated/inspect.h"

static int
one(const char *coding, size_t len, size_t chunk)
{
	enum inspect_coding k;
	char names[400], likely[400], *body = malloc(len + 1);
	uint64_t clean = 0;
	struct inspect *s;
	size_t at, n;
	int bad = 0;

	if (body == NULL || fread(body, 1, len, stdin) != len ||
	    inspect_coding(span_str(coding), &k) == -1 || (s = inspect_new(k)) == NULL)
		return -1;
	for (at = 0; at < len && !bad && !inspect_hit(s); at += n) {
		n = len - at < chunk ? len - at : chunk;
		bad = inspect_feed(s, body + at, n) == -1;
		if (!bad && !inspect_hit(s)) {
			if (inspect_clean(s) < clean || inspect_clean(s) > at + n)
				return -1;
			clean = inspect_clean(s);
		}
	}
	if (!bad && !inspect_hit(s))
		bad = inspect_end(s) == -1;
	inspect_words(s, true, names, sizeof(names));
	inspect_words(s, false, likely, sizeof(likely));
	/* CANARY is in every planted key's first octets */
	if (inspect_hit(s) && k == INSPECT_PLAIN &&
	    memmem(body, (size_t)clean, "CANARY", 6) != NULL)
		printf("leaked ");
	printf("%s\t%s\n",
	    bad                  ? "broken"
		: inspect_hit(s) ? "sure"
		: *likely != 0   ? "likely"
				 : "clean",
	    inspect_hit(s) ? names : likely);
	inspect_free(s);
	free(body);
	return 0;
}

int
main(void)
{
	char coding[16];
	size_t len, chunk;

	while (scanf("%15s %zu %zu", coding, &len, &chunk) == 3 && getchar() == '\n')
		if (one(coding, len, chunk) == -1)
			return 1;
	return 0;
}
