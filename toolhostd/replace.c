/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process whose secrets end is replaced by one with fresh ones: the new one is started
 * beside it, and gets the calls from the moment it can answer them; the old one finishes
 * what it has, and ends. So nobody who calls notices. toolhostd.
 */
#include <stddef.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "toolhostd/call.h"
#include "toolhostd/server.h"

#define NUMBERS_APART (1ull << 40) /* a call keeps its number when it moves */

void
server_replace(uint32_t instance)
{
	struct server *s = server_find_instance(instance), *n;

	if (s == NULL || s->over || s->trial != NULL || s->successor != NULL ||
	    s->predecessor != NULL)
		return; /* it goes already, or has its successor; or was just begun */
	n = server_clone(s->of != NULL ? s->of : s, span_str(s->execution));
	if (n == NULL)
		return; /* vault reminds us */
	n->last_id = s->last_id + NUMBERS_APART;
	n->predecessor = s;
	LOG_INFO("tool.replace", LS("server", s->name), LS("execution", s->execution),
	    LU("pid", s->pid));
	server_start(n);
	s->successor = n; /* from now on it is not started again by itself */
}

void
replace_forget(struct server *s)
{
	if (s->successor != NULL)
		s->successor->predecessor = NULL;
	if (s->predecessor != NULL)
		s->predecessor->successor = NULL;
	s->successor = s->predecessor = NULL;
}

/* Those that wait for a process, to the one that has it. */
static void
move_waiting(struct server *from, struct server *to)
{
	struct call *c, *next;

	for (c = TAILQ_FIRST(&from->calls); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->sent)
			continue;
		TAILQ_REMOVE(&from->calls, c, entry);
		from->ncalls--;
		TAILQ_INSERT_TAIL(&to->calls, c, entry);
		to->ncalls++;
		c->server = to;
	}
}

/* The two processes change places; who each server is stays. */
static int
swap(struct server *a, struct server *b)
{
	const size_t from = offsetof(struct server, state), n = sizeof(*a) - from;
	TAILQ_HEAD(, call) of_a = TAILQ_HEAD_INITIALIZER(of_a);
	TAILQ_HEAD(, call) of_b = TAILQ_HEAD_INITIALIZER(of_b);
	struct server keep;
	struct call *c;

	/* lists know where their heads are */
	TAILQ_CONCAT(&of_a, &a->calls, entry);
	TAILQ_CONCAT(&of_b, &b->calls, entry);
	memcpy((char *)&keep + from, (char *)a + from, n);
	memcpy((char *)a + from, (char *)b + from, n);
	memcpy((char *)b + from, (char *)&keep + from, n);
	TAILQ_INIT(&a->calls);
	TAILQ_INIT(&b->calls);
	TAILQ_CONCAT(&a->calls, &of_b, entry);
	TAILQ_CONCAT(&b->calls, &of_a, entry);
	TAILQ_FOREACH (c, &a->calls, entry)
		c->server = a;
	TAILQ_FOREACH (c, &b->calls, entry)
		c->server = b;
	return mcp_adopt(a) == -1 || mcp_adopt(b) == -1 ? -1 : 0;
}

static void
take_place(struct server *n)
{
	struct server *s = n->predecessor;

	replace_forget(n);
	if (s->of == NULL) {
		/* the configured one stays what it is: n becomes the old one */
		struct server *old = n;

		if (swap(s, n) == -1) {
			server_fail(s, TOOL_UNHEALTHY, "out of memory");
			server_fail(old, TOOL_UNHEALTHY, "out of memory");
		}
		n = s;
		s = old;
	}
	move_waiting(s, n);
	n->starts = s->starts + 1;
	s->over = true; /* its process ends when it has answered */
	LOG_INFO("tool.replaced", LS("server", n->name), LS("execution", n->execution),
	    LU("pid", n->pid), LU("calls_left", s->ncalls));
	server_state_set(n, n->state, "");
	call_send_waiting(n);
}

void
replace_tick(uint64_t now_ms)
{
	struct server *s, *next;

	for (s = TAILQ_FIRST(&servers); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (s->predecessor != NULL && s->state == TOOL_RUNNING &&
		    s->control_id == 0)
			take_place(s);
		else if (s->predecessor != NULL && s->instance == 0 &&
		    now_ms >= s->retry_at_ms)
			server_start(s); /* not yet what it should be: once more */
		else if (s->of != NULL && s->trial == NULL && s->over &&
		    s->instance != 0 && s->ncalls == 0)
			server_end(s, "another one has taken its place");
	}
}
