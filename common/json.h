/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict JSON reader (RFC 8259) for bytes from anybody. Nothing is copied: every value is
 * a node that points at its own bytes in the input, so a value can be passed on verbatim.
 * The input must therefore stay in place and unchanged as long as the document is used.
 *
 * Refused beyond the grammar: duplicate names (compared after decoding), U+0000 in any
 * string, lone surrogates, invalid UTF-8, more depth, nodes or bytes than allowed.
 * A document may be parsed into again and again; it keeps its memory between parses.
 */
#ifndef AEGIS_COMMON_JSON_H
#define AEGIS_COMMON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

#define JSON_NONE UINT32_MAX   /* "no such node"; every accessor takes it */
#define JSON_DEPTH_CEILING 128 /* limits above it are lowered to it */

enum json_type {
	JT_NONE,
	JT_NULL,
	JT_FALSE,
	JT_TRUE,
	JT_NUMBER,
	JT_STRING,
	JT_ARRAY,
	JT_OBJECT,
};

enum json_err {
	JSON_OK = 0,
	JSON_E_EOF = -1,    /* input ends inside a value */
	JSON_E_SYNTAX = -2, /* unexpected byte */
	JSON_E_NUMBER = -3,
	JSON_E_ESCAPE = -4,    /* unknown or malformed escape */
	JSON_E_SURROGATE = -5, /* lone surrogate */
	JSON_E_NUL = -6,       /* \u0000 */
	JSON_E_CONTROL = -7,   /* raw control character in a string */
	JSON_E_UTF8 = -8,
	JSON_E_DUPLICATE = -9, /* member name used twice */
	JSON_E_TRAILING = -10, /* bytes after the value */
	JSON_E_DEPTH = -11,
	JSON_E_NODES = -12,
	JSON_E_SIZE = -13,
	JSON_E_MEMORY = -14,
};

/* Node flags, set on strings only. */
#define JSON_F_ESC 0x01  /* the lexeme has a backslash */
#define JSON_F_HIGH 0x02 /* the lexeme has a byte >= 0x80 */

struct json_node {
	uint32_t start; /* offset of the first byte of the lexeme (strings: the quote) */
	uint32_t len;   /* length of the lexeme */
	uint32_t next;  /* index of the first node after this one's subtree */
	uint32_t count; /* arrays: elements; objects: members */
	uint32_t order; /* objects: where the sorted names begin in json_doc.order */
	uint8_t type;   /* enum json_type */
	uint8_t flags;
};

/*
 * A document. Node 0 is the root. An object's children are name, value, name, value...;
 * an array's are its elements; a child's sibling is at nodes[child].next. For each object
 * `order` lists its name nodes sorted by the UTF-8 bytes of the decoded name.
 */
struct json_doc {
	const uint8_t *base;
	size_t len;
	struct json_node *nodes;
	uint32_t *order;
	uint32_t nnodes, cap, norder;
	uint32_t err_at; /* byte offset of the error */
};

/* 0 in a field means its default. */
struct json_limits {
	size_t size;    /* bytes; default 1 MiB, never more than 1 GiB */
	uint32_t nodes; /* values plus names; default 65536 */
	uint32_t depth; /* nested containers; default 64 */
};

struct json_iter {
	uint32_t name; /* name node, JSON_NONE in an array */
	uint32_t value;
	uint32_t next, left; /* private */
	bool object;         /* private */
};

/* Makes d an empty document; never fails. */
void json_init(struct json_doc *d);

/* Frees the document's memory (not the input); d may be parsed into again. */
void json_free(struct json_doc *d);

/*
 * Parses exactly the len bytes at p. limits may be NULL. Returns JSON_OK, or an error
 * with d->err_at set and d empty. Time is O(len + n log n) name comparisons. No
 * allocation once the document has seen one of this size. RFC 8259; RFC 7493 section 2
 * for duplicates.
 */
enum json_err json_parse(
    struct json_doc *d, const void *p, size_t len, const struct json_limits *limits);

/* A short English text for an error; never NULL. */
const char *json_strerror(enum json_err e);

/* The root value, JSON_NONE when nothing was parsed. */
uint32_t json_root(const struct json_doc *d);

/* Type of a node; JT_NONE for JSON_NONE. */
enum json_type json_type(const struct json_doc *d, uint32_t node);

/* Elements of an array or members of an object; 0 for everything else. */
uint32_t json_count(const struct json_doc *d, uint32_t node);

/* Member `name` of an object by exact bytes, JSON_NONE when absent or not an object. */
uint32_t json_get(const struct json_doc *d, uint32_t node, const char *name);

/* json_get() for a name of len bytes. */
uint32_t json_getn(const struct json_doc *d, uint32_t node, const void *name, size_t len);

/* Walks the children of a container in wire order:
 * json_iter_init(&it, d, node); while (json_iter_next(&it, d)) ... it.name, it.value */
void json_iter_init(struct json_iter *it, const struct json_doc *d, uint32_t node);
bool json_iter_next(struct json_iter *it, const struct json_doc *d);

/*
 * Decodes a string into out, adding a NUL. Returns 0 and the length without the NUL in
 * *len (len may be NULL), or -1 when the node is no string or does not fit in size bytes.
 */
int json_str_copy(
    const struct json_doc *d, uint32_t node, char *out, size_t size, size_t *len);

/* Appends the decoded string to out. Returns 0, or -1 when no string or out of memory. */
int json_str_put(const struct json_doc *d, uint32_t node, struct buf *out);

/* True when the node is a string that decodes to exactly s. */
bool json_str_eq(const struct json_doc *d, uint32_t node, const char *s);

/* The node's own bytes in the input (strings with their quotes). Returns 0 or -1. */
int json_raw(const struct json_doc *d, uint32_t node, const uint8_t **p, size_t *len);

/* An integer without fraction or exponent that fits int64_t. Returns 0 or -1. */
int json_int64(const struct json_doc *d, uint32_t node, int64_t *v);

/* true or false. Returns 0 or -1. */
int json_bool(const struct json_doc *d, uint32_t node, bool *v);

/*
 * Decodes the escape that starts with the backslash at p, a surrogate pair as one
 * character. Returns the bytes used (2, 6 or 12) and sets *cp, or an enum json_err.
 */
int json_unescape(const uint8_t *p, size_t n, uint32_t *cp);

/* Returns the first byte that is a quote, a backslash, below 0x20 or above 0x7f, or end.
 */
const uint8_t *json_skip_plain(const uint8_t *p, const uint8_t *end);

/* Compares two name nodes by decoded UTF-8 bytes, or in UTF-16 code unit order. */
int json_name_cmp(const struct json_doc *d, uint32_t a, uint32_t b, bool utf16);

/* Sorts name nodes with json_name_cmp(); in place, O(n log n) in the worst case. */
void json_name_sort(const struct json_doc *d, uint32_t *names, uint32_t n, bool utf16);

#endif
