/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: SecurityContexts and calls. The input is up to three lines: a context (or
 * nothing: one of our own with every constraint), the name of a tool, its arguments.
 */
#include <stdlib.h>
#include <string.h>

#include "keymasterd/judge/context_eval.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static const char full[] =
    "{\"name\":\"f\",\"path_arguments\":[\"p\"],\"url_arguments\":[\"u\"],"
    "\"deny_list\":[\"fs.rm\",\"fs.*:/etc/*\",\"cmd.run:rm "
    "-r\",\"*:.env\",\"web.*:e.org\"],"
    "\"capabilities\":["
    "{\"tool_pattern\":\"fs.*\",\"path_allowlist\":[\"/w/*/x\",\"/a*b\"]},"
    "{\"tool_pattern\":\"cmd.run\",\"command_allowlist\":[\"git\"],"
    "\"subcommand_allowlist\":{\"git\":[\"log\"]}},"
    "{\"tool_pattern\":\"web.*\",\"domain_allowlist\":[\"x.org\",\"*.y.org\",\"192.0.2."
    "1\"]},"
    "{\"tool_pattern\":\"t\",\"subcommand_allowlist\":[\"s\"],\"max_response_size\":9}]}";

static struct span
line(const uint8_t **p, size_t *left)
{
	const uint8_t *nl = *left == 0 ? NULL : memchr(*p, '\n', *left);
	struct span s = span_mem(*p, nl == NULL ? *left : (size_t)(nl - *p));

	*left -= s.len + (nl != NULL);
	*p += s.len + (nl != NULL);
	return s;
}

static void
ask(const struct context *c, struct span tool, const struct json_doc *d, uint32_t args)
{
	struct context_call call = {tool, d, args};
	struct context_verdict v;

	context_eval(c, &call, NULL, NULL, &v);
	must(v.allowed ? v.code == 0 : v.code >= 2000 && v.code <= 2005);
	must(memchr(v.why, '\0', sizeof v.why) != NULL);
	must(!v.allowed || context_names_tool(c, tool));
	must(!v.allowed || v.cap < c->ncaps);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct context *own;
	struct span json = line(&data, &size), tool = line(&data, &size);
	struct context *c;
	struct json_doc d;
	char err[200];

	if (own == NULL)
		must((own = context_parse(full, sizeof full - 1, err, sizeof err)) !=
		    NULL);
	err[0] = '\0';
	c = context_parse(json.p, json.len, err, sizeof err);
	must(c != NULL || err[0] != '\0');
	must(c == NULL || context_name_ok(span_str(c->name)));
	json_init(&d);
	if (json_parse(&d, data, size, NULL) == JSON_OK &&
	    json_type(&d, json_root(&d)) == JT_OBJECT) {
		ask(own, tool, &d, json_root(&d));
		if (c != NULL)
			ask(c, tool, &d, json_root(&d));
	} else {
		ask(own, tool, &d, JSON_NONE);
	}
	json_free(&d);
	context_free(c);
	return 0;
}
