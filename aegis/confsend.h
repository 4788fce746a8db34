/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as messages: to each child its own part. The master. */
#ifndef AEGIS_CONFSEND_H
#define AEGIS_CONFSEND_H

#include <stdbool.h>

struct child;
struct config;

/* create: vault makes its file. */
void confsend_setup(bool create, unsigned admin_uid);
/* A memfd with the master key, which is taken; -1: there is none any more. */
void confsend_key(int fd);
/* Another descriptor of it, or -1. */
int confsend_key_dup(void);
int confsend_child(struct child *, const struct config *);

struct secret;
/* The key of the user who starts the gate (may be empty), for the first judge. Takes it.
 */
void confsend_starter_take(struct secret *);

/*
 * What may change while it runs, as at its start: to gate, judge and vault. 0, or -1:
 * some of it could not be read or sent.
 */
int confsend_again(struct child *, const struct config *);

#endif
