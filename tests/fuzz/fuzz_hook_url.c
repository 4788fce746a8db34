/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of webhooks: what is read leads to one host, and can stand in a request. */
#include <stdlib.h>
#include <string.h>

#include "common/hook_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char again[HOST_MAX];
	struct hook_url u;
	uint16_t port;
	size_t i;

	if (hook_url_parse(span_mem(data, len), &u) != NULL)
		return 0;
	if (u.target[0] != '/' || u.port > UINT16_MAX ||
	    host_normalise(u.host, strlen(u.host), again, &port) <= 0 || port != 0 ||
	    strcmp(again, u.host) != 0)
		abort();
	for (i = 0; u.target[i] != '\0'; i++)
		if (u.target[i] <= ' ' || u.target[i] == '#' || u.target[i] == 0x7f)
			abort();
	return 0;
}
