/* SPDX-License-Identifier: Apache-2.0 */
/* The sessions API for operators (section 7 of the protocol notes). Judge only. */
#ifndef AEGIS_JUDGE_API_SESSION_H
#define AEGIS_JUDGE_API_SESSION_H

#include "keymasterd/judge/api.h"

struct session;
struct jsonw;

void api_session_list(struct api_call *);
/* POST: answers at once for the caller's own token, else when vault has signed one. */
void api_session_create(struct api_call *);
void api_session_get(struct api_call *);
void api_session_delete(struct api_call *);

/* "Active", "Expired", "Revoked". */
const char *api_session_status(const struct session *);
/* The members of a record, in both spellings; the token is not among them: it is shown
 * once, to the one who made the session. */
void api_session_members(struct jsonw *, const struct session *);

#endif
