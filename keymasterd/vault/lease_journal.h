/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leases on the disk: lines of JSON, the last one about a lease counts. Runs in
 * vault. What is read was written here, but perhaps not to its end.
 */
#ifndef AEGIS_VAULT_LEASE_JOURNAL_H
#define AEGIS_VAULT_LEASE_JOURNAL_H

#include <stddef.h>

struct lease;
struct lease_token;

/*
 * Reads the file of this directory (borrowed) into the table and begins a new one with
 * what is left. 0, or -1 with errno: leases of an earlier life might be lost, so nothing
 * may be leased.
 */
int lease_journal_open(int dirfd);
/* How the lease stands now. durable: waits for the disk. 0, or -1 with errno. */
int lease_journal_put(const struct lease *, int durable);
/* A token there is, or (gone) is no more. */
void lease_journal_token(const struct lease_token *, int gone);
/* It is revoked. */
void lease_journal_drop(const struct lease *);
void lease_journal_close(void);

/* Lines into the table, up to the first that is none; for lease_journal_open and tests.
 */
void lease_journal_parse(const char *text, size_t len);

#endif
