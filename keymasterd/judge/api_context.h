/* SPDX-License-Identifier: Apache-2.0 */
/* SecurityContexts for operators (section 16 of the protocol notes). Judge only. */
#ifndef AEGIS_JUDGE_API_CONTEXT_H
#define AEGIS_JUDGE_API_CONTEXT_H

#include "keymasterd/judge/api.h"

void api_context_list(struct api_call *);
void api_context_get(struct api_call *);
void api_context_put(struct api_call *);
void api_context_delete(struct api_call *);

#endif
