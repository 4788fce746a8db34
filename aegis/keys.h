/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of the configuration: one table that parsing, `config show`, `config
 * validate`, the example that `aegis init` writes and the manual page share. Command line
 * and master.
 */
#ifndef AEGIS_KEYS_H
#define AEGIS_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct yaml_node;
struct problems;

enum key_type {
	KEY_TEXT,    /* char *: any text */
	KEY_WORD,    /* char *: [A-Za-z0-9_-]+ */
	KEY_PATH,    /* char *: relative to the base directory */
	KEY_BOOL,    /* bool */
	KEY_UINT,    /* unsigned */
	KEY_SIZE,    /* uint64_t: octets, also 64k, 1M, 2G */
	KEY_MS,      /* unsigned milliseconds: a number of them, or 30s, 2m, 500ms */
	KEY_SECONDS, /* unsigned seconds: a number of them, or 5m, 1h, 1d */
	KEY_SEC_MS,  /* unsigned milliseconds, written as seconds, or 500ms, 2m */
	KEY_CHOICE,  /* int: place in choices */
	KEY_EITHER,  /* bool: true for the second of two choices */
	KEY_TEXTS,   /* char **: one text or a list */
	KEY_SECRET,  /* struct secret *: never shown */
	KEY_TREE,    /* read by code of its own */
	KEY_LATER    /* of a feature that is not there yet: refused */
};

struct config_key {
	const char *path; /* "gate.port" */
	enum key_type type;
	size_t offset;        /* of the member in its struct */
	const char *fallback; /* default, written as in a file; NULL: none */
	const char *env;      /* variable that overrides, or NULL */
	uint64_t min, max;    /* of numbers, in the member's unit */
	const char *choices;  /* "normal|full" */
	const char *about;    /* for the manual page and the example */
};

extern const struct config_key config_keys[]; /* in struct config; ends with path NULL */
extern const struct config_key tool_keys[];   /* in struct config_tool */
extern const struct config_key issuer_keys[]; /* in struct config_issuer */
extern const struct config_key hook_keys[];   /* in struct config_hook */

size_t config_keys_count(void);
/* The table's row for a path, or NULL. */
const struct config_key *key_find(const struct config_key *, const char *path);

/*
 * Puts a value written as text into the member. Replaces what was there. Relative paths
 * are put behind base. 0, or -1 with "found ..., expected ..." in err.
 */
int key_set_text(const struct config_key *, void *base_struct, const char *text,
    const char *base_dir, char *err, size_t err_size);
/* The same from a node of a file; errors go to the problems under `path`. */
int key_set_node(const struct config_key *, void *base_struct, const struct yaml_node *,
    const char *base_dir, const char *path, struct problems *);
/* Have the two structs the same there? Secrets are never the same. */
bool key_same(const struct config_key *, const void *a, const void *b);
/* Exchanges the members of two structs. */
void key_swap(const struct config_key *, void *a, void *b);
/* Frees what the member holds. */
void key_clear(const struct config_key *, void *base_struct);
/* "a number from 1 to 65535", for messages and the manual page. */
const char *key_expectation(const struct config_key *, char *out, size_t size);

/*
 * Walks a map of a file: sets members by the table, reports keys it does not know with
 * the nearest one it knows. `prefix` is put before paths in messages ("" or ending with a
 * dot). `seen(row, node)` is called for each key found; rows of KEY_TREE are left to it.
 */
typedef void (*key_seen_fn)(
    const struct config_key *, const struct yaml_node *, void *arg);
void keys_read_map(const struct config_key *, void *base_struct,
    const struct yaml_node *map, const char *base_dir, const char *prefix,
    struct problems *, key_seen_fn seen, void *arg);

/* base_dir and a path, as one allocated path; an absolute path is copied. */
char *key_path_join(const char *base_dir, const char *path);

#endif
