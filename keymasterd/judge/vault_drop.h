/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is removed from the database is removed from vault afterwards: so a leftover is
 * one that nobody can use, and the next add of its name replaces it. Judge only.
 */
#ifndef AEGIS_JUDGE_VAULT_DROP_H
#define AEGIS_JUDGE_VAULT_DROP_H

/* Asks vault to drop a credential once this turn is committed. 0, or -1 without memory.
 */
int vault_drop_later(const char *tenant, const char *name);

#endif
