/* SPDX-License-Identifier: Apache-2.0 */
/*
 * egressd-dispatcher: starts a worker when the judge wants one, resolves names when a
 * worker wants that, connects for tool servers that may reach named hosts. Holds no
 * secret and sees none; reads answers of name servers, which are hostile, by way of libc.
 */
#include "common/log.h"
#include "common/loop.h"
#include "common/msg.h"
#include "common/proc.h"
#include "common/stats.h"
#include "common/sandbox.h"
#include "egressd/dispatcher/dial.h"
#include "egressd/dispatcher/dispatcher.h"

static int
take_conf(void *msg)
{
	const struct msg_conf_egress *m = msg;

	spawn_limit(m->max_workers);
	dial_timeout(m->connect_timeout_ms);
	return 0;
}

static void *
worker_peer(struct chan *c, uint32_t instance, const char *tenant, const char *name)
{
	spawn_door(instance, tenant, name);
	return resolve_peer(c, instance, tenant, name);
}

static void
worker_gone(struct chan *c, void *owner)
{
	spawn_door_gone(chan_peer_instance(c));
	resolve_gone(c, owner);
}

static void
on_turn(void *arg)
{
	(void)arg;
	resolve_sweep(loop_now_ms());
	dial_tick(loop_now_ms());
}

int
main(int argc, char **argv)
{
	static const struct proc_conf_row conf[] = {
	    {MSG_conf_egress, take_conf}, {MSG_conf_tunnel, dial_conf}, {0, NULL}};
	static const struct proc_peer_row peers[] = {
	    {ROLE_JUDGE, permit_dispatch_judge, NULL, NULL, NULL},
	    {ROLE_WORKER, permit_dispatch_worker, worker_peer, NULL, worker_gone},
	    {ROLE_TOOLEXEC, permit_dispatch_toolexec, dial_peer, NULL, dial_gone},
	    {ROLE_NONE, NULL, NULL, NULL, NULL},
	};
	static const struct proc_serve serve = {
	    .peers = peers, .master_permits = permit_dispatch_master};
	static const struct sandbox_path files[] = {
	    {"/etc/resolv.conf", SANDBOX_READ | SANDBOX_MAYBE},
	    {"/etc/hosts", SANDBOX_READ | SANDBOX_MAYBE},
	    {"/etc/host.conf", SANDBOX_READ | SANDBOX_MAYBE},
	    {"/etc/gai.conf", SANDBOX_READ | SANDBOX_MAYBE},
	    {"/etc/nsswitch.conf", SANDBOX_READ | SANDBOX_MAYBE},
	    /* where /etc/resolv.conf often leads, and is replaced */
	    {"/run/systemd/resolve", SANDBOX_READ | SANDBOX_MAYBE},
	    {"/run/resolvconf", SANDBOX_READ | SANDBOX_MAYBE},
	    {"/run/NetworkManager", SANDBOX_READ | SANDBOX_MAYBE},
	};
	struct sandbox_paths paths = {.list = files,
	    .n = sizeof(files) / sizeof(files[0]),
	    .start_threads = resolve_start_threads};

	proc_begin(ROLE_DISPATCH, argc, argv);
	proc_configure(conf);
	if (dial_any())
		paths.variant = SANDBOX_DIALS;
	if (resolve_init() == -1)
		fatal("no resolver");
	proc_enter(&paths);
	if (resolve_listen() == -1)
		fatalx("out of memory");
	loop_on_turn(on_turn, NULL);
	stats_source(resolve_numbers);
	proc_serve(&serve);
	return 0;
}
