/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapes of credentials. gated and judge. A word is at most INSPECT_WORD_MAX octets and
 * is looked at once, each place of it against one row of a table: no backtracking, no
 * recursion.
 *
 * Sure are shapes that their makers gave a prefix so that they can be found, and a few
 * that nothing else has. What also is the shape of an ordinary thing (a UUID, a hash of
 * 40 or 64 digits, a word after "Basic") is not looked for, or is only likely.
 */
#include "common/inspect_match.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/b64.h"
#include "common/inspect_shapes.h"

#define SHORTEST 15    /* xoxb- and ten more */
#define DISTINCT_MIN 8 /* different octets: fewer is a placeholder such as xxxxxxxx */

/* By octet, a bit for each set. */
static uint8_t members[256];

static bool
belongs(enum set set, unsigned char c)
{
	switch (set) {
	case ALNUM:
		return isalnum(c) != 0;
	case ALNUM_DASH:
		return inspect_inner(c);
	case ALNUM_DOT_DASH:
		return inspect_inner(c) || c == '.';
	case UPPER_DIGIT:
		return isupper(c) != 0 || isdigit(c) != 0;
	case HEX_LOWER:
		return isdigit(c) != 0 || (c >= 'a' && c <= 'f');
	default:
		return isalnum(c) != 0 || c == '+' || c == '/' || c == '=';
	}
}

bool
inspect_inner(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_' || c == '-';
}

struct look {
	unsigned digits, letters, upper, lower, distinct;
};

static struct look
look_at(const char *p, size_t n)
{
	uint64_t seen[4] = {0};
	struct look l = {0};
	unsigned char c;
	size_t i;

	for (i = 0; i < n; i++) {
		c = (unsigned char)p[i];
		l.digits += isdigit(c) != 0;
		l.upper += isupper(c) != 0;
		l.lower += islower(c) != 0;
		l.distinct += (seen[c >> 6] >> (c & 63) & 1) == 0;
		seen[c >> 6] |= (uint64_t)1 << (c & 63);
	}
	l.letters = l.upper + l.lower;
	return l;
}

/* Letters and digits mixed, and not always the same ones. */
static bool
random_looking(const char *p, size_t n)
{
	struct look l = look_at(p, n);

	return l.distinct >= DISTINCT_MIN && l.digits > 0 && l.letters > 0;
}

enum kind { SEPARATOR, DIGIT, UPPER, LOWER };

static enum kind
kind_of(unsigned char c)
{
	return isdigit(c) != 0 ? DIGIT
	    : isupper(c) != 0  ? UPPER
	    : islower(c) != 0  ? LOWER
			       : SEPARATOR;
}

/*
 * A reference to a secret, not the secret: a path, a URL, response.data.oauth2.token,
 * AUTH0_CLIENT_SECRET. Words with separators, few digits, and few changes of kind.
 */
static bool
reads_as_name(const char *p, size_t n)
{
	size_t i, digits = 0, changes = 0, separators = 0;
	enum kind k, last = SEPARATOR;

	for (i = 0; i < n; i++) {
		k = kind_of((unsigned char)p[i]);
		digits += k == DIGIT;
		separators += k == SEPARATOR;
		/* Capitals are one word's, whatever follows them */
		changes += k != SEPARATOR && last != SEPARATOR && k != last &&
		    !(last == UPPER && k == LOWER);
		last = k;
	}
	return separators > 0 && digits * 8 <= n && changes * 8 <= n;
}

static size_t
run(const char *p, size_t n, enum set set)
{
	size_t i = 0;

	while (i < n && (members[(unsigned char)p[i]] >> set & 1) != 0)
		i++;
	return i;
}

struct report {
	void (*fn)(void *, const char *, size_t, bool);
	void *arg;
};

