/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers whose secret lives elsewhere: it is looked at again every 15 seconds, and they
 * are told when it is another one, or none any more. Runs in vault.
 */
#ifndef AEGIS_VAULT_WATCH_H
#define AEGIS_VAULT_WATCH_H

#include <stdint.h>

#include "common/span.h"

struct line;
struct vault_answer;

#define WATCH_MS 15000

/* This is what the worker of a line is given now. */
void watch_given(struct line *, const struct vault_answer *);
/* This is what the secret of a credential is now: tells workers that have another one. */
void watch_seen(struct span tenant, struct span name, const struct vault_answer *);
/* All are looked at again in the next turn. */
void watch_all(void);

#endif
