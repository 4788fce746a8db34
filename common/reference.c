/* SPDX-License-Identifier: Apache-2.0 */
/* References to secrets in OpenBao; see reference.h. The text is an operator's. */
#include "common/reference.h"

static bool
is_safe(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

/* The leading octets that may stand in a segment. */
static size_t
segment_len(struct span s)
{
	size_t n = 0;

	while (n < s.len && is_safe(s.p[n]))
		n++;
	return n;
}

static bool
leads_upwards(struct span s)
{
	return span_eq(s, ".") || span_eq(s, "..");
}

static struct span
skip(struct span s, size_t n)
{
	return span_mem(s.p + n, s.len - n);
}

static bool
begins(struct span s, const char *with)
{
	size_t n = strlen(with);

	return s.len >= n && memcmp(s.p, with, n) == 0;
}

/* @VERSION, without a leading zero. */
static int
read_version(struct span s, unsigned *version)
{
	size_t i;

	*version = 0;
	if (s.len == 0 || s.len > 9 || s.p[0] == '0')
		return -1;
	for (i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		*version = *version * 10 + (unsigned)(s.p[i] - '0');
	}
	return 0;
}

/* A role has no slash in its name, and what is made has two fields and no versions. */
static const char *
check_dynamic(struct reference *r)
{
	r->dynamic = true;
	if (strchr(r->path + 6, '/') != NULL || r->version != 0 ||
	    (r->field[0] != '\0' && strcmp(r->field, REFERENCE_USERNAME) != 0 &&
		strcmp(r->field, REFERENCE_PASSWORD) != 0))
		return "expected vault:database/creds/ROLE, #username or #password "
		       "behind it if wanted";
	return NULL;
}

const char *
reference_parse(struct span text, struct reference *r)
{
	static const char form[] =
	    "expected vault:MOUNT/PATH#FIELD or secret:PATH#FIELD, of A-Z a-z 0-9 _ . - "
	    "and slashes, @VERSION behind it if wanted";
	struct span rest = text, path;
	size_t n;
	bool more;

	memset(r, 0, sizeof(*r));
	if (begins(rest, REFERENCE_SECRET)) {
		rest = skip(rest, sizeof(REFERENCE_SECRET) - 1);
	} else if (begins(rest, REFERENCE_VAULT)) {
		rest = skip(rest, sizeof(REFERENCE_VAULT) - 1);
		n = segment_len(rest);
		if (n == 0 || n == rest.len || rest.p[n] != '/' ||
		    leads_upwards(span_mem(rest.p, n)) ||
		    span_copy(span_mem(rest.p, n), r->mount, sizeof(r->mount)) == -1)
			return form;
		if (begins(rest, REFERENCE_TENANT))
			return "what begins with tenant- is a namespace, not a mount: a "
			       "reference stays in the namespace of its tenant";
		rest = skip(rest, n + 1);
	} else {
		return form;
	}
	path = rest;
	do {
		n = segment_len(rest);
		if (n == 0 || leads_upwards(span_mem(rest.p, n)))
			return form;
		rest = skip(rest, n);
		more = rest.len > 0 && rest.p[0] == '/';
		if (more)
			rest = skip(rest, 1);
	} while (more);
	if (span_copy(span_mem(path.p, path.len - rest.len), r->path, sizeof(r->path)) ==
	    -1)
		return form;
	if (rest.len > 0 && rest.p[0] == '#') {
		rest = skip(rest, 1);
		n = segment_len(rest);
		if (n == 0 ||
		    span_copy(span_mem(rest.p, n), r->field, sizeof(r->field)) == -1)
			return form;
		rest = skip(rest, n);
	}
	if (rest.len > 0 &&
	    (rest.p[0] != '@' || read_version(skip(rest, 1), &r->version) == -1))
		return form;
	if ((strcmp(r->mount, "db") == 0 || strcmp(r->mount, "database") == 0) &&
	    strncmp(r->path, "creds/", 6) == 0)
		return check_dynamic(r);
	return NULL;
}
