/* SPDX-License-Identifier: Apache-2.0 */
/* What the files config*.c share while a configuration is read. */
#ifndef AEGIS_CONFIG_INT_H
#define AEGIS_CONFIG_INT_H

#include "aegis/config.h"
#include "aegis/problem.h"

struct yaml_node;

#define CONFIG_NOT_YOURS \
	"Permission denied: run this as the user who ran \"aegis init\", or as root"

struct loading {
	struct config *c;
	struct problems problems;
	bool serve;
	bool named; /* the file was asked for, not found */
	char *cwd;
	char *dotenv; /* lines with their NULs */
	size_t dotenv_len;
	struct yaml_node *root;
	const struct yaml_node *contexts, *servers, *issuers,
	    *hooks; /* in root, or NULL */
};

/* A regular file of at most max octets with a NUL behind; NULL with errno. */
char *config_read_file(const char *path, size_t max, size_t *len);
/* Warns when others can read a file that holds a secret. */
void config_warn_mode(const char *path, const char *what);
/* A variable of the environment, or of .env; NULL when neither has it or it is empty. */
const char *config_variable(
    const struct loading *, const char *name, enum config_origin *);
/* Takes a variable out of the environment, in place. */
void config_hide_variable(struct loading *, const char *name);
/* It was taken out when the configuration was read before: only then is it missing. */
bool config_was_hidden(const char *name);

/* Addresses, TLS, paths, the master key. */
void config_finish(struct loading *);

/* vault.provider and secrets.openbao; what the other parts need of them. */
void config_finish_openbao(struct loading *);
void config_free_openbao(struct config *);
/* A vault: reference of the file: NULL, or what is wrong with it. */
const char *config_check_reference(const struct config *, const char *text);

void config_read_contexts(struct loading *);
void config_free_contexts(struct config *);
void config_read_tools(struct loading *);
/* The paths of one tool server; its working directory was read before. */
void config_read_room(struct loading *, struct config_tool *,
    const struct yaml_node *paths, const char *prefix);
/* config_network.c: what it may reach; node may be NULL. */
void config_read_network(
    struct loading *, struct config_tool *, const struct yaml_node *, const char *prefix);
void config_free_tools(struct config *);
/* Operators' and issuers' key sets. */
void config_read_issuers(struct loading *);
void config_free_issuers(struct config *);
/* Webhooks. */
void config_read_hooks(struct loading *);
void config_free_hooks(struct config *);

#endif
