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
	static char decoded[8192], plain[8192];
	const struct policy_rule *by, *by2;
	enum policy_violation v, v2;
	struct policy_request q = {.method = span_str("GET"), .unix_s = 1773144030};
	struct target t;
	char why[600];
	ssize_t n;

	if (line.len > sizeof decoded ||
	    target_parse_upstream(line.p, line.len, &t) < 0 ||
	    (n = target_path_decode(t.path, decoded, sizeof decoded)) < 0)
		return;
	q.path = span_mem(decoded, (size_t)n);
	q.plain = span_mem(plain, target_path_plain(q.path, plain));
	must(q.plain.len <= q.path.len);
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
