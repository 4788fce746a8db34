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
#include "aegis/policy_watch.h"
#include "aegis/problem.h"
#include "common/log.h"
#include "common/utf8.h"

#define ERRORS_MAX 20000 /* octets, as in policy_reloaded */

static struct policies *current; /* NULL: policies are off */
static char *directory;
static enum policy_mode mode;
static bool allow, watching;
static struct buf wrong;   /* errors of the files as they were read last */
static char refused[1000]; /* "", or what is said of them */

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
	begin.refused = span_str(refused);
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
tell_judge(void)
{
	struct child *judge = child_of_role(ROLE_JUDGE);
	MSG_INIT(policy_refused, m);

	if (judge == NULL || judge->door == NULL)
		return 0;
	if (refused[0] == '\0')
		return policies_send(judge->door);
	m.message = span_str(refused);
	return chan_note(judge->door, MSG_policy_refused, &m);
}

static void on_change(void);

static void
accept(void)
{
	refused[0] = '\0';
	buf_free(&wrong);
}

static bool
same(const struct policies *p)
{
	size_t i;

	if (p == NULL || current == NULL)
		return p == current;
	for (i = 0; i < p->n && i < current->n; i++)
		if (strcmp(p->v[i].json, current->v[i].json) != 0)
			return false;
	return p->n == current->n;
}

bool
policies_same(const struct config *c)
{
	return same(c->policies);
}

/* Whether they can be used now. */
static bool
is_on(void)
{
	return directory != NULL && mode != POLICY_OFF;
}

/*
 * Reads the files. 1: others are in force, 0: the same ones as before, -1: they are
 * wrong, -2: and were so in the same way.
 */
static int
read_again(struct problems *problems)
{
	struct policies *p;
	bool again;

	if (watching)
		policy_watch(directory, on_change);
	problems_init(problems, directory);
	p = policies_read(directory, problems);
	if (problems->count > 0) {
		policies_free(p);
		again = refused[0] != '\0' && wrong.len == problems->text.len &&
		    memcmp(wrong.p, problems->text.p, wrong.len) == 0;
		return again ? -2 : -1;
	}
	again = refused[0] == '\0' && same(p);
	policies_free(current);
	current = p;
	return again ? 0 : 1;
}

/* What is wrong, with the first error, for log and ledger. */
static void
refuse(const struct problems *problems)
{
	const char *text = (const char *)problems->text.p;
	size_t len = problems->text.len;
	const char *end = len > 0 ? memchr(text, '\n', len) : NULL;

	if (end != NULL)
		len = (size_t)(end - text);
	snprintf(refused, sizeof(refused),
	    "%u %s, the policies that were in force still are: %.*s", problems->count,
	    problems->count == 1 ? "error" : "errors",
	    len > 0 ? (int)utf8_cut(text, len, 800) : 0, len > 0 ? text : "");
	buf_reset(&wrong);
	(void)buf_put(&wrong, problems->text.p, problems->text.len);
	LOG_ERROR("policy.refused", LS("path", directory),
	    LSN("errors", text, problems->text.len));
}

/* Tells log and judge what read_again found. 0 or -1. */
static int
tell(int found, const struct problems *problems)
{
	if (found < 0) {
		refuse(problems);
	} else {
		accept();
		LOG_INFO(
		    "policy.read", LS("path", directory), LU("policies", current->n));
	}
	return tell_judge();
}

static void
on_change(void)
{
	struct problems problems;
	int found;

	if (!is_on())
		return;
	found = read_again(&problems);
	if ((found == 1 || found == -1) && tell(found, &problems) == -1)
		LOG_ERROR("policy.send", LS("effect", "the judge keeps those it has"));
	problems_free(&problems);
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
	watching = c->policy_watch && current != NULL; /* not for a command alone */
	accept();
	if (tell_judge() == -1)
		LOG_ERROR("policy.send", LS("effect", "the judge keeps those it has"));
	policy_watch(watching ? directory : NULL, on_change);
	if (watching)
		policy_watch_soon();
}

int
policies_reload(char *message, size_t size, struct buf *errors)
{
	struct problems problems;
	size_t len;
	int r;

	if (!is_on()) {
		snprintf(message, size,
		    "Policies are off: gate.policies_dir and gate.policy_mode turn them "
		    "on, when the gate starts.");
		return -1;
	}
	r = read_again(&problems);
	if (tell(r, &problems) == -1) {
		snprintf(message, size, "The judge could not be told.");
		r = -1;
	} else if (r < 0) {
		snprintf(message, size,
		    "%u %s in %.400s: the policies that were in force still are.",
		    problems.count, problems.count == 1 ? "error" : "errors", directory);
		utf8_repair(message, strlen(message)); /* the name may have been cut */
		len = utf8_cut(problems.text.p, problems.text.len, ERRORS_MAX);
		(void)buf_put(errors, problems.text.p, len);
	} else {
		snprintf(message, size, "%zu %s from %u %s %s in force.", current->n,
		    current->n == 1 ? "policy" : "policies", current->files,
		    current->files == 1 ? "file" : "files",
		    current->n == 1 ? "is" : "are");
	}
	problems_free(&problems);
	return r < 0 ? -1 : 0;
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
