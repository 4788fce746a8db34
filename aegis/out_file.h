/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command writes: standard output, or a file that appears whole or not at all.
 * Command line only.
 */
#ifndef AEGIS_OUT_FILE_H
#define AEGIS_OUT_FILE_H

#include <stdbool.h>
#include <stdio.h>

struct out_file {
	FILE *f;
	const char *path; /* the caller's */
	char *temporary;  /* NULL: standard output */
};

/* path NULL or "-": standard output. 0, or -1 after saying why. */
int out_file_open(struct out_file *, const char *path);
/* Closes; the file appears, mode 0600, when all is good. 0, or -1 after saying why. */
int out_file_close(struct out_file *, bool good);

#endif
