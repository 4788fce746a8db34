/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handlers behind the permit tables, and the lines they answer on. Which credential
 * or tool server a line is for is the master's word, said when the line came; no message
 * can change it. Runs in vault only.
 */
#ifndef AEGIS_VAULT_SERVE_H
#define AEGIS_VAULT_SERVE_H

#include "common/chan.h"
#include "keymasterd/vault/provider.h"

/* The home of the secrets, set by main() before the loop. */
extern const struct vault_provider *serve_provider;

/* A text for the one who asked; never NULL. */
const char *serve_text(enum vault_code);

/* What the judge may ask. Handlers as in common/chan.h. */
int serve_credential_seal(struct chan *, uint64_t reqid, void *msg);
int serve_credential_drop(struct chan *, uint64_t reqid, void *msg);
int serve_secrets_refresh(struct chan *, uint64_t reqid, void *msg);
int serve_token_sign(struct chan *, uint64_t reqid, void *msg);
int serve_operator_sign(struct chan *, uint64_t reqid, void *msg);
int serve_node_sign(struct chan *, uint64_t reqid, void *msg);
int serve_checkpoint_sign(struct chan *, uint64_t reqid, void *msg);
int serve_key_rotate(struct chan *, uint64_t reqid, void *msg);
/* The token key became another one: tells the judge. */
void serve_keys_changed(void);
int serve_board_confirm(struct chan *, uint64_t reqid, void *msg);
int serve_vault_keys(struct chan *, uint64_t reqid, void *msg);
int serve_split_allow(struct chan *, uint64_t reqid, void *msg);
/* Has the judge been told which keys there are? Then it serves. */
int serve_keys_asked(void);

/* What the command line may ask; the listening socket, for proc_serve. Takes fd. */
int serve_secret_offer(struct chan *, uint64_t reqid, void *msg);
int serve_board_offer(struct chan *, uint64_t reqid, void *msg);
int serve_board_encrypt(struct chan *, uint64_t reqid, void *msg);
int serve_board_decrypt(struct chan *, uint64_t reqid, void *msg);
void serve_admin_listen(int kind, int fd);
int serve_split_offer(struct chan *, uint64_t reqid, void *msg);
int serve_split_make(struct chan *, uint64_t reqid, void *msg);
int serve_split_keep(struct chan *, uint64_t reqid, void *msg);
int serve_share_bring(struct chan *, uint64_t reqid, void *msg);
/* Reads which shares count; before the loop runs. */
void serve_split_open(int dirfd);
/* This connection has ended. */
void serve_split_forget(const struct chan *);

/* What a worker may ask. */
int serve_credential_fetch(struct chan *, uint64_t reqid, void *msg);
/* Tells the workers of a credential that what they hold is old, or gone for good. */
void serve_credential_changed(struct span tenant, struct span name, int gone);

/* What toolexec may ask. */
int serve_env_fetch(struct chan *, uint64_t reqid, void *msg);

/* What the master says of tool servers' processes. */
int serve_tool_ended(struct chan *, uint64_t reqid, void *msg);
/* What the judge may ask about leases (lease_report.c). */
int serve_lease_next(struct chan *, uint64_t reqid, void *msg);

/* Lines to workers and to toolexec, for proc_peer_row. */
void *serve_line_new(
    struct chan *, uint32_t instance, const char *tenant, const char *name);
void serve_line_gone(struct chan *, void *owner);
void serve_judge_gone(struct chan *, void *owner);

#endif
