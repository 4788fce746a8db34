/* SPDX-License-Identifier: Apache-2.0 */
/* common/reference: whatever is accepted is safe in a URL and spells what it was. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

#define REQUIRE(what)            \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

static void
must_be_safe(const char *s)
{
	REQUIRE(
	    strspn(s,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./") ==
	    strlen(s));
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	char again[1000], slashes[300], version[16] = "";
	struct reference r;

	if (reference_parse(span_mem(input, len), &r) != NULL)
		return 0;
	must_be_safe(r.mount);
	must_be_safe(r.path);
	must_be_safe(r.field);
	REQUIRE(strchr(r.mount, '/') == NULL && strchr(r.field, '/') == NULL);
	REQUIRE(strcmp(r.mount, ".") != 0 && strcmp(r.mount, "..") != 0);
	snprintf(slashes, sizeof(slashes), "/%s/", r.path);
	REQUIRE(strstr(slashes, "//") == NULL && strstr(slashes, "/./") == NULL &&
	    strstr(slashes, "/../") == NULL);
	if (r.version != 0)
		snprintf(version, sizeof(version), "@%u", r.version);
	snprintf(again, sizeof(again), "vault:%s/%s%s%s%s", r.mount, r.path,
	    r.field[0] != '\0' ? "#" : "", r.field, version);
	REQUIRE(strlen(again) == len && memcmp(again, input, len) == 0);
	return 0;
}
