/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The box, the loop and the peers of every daemon. What the master says on descriptor 3
 * is trusted; what peers say is not, and is left to chan.c and the permit tables.
 */
#include "common/proc.h"

#include <event2/event.h>
#include <signal.h>
#include <sodium.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/priv.h"
#include "common/sandbox.h"

#define SINGLE_PEERS_MAX ROLE_MAX

static struct sandbox_level level;
static const struct proc_serve *serve;
static struct chan *master;
static const char *announced = "";
static struct chan *single[SINGLE_PEERS_MAX];

void
proc_begin(enum role role, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (sodium_init() == -1)
		fatalx("libsodium does not start");
	proc_boot(role);
}

void
proc_enter(const struct sandbox_paths *paths)
{
	if (loop_init() == -1)
		fatalx("no event loop");
	priv_no_dumps();
	priv_rlimits(proc_self.role);
	priv_drop_user(proc_self.role, proc_self.uid, proc_self.gid);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of user clears it */
	priv_drop_caps();
	sandbox_enter(proc_self.role, paths, &level);
}

struct chan *
proc_master(void)
{
	return master;
}

struct chan *
proc_peer(enum role role)
{
	struct chan *c = single[role];

	return c != NULL && chan_is_ready(c) ? c : NULL;
}

static const struct proc_peer_row *
row_of(enum role role)
{
	const struct proc_peer_row *row;

	for (row = serve->peers; row->role != ROLE_NONE; row++)
		if (row->role == role)
			return row;
	return NULL;
}

static void
peer_ready(struct chan *c, void *owner)
{
	const struct proc_peer_row *row = row_of(chan_peer_role(c));

	if (row == NULL)
		return;
	single[row->role] = c; /* the newest door is the one that counts */
	if (row->on_ready != NULL)
		row->on_ready(c, owner);
}

static void
peer_gone(struct chan *c, void *owner)
{
	const struct proc_peer_row *row = row_of(chan_peer_role(c));

	if (row == NULL)
		return;
	if (single[row->role] == c)
		single[row->role] = NULL;
	if (row->on_gone != NULL)
		row->on_gone(c, owner);
}

static int
on_peer(struct chan *from, uint64_t reqid, void *msg)
{
	struct msg_peer *m = msg;
	const struct proc_peer_row *row = row_of((enum role)m->role);
	struct chan_conf conf = {
	    .own_role = proc_self.role, .on_ready = peer_ready, .on_gone = peer_gone};
	char tenant[65], name[161], execution[65];
	struct chan *c;

	(void)from;
	(void)reqid;
	if (row == NULL || span_copy(m->tenant, tenant, sizeof(tenant)) == -1 ||
	    span_copy(m->name, name, sizeof(name)) == -1 ||
	    span_copy(m->execution, execution, sizeof(execution)) == -1) {
		LOG_ERROR("peer.unexpected", LS("role", role_name((enum role)m->role)));
		return 0;
	}
	conf.peer_role = row->role;
	conf.peer_instance = m->instance;
	conf.permits = row->permits;
	(void)span_copy(m->name, conf.peer_name, sizeof(conf.peer_name));
	c = chan_new(loop_base(), m->fd, &conf);
	m->fd = -1;
	announced = execution;
	if (c != NULL && row->on_peer != NULL)
		chan_owner_set(c, row->on_peer(c, conf.peer_instance, tenant, name));
	announced = "";
	return 0;
}

const char *
proc_peer_execution(void)
{
	return announced;
}

static int
on_listen(struct chan *from, uint64_t reqid, void *msg)
{
	struct msg_listen *m = msg;

	(void)from;
	(void)reqid;
	if (serve->on_listen == NULL)
		return 0;
	serve->on_listen(m->kind, m->fd);
	m->fd = -1;
	return 0;
}

static int
on_stop(struct chan *from, uint64_t reqid, void *msg)
{
	const struct msg_stop *m = msg;

	(void)from;
	(void)reqid;
	if (serve->on_stop != NULL)
		serve->on_stop(m->drain_ms);
	else
		loop_stop();
	return 0;
}

static int
on_log(struct chan *from, uint64_t reqid, void *msg)
{
	const struct msg_conf_log *m = msg;

	(void)from;
	(void)reqid;
	log_init(
	    proc_self.role, (enum log_format)m->log_format, (enum log_level)m->log_level);
	return 0;
}

/* Without its master a daemon serves nobody. */
static void
master_gone(struct chan *c, void *owner)
{
	(void)c;
	(void)owner;
	master = NULL;
	loop_stop();
}

static void (*also_tell)(enum role, uint32_t, unsigned, const char *);

void
proc_on_violation(void (*fn)(enum role, uint32_t, unsigned, const char *))
{
	also_tell = fn;
}

static void
report_violation(enum role role, uint32_t instance, unsigned type, const char *reason)
{
	MSG_INIT(permit_refused, note);
	MSG_INIT(misbehaved, m);

	if (also_tell != NULL)
		also_tell(role, instance, type, reason);

	if (role == ROLE_MASTER || role == ROLE_ADMIN)
		return;
	if (proc_peer(ROLE_JUDGE) != NULL) {
		note.role = (uint8_t)role;
		note.instance = instance;
		note.type = type;
		note.reason = span_str(reason);
		chan_note(single[ROLE_JUDGE], MSG_permit_refused, &note);
	}
	m.instance = instance;
	m.reason = span_str(reason);
	if (master != NULL)
		chan_note(master, MSG_misbehaved, &m);
}

/* The four notes every daemon takes from the master, then the daemon's own rows. */
static const struct permit *
master_table(const struct permit *own)
{
	static struct permit table[64] = {
	    {MSG_peer, CHAN_ANY, 0, on_peer},
	    {MSG_listen, CHAN_ANY, 0, on_listen},
	    {MSG_stop, CHAN_ANY, 0, on_stop},
	    {MSG_conf_log, CHAN_ANY, 0, on_log},
	};
	size_t n = 4;

	for (; own != NULL && own->type != 0 && n < 63; own++)
		table[n++] = *own;
	return table;
}

void
proc_serve(const struct proc_serve *s)
{
	struct chan_conf conf = {.own_role = proc_self.role,
	    .peer_role = ROLE_MASTER,
	    .permits = master_table(s->master_permits),
	    .on_gone = master_gone};
	char text[256];
	size_t len;
	uint8_t *rest = proc_boot_rest(&len);
	MSG_INIT(ready, m);

	serve = s;
	chan_violation_hook(report_violation);
	master = chan_new_greeted(loop_base(), MASTER_FD, &conf);
	if (master == NULL)
		fatalx("no door to the master");
	sandbox_level_text(&level, text, sizeof(text));
	LOG_INFO("start", LS("box", text));
	m.level = span_str(text);
	chan_note(master, MSG_ready, &m);
	chan_feed(master, rest, len);
	loop_run();
	LOG_INFO("stop", LI("instance", proc_self.instance));
}
