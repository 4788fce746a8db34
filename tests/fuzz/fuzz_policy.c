/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: policies as their files have them, and the limits of credentials. The
 * first line is a path (and a list of globs), the rest a policy as YAML. A refusal says
 * why and where; what is compiled answers, and the same from its JSON.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/problem.h"
#include "aegis/yaml.h"
#include "common/access.h"
#include "common/buf.h"
#include "common/policy.h"
#include "common/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void
limits(struct span text)
{
	char methods[ACCESS_METHODS_MAX + 1], paths[ACCESS_PATHS_MAX + 1],
	    again[ACCESS_PATHS_MAX + 1];
	struct access *a;
	const char *why;

	if (access_methods_text(text, methods, sizeof methods) == NULL)
		must(
		    access_methods_text(span_str(methods), again, sizeof again) == NULL &&
		    strcmp(methods, again) == 0);
	if (access_paths_text(text, paths, sizeof paths) != NULL)
		return;
	must(access_paths_text(span_str(paths), again, sizeof again) == NULL &&
	    strcmp(paths, again) == 0);
	a = access_new(span_str("GET"), span_str(paths), span_str(paths));
	must(a != NULL);
	/* what is allowed is what is denied */
	must(paths[0] == '\0' ||
	    access_check(a, span_str("GET"), text, span_mem(NULL, 0), &why) !=
		ACCESS_GOOD);
	access_free(a);
}

static void
ask(const struct policy *p, const struct policy *again, struct span line)
{
	static struct target_readings path;
	const struct policy_rule *by, *by2;
	enum policy_violation v, v2;
	struct policy_request q = {.method = span_str("GET"), .unix_s = 1773144030};
	struct target t;
	char why[600];
	size_t i;

	if (target_parse_upstream(line.p, line.len, &t) < 0 ||
	    target_read(t.path, &path) == -1)
		return;
	must(path.n >= 1 && path.n <= TARGET_READINGS_MAX);
	for (i = 0; i < path.n; i++)
		must(path.as[i].len <= path.as[0].len && path.as[i].len > 0 &&
		    path.as[i].p[0] == '/');
	q.path = &path;
	q.service = span_str(p->rules[0].service);
	(void)policy_decide(p, &q, &v, &by);
	(void)policy_decide(again, &q, &v2, &by2);
	must(v == v2 && v != POLICY_NO_RULE && v != POLICY_NO_POLICY && by != NULL &&
	    by - p->rules == by2 - again->rules);
	must(strcmp(by->key, by2->key) == 0);
	policy_explain(p, by, v, &q, why, sizeof why);
	must(why[0] != '\0' && memchr(why, '\0', sizeof why) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nl = size == 0 ? NULL : memchr(data, '\n', size);
	struct span line = span_mem(data, nl == NULL ? size : (size_t)(nl - data));
	struct policy *p, *again;
	struct problems problems;
	struct yaml_node *root = NULL;
	unsigned row, column;
	struct json_doc d;
	struct buf json;
	char err[512] = "";
	uint32_t at;

	limits(line);
	if (nl == NULL)
		return 0;
	problems_init(&problems, "f");
	buf_init(&json);
	json_init(&d);
	root = ytree_parse((const char *)nl + 1, size - line.len - 1, &problems);
	if (root != NULL && problems.count == 0 && ytree_to_json(root, &json) == 0 &&
	    json_parse(&d, json.p, json.len, NULL) == JSON_OK) {
		p = policy_compile(&d, json_root(&d), err, sizeof err, &at);
		must(p != NULL || (err[0] != '\0' && at < d.nnodes));
		if (p == NULL) {
			ytree_locate(root, d.nodes[at].start, &row, &column);
			must(row >= 1 && column >= 1);
		} else {
			again = policy_parse(span_mem(json.p, json.len), err, sizeof err);
			must(again != NULL);
			ask(p, again, line);
			policy_free(again);
		}
		policy_free(p);
	}
	ytree_free(root);
	json_free(&d);
	buf_free(&json);
	problems_free(&problems);
	return 0;
}
