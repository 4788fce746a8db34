/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which values of a call's arguments are paths or URLs. Runs in the judge on what agents
 * wrote. A tool that takes a path under a name nobody thought of must not be a way out,
 * so what looks like a path is one unless its argument is known to hold free text.
 */
#include "keymasterd/judge/context_walk.h"

#include <string.h>

#include "common/buf.h"
#include "common/context_path.h"
#include "keymasterd/judge/context_args.h"

#define NAME_SIZE 64
#define KEEP_OCTETS (1u << 20)

/* Arguments that hold a path, whatever the tool calls its own. */
static const char *const path_names[] = {"path", "paths", "file", "files", "file_path",
    "filepath", "filename", "source", "destination", "src", "dst", "dest", "old_path",
    "new_path", "directory", "dir", "filePath", "filePaths", "file_paths", "fileName",
    "oldPath", "newPath", "sourcePath", "source_path", "destinationPath",
    "destination_path", "targetPath", "target_path", "repo_path", "repoPath", "dirPath",
    "dir_path", "directoryPath", "directory_path", "folder", "folderPath", "folder_path",
    "rootPath", "root_path", "inputPath", "input_path", "outputPath", "output_path",
    "inputFile", "input_file", "outputFile", "output_file", NULL};
static const char *const url_names[] = {
    "url", "urls", "uri", "uris", "href", "link", "endpoint", "base_url", NULL};
/* Arguments that hold what people write: no tool opens what is in them. */
static const char *const text_names[] = {"content", "contents", "text", "body", "message",
    "comment", "description", "title", "prompt", "query", "q", "regex", "newText",
    "oldText", "new_text", "old_text", "newString", "oldString", "new_string",
    "old_string", "new_str", "old_str", "file_text", "insert_text", NULL};
/* Arguments that hold words of a command. */
static const char *const command_names[] = {
    "command", "commands", "cmd", "args", "argv", "script", NULL};

enum class { OTHER, NAMED, TEXT, WORDS };

struct walk {
	const struct json_doc *d;
	const struct context_scope *scope;
	bool paths; /* else URLs */
	bool blind; /* text_arguments has "*": only named ones */
	bool (*like)(struct span);
	context_value_fn fn;
	void *arg;
	int count;
};

static struct buf scratch;

static bool
in_names(const struct json_doc *d, uint32_t name, const char *const *names)
{
	for (; *names != NULL; names++)
		if (json_str_eq(d, name, *names))
			return true;
	return false;
}

static bool
in_list(const struct json_doc *d, uint32_t name, const struct context_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (json_str_eq(d, name, l->v[i]))
			return true;
	return false;
}

/* The lists of this kind, one after the other; NULL after the last. */
static const struct context_arguments *
next_arguments(const struct context_scope *s, size_t *i)
{
	if (*i == 0) {
		++*i;
		return &s->c->arguments;
	}
	if (s->cap != NULL)
		return (*i)++ == 1 ? &s->cap->arguments : NULL;
	while (*i <= s->c->ncaps) {
		const struct context_capability *cap = &s->c->caps[(*i)++ - 1];

		if (context_pattern_match(&cap->tool, s->tool))
			return &cap->arguments;
	}
	return NULL;
}

static enum class classify(const struct walk *w, uint32_t name) {
	const struct context_arguments *a; size_t i = 0;

	if (in_names(w->d, name, w->paths ? path_names : url_names)) return NAMED;
	while ((a = next_arguments(w->scope, &i)) !=
	    NULL) if (in_list(w->d, name, w->paths ? &a->paths : &a->urls)) return NAMED;
	if (in_names(w->d, name, text_names) ||
	    in_list(w->d, name, &w->scope->c->arguments.texts) ||
	    (w->scope->cap != NULL &&
		in_list(w->d, name, &w->scope->cap->arguments.texts))) return TEXT;
	return w->paths && in_names(w->d, name, command_names) ? WORDS : OTHER;
}

static bool
has_star(const struct context_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (span_eq(span_str("*"), l->v[i]))
			return true;
	return false;
}

static int
look_at_word(struct walk *w, struct span s, const char *name)
{
	return w->like(s) ? w->fn(s, name, w->arg) : 0;
}

