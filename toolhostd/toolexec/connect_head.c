/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only thing a tool server's relay parses. The server is hostile; who reads this can
 * do nothing that the server cannot.
 */
#include "toolhostd/toolexec/connect_head.h"

#include <stdbool.h>
#include <string.h>

#define METHOD "CONNECT "
#define VERSION " HTTP/1."
#define VERSION_LEN (sizeof(VERSION) - 1)

/* RFC 9110 5.6.2 */
static bool
is_token(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z') || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* A line without its end: no control characters but tabs. */
static bool
is_clean(const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if ((p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f)
			return false;
	return true;
}

static int
request_line(const uint8_t *p, size_t len, char *authority)
{
	const size_t method = sizeof(METHOD) - 1;
	const uint8_t *blank;
	size_t i;

	if (!is_clean(p, len))
		return CONNECT_MALFORMED;
	if (len < method || memcmp(p, METHOD, method) != 0) {
		/* another method, if it is one at all */
		blank = memchr(p, ' ', len);
		for (i = 0; blank != NULL && p + i < blank; i++)
			if (!is_token(p[i]))
				return CONNECT_MALFORMED;
		return blank == NULL || blank == p ? CONNECT_MALFORMED
						   : CONNECT_OTHER_METHOD;
	}
	p += method;
	len -= method;
	blank = memchr(p, ' ', len);
	if (blank == NULL || blank == p || blank - p > CONNECT_AUTHORITY_MAX)
		return CONNECT_MALFORMED;
	memcpy(authority, p, (size_t)(blank - p));
	authority[blank - p] = '\0';
	for (i = 0; authority[i] != '\0'; i++)
		if ((uint8_t)authority[i] <= ' ' || (uint8_t)authority[i] > '~')
			return CONNECT_MALFORMED;
	len -= (size_t)(blank - p);
	if (len != VERSION_LEN + 1 || memcmp(blank, VERSION, VERSION_LEN) != 0 ||
	    (blank[VERSION_LEN] != '0' && blank[VERSION_LEN] != '1'))
		return CONNECT_MALFORMED;
	return 0;
}

static int
field_line(const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len && is_token(p[i]); i++)
		;
	return i > 0 && i < len && p[i] == ':' && is_clean(p, len) ? 0
								   : CONNECT_MALFORMED;
}

int
connect_head(const uint8_t *p, size_t len, char authority[CONNECT_AUTHORITY_MAX + 1])
{
	const uint8_t *at = p, *end;
	size_t left = len, line;
	int r;

	if (len > 0 && !is_token(p[0]))
		return CONNECT_MALFORMED; /* TLS, or worse */
	while ((end = memchr(at, '\n', left)) != NULL) {
		line = (size_t)(end - at);
		if (line == 0 || at[line - 1] != '\r')
			return CONNECT_MALFORMED;
		line--;
		if (at != p && line == 0)
			return (int)(end + 1 - p) > CONNECT_HEAD_MAX ? CONNECT_TOO_LONG
								     : (int)(end + 1 - p);
		r = at == p ? request_line(at, line, authority) : field_line(at, line);
		if (r != 0)
			return r;
		left -= (size_t)(end + 1 - at);
		at = end + 1;
	}
	return len >= CONNECT_HEAD_MAX ? CONNECT_TOO_LONG : 0;
}
