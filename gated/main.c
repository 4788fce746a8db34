/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gated: speaks HTTP with agents and decides nothing. It holds the agents' connections
 * and the gate's TLS key, opens no file and no connection, and has descriptors only from
 * the master: listening sockets, and doors to judge, workers and toolhost.
 */
#include "common/log.h"
#include "common/proc.h"
#include "common/stats.h"
#include "gated/conf.h"
#include "gated/conn.h"
#include "gated/drain.h"
#include "gated/listener.h"
#include "gated/mcp_stream.h"
#include "gated/permit.h"
#include "gated/redeemer.h"
#include "gated/timer.h"

int
main(int argc, char **argv)
{
	static const struct proc_conf_row rows[] = {
	    {MSG_conf_gate, gate_conf_take}, {0, NULL}};
	static const struct proc_peer_row peers[] = {
	    {ROLE_JUDGE, permit_gate_judge, NULL, NULL, mcp_stream_judge_gone},
	    {ROLE_WORKER, permit_gate_worker, redeemer_on_peer, NULL, redeemer_on_gone},
	    {ROLE_TOOLHOST, permit_gate_toolhost, redeemer_on_peer, NULL,
		redeemer_on_gone},
	    {ROLE_NONE, NULL, NULL, NULL, NULL},
	};
	static const struct proc_serve serve = {
	    peers, listener_take, drain_begin, permit_gate_master};

	proc_begin(ROLE_GATE, argc, argv);
	proc_configure(rows);
	proc_enter(NULL);
	if (timers_init() == -1 || conns_init() == -1)
		fatalx("no memory");
	stats_source(gate_numbers);
	proc_serve(&serve);
	return 0;
}
