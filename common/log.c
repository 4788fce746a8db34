/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines. Runs in every process. Values may come from anybody: control characters,
 * quotes, what is not UTF-8 and what reorders text on a terminal are escaped.
 */
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/rfc3339.h"
#include "common/utf8.h"

/* Kept free at the end of a line, for the mark that fields are missing. */
#define TAIL 24

static struct {
	enum role role;
	enum log_format format;
	enum log_level level;
	int fd;
	long pid;
	atomic_uint dropped;
} self = {.level = LOG_LEVEL_INFO, .fd = STDERR_FILENO};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* A line under construction; once full it stays full. */
struct line {
	char *p;
	size_t len, cap;
	bool full;
};

static void
put(struct line *l, const char *s, size_t n)
{
	if (l->full || n > l->cap - l->len) {
		l->full = true;
		return;
	}
	memcpy(l->p + l->len, s, n);
	l->len += n;
}

static void
put_text(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

static void
put_hex(struct line *l, const unsigned char *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char two[2];
	size_t i;

	for (i = 0; i < n; i++) {
		two[0] = digits[p[i] >> 4];
		two[1] = digits[p[i] & 15];
		put(l, two, 2);
	}
}

/* Characters that hide or reorder text on a terminal: C1 controls, line separators, bidi.
 */
static bool
misleading(uint32_t cp)
{
	return (cp >= 0x80 && cp < 0xa0) || cp == 0x061c ||
	    (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	    (cp >= 0x2066 && cp <= 0x2069) || cp == 0xfeff;
}

/* One octet that must not stand as it is: \xNN, with the backslash doubled in JSON. */
static void
put_octet(struct line *l, enum log_format format, unsigned char c)
{
	put_text(l, format == LOG_FORMAT_JSON ? "\\\\x" : "\\x");
	put_hex(l, &c, 1);
}

static void
put_escaped(struct line *l, enum log_format format, const unsigned char *p, size_t n)
{
	uint32_t cp;
	size_t i, k;

	for (i = 0; i < n; i += k) {
		k = utf8_decode(p + i, n - i, &cp);
		if (k == 0) {
			k = 1;
			put_octet(l, format, p[i]);
		} else if (cp == '"' || cp == '\\') {
			put(l, "\\", 1);
			put(l, (const char *)p + i, 1);
		} else if (cp == '\n') {
			put(l, "\\n", 2);
		} else if (cp < 0x20 || cp == 0x7f) {
			put_octet(l, format, p[i]);
		} else if (misleading(cp)) {
			for (cp = 0; cp < k; cp++)
				put_octet(l, format, p[i + cp]);
		} else {
			put(l, (const char *)p + i, k);
		}
	}
}

/* May this value stand in logfmt without quotes? */
static bool
bare(const unsigned char *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] <= ' ' || p[i] >= 0x7f || p[i] == '"' || p[i] == '=' ||
		    p[i] == '\\')
			return false;
	return n > 0;
}

static void
put_string(struct line *l, enum log_format format, const void *p, size_t n)
{
	size_t shown = n < LOG_VALUE_MAX ? n : LOG_VALUE_MAX;

	if (format != LOG_FORMAT_JSON && shown == n && bare(p, n)) {
		put(l, p, n);
		return;
	}
	put(l, "\"", 1);
	put_escaped(l, format, p, shown);
	if (shown < n)
		put(l, "...", 3);
	put(l, "\"", 1);
}

static void
put_key(struct line *l, enum log_format format, const char *key)
{
	if (format == LOG_FORMAT_JSON) {
		put_text(l, l->len == 0 ? "{\"" : ",\"");
		put_text(l, key);
		put(l, "\":", 2);
	} else {
		if (l->len > 0)
			put(l, " ", 1);
		put_text(l, key);
		put(l, "=", 1);
	}
}

static void
put_value(struct line *l, enum log_format format, const struct log_kv *kv)
{
	char num[24];
	size_t n;

	switch (kv->kind) {
	case LOG_KIND_STR:
		put_string(l, format, kv->v.s.p, kv->v.s.len);
		break;
	case LOG_KIND_INT:
		(void)snprintf(num, sizeof num, "%" PRId64, kv->v.i);
		put_text(l, num);
		break;
	case LOG_KIND_UINT:
		(void)snprintf(num, sizeof num, "%" PRIu64, kv->v.u);
		put_text(l, num);
		break;
	case LOG_KIND_BOOL:
		put_text(l, kv->v.u ? "true" : "false");
		break;
	case LOG_KIND_HEX:
		n = kv->v.s.len < LOG_VALUE_MAX / 2 ? kv->v.s.len : LOG_VALUE_MAX / 2;
		put_text(l, format == LOG_FORMAT_JSON ? "\"" : "");
		put_hex(l, kv->v.s.p, n);
		put_text(l, n < kv->v.s.len ? "..." : "");
		put_text(l, format == LOG_FORMAT_JSON ? "\"" : "");
		break;
	}
}

