/* SPDX-License-Identifier: Apache-2.0 */
/* The versions of the token key in Transit; see bao_transit.h. Runs in vault. */
#include "keymasterd/vault/bao_transit.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/b64.h"
#include "common/json.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/rfc3339.h"
#include "keymasterd/vault/bao_session.h"
#include "keymasterd/vault/bao_sign.h"
#include "keymasterd/vault/sign.h"

#define LOOK_MS 20000
#define AGAIN_MS 1000 /* while no version is known */
#define WAIT_MS 2500
#define VERSIONS_MAX (VAULT_OLD_MAX + 1)

struct version {
	unsigned number;
	uint8_t pub[VAULT_PUBLIC_LEN];
	int64_t created_s;
};

struct waiter {
	SLIST_ENTRY(waiter) entry;
	struct event timer;
	vault_done_fn done;
	void *arg;
};

static char mount[129], name[129];
static struct version versions[VERSIONS_MAX]; /* newest first */
static size_t nversions;
static bool looking, look_again;
static struct event look_timer;
static void (*on_changed)(void);
static SLIST_HEAD(, waiter) waiters = SLIST_HEAD_INITIALIZER(waiters);

int
bao_transit_setup(struct span m, struct span key)
{
	return span_copy(m, mount, sizeof(mount)) == -1 ||
		span_copy(key, name, sizeof(name)) == -1
	    ? -1
	    : 0;
}

bool
bao_transit_on(void)
{
	return name[0] != '\0';
}

bool
bao_transit_names(const char **m, const char **key)
{
	*m = mount;
	*key = name;
	return bao_transit_on();
}

const uint8_t *
bao_transit_public(void)
{
	return nversions > 0 ? versions[0].pub : NULL;
}

/* A token lives a day at most: a version verifies for a day after the next one began. */
size_t
bao_transit_old(uint64_t now_s, struct vault_old_key out[VAULT_OLD_MAX])
{
	uint64_t retires;
	size_t i, n = 0;

	for (i = 1; i < nversions; i++) {
		retires = (uint64_t)versions[i - 1].created_s + SIGN_LIFETIME_MAX +
		    LOOK_MS / 1000 + SIGN_CLOCK_SLACK;
		if (retires <= now_s)
			continue;
		memcpy(out[n].pub, versions[i].pub, VAULT_PUBLIC_LEN);
		out[n++].retires_s = retires;
	}
	return n;
}

/* -- those who wait for the first version -- */

static void
waiter_end(struct waiter *w)
{
	static const struct vault_answer known = {.code = VAULT_OK};

	evtimer_del(&w->timer);
	SLIST_REMOVE(&waiters, w, waiter, entry);
	w->done(&known, w->arg);
	free(w);
}

static void
on_waited(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	waiter_end(arg);
}

void
bao_transit_wait(vault_done_fn done, void *arg)
{
	static const struct vault_answer known = {.code = VAULT_OK};
	const struct timeval tv = {WAIT_MS / 1000, WAIT_MS % 1000 * 1000};
	struct waiter *w = nversions > 0 ? NULL : calloc(1, sizeof(*w));

	if (w == NULL || evtimer_assign(&w->timer, loop_base(), on_waited, w) == -1 ||
	    evtimer_add(&w->timer, &tv) == -1) {
		free(w);
		done(&known, arg);
		return;
	}
	w->done = done;
	w->arg = arg;
	SLIST_INSERT_HEAD(&waiters, w, entry);
}

/* -- what OpenBao says of the key -- */

static int
read_version(const struct json_doc *d, uint32_t keys, int64_t number, struct version *v)
{
	char text[64], created[64];
	uint32_t node;
	size_t len;

	snprintf(text, sizeof(text), "%lld", (long long)number);
	node = json_get(d, keys, text);
	if (json_str_copy(d, json_get(d, node, "public_key"), text, sizeof(text), &len) ==
		-1 ||
	    b64_decode(B64_STD, text, len, v->pub, sizeof(v->pub)) != sizeof(v->pub) ||
	    json_str_copy(d, json_get(d, node, "creation_time"), created, sizeof(created),
		&len) == -1 ||
	    rfc3339_parse(created, len, &v->created_s, NULL) == -1 || v->created_s < 0)
		return -1;
	v->number = (unsigned)number;
	return 0;
}