static size_t
match_shape(const struct shape *s, const char *p, size_t n, const struct report *r)
{
	size_t len = strlen(s->prefix), body, most;
	struct look l;

	if (n < len + s->min || memcmp(p, s->prefix, len) != 0)
		return 0;
	/* no further than matters: its characters may begin another one */
	most = s->max > 0 && s->max < n - len ? s->max + 1U : n - len;
	body = run(p + len, most, s->set);
	if (body < s->min || (s->max > 0 && body > s->max))
		return 0;
	l = look_at(p + len, body);
	if (l.distinct < DISTINCT_MIN || (s->digit && l.digits == 0))
		return 0;
	r->fn(r->arg, s->name, len + body, s->sure);
	return len + body;
}

/* Three parts of base64url, the first of which begins a JSON object. RFC 7519. */
static size_t
match_jwt(const char *p, size_t n, const struct report *r)
{
	size_t a, b, c;

	if (n < 32 || memcmp(p, "eyJ", 3) != 0)
		return 0;
	a = run(p, n, ALNUM_DASH);
	if (a < 13 || a + 1 >= n || p[a] != '.')
		return 0;
	b = run(p + a + 1, n - a - 1, ALNUM_DASH);
	if (b < 10)
		return 0;
	if (a + 1 + b == n) { /* longer than a word: the end is not here */
		if (n < INSPECT_WORD_MAX / 2)
			return 0;
		c = 0;
	} else if (p[a + 1 + b] != '.' ||
	    (c = run(p + a + b + 2, n - a - b - 2, ALNUM_DASH)) < 10) {
		return 0;
	}
	r->fn(r->arg, "JSON web token", a + b + c + 2, true);
	return n;
}

/* A number in Base64, six octets of time, a signature: Discord's bots. */
static size_t
match_discord(const char *p, size_t n, const struct report *r)
{
	uint8_t id[32];
	size_t a = run(p, n, ALNUM), c;
	ssize_t m, i;
	char padded[40];

	if (a < 23 || a > 28 || n < a + 8 + 27 || p[a] != '.' || p[a + 7] != '.' ||
	    run(p + a + 1, 6, ALNUM_DASH) != 6)
		return 0;
	c = run(p + a + 8, n - a - 8, ALNUM_DASH);
	memcpy(padded, p, a);
	m = c >= 27 && c <= 42 ? b64_decode(B64_URL, padded, a, id, sizeof(id)) : -1;
	for (i = 0; i < m; i++)
		if (!isdigit(id[i]))
			return 0;
	if (m < 16)
		return 0;
	r->fn(r->arg, "Discord bot token", a + 8 + c, true);
	return a + 8 + c;
}

/* scheme://user:password@host; of databases sure, of others likely. */
static size_t
match_url(const char *p, size_t n, const struct report *r)
{
	static const char *const databases[] = {"postgres", "postgresql", "mysql",
	    "mariadb", "mongodb", "mongodb+srv", "redis", "rediss", "amqp", "amqps",
	    "mssql", "clickhouse", "cockroachdb"};
	const char *mark = memchr(p, ':', n), *end = p + n, *at, *colon;
	size_t scheme, i;

	if (mark == NULL || (mark = memmem(mark, (size_t)(end - mark), "://", 3)) == NULL)
		return 0;
	colon = memchr(mark + 3, ':', (size_t)(end - mark - 3));
	at = colon == NULL ? NULL : memchr(colon, '@', (size_t)(end - colon));
	if (at == NULL || at - colon < 2 || at + 1 == end ||
	    memchr(mark + 3, '/', (size_t)(at - mark - 3)) != NULL ||
	    memchr(mark + 3, '$', (size_t)(at - mark - 3)) != NULL ||
	    memchr(mark + 3, '<', (size_t)(at - mark - 3)) != NULL)
		return 0;
	for (scheme = 0; mark - scheme > p &&
	     (isalnum((unsigned char)mark[-1 - (ssize_t)scheme]) ||
		 mark[-1 - (ssize_t)scheme] == '+');)
		scheme++;
	p = mark - scheme;
	n = (size_t)(end - p);
	for (i = 0; i < sizeof(databases) / sizeof(databases[0]); i++)
		if (strlen(databases[i]) == scheme &&
		    strncasecmp(databases[i], p, scheme) == 0) {
			r->fn(r->arg, "connection string with a password", n, true);
			return n;
		}
	r->fn(r->arg, "URL with a password", n, false);
	return n;
}

