/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events to a small tree.
 */
#include "aegis/yaml.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "aegis/problem.h"
#include "common/jsonw.h"

struct reader {
	yaml_parser_t parser;
	struct problems *problems;
	struct yaml_node *root;
	struct yaml_node *stack[YAML_DEPTH_MAX];
	unsigned depth, nodes, documents;
	char *key; /* of the value that comes next */
	unsigned key_line, key_column;
};

static int
refuse(struct reader *r, const yaml_mark_t *at, const char *found, const char *expected)
{
	problem_add(r->problems, NULL, (unsigned)at->line + 1, (unsigned)at->column + 1,
	    r->key, "%s, %s", found, expected);
	return -1;
}

static bool
is_null(const char *text, size_t len)
{
	return len == 0 || (len == 1 && text[0] == '~') ||
	    (len == 4 && (memcmp(text, "null", 4) == 0 || memcmp(text, "Null", 4) == 0));
}

/* Puts a new node where the document is now. */
static struct yaml_node *
attach(struct reader *r, enum yaml_kind kind, const yaml_mark_t *at)
{
	struct yaml_node *n, *parent = r->depth > 0 ? r->stack[r->depth - 1] : NULL;

	if (++r->nodes > YAML_NODES_MAX) {
		refuse(r, at, "found too many values", "expected at most 20000");
		return NULL;
	}
	n = calloc(1, sizeof(*n));
	if (n == NULL) {
		refuse(r, at, "out of memory", "try again");
		return NULL;
	}
	n->kind = kind;
	n->line = (unsigned)at->line + 1;
	n->column = (unsigned)at->column + 1;
	n->key = r->key;
	n->key_line = r->key_line;
	n->key_column = r->key_column;
	r->key = NULL;
	if (parent == NULL) {
		r->root = n;
		return n;
	}
	if (parent->last == NULL)
		parent->child = n;
	else
		parent->last->next = n;
	parent->last = n;
	parent->count++;
	return n;
}

/* Text where a map wants a key. */
static int
take_key(struct reader *r, const yaml_event_t *e)
{
	struct yaml_node *map = r->stack[r->depth - 1];
	const char *text = (const char *)e->data.scalar.value;
	size_t len = e->data.scalar.length;
	struct yaml_node *same;

	if (len == 0 || len > 256 || memchr(text, '\0', len) != NULL)
		return refuse(r, &e->start_mark, "found an empty or overlong key",
		    "expected 1 to 256 octets");
	same = ytree_get(map, text);
	r->key = strndup(text, len);
	if (r->key == NULL)
		return refuse(r, &e->start_mark, "out of memory", "try again");
	if (same != NULL)
		problem_add(r->problems, NULL, (unsigned)e->start_mark.line + 1,
		    (unsigned)e->start_mark.column + 1, r->key,
		    "found this key again, expected it once: line %u has it already",
		    same->key_line);
	if (map->count >= YAML_KEYS_MAX)
		return refuse(
		    r, &e->start_mark, "found too many keys", "expected at most 1000");
	r->key_line = (unsigned)e->start_mark.line + 1;
	r->key_column = (unsigned)e->start_mark.column + 1;
	return 0;
}

static bool
wants_key(const struct reader *r)
{
	return r->depth > 0 && r->stack[r->depth - 1]->kind == YAML_MAP && r->key == NULL;
}

/* Reported, and reading goes on: the rest of the file may have more to report. */
static void
check_plain(struct reader *r, const yaml_mark_t *at, const void *anchor, const void *tag)
{
	if (anchor != NULL)
		(void)refuse(r, at, "found an anchor", "expected plain values");
	if (tag != NULL)
		(void)refuse(r, at, "found a tag", "expected plain values");
}

static int
take_scalar(struct reader *r, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	size_t len = e->data.scalar.length;
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	struct yaml_node *n;

	check_plain(r, &e->start_mark, e->data.scalar.anchor, e->data.scalar.tag);
	if (wants_key(r))
		return take_key(r, e);
	if (memchr(text, '\0', len) != NULL)
		return refuse(
		    r, &e->start_mark, "found a NUL character", "expected text without");
	n = attach(
	    r, plain && is_null(text, len) ? YAML_NULL : YAML_TEXT, &e->start_mark);
	if (n == NULL)
		return -1;
	n->plain = plain;
	n->text = strndup(text, len);
	return n->text != NULL ? 0
			       : refuse(r, &e->start_mark, "out of memory", "try again");
}

static int
open_container(struct reader *r, const yaml_event_t *e, enum yaml_kind kind)
{
	const void *anchor = kind == YAML_MAP ? e->data.mapping_start.anchor
					      : e->data.sequence_start.anchor;
	const void *tag =
	    kind == YAML_MAP ? e->data.mapping_start.tag : e->data.sequence_start.tag;
	struct yaml_node *n;

	check_plain(r, &e->start_mark, anchor, tag);
	if (wants_key(r))
		return refuse(r, &e->start_mark, "found a list or map as a key",
		    "expected a plain word");
	if (r->depth == YAML_DEPTH_MAX)
		return refuse(r, &e->start_mark, "found deeper nesting",
		    "expected at most 16 levels");
	n = attach(r, kind, &e->start_mark);
	if (n == NULL)
		return -1;
	r->stack[r->depth++] = n;
	return 0;
}

