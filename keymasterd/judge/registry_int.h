/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the registry. */
#ifndef AEGIS_JUDGE_REGISTRY_INT_H
#define AEGIS_JUDGE_REGISTRY_INT_H

#include "keymasterd/judge/registry.h"

int limiter_apply(struct limiter **, const char *rate);
int credentials_load(void);
struct credential *credential_by_id(const char *tenant, const char *id);
int rights_load(void);
void rights_forget_agent(const struct agent *);
void rights_forget_credential(const struct credential *);

#endif
