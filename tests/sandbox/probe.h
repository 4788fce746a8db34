/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox probe: a program that enters a role's box exactly as the daemons do and
 * then acts as its attacker. Shared between its files.
 */
#ifndef AEGIS_TESTS_SANDBOX_PROBE_H
#define AEGIS_TESTS_SANDBOX_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/role.h"

#define CANARY "canary-9f1c77e0"
#define CANARY_LEN 15

/* What the attacker knows: everything that does not depend on luck. */
struct scene {
	const char *dir;       /* belongs to the role under test, writable */
	const char *ledger;    /* a file of another user, 0600 */
	const char *readable;  /* a file outside every box, 0644 */
	uint16_t upstream;     /* listening on loopback; the worker's box allows it */
	uint16_t other;        /* listening on loopback; no box allows it */
	uint16_t udp;          /* bound on loopback */
	int listener;          /* a listener that was handed over */
	pid_t victim;          /* holds the canary, as vault would */
	uintptr_t heap, arena; /* where the canary is in it */
	int victim_fd;         /* a descriptor number open in it */
	int epoll;             /* made before the box, as loop_init() does */
	pid_t child;           /* of toolexec, started before the box */
};

extern struct scene scene;

/* An attempt returns 0 when the attack worked, or an errno (or 255) when it was refused.
 */
struct attempt {
	const char *name;
	int (*fn)(void);
};

extern const struct attempt attempts[];
extern const unsigned int attempts_n;

/* A need returns 0 when what the role must be able to do works. */
#define ON_RELAY (1u << 31) /* no role of its own: a process of toolexec's */

struct need {
	const char *name;
	unsigned int roles; /* bits 1 << enum role */
	int (*fn)(void);
};

extern const struct need needs[];
extern const unsigned int needs_n;

/* What a daemon's start-up does before the box. Returns 0 or -1. */
int needs_prepare(void);

/* The dispatcher's helper thread; for sandbox_paths. */
void needs_start_threads(void);

#endif /* AEGIS_TESTS_SANDBOX_PROBE_H */