/* Each word, and what is behind the "=" of an option. */
static int
look_at_words(struct walk *w, struct span s, const char *name)
{
	const char *eq, *end = s.p + s.len;
	struct span word;

	for (const char *p = s.p; p < end; p = word.p + word.len) {
		while (p < end && (unsigned char)*p <= ' ')
			p++;
		word = span_mem(p, 0);
		while (p + word.len < end && (unsigned char)p[word.len] > ' ')
			word.len++;
		if (look_at_word(w, word, name) != 0)
			return -1;
		eq = word.len > 0 && p[0] == '-' ? memchr(p, '=', word.len) : NULL;
		if (eq != NULL &&
		    look_at_word(w, span_mem(eq + 1, (size_t)(p + word.len - (eq + 1))),
			name) != 0)
			return -1;
	}
	return 0;
}

static int
look_at(struct walk *w, uint32_t node, enum class class, const char *name)
{
	struct span s;

	buf_reset(&scratch);
	if (json_str_put(w->d, node, &scratch) != 0) /* no memory: then it cannot pass */
		return w->fn(span_str(NULL), name, w->arg);
	s = span_mem(scratch.p, scratch.len);
	if (class == NAMED) {
		if (s.len >= CONTEXT_PATH_MAX)
			s = span_str(NULL);
		else if (s.len == 0)
			s = span_str("");
		return w->fn(s, name, w->arg);
	}
	if (w->blind || class == TEXT || s.len == 0)
		return 0;
	if (class == WORDS && look_at_words(w, s, name) != 0)
		return -1;
	return w->like(s) ? w->fn(s, name, w->arg) : 0;
}

/* As deep as the parser lets documents be. */
static int
walk(struct walk *w, uint32_t node, enum class class, const char *name, bool top)
{
	char member[NAME_SIZE];
	struct json_iter it;

	switch (json_type(w->d, node)) {
	case JT_STRING:
		w->count += class == NAMED && top;
		return look_at(w, node, class, name);
	case JT_ARRAY:
		json_iter_init(&it, w->d, node);
		while (json_iter_next(&it, w->d)) {
			if (class == NAMED && json_type(w->d, it.value) != JT_STRING) {
				w->count += top;
				if (w->fn(span_str(NULL), name, w->arg) != 0)
					return -1;
			} else if (walk(w, it.value, class, name, top) != 0) {
				return -1;
			}
		}
		return 0;
	case JT_OBJECT:
		break;
	default:
		if (class != NAMED)
			return 0;
		w->count += top;
		return w->fn(span_str(NULL), name, w->arg);
	}
	if (class == NAMED) {
		w->count += top;
		return w->fn(span_str(NULL), name, w->arg);
	}
	json_iter_init(&it, w->d, node);
	while (json_iter_next(&it, w->d)) {
		if (json_str_copy(w->d, it.name, member, sizeof member, NULL) != 0)
			(void)span_copy(span_str("member"), member, sizeof member);
		if (look_at(w, it.name, OTHER, "name") != 0 ||
		    walk(w, it.value, classify(w, it.name), member, name == NULL) != 0)
			return -1;
	}
	return 0;
}

static int
each(struct walk *w, uint32_t args)
{
	int r;

	if (args == JSON_NONE)
		return 0;
	w->blind = has_star(&w->scope->c->arguments.texts) ||
	    (w->scope->cap != NULL && has_star(&w->scope->cap->arguments.texts));
	/* its own name is NULL: its members are arguments */
	r = walk(w, args, OTHER, NULL, false);
	if (scratch.cap > KEEP_OCTETS)
		buf_free(&scratch);
	return r != 0 ? -1 : w->count;
}

int
context_paths_each(const struct json_doc *d, uint32_t args,
    const struct context_scope *scope, context_value_fn fn, void *arg)
{
	struct walk w = {.d = d,
	    .scope = scope,
	    .paths = true,
	    .like = context_path_like,
	    .fn = fn,
	    .arg = arg};

	return each(&w, args);
}

int
context_urls_each(const struct json_doc *d, uint32_t args,
    const struct context_scope *scope, context_value_fn fn, void *arg)
{
	struct walk w = {
	    .d = d, .scope = scope, .like = context_url_like, .fn = fn, .arg = arg};

	return each(&w, args);
}
