/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of YAML that a configuration needs, as a tree whose nodes know their line and
 * column. Refused: duplicate keys, anchors and aliases, tags, several documents, keys
 * that are not plain text, more depth, nodes or octets than below. Command line and
 * master.
 */
#ifndef AEGIS_YAML_H
#define AEGIS_YAML_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct problems;

#define YAML_DEPTH_MAX 16
#define YAML_SIZE_MAX (1024 * 1024)
#define YAML_NODES_MAX 20000
#define YAML_KEYS_MAX 1000 /* of one map */

enum yaml_kind { YAML_NULL, YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind kind;
	bool plain; /* text without quotes: may mean a number or a truth value */
	char *text; /* of YAML_TEXT; without NUL inside */
	unsigned line, column;
	char *key; /* of a map's value */
	unsigned key_line, key_column;
	unsigned count;              /* children */
	size_t json_at, key_json_at; /* where ytree_to_json() wrote value and key */
	struct yaml_node *child, *next, *last;
};

/*
 * Parses a whole file. What is wrong goes to the problems; a tree may come back all the
 * same, so that its contents can be checked too. NULL: it cannot be read on, or the
 * document is empty (nothing added). Free with ytree_free.
 */
struct yaml_node *ytree_parse(const char *text, size_t len, struct problems *);
void ytree_free(struct yaml_node *);
/* A value of a map by key, or NULL. */
struct yaml_node *ytree_get(const struct yaml_node *map, const char *key);
/* "a list", "the text \"abc\"", for messages. `size` at least 64. */
const char *ytree_describe(const struct yaml_node *, char *out, size_t size);
/*
 * Appends the node as JSON; plain text that is a JSON number, true, false or null stays
 * one. 0, or -1 without memory.
 */
int ytree_to_json(struct yaml_node *, struct buf *);
/* The line and column of what ytree_to_json() wrote at this octet of the buffer. */
void ytree_locate(
    const struct yaml_node *, size_t octet, unsigned *line, unsigned *column);

#endif
