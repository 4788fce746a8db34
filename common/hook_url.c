/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of webhooks; see hook_url.h. Command line and judge. */
#include "common/hook_url.h"

#include <stdio.h>
#include <string.h>

#include "common/http1_class.h"

const char *
hook_url_parse(struct span s, struct hook_url *u)
{
	const char *p = s.p, *end = s.p + s.len, *slash;
	uint16_t port = 0;
	size_t i, n;

	memset(u, 0, sizeof(*u));
	if (s.len > HOOK_URL_MAX)
		return "it is too long";
	if (s.len > 8 && span_ieq(span_mem(p, 8), "https://"))
		snprintf(u->scheme, sizeof(u->scheme), "https");
	else if (s.len > 7 && span_ieq(span_mem(p, 7), "http://"))
		snprintf(u->scheme, sizeof(u->scheme), "http");
	else
		return "it begins with neither https:// nor http://";
	p += strlen(u->scheme) + 3;
	for (slash = p; slash < end && *slash != '/' && *slash != '?'; slash++)
		;
	if (host_normalise(p, (size_t)(slash - p), u->host, &port) <= 0)
		return "its host is none (no user names, no wildcards)";
	u->port = port == (strcmp(u->scheme, "https") == 0 ? 443 : 80) ? 0 : port;
	n = (size_t)(end - slash);
	for (i = 0; i < n; i++)
		if (!http1_is(slash[i], HTTP1_C_TARGET) || slash[i] == '#')
			return "its path has characters that need percent escapes";
	snprintf(u->target, sizeof(u->target), "%s%.*s",
	    n == 0 || slash[0] == '?' ? "/" : "", (int)n, n > 0 ? slash : "");
	return NULL;
}
