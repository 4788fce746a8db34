/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The token of the session with OpenBao (AppRole), and what bao_session.c and bao_login.c
 * want of each other. Runs in vault.
 */
#ifndef AEGIS_VAULT_BAO_LOGIN_H
#define AEGIS_VAULT_BAO_LOGIN_H

#include <stdbool.h>

#include "keymasterd/vault/bao_session.h"

/* -- bao_login.c -- */

void bao_login_setup(const struct bao_session_conf *); /* borrowed */
void bao_login_start(void);
/* Revokes the token, if OpenBao answers soon, then calls done. */
void bao_login_stop(void (*done)(void));
void bao_login_close(void);
/* The token, or NULL while there is none. */
const struct secret *bao_login_token(void);
/* Seconds that it has left; 0: there is none, or it does not end. */
uint64_t bao_login_left_s(void);
/* Logs in, unless there is a token or a login is under way. */
void bao_login_wanted(void);
/*
 * The configuration was read again: a login that waits is tried now. other: the token
 * there is belongs to somebody else, and is revoked once there is a new one.
 */
void bao_login_again(bool other);
/*
 * OpenBao said 403 to this token: asks whether it is good. bao_session_ready() follows in
 * any case but trouble, with the same token or another.
 */
void bao_login_check(void);
/*
 * What should be there is not: perhaps the namespace is gone, and the token with it. Asks
 * once a second at most; nobody waits for it.
 */
void bao_login_doubt(void);
/* The life the token had when it was new, in seconds. */
unsigned bao_login_full_s(void);
/* Why there is no token, or NULL. */
const char *bao_login_trouble(void);

/* -- bao_session.c -- */

/* There is a token: those that waited go on. */
void bao_session_ready(void);
/* There will be none for now: those that waited are told. */
void bao_session_failed(enum vault_code, const char *why);
bool bao_circuit_open(void);
void bao_circuit_good(void);
/* OpenBao did not answer as it should. */
void bao_circuit_bad(const struct bao_answer *);
/* Between three quarters and five quarters of it. */
uint32_t bao_jitter(uint32_t ms);

#endif
