/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON writer (RFC 8259) that appends compact JSON to a struct buf. It places commas and
 * colons itself. A call that does not fit (a value without its key, a bracket that closes
 * nothing, no memory) sets an error flag that stays; jsonw_done() tells in the end.
 * Text may come from anybody: it is escaped, and what is not UTF-8 becomes U+FFFD,
 * as does U+0000, which our own reader refuses.
 */
#ifndef AEGIS_COMMON_JSONW_H
#define AEGIS_COMMON_JSONW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/span.h"

#define JSONW_DEPTH_MAX 63

struct jsonw {
	struct buf *out;
	uint64_t objects; /* bit n: the container at depth n is an object */
	uint64_t filled;  /* bit n: something was written at depth n */
	unsigned int depth;
	bool keyed; /* a key waits for its value */
	bool failed;
};

/* Starts a document at the end of out, which stays the caller's. */
void jsonw_init(struct jsonw *w, struct buf *out);

/* Returns 0 when exactly one complete value was written, else -1: discard the output. */
int jsonw_done(const struct jsonw *w);

void jsonw_obj_open(struct jsonw *w);
void jsonw_obj_close(struct jsonw *w);
void jsonw_arr_open(struct jsonw *w);
void jsonw_arr_close(struct jsonw *w);

/* The name of the next value; only inside an object. Names are not checked for
 * repetition. */
void jsonw_key(struct jsonw *w, const char *name);
void jsonw_keyn(struct jsonw *w, const void *name, size_t len);

/* A string; NULL is written as null. */
void jsonw_str(struct jsonw *w, const char *s);
void jsonw_strn(struct jsonw *w, const void *s, size_t len);

void jsonw_int(struct jsonw *w, int64_t v);
void jsonw_uint(struct jsonw *w, uint64_t v);
void jsonw_bool(struct jsonw *w, bool v);
void jsonw_null(struct jsonw *w);

/* The entries of a comma separated list as an array of strings; "" has none. */
void jsonw_list(struct jsonw *w, struct span list);

/* A complete JSON value, copied as it is: the caller has parsed it. */
void jsonw_raw(struct jsonw *w, const void *p, size_t len);

/* jsonw_key() and a value in one line. */
void jsonw_key_str(struct jsonw *w, const char *name, const char *s);
void jsonw_key_int(struct jsonw *w, const char *name, int64_t v);
void jsonw_key_bool(struct jsonw *w, const char *name, bool v);
void jsonw_key_list(struct jsonw *w, const char *name, const char *list);

/*
 * Appends one character as it stands inside a JSON string: " \ and U+0000-U+001F escaped,
 * the short forms used, \u00xx in lower case, the rest as UTF-8. With ascii, everything
 * outside U+0020-U+007E as \uxxxx, in surrogate pairs above U+FFFF. Returns 0 or -1.
 */
int jsonw_put_char(struct buf *out, uint32_t cp, bool ascii);

#endif
