/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole of what anybody may ask vault. There is no message that signs or opens octets
 * of the asker's choice, none with which the judge could read a secret, and what is
 * sealed takes two: the administrator who brings it and the judge that has recorded it.
 */
#include "keymasterd/vault/permit.h"

#include "keymasterd/vault/again.h"
#include "keymasterd/vault/bao_check.h"
#include "common/stats.h"
#include "keymasterd/vault/serve.h"

/* Besides what every daemon takes from the master: its configuration again. */
const struct permit permit_vault_master[] = {
    {MSG_conf_openbao, CHAN_READY, 0, again_conf_openbao},
    {MSG_conf_webhook_secret, CHAN_READY, 0, again_conf_webhook_secret},
    {MSG_conf_check, CHAN_READY, 0, again_check},
    {MSG_conf_apply, CHAN_READY, 0, again_apply},
    {MSG_tool_ended, CHAN_READY, 0, serve_tool_ended},
    PERMIT_LAST,
};

const struct permit permit_vault_judge[] = {
    {MSG_credential_seal, CHAN_READY, 0, serve_credential_seal},
    {MSG_credential_drop, CHAN_READY, 0, serve_credential_drop},
    {MSG_secrets_refresh, CHAN_READY, 0, serve_secrets_refresh},
    {MSG_token_sign, CHAN_READY, 0, serve_token_sign},
    {MSG_operator_sign, CHAN_READY, 0, serve_operator_sign},
    {MSG_node_sign, CHAN_READY, 0, serve_node_sign},
    {MSG_checkpoint_sign, CHAN_READY, 0, serve_checkpoint_sign},
    {MSG_key_rotate, CHAN_READY, 0, serve_key_rotate},
    {MSG_vault_keys, CHAN_READY, 0, serve_vault_keys},
    {MSG_openbao_check, CHAN_READY, 0, serve_openbao_check},
    {MSG_stats, CHAN_READY, 0, stats_asked},
    {MSG_board_confirm, CHAN_READY, 0, serve_board_confirm},
    {MSG_lease_next, CHAN_READY, 0, serve_lease_next},
    {MSG_split_allow, CHAN_READY, 0, serve_split_allow},
    PERMIT_LAST,
};

/* Whoever gets here is root or the configured user; common/admin_door.c sees to that. */
const struct permit permit_vault_admin[] = {
    {MSG_secret_offer, CHAN_READY, 0, serve_secret_offer},
    {MSG_board_offer, CHAN_READY, 0, serve_board_offer},
    {MSG_board_encrypt, CHAN_READY, 0, serve_board_encrypt},
    {MSG_board_decrypt, CHAN_READY, 0, serve_board_decrypt},
    {MSG_split_offer, CHAN_READY, 0, serve_split_offer},
    {MSG_split_make, CHAN_READY, 0, serve_split_make},
    {MSG_split_keep, CHAN_READY, 0, serve_split_keep},
    {MSG_share_bring, CHAN_READY, 0, serve_share_bring},
    PERMIT_LAST,
};

const struct permit permit_vault_worker[] = {
    {MSG_credential_fetch, CHAN_READY, 0, serve_credential_fetch},
    PERMIT_LAST,
};

const struct permit permit_vault_toolexec[] = {
    {MSG_env_fetch, CHAN_READY, 0, serve_env_fetch},
    PERMIT_LAST,
};
