/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toolexec asks for the variables of its tool server, one by one. Runs in vault. The only
 * thing a message chooses is the number of a variable of this line's own server.
 */
#include "common/log.h"
#include "common/proc.h"
#include "keymasterd/vault/line.h"
#include "keymasterd/vault/pending.h"
#include "keymasterd/vault/serve.h"
#include "keymasterd/vault/toolenv.h"

static int
answer_env(struct chan *c, uint64_t reqid, const char *variable, enum vault_code code,
    const char *why, struct secret *value, int open)
{
	MSG_INIT(env_item, a);

	a.code = code;
	a.open = open != 0;
	if (code != VAULT_OK)
		a.message = span_str(why != NULL ? why : serve_text(code));
	else
		a.value = value;
	a.variable = span_str(variable);
	return chan_answer(c, reqid, MSG_env_item, &a);
}

static void
resolved(const struct vault_answer *answer, void *arg)
{
	struct pending *p = arg;

	answer = pending_tell(p, ACCESS_TOOL, answer);
	LOG_INFO("vault.env", LS("server", p->subject), LU("index", p->number),
	    LS("variable", p->variable), LU("code", answer->code),
	    LS("why", answer->why));
	if (p->chan != NULL)
		(void)answer_env(p->chan, p->reqid, p->variable, answer->code,
		    answer->why, answer->secret, answer->open);
	pending_free(p);
}

int
serve_env_fetch(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_env_fetch *m = msg;
	const struct line *l = chan_owner(c);
	struct vault_answer a = {.code = VAULT_OK};
	const struct toolenv *row;
	struct pending *p;

	if (l == NULL)
		return -1;
	row = toolenv_get(l->name, m->index);
	if (row == NULL)
		return answer_env(c, reqid, NULL, VAULT_MISSING,
		    "this tool server has no such variable", NULL, 0);
	p = pending_new(c, reqid);
	if (p == NULL)
		return answer_env(c, reqid, row->variable, VAULT_IO, NULL, NULL, 0);
	(void)span_copy(span_str(l->tenant[0] != '\0' ? l->tenant : proc_self.tenant),
	    p->tenant, sizeof(p->tenant));
	(void)span_copy(span_str(l->name), p->subject, sizeof(p->subject));
	(void)span_copy(span_str(row->variable), p->variable, sizeof(p->variable));
	(void)span_copy(span_str(l->execution), p->execution, sizeof(p->execution));
	(void)span_copy(
	    span_str(row->reference[0] != '\0' ? row->reference : "the configuration"),
	    p->reference, sizeof(p->reference));
	p->number = m->index;
	if (toolenv_is_dynamic(row)) {
		const struct vault_holder h = {l->instance, span_str(p->tenant),
		    span_str(p->subject), span_str(p->execution)};

		serve_provider->lease(&h, span_str(row->reference), resolved, p);
		return 0;
	}
	if (row->reference[0] != '\0') {
		const struct vault_question q = {
		    .tenant = span_str(p->tenant), .reference = span_str(row->reference)};

		serve_provider->resolve(&q, resolved, p);
		return 0;
	}
	a.secret = row->value;
	resolved(&a, p);
	return 0;
}

int
serve_tool_ended(struct chan *master, uint64_t reqid, void *msg)
{
	const struct msg_tool_ended *m = msg;

	(void)master;
	(void)reqid;
	serve_provider->lease_over(m->instance, 1);
	return 0;
}