/* NULL, or what is wrong with it. */
static const char *
read_key(struct span body, struct version *out, size_t *n)
{
	const char *why = "OpenBao's answer is not that of the Transit engine";
	struct json_doc doc;
	uint32_t data, keys;
	int64_t latest, i;

	*n = 0;
	json_init(&doc);
	if (json_parse(&doc, body.p, body.len, NULL) != JSON_OK)
		goto out;
	data = json_get(&doc, json_root(&doc), "data");
	keys = json_get(&doc, data, "keys");
	if (json_int64(&doc, json_get(&doc, data, "latest_version"), &latest) == -1 ||
	    latest < 1 || latest > INT32_MAX)
		goto out;
	why = "the key for tokens in OpenBao is not of type ed25519";
	if (!json_str_eq(&doc, json_get(&doc, data, "type"), "ed25519"))
		goto out;
	why = "OpenBao's answer names no public key";
	/* those that may not verify any more are left out by OpenBao itself */
	for (i = latest; i > 0 && *n < VERSIONS_MAX; i--)
		if (read_version(&doc, keys, i, &out[*n]) == 0)
			(*n)++;
		else
			break;
	if (*n > 0)
		why = NULL;
out:
	json_free(&doc);
	return why;
}

static void
take_versions(const struct version *fresh, size_t n)
{
	struct waiter *w;
	char kid[SIGN_KID_SIZE];

	if (n == nversions && memcmp(fresh, versions, n * sizeof(*fresh)) == 0)
		return;
	memset(versions, 0, sizeof(versions));
	memcpy(versions, fresh, n * sizeof(*fresh));
	nversions = n;
	sign_kid(versions[0].pub, kid);
	LOG_INFO("openbao.key", LU("version", versions[0].number), LS("kid", kid),
	    LU("versions", n));
	on_changed();
	while ((w = SLIST_FIRST(&waiters)) != NULL)
		waiter_end(w);
}

static void
look_in(uint32_t ms)
{
	const struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};

	evtimer_del(&look_timer);
	(void)evtimer_add(&look_timer, &tv);
}

static void
on_key(const struct bao_result *r, void *arg)
{
	struct version fresh[VERSIONS_MAX];
	const char *why = r->why;
	size_t n = 0;

	(void)arg;
	looking = false;
	memset(fresh, 0, sizeof(fresh));
	if (r->code == VAULT_OK)
		why = r->status == 404 ? "there is no such key in OpenBao"
				       : read_key(r->body, fresh, &n);
	if (why == NULL)
		take_versions(fresh, n);
	else
		LOG_ERROR("openbao.key", LS("key", name), LS("error", why));
	look_in(look_again ? 0 : nversions == 0 ? AGAIN_MS : LOOK_MS);
	look_again = false;
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	char path[300];
	const struct bao_call call = {.method = "GET", .path = path};

	(void)fd;
	(void)what;
	(void)arg;
	if (looking)
		return;
	looking = true;
	snprintf(path, sizeof(path), "/v1/%s/keys/%s", mount, name);
	bao_session_call(&call, on_key, NULL);
}

void
bao_transit_refresh(void)
{
	look_again = looking;
	if (!looking)
		look_in(0);
}

void
bao_transit_sign(const void *p, size_t len, vault_done_fn done, void *arg)
{
	const struct vault_answer unknown = {
	    .code = VAULT_AWAY, .why = "OpenBao has not told of its key for tokens yet"};

	if (nversions == 0)
		done(&unknown, arg);
	else
		bao_sign(mount, name, versions[0].number, versions[0].pub,
		    span_mem(p, len), done, arg);
}

void
bao_transit_start(void (*changed)(void))
{
	on_changed = changed;
	(void)evtimer_assign(&look_timer, loop_base(), on_look, NULL);
	look_in(0);
}

void
bao_transit_close(void)
{
	struct waiter *w;

	while ((w = SLIST_FIRST(&waiters)) != NULL)
		waiter_end(w);
}
