/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the egress worker share: its configuration, its one credential, its
 * grants, and the way it comes and goes. One process per (tenant, credential).
 */
#ifndef AEGIS_WORKER_H
#define AEGIS_WORKER_H

#include <stdbool.h>
#include <stdint.h>

struct chan;
struct credential;
struct grant_book;
struct msg_done;

struct worker_conf {
	uint32_t connect_timeout_ms;
	uint32_t idle_exit_ms; /* 0: never */
	uint32_t keepalive_ms;
	uint32_t max_idle;
	char ca_dir[1025];
	int ca_bundle; /* descriptor, or -1 */
};
extern struct worker_conf worker_conf;

/* The credential of new requests; NULL until vault gave it, and once it is gone. */
extern struct credential *worker_credential;
extern struct grant_book *worker_grants;
/* The master said stop, the judge let us go, or the credential is gone. */
extern bool worker_leaving;

/* secret_fetch.c: asks vault for the credential, again when it changed. */
void secret_fetch_start(struct chan *vault);
/* Every now and then: what could not be asked for is asked for again. */
void secret_fetch_sweep(uint64_t now_ms);
/*
 * The judge's order number `version`: it seals no grant for us until we have told that we
 * hold what vault gave after this.
 */
void secret_renew(uint32_t version);
/* Tells the judge that we can serve, once a door, when secret and grant key are here. */
void worker_tell_ready(void);
/* Tells the judge why we cannot, and leaves. */
void worker_give_up(const char *why);

/* report.c: completion notes; kept while the judge is away. */
void report_done(struct msg_done *);
void report_flush(void);

#endif
