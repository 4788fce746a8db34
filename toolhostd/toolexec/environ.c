/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MCP servers take their secrets as environment variables; there is no other way over
 * stdio. They are plain in one place only: the memory of the process that becomes the
 * server, between fork and execve.
 */
#include "toolhostd/toolexec/environ.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/proto.h"
#include "common/secret.h"
#include "common/sync.h"
#include "toolhostd/toolexec/plan.h"
#include "toolhostd/toolexec/relay.h"

#define FETCH_TIMEOUT_MS 10000

static struct secret *values[ENVIRON_SECRETS_MAX];
static char names[ENVIRON_SECRETS_MAX][129];
static size_t nvalues;
static struct secret *hidden[ENVIRON_SECRETS_MAX]; /* those of them that stay secret */
static size_t nhidden;

void
environ_fetch(int line)
{
	static struct sync vault;
	struct msg_env_item *item = (void *)&vault.msg;
	uint32_t i;

	if (plan.secrets > ENVIRON_SECRETS_MAX)
		fatalx(
		    "%s: more than %d secret variables", plan.name, ENVIRON_SECRETS_MAX);
	if (plan.secrets == 0)
		return;
	if (line < 0 ||
	    sync_hello(&vault, line, ROLE_TOOLEXEC, ROLE_VAULT, FETCH_TIMEOUT_MS) == -1)
		fatal("%s: no line to vault", plan.name);
	for (i = 0; i < plan.secrets; i++) {
		MSG_INIT(env_fetch, m);

		m.index = i;
		if (sync_ask(&vault, MSG_env_fetch, &m, FETCH_TIMEOUT_MS, NULL, NULL) ==
		    -1)
			fatal("%s: vault does not answer", plan.name);
		if (vault.desc->type != MSG_env_item || item->code != 0 ||
		    item->value == NULL ||
		    span_copy(item->variable, names[i], sizeof(names[i])) == -1)
			fatalx("%s: variable %u: %.*s", plan.name, i,
			    vault.desc->type == MSG_env_item ? (int)item->message.len : 0,
			    item->message.p);
		values[i] = item->value;
		item->value = NULL;
		if (!item->open)
			hidden[nhidden++] = values[i];
		nvalues++;
	}
	sync_done(&vault);
	explicit_bzero(vault.octets, sizeof(vault.octets));
	close(line);
}

size_t
environ_secrets(struct secret *const **list)
{
	*list = hidden;
	return nhidden;
}

struct joined {
	char *at;
	size_t name;
};

static int
join_value(const void *p, size_t len, void *arg)
{
	struct joined *j = arg;

	if (memchr(p, '\0', len) != NULL)
		return -1;
	memcpy(j->at + j->name + 1, p, len);
	return 0;
}

void
environ_wipe(char **env)
{
	size_t i;

	for (; *env != NULL; env++)
		for (i = 0; i < nvalues; i++)
			if (strncmp(*env, names[i], strlen(names[i])) == 0 &&
			    (*env)[strlen(names[i])] == '=') {
				explicit_bzero(*env, strlen(*env));
				break;
			}
}

/* Whether the plan or vault has the variable of this NAME=VALUE. */
static bool
is_given(const char *variable)
{
	size_t len = (size_t)(strchr(variable, '=') - variable), i;

	for (i = 0; i < plan.nenvironment; i++)
		if (strncmp(plan.environment[i], variable, len + 1) == 0)
			return true;
	for (i = 0; i < nvalues; i++)
		if (strlen(names[i]) == len && memcmp(names[i], variable, len) == 0)
			return true;
	return false;
}

/* The proxy, in the spellings of curl, Python, Go, Node and others. */
#define PROXY "http://" RELAY_ADDRESS
#define BESIDES "localhost,127.0.0.1,::1"
#define NPROXY 8

char **
environ_make(void)
{
	static const char *const defaults[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
	    "HOME=/tmp", "HTTPS_PROXY=" PROXY, "https_proxy=" PROXY, "HTTP_PROXY=" PROXY,
	    "http_proxy=" PROXY, "ALL_PROXY=" PROXY, "NO_PROXY=" BESIDES,
	    "no_proxy=" BESIDES, "NODE_USE_ENV_PROXY=1"};
	const size_t all = sizeof(defaults) / sizeof(defaults[0]),
		     ndefaults = plan.network == TOOL_NETWORK_NAMED ? all : all - NPROXY;
	char **env = calloc(plan.nenvironment + nvalues + all + 1, sizeof(*env));
	struct joined j;
	size_t i, n = 0;

	if (env == NULL)
		return NULL;
	for (i = 0; i < plan.nenvironment; i++)
		env[n++] = plan.environment[i];
	for (i = 0; i < ndefaults; i++)
		if (!is_given(defaults[i]) && (env[n++] = strdup(defaults[i])) == NULL)
			return NULL;
	for (i = 0; i < nvalues; i++) {
		j.name = strlen(names[i]);
		j.at = calloc(1, j.name + secret_len(values[i]) + 2);
		if (j.at == NULL)
			return NULL;
		memcpy(j.at, names[i], j.name);
		j.at[j.name] = '=';
		if (secret_use(values[i], join_value, &j) == -1) {
			LOG_ERROR("tool.environment", LS("server", plan.name),
			    LS("variable", names[i]), LS("what", "a NUL in the value"));
			return NULL;
		}
		env[n++] = j.at;
	}
	return env;
}
