/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis vault encrypt, decrypt: octets of a blackboard, from standard input to standard
 * output, over vault's own socket. Runs as whoever typed the command.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config.h"
#include "common/proto.h"
#include "common/secret.h"
#include "common/sync.h"

#define PLAIN_MAX 32768
#define TEXT_MAX 49152
#define ANSWER_MS 10000

/* At most max octets of standard input, and one more when there are more. */
static ssize_t
read_input(char *p, size_t max)
{
	size_t n = 0;
	ssize_t got;

	while (n < max + 1 && (got = read(STDIN_FILENO, p + n, max + 1 - n)) != 0) {
		if (got == -1 && errno != EINTR)
			return -1;
		n += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)n;
}

/* All of it; NULL after saying why not. The caller wipes and frees. */
static char *
input(size_t max, size_t *len)
{
	char *p = malloc(max + 1);
	ssize_t n = p != NULL ? read_input(p, max) : -1;

	if (n > 0 && (size_t)n <= max) {
		*len = (size_t)n;
		return p;
	}
	if (n == -1)
		cli_error(NULL, "standard input: %s", strerror(errno));
	else
		cli_error(NULL,
		    n == 0 ? "standard input is empty"
			   : "standard input has more than %zu octets",
		    max);
	if (p != NULL)
		explicit_bzero(p, max + 1);
	free(p);
	return NULL;
}

struct board {
	struct span tenant, object;
	enum board_act act;
};

static int
refused(struct span message)
{
	cli_error(NULL, "%.*s", (int)message.len, message.p);
	return ADMIN_REFUSED;
}

/* What vault answered, of the type that is wanted; 0 or an exit code after saying why. */
static int
ask_vault(struct sync *door, enum msg_type type, void *msg, enum msg_type wanted)
{
	if (sync_ask(door, type, msg, ANSWER_MS, NULL, NULL) == -1) {
		cli_error(NULL,
		    errno == EMSGSIZE ? "a name is too long or not UTF-8"
				      : "vault did not answer: %s",
		    strerror(errno));
		return ADMIN_FAILED;
	}
	if (door->desc->type == wanted)
		return ADMIN_OK;
	cli_error(NULL, "vault did not take it");
	return ADMIN_FAILED;
}

/* Vault's door knows no users: it does what the judge, which does, has confirmed. */
static int
confirm(struct sync *door, const struct board *b)
{
	const struct msg_secret_offered *offered = (const void *)&door->msg;
	MSG_INIT(board_offer, offer);
	MSG_INIT(board_use, use);
	int r;

	offer.tenant = use.tenant = b->tenant;
	offer.object = use.object = b->object;
	offer.act = use.act = (uint8_t)b->act;
	r = ask_vault(door, MSG_board_offer, &offer, MSG_secret_offered);
	if (r != ADMIN_OK)
		return r;
	if (offered->code != VAULT_OK)
		return refused(offered->message);
	memcpy(use.offer, offered->offer, sizeof(use.offer));
	return admin_ask_ok(MSG_board_use, &use, NULL, NULL);
}

/* Asks vault and hands its answer to show(). The exit code. */
static int
ask(struct cli *cli, const struct board *b, enum msg_type type, void *msg,
    enum msg_type wanted, int (*show)(const void *))
{
	const struct config *c = cli_config(cli);
	struct sync door;
	int r = admin_open(cli, ADMIN_NEED_DATA), fd;

	if (r != 0)
		return r;
	fd = admin_connect(c->vault_socket, ROLE_VAULT, &door);
	if (fd == -1) {
		r = admin_unreachable(c->vault_socket, errno);
		admin_close();
		return r;
	}
	r = confirm(&door, b);
	if (r == ADMIN_OK)
		r = ask_vault(&door, type, msg, wanted);
	if (r == ADMIN_OK)
		r = show(&door.msg);
	sync_done(&door);
	close(fd);
	admin_close();
	return r;
}

static int
show_text(const void *msg)
{
	const struct msg_board_encrypted *m = msg;

	if (m->code != VAULT_OK)
		return refused(m->message);
	printf("%.*s\n", (int)m->text.len, m->text.p);
	return fflush(stdout) == 0 ? ADMIN_OK : ADMIN_FAILED;
}

/* secret_use() callback */
static int
write_out(const void *p, size_t len, void *arg)
{
	(void)arg;
	return write(STDOUT_FILENO, p, len) == (ssize_t)len ? 0 : -1;
}

static int
show_plain(const void *msg)
{
	const struct msg_board_decrypted *m = msg;

	if (m->code != VAULT_OK)
		return refused(m->message);
	if (secret_use(m->plain, write_out, NULL) == 0)
		return ADMIN_OK;
	cli_error(NULL, "standard output: %s", strerror(errno));
	return ADMIN_FAILED;
}

static struct board
board_of(struct cli *cli, enum board_act act)
{
	return (struct board){
	    .tenant = span_str(cli_text_or(cli, "tenant", cli_config(cli)->tenant)),
	    .object = span_str(cli_text(cli, "object")),
	    .act = act};
}

int
cmd_vault_encrypt(struct cli *cli)
{
	struct board b = board_of(
	    cli, cli_given(cli, "new-key") ? BOARD_ENCRYPT_NEW_KEY : BOARD_ENCRYPT);
	MSG_INIT(board_encrypt, m);
	size_t len;
	char *p = input(PLAIN_MAX, &len);
	int r;

	if (p == NULL)
		return ADMIN_USAGE;
	m.plain = secret_new_take(p, len);
	explicit_bzero(p, PLAIN_MAX + 1);
	free(p);
	if (m.plain == NULL) {
		cli_error(NULL, "no memory for it");
		return ADMIN_FAILED;
	}
	r = ask(cli, &b, MSG_board_encrypt, &m, MSG_board_encrypted, show_text);
	secret_free(m.plain);
	return r;
}

int
cmd_vault_decrypt(struct cli *cli)
{
	struct board b = board_of(cli, BOARD_DECRYPT);
	MSG_INIT(board_decrypt, m);
	size_t len;
	char *p = input(TEXT_MAX, &len);
	int r;

	if (p == NULL)
		return ADMIN_USAGE;
	if (p[len - 1] == '\n')
		len--;
	m.text = span_mem(p, len);
	r = ask(cli, &b, MSG_board_decrypt, &m, MSG_board_decrypted, show_plain);
	free(p);
	return r;
}
