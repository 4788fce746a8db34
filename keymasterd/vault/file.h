/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a whole file and replacing it in one step. Runs in vault only. */
#ifndef AEGIS_VAULT_FILE_H
#define AEGIS_VAULT_FILE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Reads the regular file `name` of a directory, at most `max` octets; *p is the caller's
 * to free. 0, or -1 with errno (EFBIG: larger than max; EINVAL: no regular file).
 */
int file_read(int dirfd, const char *name, size_t max, uint8_t **p, size_t *len);

/*
 * Puts `len` octets in the place of `name`, by way of the file `temp`: after a crash
 * either the old or the new octets are there, whole. 0, or -1 with errno; then `name` is
 * as before.
 */
int file_replace(
    int dirfd, const char *name, const char *temp, const void *p, size_t len);

#endif