static void
match_bearer(const char *p, size_t n, const struct report *r)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!inspect_inner((unsigned char)p[i]) && strchr(".~+/=", p[i]) == NULL)
			return;
	if (n >= 20 && random_looking(p, n))
		r->fn(r->arg, "Bearer token", n, true);
}

/* RFC 7617: Base64 of user, colon, password. */
static void
match_basic(const char *p, size_t n, const struct report *r)
{
	uint8_t plain[INSPECT_WORD_MAX];
	ssize_t m = b64_decode(B64_STD, p, n, plain, sizeof(plain)), i;

	if (n < 12 || m < 5 || memchr(plain, ':', (size_t)m) == NULL)
		return;
	for (i = 0; i < m; i++)
		if (plain[i] < 0x20 || plain[i] > 0x7e)
			return;
	r->fn(r->arg, "Basic credentials", n, true);
}

static void
match_assigned(
    const char *p, size_t n, enum inspect_before before, const struct report *r)
{
	size_t body = run(p, n, BASE64), i;

	for (i = 0; i < n; i++)
		if (!inspect_inner((unsigned char)p[i]) &&
		    strchr("./+=~:!@#^*", p[i]) == NULL)
			return;
	if (before == BEFORE_PASSWORD_NAME) {
		if (n >= 8 && random_looking(p, n))
			r->fn(r->arg, "password", n, false);
	} else if (n == 40 && body == 40 && random_looking(p, n)) {
		r->fn(r->arg, "AWS secret key or the like", n, true);
	} else if (n >= 16 && random_looking(p, n)) {
		r->fn(r->arg, "value of a secret's name", n,
		    n >= 20 && !reads_as_name(p, n));
	}
}

/* Rows whose prefix begins with an octet: from one before `end`. */
static struct rows {
	uint8_t begin, end;
	bool jwt, discord;
} rows[256];

static void
rows_make(void)
{
	struct rows *r;
	unsigned i, set;

	for (i = 0; i < 256; i++)
		for (set = 0; set <= ALNUM_DOT_DASH; set++)
			members[i] = (uint8_t)(members[i] |
			    belongs((enum set)set, (unsigned char)i) << set);
	for (i = 0; i < inspect_nshapes; i++) {
		r = &rows[(unsigned char)inspect_shapes[i].prefix[0]];
		if (r->end == 0)
			r->begin = (uint8_t)i;
		r->end = (uint8_t)(i + 1);
	}
	rows['e'].jwt = true;
	rows['M'].discord = rows['N'].discord = rows['O'].discord = true;
}

static size_t
match_here(const char *p, size_t n, const struct report *report)
{
	const struct rows *r = &rows[(unsigned char)*p];
	size_t i, len;

	for (i = r->begin; i < r->end; i++)
		if (p[1] == inspect_shapes[i].prefix[1] &&
		    (len = match_shape(&inspect_shapes[i], p, n, report)) > 0)
			return len;
	if (r->jwt)
		return match_jwt(p, n, report);
	return r->discord ? match_discord(p, n, report) : 0;
}

/* In a signed URL the id of the key says who signed; the key is not there. */
static bool
is_signer(const char *word, size_t at, enum inspect_before before)
{
	static const char name[] = "Amz-Credential=";
	const size_t n = sizeof(name) - 1;

	return (word[at] == 'A' && at == 0 && before == BEFORE_SIGNER) ||
	    (word[at] == 'A' && at >= n && memcmp(word + at - n, name, n) == 0);
}

