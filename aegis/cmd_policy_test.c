/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis policy test: what would be decided, and which rule says so, by the files.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/cmd_policy.h"
#include "aegis/out.h"
#include "aegis/policy_file.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "common/target.h"

struct asking {
	struct cli *cli;
	struct policy_request q;
	const char *agent, *refused; /* before policies are asked */
	const struct policies *policies;
	const struct policy_item *item;
	const struct policy_rule *by;
	enum policy_violation v;
	char method[33];
	struct target_readings path;
};

static int
read_question(struct asking *a)
{
	const char *path = cli_text(a->cli, "path"), *when = cli_text(a->cli, "time");
	const char *method = cli_text(a->cli, "method");
	struct target t;
	uint32_t ns;
	size_t i;
	int r;

	a->q.path = &a->path;
	a->q.service = span_str(cli_text(a->cli, "service"));
	for (i = 0; i < sizeof(a->method) - 1 && method[i] != '\0'; i++)
		a->method[i] = (char)(ascii_lower(method[i]) == method[i] &&
			    method[i] >= 'a' && method[i] <= 'z'
			? method[i] - 'a' + 'A'
			: method[i]);
	a->q.method = span_mem(a->method, i);
	a->q.unix_s = time(NULL);
	if (when != NULL && rfc3339_parse(when, strlen(when), &a->q.unix_s, &ns) != 0) {
		cli_error(NULL, "--time: found %s, expected such as 2026-03-29T02:30:00Z",
		    when);
		return -1;
	}
	r = target_parse_upstream(path, strlen(path), &t);
	if (r < 0) {
		a->refused = target_strerror(r);
		return 0;
	}
	if (target_read(t.path, &a->path) == -1) {
		cli_error(NULL, "--path is too long");
		return -1;
	}
	return 0;
}

static const char *
step_result(const struct asking *a, const struct policy_rule *r)
{
	enum policy_violation v = policy_rule_check(r, &a->q);

	return v == POLICY_NO_RULE ? "another service"
	    : v == POLICY_NONE     ? "allows it"
				   : policy_violation_name(v);
}

static void
put_steps(const struct asking *a, struct jsonw *w)
{
	const struct policy *p = a->item->policy;
	char methods[80];

	jsonw_key(w, "steps");
	jsonw_arr_open(w);
	for (size_t i = 0; i < p->nrules; i++) {
		const struct policy_rule *r = &p->rules[i];

		policy_methods_text(r->methods, methods, sizeof(methods));
		jsonw_obj_open(w);
		jsonw_key_int(w, "rule", (int64_t)i + 1);
		jsonw_key_int(w, "line", a->item->rule_lines[i]);
		jsonw_key_str(w, "service", r->service);
		jsonw_key_str(w, "methods", methods);
		jsonw_key(w, "paths");
		jsonw_arr_open(w);
		for (size_t k = 0; k < r->npaths; k++)
			jsonw_str(w, r->paths[k]);
		jsonw_arr_close(w);
		jsonw_key_str(w, "result", step_result(a, r));
		jsonw_obj_close(w);
		if (a->v == POLICY_NONE && r == a->by)
			break;
	}
	jsonw_arr_close(w);
}

static void
put_answer(const struct asking *a, const char *reason, struct buf *out)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	jsonw_key_bool(&w, "allowed", a->v == POLICY_NONE && a->refused == NULL);
	jsonw_key_str(&w, "agent", a->agent);
	jsonw_key_str(&w, "service", a->q.service.p);
	jsonw_key(&w, "method");
	jsonw_strn(&w, a->q.method.p, a->q.method.len);
	jsonw_key(&w, "path");
	jsonw_strn(&w, a->q.path->as[0].p, a->q.path->as[0].len);
	if (a->by != NULL)
		jsonw_key_int(&w, "rule", (a->by - a->item->policy->rules) + 1);
	if (a->by != NULL && a->by->has_rate)
		jsonw_key_str(&w, "rate_limit", a->by->rate_text);
	if (a->v != POLICY_NONE)
		jsonw_key_str(&w, "violation", policy_violation_name(a->v));
	jsonw_key_str(&w, "reason", reason);
	jsonw_key_str(&w, "file", a->item->file);
	put_steps(a, &w);
	jsonw_obj_close(&w);
	(void)jsonw_done(&w);
}

static void
print_table(const struct buf *answer)
{
	static const struct column columns[] = {{"RULE", "rule", COLUMN_PLAIN},
	    {"LINE", "line", COLUMN_PLAIN}, {"SERVICE", "service", COLUMN_PLAIN},
	    {"METHODS", "methods", COLUMN_PLAIN}, {"PATHS", "paths", COLUMN_PLAIN},
	    {"RESULT", "result", COLUMN_PLAIN}, {NULL, NULL, COLUMN_PLAIN}};
	struct table *t = table_new(columns);
	struct json_iter it;
	struct json_doc d;
	const uint8_t *p;
	size_t len;

	json_init(&d);
	if (t != NULL && json_parse(&d, answer->p, answer->len, NULL) == JSON_OK) {
		json_iter_init(&it, &d, json_get(&d, json_root(&d), "steps"));
		while (json_iter_next(&it, &d))
			if (json_raw(&d, it.value, &p, &len) == 0)
				(void)table_add(t, p, len);
		table_print(t, stdout, "The policy has no rules.");
	}
	json_free(&d);
	table_free(t);
}

static void
print_verdict(const struct asking *a, const char *reason)
{
	if (a->refused != NULL)
		printf("DENIED before policies are asked: %s\n", a->refused);
	else if (a->v != POLICY_NONE)
		printf("DENIED (%s): %s\n", policy_violation_name(a->v), reason);
	else if (a->by->has_rate)
		printf("ALLOWED: %s, at most %s\n", reason, a->by->rate_text);
	else
		printf("ALLOWED: %s\n", reason);
}

/* Exits with 0 whatever the answer, unless asked otherwise; 1 without a policy. */
int
cmd_policy_test(struct cli *cli)
{
	static struct asking a;
	const char *path = policy_files_of(cli);
	struct policies *p = NULL;
	struct buf answer;
	char reason[600];
	int r = ADMIN_USAGE;

	a.cli = cli;
	a.agent = cli_text(cli, "agent");
	if (path == NULL || read_question(&a) == -1)
		return r;
	p = policy_read_good(path);
	if (p == NULL)
		return ADMIN_FAILED;
	a.policies = p;
	a.item = policies_find(p, a.agent);
	if (a.item == NULL) {
		cli_error("With policies on, an agent without one is refused, unless "
			  "gate.policy_default is allow.",
		    "there is no policy for agent %s in %s", a.agent, path);
		policies_free(p);
		return ADMIN_FAILED;
	}
	(void)policy_decide(a.item->policy, &a.q, &a.v, &a.by);
	policy_explain(a.item->policy, a.by, a.v, &a.q, reason, sizeof(reason));
	buf_init(&answer);
	put_answer(&a, a.refused != NULL ? a.refused : reason, &answer);
	if (cli->json) {
		printf("%.*s\n", (int)answer.len, (char *)answer.p);
	} else {
		if (a.refused == NULL)
			print_table(&answer);
		print_verdict(&a, reason);
	}
	r = cli_given(cli, "exit-code") && (a.refused != NULL || a.v != POLICY_NONE)
	    ? ADMIN_REFUSED
	    : ADMIN_OK;
	buf_free(&answer);
	policies_free(p);
	return r;
}
