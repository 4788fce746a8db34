/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policies that the judge has, and those that it gets when their files changed. The
 * master: it alone reads files.
 */
#ifndef AEGIS_POLICIES_H
#define AEGIS_POLICIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct chan;
struct config;

/*
 * Takes those that were read with a configuration, and what it says of policies; at the
 * start, and when another configuration is applied: then the judge gets them at once.
 */
void policies_setup(struct config *);
/* Does a configuration bring those that are in force? */
bool policies_same(const struct config *);
/* Sends all of them to a judge, which puts them in force at once. 0 or -1. */
int policies_send(struct chan *);
/*
 * Reads the files again. If they are right the judge gets them, or will when it starts;
 * if not, it is told that they are wrong, and what was in force stays so. message gets a
 * sentence for the operator, errors a line for each error. 0 or -1.
 */
int policies_reload(char *message, size_t size, struct buf *errors);
/* policy_reload of the judge. */
int policies_asked(struct chan *, uint64_t reqid, void *msg);

#endif
