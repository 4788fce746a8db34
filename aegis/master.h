/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master: starts, links, restarts and stops the daemons. Runs as root or as the
 * developer who typed `aegis gate`; reads the configuration, parses nothing from a
 * network.
 */
#ifndef AEGIS_MASTER_H
#define AEGIS_MASTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct config;

enum master_mode {
	MASTER_ALL,       /* the whole system, in the foreground */
	MASTER_KEYMASTER, /* judge and vault only, for a command while no gate runs */
	MASTER_INIT       /* the same, and vault makes its file */
};

/*
 * Runs until SIGTERM or SIGINT; returns the exit code. `ready_fd` (or -1) gets one octet
 * when all daemons are boxed and ready, and is closed. The configuration's master key is
 * freed once it is in the descriptor for vault.
 */
int master_run(struct config *, enum master_mode, int ready_fd);

/*
 * Starts a keymaster in the background for one command and waits until it is ready (10
 * s). Returns its pid, or -1 after printing why. End it with master_stop_background.
 */
pid_t master_start_background(const struct config *, enum master_mode);
void master_stop_background(pid_t);

/*
 * A sealed memfd with a key's text, which vault reads and the master never maps. -1 after
 * saying why.
 */
struct secret;
int master_key_descriptor(const struct secret *);

#endif
