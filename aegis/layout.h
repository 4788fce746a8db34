/* SPDX-License-Identifier: Apache-2.0 */
/* The data directory: who owns what in it, and the lock that keeps it for one system. */
#ifndef AEGIS_LAYOUT_H
#define AEGIS_LAYOUT_H

#include <stdbool.h>

struct config;

/*
 * Makes data_dir (0700, or 0711 as root), data_dir/judge and data_dir/vault (0700, owned
 * by their users) where absent. 0; -1 after saying why.
 */
int layout_make(const struct config *);
/* Says that there is no vault, and which command makes one. */
void layout_absent(const struct config *);
/* Takes the lock; returns its descriptor, or -1 (errno EWOULDBLOCK: another runs). */
int layout_lock(const struct config *);
/* 1 when a gate or another command holds the data directory. */
int layout_in_use(const struct config *);

#endif
