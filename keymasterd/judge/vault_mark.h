/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often vault has saved its file: vault says the number, the ledger and the database
 * keep the last one, so an older file in its place is noticed. Judge only.
 */
#ifndef AEGIS_JUDGE_VAULT_MARK_H
#define AEGIS_JUDGE_VAULT_MARK_H

#include <stdint.h>

/* Vault has opened its file. 0 of a vault that does not count: nothing is kept. */
void vault_mark_opened(uint64_t saves);
/* Vault has saved what it was asked to. */
void vault_mark_saved(uint64_t saves);
/* How many saves are missing in the file that vault has opened; 0: none. */
uint64_t vault_mark_missing(void);

#endif
