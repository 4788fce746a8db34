/* SPDX-License-Identifier: Apache-2.0 */
/* Shares that people have brought; see quorum.h. Runs in vault. */
#include "keymasterd/vault/quorum.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <string.h>

#include "common/hex.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/secret.h"
#include "keymasterd/vault/store.h"

static int dir = -1, keep, have_split;
static const char *name;
static struct split split;
static struct share brought[SHARE_MAX];
static unsigned have;
static struct event timer;
static void (*on_old)(void);

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (on_old != NULL && have > 0)
		on_old();
	quorum_forget();
}

void
quorum_open(int dirfd, const char *vault, int sealed)
{
	dir = dirfd;
	name = vault;
	keep = sealed;
	have_split = split_load(dir, name, &split) == 0;
	if (!have_split && errno != ENOENT)
		LOG_ERROR("vault.split", LS("file", name), LE("error", errno),
		    LS("what",
			"which shares count cannot be read: bring the file back from a "
			"backup, or split the key again"));
	evtimer_assign(&timer, loop_base(), on_timer, NULL);
}

void
quorum_on_old(void (*fn)(void))
{
	on_old = fn;
}

const struct split *
quorum_split(void)
{
	return have_split ? &split : NULL;
}

int
quorum_replace(const struct split *s)
{
	if (split_save(dir, name, s) == -1)
		return -1;
	split = *s;
	have_split = 1;
	quorum_forget();
	return 0;
}

const char *
quorum_bring(struct share *s)
{
	static const struct timeval life = {.tv_sec = QUORUM_LIFE_MS / 1000};
	const char *why;
	unsigned i;

	if (!have_split)
		return "this vault's key was never split, or its file of shares is gone: "
		       "bring that back from a backup";
	if ((why = split_refuses(&split, s)) != NULL)
		return why;
	for (i = 0; i < have; i++)
		if (brought[i].number == s->number)
			return "this share was brought already: another one is needed";
	if (have == SHARE_MAX)
		return "there are enough";
	brought[have] = *s;
	if (keep)
		s->octets = NULL;
	else
		brought[have].octets = NULL;
	have++;
	(void)event_add(&timer, &life);
	return NULL;
}

unsigned
quorum_have(void)
{
	return have;
}

int
quorum_there(void)
{
	return have_split && have >= split.threshold;
}

void
quorum_forget(void)
{
	while (have > 0)
		share_end(&brought[--have]);
	if (event_initialized(&timer))
		(void)event_del(&timer);
}

/* secret_new_fill() callback over a key. */
static int
put_digits(const void *p, size_t len, void *arg)
{
	/* 2 * len digits and a NUL behind them */
	return hex_encode(p, len, arg, 2 * len + 1) == (ssize_t)(2 * len) ? 0 : -1;
}

static long
fill_text(void *p, size_t max, void *arg)
{
	if (max != 2 * SHARE_LEN + 1 || secret_use(arg, put_digits, p) == -1)
		return -1;
	return 2 * SHARE_LEN;
}

struct secret *
quorum_join(const char **why)
{
	struct secret *key, *text = NULL;
	enum store_code code;
	struct store probe;

	*why = "vault has no memory for it";
	key = split_join(brought, split.threshold);
	quorum_forget();
	if (key == NULL || store_init(&probe, dir, name) == -1)
		goto out;
	code = store_open(&probe, key);
	store_free(&probe);
	if (code == STORE_OK)
		text = secret_new_fill(2 * SHARE_LEN + 1, fill_text, key);
	else if (code == STORE_KEY)
		*why = "Key verification failed: these shares make another key than this "
		       "vault's";
	else
		*why = "the vault file cannot be opened; the log of vault says why";
	if (code != STORE_OK)
		LOG_ERROR("vault.join", LI("code", code), LE("error", errno));
out:
	secret_free(key);
	return text;
}
