/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration of vault; see conf.h. The master is trusted, but the master key is what
 * an operator typed: its text is checked, and never shown.
 */
#include "keymasterd/vault/conf.h"

#include "common/log.h"
#include "common/secret.h"
#include "keymasterd/vault/hook.h"
#include "keymasterd/vault/kdf.h"
#include "keymasterd/vault/lease.h"
#include "keymasterd/vault/openbao.h"
#include "keymasterd/vault/toolenv.h"

#define KEY_TEXT_MAX 4096

struct vault_conf vault_conf;

static void
take_key(struct msg_conf_vault *m)
{
	struct secret *text = NULL;

	if (m->master_key >= 0) {
		text = secret_new_take_fd(m->master_key, KEY_TEXT_MAX);
		m->master_key = -1;
	}
	if (text != NULL && secret_len(text) == 0)
		fatalx(
		    "AEGIS_MASTER_KEY is not set: export AEGIS_MASTER_KEY=<key>, or use "
		    "\"aegis init --write-secrets\"");
	vault_conf.master_key = text == NULL ? NULL : kdf_master(text);
	secret_free(text);
	if (vault_conf.master_key == NULL)
		fatalx("AEGIS_MASTER_KEY is not 64 hexadecimal characters: set it to the "
		       "key "
		       "that \"aegis init\" showed");
}

static int
take_vault(void *msg)
{
	struct msg_conf_vault *m = msg;

	if (vault_conf.given)
		fatalx("configuration: the vault is described twice");
	vault_conf.sealed = m->sealed != 0;
	vault_conf.joined = m->joined != 0;
	if (!vault_conf.sealed)
		take_key(m);
	vault_conf.create = m->create;
	vault_conf.admin_uid = m->admin_uid;
	lease_run(m->run);
	vault_conf.given = 1;
	return span_copy(m->vault_name, vault_conf.name, sizeof(vault_conf.name));
}

static int
take_tool_secret(void *msg)
{
	struct msg_conf_tool_secret *m = msg;

	if (toolenv_add(m->server, m->variable, m->reference, m->value) == -1)
		return -1;
	m->value = NULL;
	return 0;
}

static int
take_alive(void *msg)
{
	const struct msg_conf_tool_alive *m = msg;

	return lease_alive(m->instance);
}

const struct proc_conf_row conf_rows[] = {
    {MSG_conf_vault, take_vault},
    {MSG_conf_openbao, openbao_configure},
    {MSG_conf_tool_alive, take_alive},
    {MSG_conf_tool_secret, take_tool_secret},
    {MSG_conf_webhook_secret, hook_configure},
    {0, NULL},
};
