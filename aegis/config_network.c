/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tool server may reach of the network: nothing, all, or the hosts that are named.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/config_int.h"
#include "aegis/yaml.h"
#include "common/host.h"
#include "common/proto.h"

#define HOSTS_MAX 64
#define PATTERN_MAX 254

static int
read_bool(const struct yaml_node *n)
{
	if (n->kind != YAML_TEXT)
		return -1;
	if (strcmp(n->text, "true") == 0)
		return 1;
	return strcmp(n->text, "false") == 0 ? 0 : -1;
}

static const char *
host_problem(const char *text)
{
	if (strlen(text) > PATTERN_MAX)
		return "it is too long";
	switch (domain_pattern_check(text)) {
	case 0:
		return NULL;
	case HOST_ERR_WIDE:
		return "it would cover hosts of strangers";
	default:
		return "expected a host, with its port unless that is 443, such as "
		       "api.example.com:8443 or *.example.org";
	}
}

static void
read_hosts(struct loading *l, struct config_tool *t, const struct yaml_node *list,
    const char *key)
{
	const struct yaml_node *n;
	const char *why;
	char what[80];
	size_t i = 0;

	t->hosts = calloc(list->count + 1u, sizeof(char *));
	for (n = list->child; n != NULL && t->hosts != NULL; n = n->next) {
		why = n->kind == YAML_TEXT ? host_problem(n->text) : "expected a host";
		if (why != NULL)
			problem_add(&l->problems, NULL, n->line, n->column, key,
			    "found %s: %s", ytree_describe(n, what, sizeof(what)), why);
		else if ((t->hosts[i] = strdup(n->text)) != NULL)
			i++;
	}
}

void
config_read_network(struct loading *l, struct config_tool *t, const struct yaml_node *n,
    const char *prefix)
{
	const struct yaml_node *hosts, *private, *m;
	int value;
	char what[80], key[200];

	if (n == NULL)
		return;
	snprintf(key, sizeof(key), "%snetwork", prefix);
	if (n->kind != YAML_MAP) {
		value = read_bool(n);
		if (value == -1)
			problem_add(&l->problems, NULL, n->line, n->column, key,
			    "found %s, expected true, false, or {hosts: [HOST:PORT, "
			    "...]}",
			    ytree_describe(n, what, sizeof(what)));
		t->network = value == 1 ? TOOL_NETWORK_HOST : TOOL_NETWORK_NONE;
		return;
	}
	hosts = ytree_get(n, "hosts");
	private = ytree_get(n, "allow_private");
	for (m = n->child; m != NULL; m = m->next)
		if (m != hosts && m != private)
			problem_add(&l->problems, NULL, m->line, m->column, key,
			    "found %.80s, expected hosts and allow_private only", m->key);
	if (hosts == NULL || hosts->kind != YAML_LIST || hosts->count == 0 ||
	    hosts->count > HOSTS_MAX) {
		problem_add(&l->problems, NULL, n->line, n->column, key,
		    "found no hosts, expected a list of 1 to %d; without a network write "
		    "network: false",
		    HOSTS_MAX);
		return;
	}
	value = private != NULL ? read_bool(private) : 0;
	if (value == -1)
		problem_add(&l->problems, NULL, private->line, private->column, key,
		    "found %s, expected allow_private: true or false",
		    ytree_describe(private, what, sizeof(what)));
	t->network = TOOL_NETWORK_NAMED;
	t->allow_private = value == 1;
	read_hosts(l, t, hosts, key);
}