/* 1: go on; 0: the end; -1: refused. */
static int
take_event(struct reader *r, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_STREAM_END_EVENT:
		return 0;
	case YAML_DOCUMENT_START_EVENT:
		if (++r->documents > 1)
			return refuse(
			    r, &e->start_mark, "found a second document", "expected one");
		return 1;
	case YAML_ALIAS_EVENT:
		(void)refuse(
		    r, &e->start_mark, "found an alias", "expected plain values");
		if (wants_key(r))
			return -1;
		return attach(r, YAML_NULL, &e->start_mark) != NULL ? 1 : -1;
	case YAML_SCALAR_EVENT:
		return take_scalar(r, e) == 0 ? 1 : -1;
	case YAML_SEQUENCE_START_EVENT:
		return open_container(r, e, YAML_LIST) == 0 ? 1 : -1;
	case YAML_MAPPING_START_EVENT:
		return open_container(r, e, YAML_MAP) == 0 ? 1 : -1;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		return 1;
	default:
		return 1;
	}
}

static void
syntax_error(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char *what = p->problem != NULL ? p->problem : "unreadable";

	problem_add(r->problems, NULL, (unsigned)p->problem_mark.line + 1,
	    (unsigned)p->problem_mark.column + 1, "", "this is not YAML: %s%s%s", what,
	    p->context != NULL ? ", " : "", p->context != NULL ? p->context : "");
}

struct yaml_node *
ytree_parse(const char *text, size_t len, struct problems *problems)
{
	struct reader *r;
	struct yaml_node *root;
	yaml_event_t e;
	int go = 1;

	if (len > YAML_SIZE_MAX) {
		problem_add(problems, NULL, 1, 1, "",
		    "found more than 1 MiB, expected a smaller file");
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (r == NULL || !yaml_parser_initialize(&r->parser)) {
		free(r);
		problem_add(problems, NULL, 1, 1, "", "out of memory");
		return NULL;
	}
	r->problems = problems;
	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, len);
	while (go == 1) {
		if (!yaml_parser_parse(&r->parser, &e)) {
			syntax_error(r);
			go = -1;
			break;
		}
		go = take_event(r, &e);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&r->parser);
	root = r->root;
	free(r->key);
	free(r);
	if (go == -1) {
		ytree_free(root);
		return NULL;
	}
	return root;
}

void
ytree_free(struct yaml_node *n)
{
	struct yaml_node *next;

	for (; n != NULL; n = next) {
		next = n->next;
		ytree_free(n->child);
		if (n->text != NULL)
			explicit_bzero(n->text, strlen(n->text));
		free(n->text);
		free(n->key);
		free(n);
	}
}

struct yaml_node *
ytree_get(const struct yaml_node *map, const char *key)
{
	struct yaml_node *n;

	if (map == NULL || map->kind != YAML_MAP)
		return NULL;
	for (n = map->child; n != NULL; n = n->next)
		if (strcmp(n->key, key) == 0)
			return n;
	return NULL;
}

const char *
ytree_describe(const struct yaml_node *n, char *out, size_t size)
{
	switch (n->kind) {
	case YAML_LIST:
		snprintf(out, size, "a list");
		break;
	case YAML_MAP:
		snprintf(out, size, "a map");
		break;
	case YAML_NULL:
		snprintf(out, size, "nothing");
		break;
	default:
		snprintf(
		    out, size, "\"%.40s%s\"", n->text, strlen(n->text) > 40 ? "..." : "");
	}
	return out;
}

/* RFC 8259 section 6. */
static bool
is_number(const char *s)
{
	if (*s == '-')
		s++;
	if (*s == '0')
		s++;
	else if (*s >= '1' && *s <= '9')
		s += strspn(s, "0123456789");
	else
		return false;
	if (*s == '.') {
		size_t digits = strspn(s + 1, "0123456789");

		if (digits == 0)
			return false;
		s += 1 + digits;
	}
	if (*s == 'e' || *s == 'E') {
		size_t digits;

		s++;
		if (*s == '+' || *s == '-')
			s++;
		digits = strspn(s, "0123456789");
		if (digits == 0)
			return false;
		s += digits;
	}
	return *s == '\0';
}

static void
write_json(struct yaml_node *n, struct jsonw *w, const struct buf *out)
{
	struct yaml_node *c;

	n->json_at = out->len; /* or before a comma that comes first */
	switch (n->kind) {
	case YAML_NULL:
		jsonw_null(w);
		return;
	case YAML_TEXT:
		if (n->plain &&
		    (strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0))
			jsonw_bool(w, n->text[0] == 't');
		else if (n->plain && is_number(n->text))
			jsonw_raw(w, n->text, strlen(n->text));
		else
			jsonw_str(w, n->text);
		return;
	case YAML_LIST:
		jsonw_arr_open(w);
		for (c = n->child; c != NULL; c = c->next)
			write_json(c, w, out);
		jsonw_arr_close(w);
		return;
	case YAML_MAP:
		jsonw_obj_open(w);
		for (c = n->child; c != NULL; c = c->next) {
			c->key_json_at = out->len;
			jsonw_key(w, c->key);
			write_json(c, w, out);
		}
		jsonw_obj_close(w);
		return;
	}
}

int
ytree_to_json(struct yaml_node *n, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	write_json(n, &w, out);
	return jsonw_done(&w);
}

void
ytree_locate(const struct yaml_node *n, size_t octet, unsigned *line, unsigned *column)
{
	const struct yaml_node *c;

	*line = n->line;
	*column = n->column;
	for (c = n->child; c != NULL; c = c->next) {
		if (n->kind == YAML_MAP && c->key_json_at > octet)
			return;
		if (n->kind == YAML_MAP) {
			*line = c->key_line;
			*column = c->key_column;
		}
		if (c->json_at > octet)
			return;
		ytree_locate(c, octet, line, column);
	}
}
