/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies on their way to the judge; see policies.h. The master.
 */
#include "aegis/policies.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/child.h"
#include "aegis/config.h"
#include "aegis/policy_file.h"
#include "aegis/problem.h"
#include "common/log.h"

#define ERRORS_MAX 20000 /* octets, as in policy_reloaded */

static struct policies *current; /* NULL: policies are off */
static char *directory;
static enum policy_mode mode;
static bool allow;

int
policies_send(struct chan *door)
{
	MSG_INIT(policy_begin, begin);
	MSG_INIT(policy_commit, commit);
	size_t i;

	if (current != NULL) {
		begin.mode = (uint8_t)mode;
		begin.source = span_str(current->path);
		commit.count = (uint32_t)current->n;
	}
	begin.allow = allow;
	if (chan_note(door, MSG_policy_begin, &begin) == -1)
		return -1;
	for (i = 0; current != NULL && i < current->nzones; i++) {
		MSG_INIT(policy_zone, m);

		m.name = span_str(zone_name(current->zones[i].zone));
		m.table =
		    span_mem(current->zones[i].table.p, current->zones[i].table.len);
		if (chan_note(door, MSG_policy_zone, &m) == -1)
			return -1;
	}
	for (i = 0; current != NULL && i < current->n; i++) {
		MSG_INIT(policy_add, m);

		m.json = span_str(current->v[i].json);
		if (chan_note(door, MSG_policy_add, &m) == -1)
			return -1;
	}
	return chan_note(door, MSG_policy_commit, &commit);
}

/* A judge that is there hears of it; one that starts later gets what is current. */
static int
tell_judge(const char *refused)
{
	struct child *judge = child_of_role(ROLE_JUDGE);
	MSG_INIT(policy_refused, m);

	if (judge == NULL || judge->door == NULL)
		return 0;
	if (refused == NULL)
		return policies_send(judge->door);
	m.message = span_str(refused);
	return chan_note(judge->door, MSG_policy_refused, &m);
}

void
policies_setup(struct config *c)
{
	char *path = c->policies_dir == NULL ? NULL : strdup(c->policies_dir);

	policies_free(current);
	free(directory);
	current = c->policies;
	c->policies = NULL;
	directory = path;
	mode = (enum policy_mode)c->policy_mode;
	allow = c->policy_allow;
	if (tell_judge(NULL) == -1)
		LOG_ERROR("policy.send", LS("effect", "the judge keeps those it has"));
}

bool
policies_same(const struct config *c)
{
	const struct policies *p = c->policies;
	size_t i;

	if (p == NULL || current == NULL)
		return p == current;
	for (i = 0; i < p->n && i < current->n; i++)
		if (strcmp(p->v[i].json, current->v[i].json) != 0)
			return false;
	return p->n == current->n;
}

int
policies_reload(char *message, size_t size, struct buf *errors)
{
	struct problems problems;
	struct policies *p;
	int r = -1;

	if (directory == NULL || mode == POLICY_OFF) {
		snprintf(message, size,
		    "Policies are off: gate.policies_dir and gate.policy_mode turn them "
		    "on, when the gate starts.");
		return -1;
	}
	problems_init(&problems, directory);
	p = policies_read(directory, &problems);
	if (problems.count > 0) {
		snprintf(message, size,
		    "%u %s in %.400s: the policies that were in force still are.",
		    problems.count, problems.count == 1 ? "error" : "errors", directory);
		LOG_ERROR("policy.refused", LS("path", directory),
		    LSN("errors", (const char *)problems.text.p, problems.text.len));
		if (problems.text.len > ERRORS_MAX)
			problems.text.len = ERRORS_MAX;
		(void)buf_put(errors, problems.text.p, problems.text.len);
		(void)tell_judge(message);
		policies_free(p);
	} else {
		policies_free(current);
		current = p;
		snprintf(message, size, "%zu %s from %u %s %s in force.", p->n,
		    p->n == 1 ? "policy" : "policies", p->files,
		    p->files == 1 ? "file" : "files", p->n == 1 ? "is" : "are");
		LOG_INFO("policy.read", LS("path", directory), LU("policies", p->n));
		r = tell_judge(NULL);
		if (r == -1)
			snprintf(message, size, "The judge could not be told.");
	}
	problems_free(&problems);
	return r;
}

int
policies_asked(struct chan *judge, uint64_t reqid, void *msg)
{
	char message[1000] = "";
	struct buf errors;
	MSG_INIT(policy_reloaded, a);
	int r;

	(void)msg;
	buf_init(&errors);
	a.code = policies_reload(message, sizeof(message), &errors) != 0;
	a.message = span_str(message);
	a.errors = span_mem(errors.p, errors.len);
	r = chan_answer(judge, reqid, MSG_policy_reloaded, &a);
	buf_free(&errors);
	return r == -1 ? -1 : 0;
}
