/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole of what anybody may say to the judge, peer by peer. What stands here only as
 * an answer (vault's signatures) needs no row: it is taken when it was asked for.
 */
#include "keymasterd/judge/permit.h"

#include "keymasterd/judge/access.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/again.h"
#include "keymasterd/judge/authorize.h"
#include "keymasterd/judge/data_api.h"
#include "keymasterd/judge/flight.h"
#include "keymasterd/judge/hook.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/mcp_forward.h"
#include "keymasterd/judge/mcp_offer.h"
#include "keymasterd/judge/mcp_stream.h"
#include "keymasterd/judge/openbao.h"
#include "keymasterd/judge/operator.h"
#include "keymasterd/judge/peers.h"
#include "keymasterd/judge/policies.h"
#include "keymasterd/judge/receipt.h"
#include "keymasterd/judge/process.h"
#include "keymasterd/judge/redeemer.h"
#include "keymasterd/judge/sealed.h"
#include "keymasterd/judge/socket.h"
#include "keymasterd/judge/user.h"

const struct permit permit_judge_gate[] = {
    {MSG_proxy_authorize, CHAN_READY, PERMIT_HOT, proxy_authorize},
    {MSG_seal_authorize, CHAN_READY, PERMIT_HOT, seal_authorize},
    {MSG_api_request, CHAN_READY, 0, api_request},
    {MSG_mcp_request, CHAN_READY, PERMIT_HOT, mcp_request},
    {MSG_mcp_gone, CHAN_READY, 0, mcp_stream_gone},
    {MSG_refusal_record, CHAN_READY, PERMIT_HOT, refusal_record},
    {MSG_body_found, CHAN_READY, PERMIT_HOT, body_found},
    {MSG_process_seen, CHAN_READY, 0, process_seen},
    {MSG_process_gone, CHAN_READY, 0, process_gone},
    {MSG_permit_refused, CHAN_READY, 0, peer_permit_refused},
    PERMIT_LAST,
};

/* The data API reads; it has no question with which something could be changed. */
const struct permit permit_judge_api[] = {
    {MSG_api_request, CHAN_READY, 0, data_request},
    {MSG_feed_gone, CHAN_READY, 0, data_feed_gone},
    {MSG_refusal_record, CHAN_READY, 0, refusal_record},
    {MSG_permit_refused, CHAN_READY, 0, peer_permit_refused},
    PERMIT_LAST,
};

const struct permit permit_judge_worker[] = {
    {MSG_socket_open, CHAN_READY, PERMIT_HOT, socket_open},
    {MSG_redeemer_ready, CHAN_READY, 0, redeemer_ready},
    {MSG_worker_leave, CHAN_READY, 0, worker_leave},
    {MSG_done, CHAN_READY, PERMIT_HOT, redeemer_done},
    {MSG_permit_refused, CHAN_READY, 0, peer_permit_refused},
    PERMIT_LAST,
};

const struct permit permit_judge_toolhost[] = {
    {MSG_redeemer_ready, CHAN_READY, 0, redeemer_ready},
    {MSG_tool_catalogue, CHAN_READY, 0, tool_catalogue},
    {MSG_tool_features, CHAN_READY, 0, mcp_tool_features},
    {MSG_resource_updated, CHAN_READY, 0, mcp_resource_updated},
    {MSG_client_ask, CHAN_READY, 0, mcp_client_ask},
    {MSG_done, CHAN_READY, PERMIT_HOT, redeemer_done},
    {MSG_permit_refused, CHAN_READY, 0, peer_permit_refused},
    PERMIT_LAST,
};

const struct permit permit_judge_dispatch[] = {
    {MSG_worker_failed, CHAN_READY, 0, worker_failed},
    {MSG_tunnel_record, CHAN_READY, 0, tool_tunnel},
    {MSG_permit_refused, CHAN_READY, 0, peer_permit_refused},
    PERMIT_LAST,
};

const struct permit permit_judge_vault[] = {
    {MSG_token_keys, CHAN_READY, 0, peer_token_keys},
    {MSG_openbao_event, CHAN_READY, 0, openbao_event},
    {MSG_access_context, CHAN_READY, 0, access_context},
    {MSG_lease_counts, CHAN_READY, 0, peer_lease_counts},
    {MSG_share_event, CHAN_READY, 0, sealed_share_event},
    {MSG_permit_refused, CHAN_READY, 0, peer_permit_refused},
    PERMIT_LAST,
};

/* Besides what every daemon takes from the master. */
const struct permit permit_judge_master[] = {
    {MSG_child_ended, CHAN_READY, 0, peer_child_ended},
    {MSG_conf_judge, CHAN_READY, 0, again_conf_judge},
    {MSG_conf_context, CHAN_READY, 0, again_conf_context},
    {MSG_conf_issuer, CHAN_READY, 0, again_conf_issuer},
    {MSG_conf_issuer_key, CHAN_READY, 0, again_conf_issuer_key},
    {MSG_conf_webhook, CHAN_READY, 0, again_conf_webhook},
    {MSG_conf_mcp, CHAN_READY, 0, again_conf_mcp},
    {MSG_conf_check, CHAN_READY, 0, again_check},
    {MSG_conf_apply, CHAN_READY, 0, again_apply},
    {MSG_reloaded, CHAN_READY, 0, again_reloaded},
    {MSG_policy_begin, CHAN_READY, 0, policies_begin},
    {MSG_policy_zone, CHAN_READY, 0, policies_zone},
    {MSG_policy_add, CHAN_READY, 0, policies_add},
    {MSG_policy_commit, CHAN_READY, 0, policies_commit},
    {MSG_policy_refused, CHAN_READY, 0, policies_refused},
    PERMIT_LAST,
};

/* Whoever gets here is root or the configured user; admin.c sees to that. */
const struct permit permit_judge_admin[] = {
    {MSG_credential_add, CHAN_READY, 0, admin_credential_add},
    {MSG_credential_update, CHAN_READY, 0, admin_credential_update},
    {MSG_credential_rotate, CHAN_READY, 0, admin_credential_rotate},
    {MSG_credential_remove, CHAN_READY, 0, admin_credential_remove},
    {MSG_credential_list, CHAN_READY, 0, admin_credential_list},
    {MSG_vault_refresh, CHAN_READY, 0, admin_vault_refresh},
    {MSG_board_use, CHAN_READY, 0, admin_board_use},
    {MSG_lease_list, CHAN_READY, 0, admin_lease_list},
    {MSG_vault_seal, CHAN_READY, 0, admin_vault_seal},
    {MSG_vault_split, CHAN_READY, 0, admin_vault_split},
    {MSG_agent_add, CHAN_READY, 0, admin_agent_add},
    {MSG_agent_list, CHAN_READY, 0, admin_agent_list},
    {MSG_agent_remove, CHAN_READY, 0, admin_agent_remove},
    {MSG_agent_regenerate, CHAN_READY, 0, admin_agent_regenerate},
    {MSG_agent_grant, CHAN_READY, 0, admin_agent_grant},
    {MSG_agent_context, CHAN_READY, 0, admin_agent_context},
    {MSG_agent_limit, CHAN_READY, 0, admin_agent_limit},
    {MSG_agent_process, CHAN_READY, 0, admin_agent_process},
    {MSG_agent_run, CHAN_READY, 0, admin_agent_run},
    {MSG_agent_run_end, CHAN_READY, 0, admin_agent_run_end},
    {MSG_context_put, CHAN_READY, 0, admin_context_put},
    {MSG_context_list, CHAN_READY, 0, admin_context_list},
    {MSG_context_show, CHAN_READY, 0, admin_context_show},
    {MSG_context_remove, CHAN_READY, 0, admin_context_remove},
    {MSG_context_test, CHAN_READY, 0, admin_context_test},
    {MSG_policy_list, CHAN_READY, 0, admin_policy_list},
    {MSG_policies_reload, CHAN_READY, 0, admin_policies_reload},
    {MSG_session_list, CHAN_READY, 0, admin_session_list},
    {MSG_session_revoke, CHAN_READY, 0, admin_session_revoke},
    {MSG_session_show, CHAN_READY, 0, admin_session_show},
    {MSG_session_create, CHAN_READY, 0, admin_session_create},
    {MSG_operator_token, CHAN_READY, 0, admin_operator_token},
    {MSG_operator_list, CHAN_READY, 0, admin_operator_list},
    {MSG_operator_revoke, CHAN_READY, 0, admin_operator_revoke},
    {MSG_token_key_rotate, CHAN_READY, 0, admin_token_key_rotate},
    {MSG_token_key_list, CHAN_READY, 0, admin_token_key_list},
    {MSG_tool_list, CHAN_READY, 0, admin_tool_list},
    {MSG_tool_test, CHAN_READY, 0, admin_tool_test},
    {MSG_ledger_read, CHAN_READY, 0, admin_ledger_read},
    {MSG_ledger_stats, CHAN_READY, 0, admin_ledger_stats},
    {MSG_ledger_seal, CHAN_READY, 0, admin_ledger_seal},
    {MSG_ledger_receipt, CHAN_READY, 0, admin_ledger_receipt},
    {MSG_webhook_add, CHAN_READY, 0, hook_add},
    {MSG_webhook_list, CHAN_READY, 0, hook_list},
    {MSG_webhook_remove, CHAN_READY, 0, hook_remove},
    {MSG_webhook_test, CHAN_READY, 0, hook_test},
    {MSG_webhook_check, CHAN_READY, 0, hook_check},
    {MSG_status, CHAN_READY, 0, admin_status},
    {MSG_daemon_reload, CHAN_READY, 0, admin_daemon_reload},
    {MSG_openbao_test, CHAN_READY, 0, admin_openbao_test},
    {MSG_admin_record, CHAN_READY, 0, admin_record},
    {MSG_user_login, CHAN_READY, 0, admin_user_login},
    {MSG_db_copy, CHAN_READY, 0, admin_db_copy},
    {MSG_permission_ask, CHAN_READY, 0, admin_permission_ask},
    {MSG_user_add, CHAN_READY, 0, admin_user_add},
    {MSG_user_list, CHAN_READY, 0, admin_user_list},
    {MSG_user_remove, CHAN_READY, 0, admin_user_remove},
    {MSG_user_role, CHAN_READY, 0, admin_user_role},
    {MSG_user_regenerate, CHAN_READY, 0, admin_user_regenerate},
    PERMIT_LAST,
};
