/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that waits for the disk, so that deciding need not: fdatasync() of the
 * ledger's last file at most 50 ms after a write, then of the newest checkpoint's file.
 * It touches nothing else of the judge.
 */
#ifndef AEGIS_JUDGE_LEDGER_SYNC_H
#define AEGIS_JUDGE_LEDGER_SYNC_H

#include <stddef.h>
#include <stdint.h>

/* Starts it; before the system call filter. 0 or -1. */
int ledger_sync_start(void);
/* Ends it; the last file is synced once more. */
void ledger_sync_stop(void);
/* An eventfd that becomes readable after ledger_sync_urge(), when it is done. -1: none */
int ledger_sync_wake(void);

/* Rows up to seq are in the file fd; its octets up to len. */
void ledger_sync_wrote(int fd, uint64_t seq, uint64_t len);
/* They are on the disk already. */
void ledger_sync_known(int fd, uint64_t seq, uint64_t len);
/* Puts them there now. 0; -1: they are not, or others before them are not, which
 * ledger_sync_failed() then says. */
int ledger_sync_now(int fd, uint64_t seq, uint64_t len);
/* The same for octets that may still be cut off again: nothing is noted as on the disk.
 */
int ledger_sync_flush(int fd);
/* The last row that is on the disk, and the octets of its file that are. */
uint64_t ledger_synced(void);
uint64_t ledger_synced_len(void);
/* Somebody waits. */
void ledger_sync_urge(void);
/* The errno of a failed fdatasync(), 0: none. It stays until ledger_sync_known(). */
int ledger_sync_failed(void);

/* A checkpoint for the file `head`, written once rows up to its seq are on the disk. */
#define LEDGER_HEAD_SLOT 4096
void ledger_sync_head(const void *line, size_t len, uint64_t seq);

#endif
