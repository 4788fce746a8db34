/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the configuration again while everything runs: on SIGHUP, or when the judge
 * asks for an administrator. The master.
 */
#ifndef AEGIS_RELOAD_H
#define AEGIS_RELOAD_H

#include <stdint.h>

struct chan;
struct child;
struct config;
struct config_flags;

/* Called for each difference, with the key or what else is meant. */
struct reload_diff {
	void (*changed)(const char *what, void *arg); /* can be applied */
	void (*restart)(const char *what, void *arg); /* counts after a restart only */
	void *arg;
};

void reload_compare(
    const struct config *old, const struct config *fresh, struct reload_diff *);
/* Exchanges what can be applied. The same again undoes it. */
void reload_swap(struct config *, struct config *);

/* flags: as the configuration was read with at the start; copied, its texts are not. */
void reload_setup(struct config *running, const struct config_flags *);
/* A child became ready: it gets what is in force, if it began with something else. */
void reload_on_ready(struct child *);
/* SIGHUP. */
void reload_by_signal(void);
/* An administrator asks, through the judge. Handler of its door. */
int reload_want(struct chan *, uint64_t reqid, void *msg);

#endif
