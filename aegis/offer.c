/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to vault; see offer.h. Runs as whoever typed the command. */
#include "aegis/offer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/config.h"
#include "common/proto.h"
#include "common/sync.h"

#define ANSWER_MS 10000 /* vault derives its keys for a moment when it starts */

static struct sync door;
static int door_fd = -1;

static int
bring(struct msg_secret_offer *m, uint8_t id[16])
{
	const struct msg_secret_offered *a = (const void *)&door.msg;

	if (sync_ask(&door, MSG_secret_offer, m, ANSWER_MS, NULL, NULL) == -1) {
		cli_error(errno == EMSGSIZE ? "Shorten the arguments." : NULL,
		    errno == EMSGSIZE ? "an argument is too long or not UTF-8"
				      : "vault did not answer: %s",
		    strerror(errno));
		return errno == EMSGSIZE ? ADMIN_FAILED : ADMIN_UNREACHABLE;
	}
	if (door.desc->type != MSG_secret_offered) {
		cli_error(NULL, "vault did not take it");
		return ADMIN_FAILED;
	}
	if (a->code != VAULT_OK) {
		cli_error(NULL, "%.*s", (int)a->message.len, a->message.p);
		return ADMIN_FAILED;
	}
	memcpy(id, a->offer, sizeof(a->offer));
	return 0;
}

int
offer_bring(struct cli *cli, struct msg_secret_offer *m, uint8_t id[16])
{
	const struct config *c = cli_config(cli);
	int r;

	door_fd = admin_connect(c->vault_socket, ROLE_VAULT, &door);
	if (door_fd == -1) {
		r = admin_unreachable(c->vault_socket, errno);
		msg_release(msg_desc_get(MSG_secret_offer), m);
		return r;
	}
	m->tenant = span_str(c->tenant);
	r = bring(m, id);
	if (r != 0)
		offer_close();
	return r;
}

void
offer_close(void)
{
	if (door_fd == -1)
		return;
	sync_done(&door);
	close(door_fd);
	door_fd = -1;
}
