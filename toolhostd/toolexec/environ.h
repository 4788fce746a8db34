/* SPDX-License-Identifier: Apache-2.0 */
/* The tool server's environment: plain variables of the plan and secrets of vault. */
#ifndef AEGIS_TOOLEXEC_ENVIRON_H
#define AEGIS_TOOLEXEC_ENVIRON_H

#include <stddef.h>

struct secret;

#define ENVIRON_SECRETS_MAX 32

/*
 * Fetches the plan's secrets over the line to vault (takes fd; -1 when there are none).
 * fatal() with the reason when one cannot be had.
 */
void environ_fetch(int line);
/*
 * The whole environment for execve, made before the fork (locked memory does not survive
 * one); secrets are plain in it, so each process wipes its copy as soon as it can. NULL:
 * none.
 */
char **environ_make(void);
/* Wipes the secrets in an environment; not the memory that holds plain variables. */
void environ_wipe(char **);
/* The values fetched, for the search of what the server writes. */
size_t environ_secrets(struct secret *const **list);

#endif
