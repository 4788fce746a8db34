/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets that change elsewhere; see watch.h. Runs in vault. What a worker was given is
 * remembered as a keyed hash. When the other machine cannot be asked, workers keep what
 * they have: only an answer that the secret is gone or forbidden takes it from them.
 */
#include "keymasterd/vault/watch.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/secret.h"
#include "keymasterd/vault/line.h"
#include "keymasterd/vault/lookup.h"
#include "keymasterd/vault/serve.h"

#define TICK_MS 1000

static struct event timer;
static uint8_t hash_key[crypto_generichash_KEYBYTES];
static bool running;

/* secret_use() callback */
static int
hash_secret(const void *p, size_t len, void *arg)
{
	return crypto_generichash(arg, LINE_HASH_LEN, p, len, hash_key, sizeof(hash_key));
}

static void on_tick(evutil_socket_t, short, void *);

static void
start(uint32_t ms)
{
	const struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};

	if (!running) {
		randombytes_buf(hash_key, sizeof(hash_key));
		(void)evtimer_assign(&timer, loop_base(), on_tick, NULL);
		running = true;
	}
	(void)evtimer_add(&timer, &tv);
}

/* When it is to be looked at again. */
static uint64_t
due_after(const struct vault_answer *a)
{
	uint64_t due = loop_now_ms() + WATCH_MS;

	return a->code == VAULT_OK && a->until_ms != 0 && a->until_ms < due ? a->until_ms
									    : due;
}

void
watch_given(struct line *l, const struct vault_answer *a)
{
	l->watched = a->code == VAULT_OK && a->meta->reference;
	if (!l->watched)
		return;
	if (!running || !evtimer_pending(&timer, NULL))
		start(TICK_MS);
	l->due_ms = due_after(a);
	if (secret_use(a->secret, hash_secret, l->hash) != 0)
		l->watched = false;
}

/* Its end is as good as another value: the worker asks, and hears why it has none. */
static bool
changed(const struct line *l, const struct vault_answer *a)
{
	uint8_t hash[LINE_HASH_LEN];

	switch (a->code) {
	case VAULT_OK:
		return secret_use(a->secret, hash_secret, hash) == 0 &&
		    sodium_memcmp(hash, l->hash, sizeof(hash)) != 0;
	case VAULT_AWAY:
	case VAULT_IO:
		return false;
	default:
		return true;
	}
}

void
watch_seen(struct span tenant, struct span name, const struct vault_answer *a)
{
	struct line *l;

	LIST_FOREACH (l, &lines, entry) {
		MSG_INIT(credential_changed, note);

		if (!l->watched || !span_eq(tenant, l->tenant) || !span_eq(name, l->name))
			continue;
		l->due_ms = due_after(a);
		if (!changed(l, a))
			continue;
		LOG_INFO("vault.changed", LS("tenant", l->tenant),
		    LS("credential", l->name), LU("worker", l->instance),
		    LU("code", a->code), LU("version", a->version));
		(void)chan_note(l->chan, MSG_credential_changed, &note);
	}
}

static void
on_looked(const struct vault_answer *answer, void *arg)
{
	struct pending *p = arg;

	watch_seen(span_str(p->tenant), span_str(p->subject), answer);
	pending_free(p);
}

static void
look(struct line *l)
{
	struct pending *p = pending_new(l->chan, 0);

	l->due_ms = loop_now_ms() + WATCH_MS; /* until the answer says */
	if (p == NULL)
		return;
	(void)span_copy(span_str(l->tenant), p->tenant, sizeof(p->tenant));
	(void)span_copy(span_str(l->name), p->subject, sizeof(p->subject));
	lookup_credential(p, 1, on_looked);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = loop_now_ms();
	bool any = false;
	struct line *l;

	(void)fd;
	(void)what;
	(void)arg;
	LIST_FOREACH (l, &lines, entry) {
		if (!l->watched)
			continue;
		any = true;
		if (l->due_ms <= now)
			look(l);
	}
	if (any)
		start(TICK_MS);
}

void
watch_all(void)
{
	struct line *l;

	LIST_FOREACH (l, &lines, entry)
		l->due_ms = 0;
	if (running)
		start(0);
}
