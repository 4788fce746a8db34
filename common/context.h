/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SecurityContexts: what the sessions of agents may call. A context comes as JSON from an
 * administrator or the configuration (never from an agent), is checked strictly, and is
 * compiled once into the form below, which never changes afterwards. The rules are in
 * doc/contexts.md. The judge decides by them; the master compiles what the configuration
 * holds too, for errors with a line.
 */
#ifndef AEGIS_COMMON_CONTEXT_H
#define AEGIS_COMMON_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/json.h"
#include "common/span.h"

#define CONTEXT_NAME_MAX 128   /* octets of a context's name */
#define CONTEXT_TOOL_MAX 128   /* octets of a tool's name; longer ones match nothing */
#define CONTEXT_ENTRY_MAX 1024 /* octets of a list's entry */
#define CONTEXT_LIST_MAX 1024  /* entries of a list */
#define CONTEXT_CAPS_MAX 256

enum context_pattern_kind {
	CONTEXT_ANY,    /* "*" */
	CONTEXT_PREFIX, /* "p.*": text is "p." */
	CONTEXT_EXACT
};

struct context_pattern {
	enum context_pattern_kind kind;
	char *text;
	size_t len;
};

struct context_list {
	char **v;
	size_t n;
	bool present; /* an empty list permits nothing, an absent one everything */
};

struct context_domain {
	char *host; /* as host_normalise() writes it */
	size_t len;
	bool address;    /* an IP literal: equal or nothing */
	bool below_only; /* "*.x": not x itself */
};

struct context_domains {
	struct context_domain *v;
	size_t n;
	bool present;
};

/* Names of arguments beside the usual ones: of paths, of URLs, and of free text, which is
 * not looked at; "*" among the last: nothing is looked at but what is named. */
struct context_arguments {
	struct context_list paths, urls, texts;
};

struct context_subcommands {
	char *command; /* NULL: of any permitted command (the array form) */
	struct context_list allowed;
};

struct context_capability {
	struct context_pattern tool;
	struct context_list
	    paths; /* normalised, "/" is everything, "*" inside components */
	struct context_list commands;
	bool has_subcommands;
	struct context_subcommands *subcommands;
	size_t nsubcommands;
	struct context_domains domains;
	uint32_t rate_calls; /* 0: no limit */
	uint64_t rate_window_ms;
	uint32_t max_concurrent; /* calls of a session under way; 0: no limit */
	uint64_t max_response;   /* octets; 0: no limit of its own */
	struct context_arguments arguments;
};

enum context_deny_kind {
	CONTEXT_DENY_TOOL, /* whatever the arguments */
	CONTEXT_DENY_PATH, /* tool:/path */
	CONTEXT_DENY_WORD  /* tool:word: a command, a host, or a component of a path */
};

struct context_deny {
	struct context_pattern tool;
	enum context_deny_kind kind;
	char *arg;                  /* path: normalised */
	char *text;                 /* as the administrator wrote it, for messages */
	struct context_domain host; /* word: when it can be one */
};

struct context {
	char *name, *description;
	struct context_capability *caps;
	size_t ncaps;
	struct context_deny *deny;
	size_t ndeny;
	struct context_arguments arguments; /* for all tools */
};

extern const struct json_limits context_json_limits;

/*
 * Compiles the JSON text of a context. NULL with a text for the administrator in err that
 * names the member, such as `capabilities[0].path_allowlist[2]: must begin with "/"`.
 */
struct context *context_parse(const void *json, size_t len, char *err, size_t err_size);
/* The same for a value of a document; when it is refused *at is the node to blame. */
struct context *context_compile(
    const struct json_doc *, uint32_t node, char *err, size_t err_size, uint32_t *at);
void context_free(struct context *);

/* May a context have this name: ^[a-z][a-z0-9-]*$, at most 128 octets. */
bool context_name_ok(struct span);

/* Does the pattern cover a tool of this name? "p.*" needs at least one octet after "p.".
 */
bool context_pattern_match(const struct context_pattern *, struct span tool);
/* Compiles "*", "p.*" or a name. 0, or -1 when it is none of these. */
int context_pattern_init(struct context_pattern *, struct span text);
void context_pattern_clear(struct context_pattern *);

#endif
