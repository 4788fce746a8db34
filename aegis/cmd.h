/* SPDX-License-Identifier: Apache-2.0 */
/* The commands; commands.c names them. Each returns an exit code (enum admin_code). */
#ifndef AEGIS_CMD_H
#define AEGIS_CMD_H

struct cli;

int cmd_init(struct cli *);
int cmd_import(struct cli *);
int cmd_gate(struct cli *);

int cmd_vault_add(struct cli *);
int cmd_vault_leases(struct cli *);
int cmd_vault_list(struct cli *);
int cmd_vault_show(struct cli *);
int cmd_vault_encrypt(struct cli *);
int cmd_vault_decrypt(struct cli *);
int cmd_vault_remove(struct cli *);
int cmd_vault_refresh(struct cli *);
int cmd_vault_rotate(struct cli *);
int cmd_vault_update(struct cli *);

int cmd_agent_add(struct cli *);
int cmd_agent_list(struct cli *);
int cmd_agent_remove(struct cli *);
int cmd_agent_regenerate(struct cli *);
int cmd_agent_grant(struct cli *);
int cmd_agent_revoke(struct cli *);
int cmd_agent_set_process(struct cli *);
int cmd_agent_set_rate_limit(struct cli *);
int cmd_agent_context(struct cli *);

int cmd_context_add(struct cli *);
int cmd_context_list(struct cli *);
int cmd_context_show(struct cli *);
int cmd_context_update(struct cli *);
int cmd_context_remove(struct cli *);
int cmd_context_test(struct cli *);
int cmd_policy_list(struct cli *);
int cmd_policy_reload(struct cli *);
int cmd_policy_show(struct cli *);
int cmd_policy_test(struct cli *);
int cmd_policy_validate(struct cli *);
int cmd_session_create(struct cli *);
int cmd_session_list(struct cli *);
int cmd_session_revoke(struct cli *);
int cmd_session_show(struct cli *);
int cmd_tool_list(struct cli *);
int cmd_tool_show(struct cli *);
int cmd_tool_test(struct cli *);
int cmd_status(struct cli *);

int cmd_mcp_serve(struct cli *);
int cmd_mcp_config(struct cli *);

int cmd_vault_create(struct cli *);
int cmd_vault_vaults(struct cli *);
int cmd_vault_destroy(struct cli *);
int cmd_vault_split(struct cli *);
int cmd_vault_seal(struct cli *);
int cmd_vault_unseal(struct cli *);

int cmd_webhook_add(struct cli *);
int cmd_webhook_list(struct cli *);
int cmd_webhook_remove(struct cli *);
int cmd_webhook_test(struct cli *);
int cmd_webhook_check_expiry(struct cli *);
int cmd_user_add(struct cli *);
int cmd_user_list(struct cli *);
int cmd_user_remove(struct cli *);
int cmd_user_role(struct cli *);
int cmd_user_regenerate(struct cli *);

int cmd_operator_token(struct cli *);
int cmd_operator_list(struct cli *);
int cmd_operator_revoke(struct cli *);

int cmd_db_backup(struct cli *);
int cmd_db_restore(struct cli *);

int cmd_key_where(struct cli *);
int cmd_key_rotate(struct cli *);
int cmd_key_list(struct cli *);

int cmd_ledger_show(struct cli *);
int cmd_ledger_stats(struct cli *);
int cmd_ledger_export(struct cli *);
int cmd_ledger_verify(struct cli *);
int cmd_ledger_key(struct cli *);
int cmd_ledger_receipt(struct cli *);

int cmd_run(struct cli *);
int cmd_openbao_setup(struct cli *);
int cmd_daemon_reload(struct cli *);
int cmd_doctor(struct cli *);
int cmd_config_validate(struct cli *);
int cmd_config_show(struct cli *);
int cmd_version(struct cli *);
int cmd_help(struct cli *);
int cmd_completion(struct cli *);

#endif
