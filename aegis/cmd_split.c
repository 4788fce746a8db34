/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis vault split, seal, unseal: the master key in shares. Shares pass between the
 * person and vault only, over vault's own socket; whether a split is made the judge says.
 * Runs as whoever typed the command.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config.h"
#include "aegis/key_remove.h"
#include "aegis/out.h"
#include "common/proto.h"
#include "common/secret.h"
#include "common/sync.h"

#define ANSWER_MS 15000 /* joining derives keys twice */
#define OPEN_TRIES 200  /* of 50 ms: another vault starts with the key */
#define SHARE_SIZE 512
#define THRESHOLD 3
#define SHARES 5

static struct sync door;
static int door_fd = -1;

static void
door_close(void)
{
	if (door_fd == -1)
		return;
	sync_done(&door);
	close(door_fd);
	door_fd = -1;
}

/* 0, or -1 with errno. */
static int
door_open(const struct config *c)
{
	door_close();
	door_fd = admin_connect(c->vault_socket, ROLE_VAULT, &door);
	return door_fd == -1 ? -1 : 0;
}

/* Asks vault; the answer is in door.msg. 0, or an exit code after saying why. */
static int
ask(enum msg_type type, void *msg)
{
	if (sync_ask(&door, type, msg, ANSWER_MS, NULL, NULL) == -1) {
		cli_error(NULL, "vault did not answer: %s", strerror(errno));
		return ADMIN_UNREACHABLE;
	}
	if (door.desc->type == MSG_error) {
		cli_error(NULL, "vault did not take it");
		return ADMIN_FAILED;
	}
	return 0;
}

/* ---- shares come in ---- */

struct incoming {
	struct cli *cli;
	unsigned given, rest; /* how many of those on the command line were taken */
	bool asks;            /* a person at a terminal */
};

static struct secret *
read_line(void)
{
	char *line = NULL;
	struct secret *s = NULL;
	size_t size = 0;
	ssize_t n;

	while (s == NULL && (n = getline(&line, &size, stdin)) > 0) {
		if (line[strspn(line, " \t\r\n")] != '\0')
			s = secret_new(line, n <= SHARE_SIZE ? (size_t)n : SHARE_SIZE);
		explicit_bzero(line, (size_t)n);
	}
	free(line);
	return s;
}

/* NULL: there are no more. */
static struct secret *
next_share(struct incoming *in, unsigned have, unsigned need)
{
	struct cli *cli = in->cli;
	char prompt[80], *text;
	struct secret *s;

	if (in->given < cli->nsecrets) {
		s = cli->secrets[in->given];
		cli->secrets[in->given++] = NULL;
		return s;
	}
	if (in->rest < cli->nrest) {
		text = cli->rest[in->rest++];
		return secret_new_take(text, strlen(text));
	}
	if (cli->nsecrets + cli->nrest > 0)
		return NULL;
	if (!in->asks)
		return read_line();
	snprintf(prompt, sizeof(prompt), "Share %u of %u (Enter ends): ", have + 1, need);
	s = cli_secret_ask(prompt);
	if (secret_len(s) > 0)
		return s;
	secret_free(s);
	return NULL;
}

struct progress {
	unsigned have, need, refused;
	bool open;
};

static int
bring(struct secret *share, bool split, struct progress *p)
{
	const struct msg_share_taken *a = (const void *)&door.msg;
	MSG_INIT(share_bring, m);
	int r;

	m.share = share;
	m.split = split;
	r = ask(MSG_share_bring, &m);
	if (r != 0)
		return r;
	p->have = a->have;
	p->need = a->need;
	p->open = a->open != 0;
	if (a->code == VAULT_OK)
		return 0;
	p->refused++;
	cli_error(p->need > 0 ? "What was brought before still counts." : NULL, "%.*s",
	    (int)a->message.len, a->message.p);
	return 0;
}

/* Until there are enough, or no more. 0, or an exit code after saying why. */
static int
bring_all(struct cli *cli, bool split, struct progress *p)
{
	struct incoming in = {
	    .cli = cli, .asks = cli->nsecrets + cli->nrest == 0 && isatty(STDIN_FILENO)};
	struct secret *share;
	int r = bring(NULL, split, p);

	while (
	    r == 0 && !p->open && (share = next_share(&in, p->have, p->need)) != NULL) {
		unsigned before = p->refused;

		r = bring(share, split, p);
		secret_free(share);
		if (r == 0 && p->refused == before && !cli->json)
			cli_ok("%u of %u shares", p->have, p->need);
	}
	return r;
}

