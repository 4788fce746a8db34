/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sealing and unsealing; see sealed.h. Processes that have secrets are not asked to
 * forget them: they end. Runs in the master.
 */
#include "aegis/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aegis/child.h"
#include "aegis/config.h"
#include "aegis/confsend.h"
#include "aegis/master.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proto.h"
#include "common/secret.h"

#define KEY_DIGITS 64
#define VAULT_MS 1000 /* to wipe what it has, before it is ended */
#define TOOL_MS 1000  /* of tool servers, behind their SIGTERM */
#define WORKER_MS 200

static const struct config *config;
static bool sealed, joined;
static uint64_t asked;        /* the judge's question, 0: none */
static uint32_t asker;        /* its instance */
static uint32_t vault;        /* the one that is to end by itself, 0: none */
static uint64_t vault_end_ms; /* then it is ended */
static uint32_t opened_by;    /* the one whose key has not opened a vault yet, 0: none */

static int
path_of(char *path, size_t size, const char *data_dir)
{
	return snprintf(path, size, "%s/.sealed", data_dir) < (int)size ? 0 : -1;
}

bool
sealed_marked(const char *data_dir)
{
	char path[1100];

	return path_of(path, sizeof(path), data_dir) == 0 && access(path, F_OK) == 0;
}

bool
sealed_is_split(const struct config *c)
{
	char path[1200];

	snprintf(path, sizeof(path), "%s/vault/%s.split", c->data_dir, c->vault_name);
	return access(path, F_OK) == 0;
}

bool
sealed_would_be(const struct config *c)
{
	return sealed_marked(c->data_dir) ||
	    (c->master_key == NULL && sealed_is_split(c));
}

void
sealed_setup(struct config *c)
{
	config = c;
	sealed = sealed_would_be(c);
	joined = false;
	if (!sealed)
		return;
	secret_free(c->master_key);
	c->master_key = NULL;
}

bool
sealed_now(void)
{
	return sealed;
}

bool
sealed_joined(void)
{
	return joined;
}

/* The mark that lasts; on: made, else taken away. 0 or -1 with errno. */
static int
mark(bool on)
{
	char path[1100];
	int fd, dir, err = 0;

	if (path_of(path, sizeof(path), config->data_dir) == -1) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (on) {
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd == -1)
			return -1;
		if (fsync(fd) == -1)
			err = errno;
		close(fd);
	} else if (unlink(path) == -1 && errno != ENOENT) {
		return -1;
	}
	dir = open(config->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir == -1 || fsync(dir) == -1)
		err = err != 0 ? err : errno;
	if (dir >= 0)
		close(dir);
	errno = err;
	return err == 0 ? 0 : -1;
}

/* -- sealing -- */

static bool
has_secrets(const struct child *c)
{
	return c->role == ROLE_WORKER || c->role == ROLE_TOOLEXEC ||
	    (c->role == ROLE_VAULT && c->instance == vault);
}

/* It wipes what it has; whoever takes longer is ended. */
static void
end_vault(void)
{
	struct child *c = child_of_role(ROLE_VAULT);
	MSG_INIT(stop, m);

	vault = c != NULL ? c->instance : 0;
	vault_end_ms = loop_now_ms() + VAULT_MS;
	if (c != NULL && c->door != NULL)
		(void)chan_note(c->door, MSG_stop, &m);
}

static void
end_all(void)
{
	struct child *c;

	end_vault();
	TAILQ_FOREACH (c, &children, entry) {
		if (c->role == ROLE_WORKER)
			child_end(c, WORKER_MS);
		if (c->role == ROLE_TOOLEXEC)
			child_end(c, TOOL_MS);
		/* what it remembers of workers that were ended is not their fault */
		if (c->role == ROLE_DISPATCH)
			child_end(c, WORKER_MS);
	}
}

static int
answer(int err, const char *message)
{
	struct child *judge = child_find(asker);
	MSG_INIT(seal_done, m);
	uint64_t reqid = asked;

	asked = 0;
	if (judge == NULL || judge->door == NULL)
		return 0;
	m.code = (uint32_t)err;
	m.message = span_str(message);
	return chan_answer(judge->door, reqid, MSG_seal_done, &m);
}

int
sealed_want(struct chan *c, uint64_t reqid, void *msg)
{
	(void)msg;
	if (asked != 0) {
		MSG_INIT(seal_done, busy);

		busy.code = EBUSY;
		busy.message = span_str("it is being sealed already");
		return chan_answer(c, reqid, MSG_seal_done, &busy);
	}
	asked = reqid;
	asker = chan_peer_instance(c);
	if (!sealed_is_split(config))
		return answer(ENOENT,
		    "Key splitting is not configured: nobody could unseal it. First: "
		    "aegis vault split");
	if (mark(true) == -1) {
		LOG_ERROR("seal.mark", LS("dir", config->data_dir), LE("error", errno));
		return answer(errno,
		    "DATA/.sealed cannot be written, so it would not last; the log says "
		    "why");
	}
	sealed = true;
	joined = false;
	confsend_key(-1);
	end_all();
	LOG_WARN("sealed", LS("unseal", "aegis vault unseal"));
	sealed_tick(loop_now_ms());
	return 0;
}

/* -- unsealing -- */

int
sealed_key(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_key_joined *m = msg;
	struct child *toolhost = child_of_role(ROLE_TOOLHOST);
	int fd;

	(void)reqid;
	if (!sealed || secret_len(m->key) != KEY_DIGITS)
		return -1; /* nobody asked it for one */
	fd = master_key_descriptor(m->key);
	if (fd == -1)
		return 0;
	opened_by = chan_peer_instance(c);
	sealed = false;
	joined = true;
	confsend_key(fd);
	end_vault();
	if (toolhost != NULL) /* so that it starts its servers now, and not later */
		child_end(toolhost, WORKER_MS);
	return 0;
}

int
sealed_lend(struct chan *c, uint64_t reqid, void *msg)
{
	MSG_INIT(key_lent, m);

	(void)msg;
	m.key = confsend_key_dup();
	return chan_answer(c, reqid, MSG_key_lent, &m);
}

void
sealed_vault_ready(const struct child *c)
{
	if (opened_by == 0 || c->instance == opened_by)
		return;
	opened_by = 0;
	if (mark(false) == -1)
		LOG_ERROR("unseal.mark", LE("error", errno),
		    LS("what", "the next start will be sealed again"));
	LOG_INFO("unsealed");
}

void
sealed_vault_gone(const struct child *c)
{
	if (opened_by == 0 || c->instance == opened_by)
		return;
	opened_by = 0;
	sealed = true;
	joined = false;
	confsend_key(-1);
	LOG_ERROR("unseal.failed",
	    LS("what",
		"vault does not open with the key that was "
		"made of shares: it is sealed as before"));
}

void
sealed_tick(uint64_t now_ms)
{
	struct child *c;
	bool left = false;

	if (asked == 0 && vault == 0)
		return;
	TAILQ_FOREACH (c, &children, entry) {
		left |= has_secrets(c);
		if (c->instance == vault && now_ms >= vault_end_ms)
			child_end(c, 0);
	}
	if (child_find(vault) == NULL)
		vault = 0;
	if (!left && asked != 0)
		(void)answer(0, "");
}
