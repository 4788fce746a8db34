/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers may write "id" behind the result, so a line that is too long has to be followed
 * to its end; only the names of the outermost members are looked at. Runs in toolhostd;
 * the line is a tool server's.
 */
#include "toolhostd/mcp_skim.h"

#include <string.h>

static bool
key_is(const struct mcp_skim *s, const char *name)
{
	return s->key_len == strlen(name) && memcmp(s->key, name, s->key_len) == 0;
}

static void
in_string(struct mcp_skim *s, uint8_t c)
{
	if (s->escape) {
		s->escape = false;
	} else if (c == '\\') {
		s->escape = true;
		s->key_len = sizeof(s->key) + 1; /* none of ours is written like that */
	} else if (c == '"') {
		s->string = false;
	} else if (s->depth == 1 && !s->value) {
		if (s->key_len < sizeof(s->key))
			s->key[s->key_len] = (char)c;
		if (s->key_len <= sizeof(s->key))
			s->key_len++;
	}
}

/* A member of the outermost object is over. */
static void
member_end(struct mcp_skim *s)
{
	if (s->value && key_is(s, "id") && !s->number_over)
		s->id = s->number;
	s->value = false;
	s->key_len = 0;
}

static void
outside(struct mcp_skim *s, uint8_t c)
{
	switch (c) {
	case '"':
		s->string = true;
		if (s->depth == 1 && !s->value)
			s->key_len = 0;
		else
			s->number_over = true;
		break;
	case '{':
	case '[':
		s->depth++;
		s->number_over = true;
		break;
	case '}':
	case ']':
		if (s->depth == 1)
			member_end(s);
		if (s->depth > 0)
			s->depth--;
		break;
	case ':':
		if (s->depth != 1 || s->value)
			break;
		s->value = true;
		s->number = 0;
		s->number_over = false;
		s->method = s->method || key_is(s, "method");
		break;
	case ',':
		if (s->depth == 1)
			member_end(s);
		break;
	case ' ':
	case '\t':
	case '\r':
		break;
	default:
		if (c < '0' || c > '9' || s->number > UINT64_MAX / 10 - 1)
			s->number_over = true;
		else
			s->number = s->number * 10 + (uint64_t)(c - '0');
		break;
	}
}

void
mcp_skim(struct mcp_skim *s, const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (s->string)
			in_string(s, p[i]);
		else
			outside(s, p[i]);
	}
	s->len += len;
}
