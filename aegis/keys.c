/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of keys: from text, from a file's nodes, into the members of the structs.
 */
#include "aegis/keys.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/problem.h"
#include "aegis/yaml.h"
#include "common/secret.h"

#define TEXTS_MAX 256

size_t
config_keys_count(void)
{
	size_t n = 0;

	while (config_keys[n].path != NULL)
		n++;
	return n;
}

const struct config_key *
key_find(const struct config_key *table, const char *path)
{
	for (; table->path != NULL; table++)
		if (strcmp(table->path, path) == 0)
			return table;
	return NULL;
}

static void *
member(const struct config_key *k, void *s)
{
	return (uint8_t *)s + k->offset;
}

static void
free_texts(char **list)
{
	size_t i;

	for (i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}

static size_t
member_size(const struct config_key *k)
{
	switch (k->type) {
	case KEY_BOOL:
	case KEY_EITHER:
		return sizeof(bool);
	case KEY_UINT:
	case KEY_MS:
	case KEY_SECONDS:
	case KEY_SEC_MS:
		return sizeof(unsigned);
	case KEY_CHOICE:
		return sizeof(int);
	case KEY_SIZE:
		return sizeof(uint64_t);
	case KEY_TEXT:
	case KEY_WORD:
	case KEY_PATH:
	case KEY_TEXTS:
	case KEY_SECRET:
		return sizeof(void *);
	default:
		return 0;
	}
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_texts(char **a, char **b)
{
	if (a == NULL || b == NULL)
		return (a == NULL || *a == NULL) && (b == NULL || *b == NULL);
	for (; *a != NULL && *b != NULL; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

bool
key_same(const struct config_key *k, const void *a, const void *b)
{
	const uint8_t *x = (const uint8_t *)a + k->offset,
		      *y = (const uint8_t *)b + k->offset;

	switch (k->type) {
	case KEY_TEXT:
	case KEY_WORD:
	case KEY_PATH:
		return same_text(*(const char *const *)(const void *)x,
		    *(const char *const *)(const void *)y);
	case KEY_TEXTS:
		return same_texts(
		    *(char **const *)(const void *)x, *(char **const *)(const void *)y);
	case KEY_SECRET:
		return false;
	default:
		return memcmp(x, y, member_size(k)) == 0;
	}
}

void
key_swap(const struct config_key *k, void *a, void *b)
{
	uint8_t *x = member(k, a), *y = member(k, b), octets[sizeof(uint64_t)];
	size_t n = member_size(k);

	memcpy(octets, x, n);
	memcpy(x, y, n);
	memcpy(y, octets, n);
}

void
key_clear(const struct config_key *k, void *s)
{
	void *m = member(k, s);

	switch (k->type) {
	case KEY_TEXT:
	case KEY_WORD:
	case KEY_PATH:
		free(*(char **)m);
		*(char **)m = NULL;
		break;
	case KEY_TEXTS:
		free_texts(*(char ***)m);
		*(char ***)m = NULL;
		break;
	case KEY_SECRET:
		secret_free(*(struct secret **)m);
		*(struct secret **)m = NULL;
		break;
	default:
		break;
	}
}

char *
key_path_join(const char *base_dir, const char *path)
{
	char *out;

	if (path[0] == '/' || base_dir == NULL)
		return strdup(path);
	if (strncmp(path, "./", 2) == 0)
		path += 2;
	if (asprintf(&out, "%s%s%s", base_dir, strcmp(base_dir, "/") == 0 ? "" : "/",
		path) == -1)
		return NULL;
	return out;
}

/* A table's unit of time in milliseconds, and of sizes in octets. */
struct unit {
	const char *name;
	uint64_t factor;
};
static const struct unit times[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit sizes[] = {{"k", 1024}, {"K", 1024}, {"KiB", 1024},
    {"M", 1 << 20}, {"MiB", 1 << 20}, {"G", 1 << 30}, {"GiB", 1 << 30}, {NULL, 0}};

/*
 * Digits and perhaps a unit; without one it counts `plain`. The result is divided by
 * `divisor` and must be whole.
 */
static int
read_number(const char *text, const struct unit *units, uint64_t plain, uint64_t divisor,
    uint64_t *out)
{
	uint64_t v = 0, factor = plain;
	const char *p = text;

	if (!isdigit((unsigned char)*p))
		return -1;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -1;
	if (*p != '\0') {
		for (; units != NULL && units->name != NULL; units++)
			if (strcmp(units->name, p) == 0)
				break;
		if (units == NULL || units->name == NULL)
			return -1;
		factor = units->factor;
	}
	if (__builtin_mul_overflow(v, factor, &v) || v % divisor != 0)
		return -1;
	*out = v / divisor;
	return 0;
}

static int
read_by_type(const struct config_key *k, const char *text, uint64_t *v)
{
	switch (k->type) {
	case KEY_SIZE:
		return read_number(text, sizes, 1, 1, v);
	case KEY_MS:
		return read_number(text, times, 1, 1, v);
	case KEY_SEC_MS:
		return read_number(text, times, 1000, 1, v);
	case KEY_SECONDS:
		return read_number(text, times, 1000, 1000, v);
	default:
		return read_number(text, NULL, 1, 1, v);
	}
}

const char *
key_expectation(const struct config_key *k, char *out, size_t size)
{
	switch (k->type) {
	case KEY_BOOL:
		snprintf(out, size, "true or false");
		break;
	case KEY_UINT:
		snprintf(
		    out, size, "a number from %" PRIu64 " to %" PRIu64, k->min, k->max);
		break;
	case KEY_SIZE:
		snprintf(out, size,
		    "octets from %" PRIu64 " to %" PRIu64 ", such as 65536 or 1M", k->min,
		    k->max);
		break;
	case KEY_MS:
		snprintf(out, size,
		    "milliseconds from %" PRIu64 " to %" PRIu64 ", or a time such as 30s",
		    k->min, k->max);
		break;
	case KEY_SEC_MS:
		snprintf(out, size,
		    "a time from %" PRIu64 "ms to %" PRIu64
		    "ms, in seconds or such as 500ms",
		    k->min, k->max);
		break;
	case KEY_SECONDS:
		snprintf(out, size,
		    "seconds from %" PRIu64 " to %" PRIu64 ", or a time such as 30s, 1h",
		    k->min, k->max);
		break;
	case KEY_CHOICE:
	case KEY_EITHER:
		snprintf(out, size, "one of %s", k->choices);
		break;
	case KEY_WORD:
		snprintf(out, size, "1 to %" PRIu64 " letters, digits, _ and -", k->max);
		break;
	case KEY_TEXT:
		snprintf(out, size, "text of %" PRIu64 " to %" PRIu64 " octets", k->min,
		    k->max);
		break;
	case KEY_PATH:
		snprintf(out, size, "a path");
		break;
	case KEY_TEXTS:
		snprintf(out, size, "text or a list of texts");
		break;
	case KEY_SECRET:
		if (k->min == k->max)
			snprintf(out, size, "%" PRIu64 " hexadecimal digits", k->max);
		else
			snprintf(out, size, "%" PRIu64 " to %" PRIu64 " characters",
			    k->min, k->max);
		break;
	default:
		snprintf(out, size, "a list");
	}
	return out;
}

/* Place of a word in "a|b|c", -1 when it is none. */
static int
choice_index(const char *choices, const char *text)
{
	size_t len = strlen(text), n;
	int i;

	for (i = 0; *choices != '\0'; i++) {
		n = strcspn(choices, "|");
		if (n == len && memcmp(choices, text, n) == 0)
			return i;
		choices += n + (choices[n] == '|');
	}
	return -1;
}

static int
set_number(const struct config_key *k, void *m, const char *text)
{
	uint64_t v;

	if (read_by_type(k, text, &v) == -1 || v < k->min || v > k->max)
		return -1;
	if (k->type == KEY_SIZE)
		*(uint64_t *)m = v;
	else
		*(unsigned *)m = (unsigned)v;
	return 0;
}

static bool
text_ok(const struct config_key *k, const char *text)
{
	size_t len = strlen(text);

	if (k->type == KEY_PATH)
		return len > 0 && len < 900;
	if (len < k->min || len > k->max)
		return false;
	return k->type != KEY_WORD ||
	    strspn(text,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
	    len;
}

static int
set_text(const struct config_key *k, char **m, const char *text, const char *base_dir)
{
	char *copy;

	if (!text_ok(k, text))
		return -1;
	copy = k->type == KEY_PATH ? key_path_join(base_dir, text) : strdup(text);
	if (copy == NULL)
		return -1;
	free(*m);
	*m = copy;
	return 0;
}

static int
set_secret(const struct config_key *k, struct secret **m, const char *text)
{
	struct secret *s;

	/* a key has its one length, other secrets are whatever they are */
	if (strlen(text) < k->min || strlen(text) > k->max ||
	    (k->min == k->max &&
		strspn(text, "0123456789abcdefABCDEF") != (size_t)k->max))
		return -1;
	s = secret_new(text, strlen(text));
	if (s == NULL)
		return -1;
	secret_free(*m);
	*m = s;
	return 0;
}

static int
set_one_of_texts(char ***m, const char *text)
{
	char **list = calloc(2, sizeof(*list));

	if (list == NULL || (list[0] = strdup(text)) == NULL) {
		free(list);
		return -1;
	}
	free_texts(*m);
	*m = list;
	return 0;
}

int
key_set_text(const struct config_key *k, void *s, const char *text, const char *base_dir,
    char *err, size_t err_size)
{
	void *m = member(k, s);
	char want[160];
	int i, r = -1;

	switch (k->type) {
	case KEY_BOOL:
		r = strcmp(text, "true") == 0 || strcmp(text, "false") == 0 ? 0 : -1;
		if (r == 0)
			*(bool *)m = text[0] == 't';
		break;
	case KEY_UINT:
	case KEY_SIZE:
	case KEY_MS:
	case KEY_SEC_MS:
	case KEY_SECONDS:
		r = set_number(k, m, text);
		break;
	case KEY_CHOICE:
	case KEY_EITHER:
		i = choice_index(k->choices, text);
		r = i < 0 ? -1 : 0;
		if (r == 0 && k->type == KEY_CHOICE)
			*(int *)m = i;
		else if (r == 0)
			*(bool *)m = i == 1;
		break;
	case KEY_TEXT:
	case KEY_WORD:
	case KEY_PATH:
		r = set_text(k, m, text, base_dir);
		break;
	case KEY_SECRET:
		r = set_secret(k, m, text);
		break;
	case KEY_TEXTS:
		r = set_one_of_texts(m, text);
		break;
	case KEY_TREE:
	case KEY_LATER:
		break;
	}
	if (r == -1 && k->type == KEY_SECRET)
		snprintf(err, err_size, "found %zu characters, expected %s", strlen(text),
		    key_expectation(k, want, sizeof(want)));
	else if (r == -1)
		snprintf(err, err_size, "found \"%.60s\", expected %s", text,
		    key_expectation(k, want, sizeof(want)));
	return r;
}

static int
set_texts(const struct config_key *k, char ***m, const struct yaml_node *list,
    const char *path, struct problems *p)
{
	const struct yaml_node *n;
	char **out, what[80];
	size_t i = 0;

	(void)k;
	if (list->count > TEXTS_MAX) {
		problem_add(p, NULL, list->line, list->column, path,
		    "found %u texts, expected at most %d", list->count, TEXTS_MAX);
		return -1;
	}
	out = calloc(list->count + 1u, sizeof(*out));
	for (n = list->child; out != NULL && n != NULL; n = n->next) {
		if (n->kind != YAML_TEXT) {
			problem_add(p, NULL, n->line, n->column, path,
			    "found %s, expected text",
			    ytree_describe(n, what, sizeof(what)));
			free_texts(out);
			return -1;
		}
		out[i] = strdup(n->text);
		if (out[i++] == NULL)
			break;
	}
	if (out == NULL || i != list->count) {
		free_texts(out);
		return -1;
	}
	free_texts(*m);
	*m = out;
	return 0;
}

int
key_set_node(const struct config_key *k, void *s, const struct yaml_node *n,
    const char *base_dir, const char *path, struct problems *p)
{
	char err[320], what[80], want[160];

	if (k->type == KEY_TEXTS && n->kind == YAML_LIST)
		return set_texts(k, member(k, s), n, path, p);
	if (n->kind != YAML_TEXT) {
		problem_add(p, NULL, n->line, n->column, path, "found %s, expected %s",
		    ytree_describe(n, what, sizeof(what)),
		    key_expectation(k, want, sizeof(want)));
		return -1;
	}
	if (key_set_text(k, s, n->text, base_dir, err, sizeof(err)) == -1) {
		problem_add(p, NULL, n->line, n->column, path, "%s", err);
		return -1;
	}
	return 0;
}
