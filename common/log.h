/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One log line per event, in logfmt or JSON, to standard error. Every process uses it;
 *values may come from peers and are escaped, so a line is a line whatever they sent. Not
 *for signal handlers and not for two threads at once on different settings; single lines
 *from threads do not mix.
 *
 *	LOG_INFO("gate.accept", LS("peer", addr), LU("open", n));
 *	ts=2031-05-06T07:08:09.123456Z level=info role=gate pid=42 event=gate.accept
 *peer=::1 open=5
 *
 * Event names and keys are constants of ours: [a-z0-9._]. Secrets have no macro on
 *purpose.
 */
#ifndef AEGIS_COMMON_LOG_H
#define AEGIS_COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/role.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
/* PLAIN: as LOGFMT, but why a process ends is a sentence, for who typed a command. */
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON, LOG_FORMAT_PLAIN };

/* Longest line with its newline: below PIPE_BUF's 4096, so that lines of processes never
 * mix. */
#define LOG_LINE_MAX 4096
/* Longest value, counted in the octets it was given in; the rest is cut and marked "...".
 */
#define LOG_VALUE_MAX 1024

enum log_kind { LOG_KIND_STR, LOG_KIND_INT, LOG_KIND_UINT, LOG_KIND_BOOL, LOG_KIND_HEX };

/* One key and value; made by the macros below only. */
struct log_kv {
	const char *key; /* NULL: not there */
	enum log_kind kind;
	union {
		struct {
			const void *p;
			size_t len;
		} s;
		int64_t i;
		uint64_t u;
	} v;
};

/* String, NULL is "-"; octets with a length; signed; unsigned; bool; octets in hex;
 * errno. */
#define LS(k, str) log_kv_str((k), (str))
#define LSN(k, ptr, n) ((struct log_kv){(k), LOG_KIND_STR, {.s = {(ptr), (n)}}})
#define LI(k, n) ((struct log_kv){(k), LOG_KIND_INT, {.i = (int64_t)(n)}})
#define LU(k, n) ((struct log_kv){(k), LOG_KIND_UINT, {.u = (uint64_t)(n)}})
#define LB(k, b) ((struct log_kv){(k), LOG_KIND_BOOL, {.u = (b) ? 1u : 0u}})
#define LX(k, ptr, n) ((struct log_kv){(k), LOG_KIND_HEX, {.s = {(ptr), (n)}}})
#define LE(k, err) log_kv_errno((k), (err))

#define LOG_AT(lvl, event, ...)                                             \
	do {                                                                \
		if (log_enabled(lvl)) {                                     \
			const struct log_kv log_kv_[] = {                   \
			    {NULL, LOG_KIND_STR, {.u = 0}}, ##__VA_ARGS__}; \
			log_write((lvl), (event), log_kv_,                  \
			    sizeof log_kv_ / sizeof log_kv_[0]);            \
		}                                                           \
	} while (0)

#define LOG_DEBUG(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define LOG_INFO(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_WARN(...) LOG_AT(LOG_LEVEL_WARN, __VA_ARGS__)
#define LOG_ERROR(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__)

/**
 * log_init - who logs, how, and from which level on. Call it again after fork(): it notes
 * the pid. Before the first call lines are logfmt, level info, role none.
 */
void log_init(enum role role, enum log_format format, enum log_level level);

/** log_set_fd - write to @fd instead of standard error; stays the caller's. */
void log_set_fd(int fd);

/** log_set_level - change the level while running. */
void log_set_level(enum log_level level);

/** log_enabled - would a line of this level be written? */
bool log_enabled(enum log_level level);

/** log_level_parse, log_format_parse - from "debug", "json", ...; 0, or -1 when unknown.
 */
int log_level_parse(const char *name, enum log_level *level);
int log_format_parse(const char *name, enum log_format *format);

/**
 * log_write - what the macros call. A line that would be longer than LOG_LINE_MAX loses
 * its last fields and says truncated=true. A line that cannot be written (full pipe) is
 * counted, and the next one that can is preceded by event=log.dropped.
 */
void log_write(
    enum log_level level, const char *event, const struct log_kv *kv, size_t n);

/* A line without its write: returns its length, with newline, in @buf of LOG_LINE_MAX
 * octets. */
size_t log_line(char *buf, enum log_level level, const char *event,
    const struct log_kv *kv, size_t n);

/* Used by the macros. */
struct log_kv log_kv_str(const char *key, const char *s);
struct log_kv log_kv_errno(const char *key, int err);

/**
 * fatal, fatalx - log event=fatal and exit(1); fatal() adds errno. Only for start-up and
 * for programs that serve one request: a running daemon never ends because of a message.
 */
__attribute__((format(printf, 1, 2), noreturn)) void fatal(const char *fmt, ...);
__attribute__((format(printf, 1, 2), noreturn)) void fatalx(const char *fmt, ...);

#endif /* AEGIS_COMMON_LOG_H */