void
inspect_match(const char *word, size_t len, enum inspect_before before,
    void (*fn)(void *, const char *, size_t, bool), void *arg)
{
	struct report r = {fn, arg};
	const struct rows *at;
	size_t i, n;

	if (!rows['e'].jwt)
		rows_make();
	if (len < 16)
		before = before == BEFORE_SECRET_NAME || before == BEFORE_BEARER
		    ? BEFORE_NOTHING
		    : before;
	for (i = 0; i + SHORTEST <= len; i++) {
		at = &rows[(unsigned char)word[i]];
		if ((at->end == 0 && !at->jwt && !at->discord) ||
		    (i > 0 && inspect_inner((unsigned char)word[i - 1])) ||
		    is_signer(word, i, before))
			continue;
		n = match_here(word + i, len - i, &r);
		if (n > 0)
			return; /* one of a word is enough */
	}
	if (before == BEFORE_BEARER)
		match_bearer(word, len, &r);
	else if (before == BEFORE_BASIC)
		match_basic(word, len, &r);
	else if (match_url(word, len, &r) == 0 &&
	    (before == BEFORE_SECRET_NAME || before == BEFORE_PASSWORD_NAME))
		match_assigned(word, len, before, &r);
}

/* Without '-', '_' and in lower case. */
static size_t
plain_name(const char *word, size_t len, char out[32])
{
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		if (word[i] == '-' || word[i] == '_' || word[i] == '.')
			continue;
		if (n == 31)
			return 0;
		out[n++] = (char)tolower((unsigned char)word[i]);
	}
	out[n] = '\0';
	return n;
}

#define ENDING(text, before)                   \
	{                                      \
		text, sizeof(text) - 1, before \
	}
static const struct ending {
	const char *text;
	size_t len;
	enum inspect_before before;
} endings[] = {
    ENDING("apikey", BEFORE_SECRET_NAME),
    ENDING("apisecret", BEFORE_SECRET_NAME),
    ENDING("apitoken", BEFORE_SECRET_NAME),
    ENDING("accesstoken", BEFORE_SECRET_NAME),
    ENDING("secretkey", BEFORE_SECRET_NAME),
    ENDING("secretaccesskey", BEFORE_SECRET_NAME),
    ENDING("clientsecret", BEFORE_SECRET_NAME),
    ENDING("authtoken", BEFORE_SECRET_NAME),
    ENDING("authorization", BEFORE_SECRET_NAME),
    ENDING("privatekey", BEFORE_SECRET_NAME),
    ENDING("refreshtoken", BEFORE_SECRET_NAME),
    ENDING("secrettoken", BEFORE_SECRET_NAME),
    ENDING("signingkey", BEFORE_SECRET_NAME),
    ENDING("amzcredential", BEFORE_SIGNER),
    ENDING("password", BEFORE_PASSWORD_NAME),
    ENDING("passwd", BEFORE_PASSWORD_NAME),
    ENDING("pwd", BEFORE_PASSWORD_NAME),
    ENDING("passphrase", BEFORE_PASSWORD_NAME),
};

enum inspect_before
inspect_name(const char *word, size_t len, bool assigned)
{
	const struct ending *e;
	char name[32];
	size_t n, i;

	if (!assigned) {
		if (len < 5 || (*word | 0x20) != 'b')
			return BEFORE_NOTHING;
		if (len == 6 && strncasecmp(word, "bearer", 6) == 0)
			return BEFORE_BEARER;
		return len == 5 && strncasecmp(word, "basic", 5) == 0 ? BEFORE_BASIC
								      : BEFORE_NOTHING;
	}
	n = plain_name(word, len, name);
	for (i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		e = &endings[i];
		if (n >= e->len && name[n - 1] == e->text[e->len - 1] &&
		    memcmp(name + n - e->len, e->text, e->len) == 0)
			return e->before;
	}
	return BEFORE_NOTHING;
}