/* Adds the whole field or nothing of it. */
static bool
put_field(struct line *l, enum log_format format, const struct log_kv *kv)
{
	size_t before = l->len;

	put_key(l, format, kv->key);
	put_value(l, format, kv);
	if (!l->full)
		return true;
	l->len = before;
	l->full = false;
	return false;
}

size_t
log_line(
    char *buf, enum log_level level, const char *event, const struct log_kv *kv, size_t n)
{
	struct line l = {.p = buf, .cap = LOG_LINE_MAX - TAIL};
	enum log_format format = self.format;
	char ts[RFC3339_SIZE];
	struct timespec now;
	bool whole = true;
	size_t i;

	if (self.pid == 0)
		self.pid = getpid();
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (rfc3339_format(now.tv_sec, (uint32_t)now.tv_nsec, 6, ts, sizeof ts) < 0)
		ts[0] = '\0';
	{
		const struct log_kv head[] = {
		    LS("ts", ts),
		    LS("level", level_names[level]),
		    LS("role", role_name(self.role)),
		    LI("pid", self.pid),
		    LS("event", event),
		};
		for (i = 0; i < sizeof head / sizeof head[0]; i++)
			whole &= put_field(&l, format, &head[i]);
	}
	for (i = 0; i < n; i++)
		if (kv[i].key != NULL)
			whole &= put_field(&l, format, &kv[i]);
	l.cap = LOG_LINE_MAX;
	if (!whole)
		(void)put_field(&l, format, &LB("truncated", true));
	put_text(&l, format == LOG_FORMAT_JSON ? "}\n" : "\n");
	return l.len;
}

/* One write: on a pipe, lines of this length never mix with those of other processes. */
static bool
write_line(const char *buf, size_t len)
{
	ssize_t n;

	do
		n = write(self.fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)len;
}

void
log_write(enum log_level level, const char *event, const struct log_kv *kv, size_t n)
{
	char buf[LOG_LINE_MAX];
	unsigned int lost;
	int saved = errno;
	size_t len;

	lost = atomic_exchange(&self.dropped, 0);
	if (lost > 0) {
		const struct log_kv told = LU("n", lost);

		len = log_line(buf, LOG_LEVEL_WARN, "log.dropped", &told, 1);
		if (!write_line(buf, len))
			atomic_fetch_add(&self.dropped, lost);
	}
	len = log_line(buf, level, event, kv, n);
	if (!write_line(buf, len))
		atomic_fetch_add(&self.dropped, 1);
	errno = saved;
}

void
log_init(enum role role, enum log_format format, enum log_level level)
{
	self.role = role;
	self.format = format;
	self.level = level;
	self.pid = getpid();
}

void
log_set_fd(int fd)
{
	self.fd = fd;
}

void
log_set_level(enum log_level level)
{
	self.level = level;
}

bool
log_enabled(enum log_level level)
{
	return level >= self.level;
}

int
log_level_parse(const char *name, enum log_level *level)
{
	size_t i;

	for (i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -1;
}

int
log_format_parse(const char *name, enum log_format *format)
{
	if (strcmp(name, "logfmt") == 0)
		*format = LOG_FORMAT_LOGFMT;
	else if (strcmp(name, "json") == 0)
		*format = LOG_FORMAT_JSON;
	else
		return -1;
	return 0;
}

struct log_kv
log_kv_str(const char *key, const char *s)
{
	if (s == NULL)
		s = "-";
	return LSN(key, s, strlen(s));
}

struct log_kv
log_kv_errno(const char *key, int err)
{
	const char *name = strerrorname_np(err);

	return log_kv_str(key, name != NULL ? name : "unknown");
}

static void
say_plainly(int err, const char *msg)
{
	char text[LOG_LINE_MAX];
	int n = snprintf(text, sizeof(text), "✗ %s%s%s\n", msg, err != 0 ? ": " : "",
	    err != 0 ? strerror(err) : "");

	if (n < 0 || (size_t)n >= sizeof(text))
		return;
	for (int i = 0; i < n - 1; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
	(void)write_line(text, (size_t)n);
}

__attribute__((noreturn)) static void
die(int err, const char *msg)
{
	if (self.format == LOG_FORMAT_PLAIN)
		say_plainly(err, msg);
	else if (err != 0)
		LOG_ERROR("fatal", LS("msg", msg), LE("errno", err));
	else
		LOG_ERROR("fatal", LS("msg", msg));
	exit(1);
}

void
fatal(const char *fmt, ...)
{
	char msg[LOG_VALUE_MAX];
	int err = errno;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	die(err, msg);
}

void
fatalx(const char *fmt, ...)
{
	char msg[LOG_VALUE_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	die(0, msg);
}
