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
	const char *source; /* as config_finish.c names it */
};

static char *
credential_path(void)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	return dir != NULL ? key_path_join(dir, "aegis-master-key") : NULL;
}

static void
put(const struct config *c, const struct place *p, struct listing *l)
{
	bool used =
	    c->master_key_source != NULL && strcmp(c->master_key_source, p->source) == 0;
	const char *state = used                              ? "used"
	    : p->where != NULL && access(p->where, F_OK) == 0 ? "there"
							      : "-";
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
		".master-key of this vault"},
	    {"AEGIS_MASTER_KEY of the environment", NULL, "AEGIS_MASTER_KEY"},
	    {"AEGIS_MASTER_KEY in .env", key_path_join(c->base_dir, ".env"), ".env"},
	    {"vault.master_key of the configuration",
		c->file != NULL ? strdup(c->file) : NULL, "vault.master_key in the file"},
	    {"vault.master_key_file",
		c->master_key_file != NULL ? strdup(c->master_key_file) : NULL,
		"vault.master_key_file"},
	    {"systemd credential aegis-master-key", credential_path(),
		"systemd credential aegis-master-key"},
	    {"file in the data directory", key_path_join(c->data_dir, ".master-key"),
		".master-key in the data directory"},
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
