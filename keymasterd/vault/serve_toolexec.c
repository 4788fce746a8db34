/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toolexec asks for the variables of its tool server, one by one. Runs in vault. The only
 * thing a message chooses is the number of a variable of this line's own server.
 */
#include "common/log.h"
#include "common/proc.h"
#include "common/secret.h"
#include "keymasterd/vault/line.h"
#include "keymasterd/vault/serve.h"
#include "keymasterd/vault/toolenv.h"

/* The value; *fetched is the caller's to free, the configuration's own value is not. */
static enum vault_code
resolve(const struct line *l, const struct toolenv *row, struct secret **value,
    struct secret **fetched)
{
	struct span name = toolenv_credential(row);
	const char *tenant = l->tenant[0] != '\0' ? l->tenant : proc_self.tenant;
	enum vault_code code;

	if (row->reference[0] == '\0') {
		*value = row->value;
		return VAULT_OK;
	}
	if (name.len == 0)
		return VAULT_BAD_REFERENCE;
	code = serve_provider->fetch(span_str(tenant), name, NULL, fetched);
	*value = *fetched;
	return code;
}

int
serve_env_fetch(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_env_fetch *m = msg;
	const struct line *l = chan_owner(c);
	const struct toolenv *row;
	struct secret *fetched = NULL;
	enum vault_code code;
	int r;
	MSG_INIT(env_item, a);

	if (l == NULL)
		return -1;
	row = toolenv_get(l->name, m->index);
	code = row == NULL ? VAULT_MISSING : resolve(l, row, &a.value, &fetched);
	a.code = code;
	if (row == NULL)
		a.message = span_str("this tool server has no such variable");
	else if (code != VAULT_OK)
		a.message = span_str(serve_text(code));
	a.variable = span_str(row == NULL ? NULL : row->variable);
	LOG_INFO("vault.env", LS("server", l->name), LU("index", m->index),
	    LS("variable", row == NULL ? NULL : row->variable),
	    LS("reference", row == NULL ? NULL : row->reference), LU("code", code));
	r = chan_answer(c, reqid, MSG_env_item, &a);
	secret_free(fetched);
	return r;
}
