/* SPDX-License-Identifier: Apache-2.0 */
/* SecurityContexts in files. Command line and master. */
#include "aegis/context_file.h"

#include <string.h>

#include "aegis/problem.h"
#include "aegis/yaml.h"
#include "common/buf.h"
#include "common/context.h"
#include "common/json.h"

struct reading {
	struct problems *problems;
	const char *text;       /* of a JSON file, or NULL: */
	struct yaml_node *root; /* of a YAML file */
	context_file_fn fn;
	void *arg;
};

/* The place of an octet of the JSON text. */
static void
locate(const struct reading *r, size_t octet, unsigned *line, unsigned *column)
{
	if (r->root != NULL) {
		ytree_locate(r->root, octet, line, column);
		return;
	}
	*line = *column = 1;
	for (size_t i = 0; i < octet; i++)
		if (r->text[i] == '\n') {
			++*line;
			*column = 1;
		} else if (((unsigned char)r->text[i] & 0xc0) != 0x80) {
			++*column;
		}
}

static int
read_one(struct reading *r, const struct json_doc *d, uint32_t node)
{
	char err[320], name[CONTEXT_NAME_MAX + 1];
	unsigned line, column;
	struct context *c;
	const uint8_t *p;
	uint32_t at;
	size_t len;

	c = context_compile(d, node, err, sizeof(err), &at);
	if (c == NULL) {
		locate(r, d->nodes[at].start, &line, &column);
		problem_add(r->problems, NULL, line, column, NULL, "%s", err);
		return 0;
	}
	(void)span_copy(span_str(c->name), name, sizeof(name));
	context_free(c);
	locate(r, d->nodes[node].start, &line, &column);
	if (json_raw(d, node, &p, &len) == -1)
		return 0;
	if (len > CONTEXT_JSON_MAX) {
		problem_add(r->problems, NULL, line, column, name,
		    "found %zu octets as JSON, expected at most %d", len,
		    CONTEXT_JSON_MAX);
		return 0;
	}
	return r->fn(span_mem(p, len), name, line, column, r->arg);
}

/* The text is JSON. */
static int
read_all(struct reading *r, const struct json_doc *d)
{
	struct json_iter it;
	int ret = 0;

	if (json_type(d, json_root(d)) != JT_ARRAY)
		return read_one(r, d, json_root(d));
	json_iter_init(&it, d, json_root(d));
	while (ret == 0 && json_iter_next(&it, d))
		ret = read_one(r, d, it.value);
	return ret;
}

int
context_file_node(
    struct yaml_node *root, struct problems *problems, context_file_fn fn, void *arg)
{
	struct reading r = {.problems = problems, .root = root, .fn = fn, .arg = arg};
	struct json_doc d;
	struct buf json;
	enum json_err e;
	int ret = 0;

	buf_init(&json);
	json_init(&d);
	if (ytree_to_json(root, &json) == -1)
		problem_add(problems, NULL, root->line, root->column, NULL,
		    "this cannot be written as JSON: is it UTF-8 throughout?");
	else if ((e = json_parse(&d, json.p, json.len, NULL)) != JSON_OK)
		problem_add(problems, NULL, root->line, root->column, NULL,
		    "this cannot be read as JSON: %s", json_strerror(e));
	else
		ret = read_all(&r, &d);
	json_free(&d);
	buf_free(&json);
	return ret;
}

static int
read_yaml(const char *text, size_t len, struct problems *problems, context_file_fn fn,
    void *arg)
{
	struct yaml_node *root = ytree_parse(text, len, problems);
	int ret = 0;

	if (root == NULL && problems->count == 0)
		problem_add(problems, NULL, 1, 1, NULL,
		    "the file is empty, expected a SecurityContext with name and "
		    "capabilities");
	else if (root != NULL && problems->count == 0)
		ret = context_file_node(root, problems, fn, arg);
	ytree_free(root);
	return ret;
}

int
context_file_read(const char *path, const char *text, size_t len,
    struct problems *problems, context_file_fn fn, void *arg)
{
	struct reading r = {.problems = problems, .text = text, .fn = fn, .arg = arg};
	size_t n = strlen(path);
	unsigned line, column;
	struct json_doc d;
	enum json_err e;
	int ret = 0;

	json_init(&d);
	e = json_parse(&d, text, len, NULL);
	if (e == JSON_OK) {
		ret = read_all(&r, &d);
	} else if (n < 5 || strcmp(path + n - 5, ".json") != 0) {
		ret = read_yaml(text, len, problems, fn, arg);
	} else {
		locate(&r, d.err_at < len ? d.err_at : len, &line, &column);
		problem_add(problems, NULL, line, column, NULL, "this is not JSON: %s",
		    json_strerror(e));
	}
	json_free(&d);
	return ret;
}
