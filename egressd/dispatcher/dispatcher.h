/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the egress dispatcher share. It holds no secret: it starts workers
 * for the judge, by way of the master, and resolves names for workers.
 */
#ifndef AEGIS_DISPATCHER_H
#define AEGIS_DISPATCHER_H

#include <stddef.h>
#include <stdint.h>

#include "common/chan.h"

/* permit.c */
extern const struct permit permit_dispatch_judge[];
extern const struct permit permit_dispatch_worker[];
extern const struct permit permit_dispatch_toolexec[];
extern const struct permit permit_dispatch_master[];

/* spawn.c */
void spawn_limit(uint32_t max_workers); /* 0: no limit */
int spawn_want(struct chan *, uint64_t reqid, void *msg);
int spawn_exited(struct chan *, uint64_t reqid, void *msg);
/* A worker's door opens or shuts: how one that an earlier dispatcher started is known. */
void spawn_door(uint32_t instance, const char *tenant, const char *credential);
void spawn_door_gone(uint32_t instance);

/* resolve.c: threads that call getaddrinfo(3), a queue, a short memory. */
int resolve_init(void); /* before the box: 0 or -1 */
void resolve_start_threads(void);
int resolve_listen(void); /* on the loop: 0 or -1 */
int resolve_ask(struct chan *, uint64_t reqid, void *msg);
/* The same for ourselves: fn hears once, at once or later, unless c is shut first. The
 * octets are those of the message resolved. */
typedef void (*resolve_fn)(void *arg, int code, const uint8_t *octets, size_t len);
struct asker;
void resolve_for(
    struct asker *, struct chan *c, const char *host, resolve_fn fn, void *arg);
/* A worker's door: opened, shut. */
void *resolve_peer(
    struct chan *, uint32_t instance, const char *tenant, const char *name);
void resolve_gone(struct chan *, void *owner);
void resolve_sweep(uint64_t now_ms);
struct buf;
void resolve_numbers(struct buf *);

#endif
