/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions of a tool server to the agent whose call it works on (sampling, elicitation).
 * toolhostd; the judge permits each.
 */
#ifndef AEGIS_TOOLHOSTD_UPCALL_H
#define AEGIS_TOOLHOSTD_UPCALL_H

#include <stddef.h>
#include <stdint.h>

struct call;
struct json_doc;
struct server;

/* A request of the server: `doc` holds it. Asks the judge, or refuses. */
void upcall_take(struct server *, const struct json_doc *);
/* The server takes its request back: `doc` holds notifications/cancelled. */
void upcall_cancelled(struct server *, const struct json_doc *);
/* The agent's answer, judged and granted. 0, or -1 when nobody waits for it. */
int upcall_answer(struct server *, const struct json_doc *);
/* The call has ended; so have its questions. */
void upcall_call_over(struct call *);
/* Answers a request of the server with an error. `message` is our own text. */
void upcall_refuse(struct server *, const char *id, int code, const char *message);

#endif
