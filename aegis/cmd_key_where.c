/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis key where: the places in which a master key is looked for, in order, and which of
 * them it came from. Never the key.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config.h"
#include "aegis/keys.h"
#include "aegis/listing.h"
#include "aegis/sealed.h"
#include "common/buf.h"
#include "common/jsonw.h"
#include "common/proto.h"

struct place {
	const char *what;
	char *where;
	const char *source;  /* as config_finish.c names it */
	const char *setting; /* NULL: the file is the key */
};

static char *
credential_path(void)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	return dir != NULL ? key_path_join(dir, "aegis-master-key") : NULL;
}

/* Is the key there? In a file of settings it is on a line that begins like this. */
static bool
is_there(const struct place *p)
{
	char *line = NULL, *at;
	size_t cap = 0;
	bool found = false;
	FILE *f;

	if (p->setting == NULL || p->where == NULL)
		return p->where != NULL && access(p->where, F_OK) == 0;
	f = fopen(p->where, "re");
	while (f != NULL && !found && getline(&line, &cap, f) != -1) {
		at = line + strspn(line, " ");
		found = strncmp(at, p->setting, strlen(p->setting)) == 0 &&
		    strspn(at + strlen(p->setting), " \r\n") !=
			strlen(at + strlen(p->setting));
	}
	if (line != NULL)
		explicit_bzero(line, cap);
	free(line);
	if (f != NULL)
		fclose(f);
	return found;
}

static void
put(const struct config *c, const struct place *p, struct listing *l)
{
	bool used =
	    c->master_key_source != NULL && strcmp(c->master_key_source, p->source) == 0;
	const char *state = used ? "used" : is_there(p) ? "there" : "-";
	struct buf row;
	struct jsonw w;

	buf_init(&row);
	jsonw_init(&w, &row);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "place", p->what);
	jsonw_key_str(&w, "path", p->where);
	jsonw_key_str(&w, "state", state);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) == 0)
		listing_add(l, row.p, row.len);
	buf_free(&row);
}

int
cmd_key_where(struct cli *cli)
{
	static const struct column columns[] = {
	    {"PLACE, IN ORDER", "place", COLUMN_PLAIN}, {"PATH", "path", COLUMN_PLAIN},
	    {"", "state", COLUMN_PLAIN}, {NULL, NULL, COLUMN_PLAIN}};
	struct config *c = cli_config(cli);
	struct listing l;
	bool named;

	if (c == NULL)
		return ADMIN_FAILED;
	named = strcmp(c->vault_name, "default") != 0;
	struct place places[] = {
	    {"the vault's own file",
		named ? key_path_join(c->data_dir, ".master-key") : NULL,
		".master-key of this vault", NULL},
	    {"AEGIS_MASTER_KEY of the environment", NULL, "AEGIS_MASTER_KEY", NULL},
	    {"AEGIS_MASTER_KEY in .env", key_path_join(c->base_dir, ".env"), ".env",
		"AEGIS_MASTER_KEY="},
	    {"vault.master_key of the configuration",
		c->file != NULL ? strdup(c->file) : NULL, "vault.master_key in the file",
		"master_key:"},
	    {"vault.master_key_file",
		c->master_key_file != NULL ? strdup(c->master_key_file) : NULL,
		"vault.master_key_file", NULL},
	    {"systemd credential aegis-master-key", credential_path(),
		"systemd credential aegis-master-key", NULL},
	    {"file in the data directory", key_path_join(c->data_dir, ".master-key"),
		".master-key in the data directory", NULL},
	};
	if (listing_begin(&l, cli->json, columns) == -1)
		return ADMIN_FAILED;
	for (size_t i = named ? 0 : 1; i < sizeof(places) / sizeof(places[0]); i++)
		put(c, &places[i], &l);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		free(places[i].where);
	listing_print(&l, "");
	if (!cli->json && c->master_key == NULL && sealed_is_split(c))
		printf("\nThe master key is in shares: \"aegis vault unseal\".\n");
	else if (!cli->json && c->master_key == NULL)
		printf("\nNo master key was found. \"aegis init\" makes one.\n");
	listing_end(&l);
	return ADMIN_OK;
}