/* ---- unseal ---- */

/* Another vault starts, with the key. */
static int
wait_open(const struct config *c)
{
	static const struct timespec pause = {.tv_nsec = 50000000};
	MSG_INIT(share_bring, m);
	int i;

	for (i = 0; i < OPEN_TRIES; i++) {
		if (door_open(c) == 0 &&
		    sync_ask(&door, MSG_share_bring, &m, ANSWER_MS, NULL, NULL) == 0 &&
		    door.desc->type == MSG_share_taken &&
		    ((const struct msg_share_taken *)(const void *)&door.msg)->open)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	cli_error("The gate's log says why.", "vault has the key, but does not open");
	return ADMIN_FAILED;
}

static int
say_progress(const struct cli *cli, const struct progress *p)
{
	if (cli->json)
		printf("{\"sealed\":%s,\"have\":%u,\"need\":%u}\n",
		    p->open ? "false" : "true", p->have, p->need);
	else if (p->open)
		cli_ok("The vault is open, and the gate serves again.");
	else if (p->need > p->have)
		printf("  Still sealed: %u more %s needed, within ten minutes.\n",
		    p->need - p->have, p->need - p->have == 1 ? "is" : "are");
	return !p->open && p->refused > 0 ? ADMIN_REFUSED : ADMIN_OK;
}

int
cmd_vault_unseal(struct cli *cli)
{
	struct progress p = {0};
	struct config *c;
	bool was_open;
	int r;

	(void)secret_init(2u * 1024 * 1024);
	c = cli_config(cli);
	if (c == NULL)
		return ADMIN_FAILED;
	if (cli->nrest > 0 && cli->nsecrets == 0)
		cli_warn_secret();
	if (door_open(c) == -1) {
		if (errno != ENOENT && errno != ECONNREFUSED)
			return admin_unreachable(c->vault_socket, errno);
		cli_error("Start it with \"aegis gate\": it starts sealed, and waits for "
			  "shares.",
		    "no gate is running on %s", c->data_dir);
		return ADMIN_UNREACHABLE;
	}
	r = bring(NULL, false, &p);
	was_open = p.open;
	if (r == 0 && was_open) {
		cli_error(NULL, "The vault is not sealed.");
		r = ADMIN_REFUSED;
	}
	if (r == 0)
		r = bring_all(cli, false, &p);
	if (r == 0 && p.open)
		r = wait_open(c);
	door_close();
	return r != 0 ? r : say_progress(cli, &p);
}

/* ---- seal ---- */

static void
say_where(const struct config *c, bool found)
{
	if (found)
		printf("  The key itself is still there: %s. Whoever can read that needs "
		       "no shares.\n",
		    c->master_key_source);
}

int
cmd_vault_seal(struct cli *cli)
{
	struct config *c = cli_config(cli);
	bool found;
	MSG_INIT(vault_seal, m);
	int r;

	if (c == NULL)
		return ADMIN_FAILED;
	found = c->master_key != NULL;
	r = admin_command(cli, MSG_vault_seal, &m,
	    "The vault is sealed: every request is answered 503 until \"aegis vault "
	    "unseal\" has been given enough shares.");
	if (r == ADMIN_OK && !cli->json)
		say_where(c, found);
	return r;
}

/* ---- split ---- */

struct showing {
	bool json;
	unsigned threshold, shares;
	const struct config *config;
};

/* secret_use() callback: a share a line. */
static int
show(const void *p, size_t len, void *arg)
{
	const struct showing *s = arg;
	const char *at = p, *end = at + len, *line;

	if (s->json)
		printf("{\"threshold\":%u,\"shares\":[", s->threshold);
	else
		printf(
		    "Any %u of these %u shares make the master key. They are shown once "
		    "and kept nowhere:\n\n",
		    s->threshold, s->shares);
	for (; at < end && (line = memchr(at, '\n', (size_t)(end - at))) != NULL;
	     at = line + 1)
		printf(s->json ? "%s\"%.*s\"" : "%s%.*s\n",
		    s->json ? at == (const char *)p ? "" : "," : "  ", (int)(line - at),
		    at);
	printf(s->json ? "]}\n" : "\n");
	return fflush(stdout) == 0 ? 0 : -1;
}

/* Vault is asked for a split; first for shares of the one before, if it wants them. */
static int
offer(struct cli *cli, unsigned threshold, unsigned shares, uint8_t id[16])
{
	const struct msg_split_offered *a = (const void *)&door.msg;
	struct progress p = {0};
	int i, r = 0;

	for (i = 0; i < 2; i++) {
		MSG_INIT(split_offer, m);

		m.threshold = threshold;
		m.shares = shares;
		r = ask(MSG_split_offer, &m);
		if (r != 0)
			return r;
		if (a->code == VAULT_OK) {
			memcpy(id, a->offer, sizeof(a->offer));
			return 0;
		}
		if (a->code != VAULT_SHARES || i > 0)
			break;
		fprintf(stderr, "%.*s.\n", (int)a->message.len, a->message.p);
		r = bring_all(cli, true, &p);
		if (r != 0)
			return r;
		if (!p.open) {
			cli_error(NULL, "Not enough shares. Provided %u, need %u.",
			    p.have, p.need);
			return ADMIN_REFUSED;
		}
	}
	cli_error(NULL, "%.*s", (int)a->message.len, a->message.p);
	return ADMIN_REFUSED;
}

static int
allow(unsigned threshold, unsigned shares, const uint8_t id[16])
{
	MSG_INIT(vault_split, m);

	m.threshold = threshold;
	m.shares = shares;
	memcpy(m.offer, id, sizeof(m.offer));
	return admin_ask_ok(MSG_vault_split, &m, NULL, NULL);
}

/* Shown first: from the moment they count, those from before do not. */
static int
make(const struct showing *s)
{
	const struct msg_split_made *made = (const void *)&door.msg;
	const struct msg_vault_done *kept = (const void *)&door.msg;
	MSG_INIT(split_make, m);
	MSG_INIT(split_keep, k);
	int r = ask(MSG_split_make, &m);

	if (r != 0)
		return r;
	if (made->code != VAULT_OK) {
		cli_error(NULL, "%.*s", (int)made->message.len, made->message.p);
		return ADMIN_FAILED;
	}
	if (secret_use(made->shares, show, (void *)(uintptr_t)s) == -1) {
		cli_error("All is as it was.", "the shares could not be written");
		return ADMIN_FAILED;
	}
	r = ask(MSG_split_keep, &k);
	if (r == 0 && kept->code != VAULT_OK) {
		cli_error("Throw these shares away: all is as it was.", "%.*s",
		    (int)kept->message.len, kept->message.p);
		r = ADMIN_FAILED;
	}
	return r;
}

int
cmd_vault_split(struct cli *cli)
{
	bool remove_key =
	    cli_given(cli, "remove-key") || cli_given(cli, "remove-env-key");
	struct showing s = {.json = cli->json,
	    .threshold = cli_number(cli, "threshold", THRESHOLD),
	    .shares = cli_number(cli, "shares", SHARES)};
	uint8_t id[16];
	bool found;
	int r;

	(void)secret_init(2u * 1024 * 1024);
	s.config = cli_config(cli);
	if (s.config == NULL)
		return ADMIN_FAILED;
	found = s.config->master_key != NULL;
	if (remove_key && key_remove_check(s.config) == -1)
		return ADMIN_REFUSED;
	r = admin_open(cli, ADMIN_NEED_DATA);
	if (r != 0)
		return r;
	if (door_open(s.config) == -1)
		r = admin_unreachable(s.config->vault_socket, errno);
	if (r == 0)
		r = offer(cli, s.threshold, s.shares, id);
	if (r == 0)
		r = allow(s.threshold, s.shares, id);
	if (r == 0)
		r = make(&s);
	door_close();
	admin_close();
	if (r == 0 && remove_key)
		r = key_remove(s.config) == 0 ? ADMIN_OK : ADMIN_FAILED;
	if (r != 0 || cli->json)
		return r;
	printf("  Give each to another person. Whoever has %u of them has the key; "
	       "shares of an earlier split do not unseal any more, but still make the "
	       "key: destroy them.\n",
	    s.threshold);
	if (remove_key)
		cli_ok("The key is gone from %s. A gate that is started now is sealed, "
		       "until \"aegis vault unseal\".",
		    s.config->master_key_source);
	else
		say_where(s.config, found);
	return r;
}
