/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secret ids that come wrapped: OpenBao gives them out once, to whoever shows the
 * wrapping token first. So vault takes one out at once, keeps it sealed beside its file
 * for its next start, and reports when somebody else was faster. Runs in vault.
 */
#ifndef AEGIS_VAULT_BAO_WRAP_H
#define AEGIS_VAULT_BAO_WRAP_H

#include "common/proto.h"

struct bao_answer;
struct bao_session_conf;
struct secret;

/* dirfd: the directory this process may write; borrowed. After provider_embedded.open. */
void bao_wrap_open(int dirfd);
void bao_wrap_close(void);

/* id: borrowed by the callback. NULL: why says what is wrong; a: OpenBao is away. */
typedef void (*bao_wrap_fn)(const struct secret *id, enum vault_code, const char *why,
    const struct bao_answer *away);
/*
 * The secret id that this token wraps, from what is kept when this token was unwrapped
 * before. One at a time; done is called exactly once, perhaps before this returns.
 */
void bao_wrap_get(
    const struct bao_session_conf *, const struct secret *token, bao_wrap_fn done);

#endif
