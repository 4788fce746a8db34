/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gated-api: the data API, for dashboards and monitoring, on a port of its own. It is the
 * gate's HTTP with another table of paths: it passes questions to the judge and sends on
 * what the judge answers. It has a door to the judge and to nobody else, so it can reach
 * no worker and no tool server; people's tokens pass through it, agents' do not.
 */
#include "common/log.h"
#include "common/proc.h"
#include "common/stats.h"
#include "gated/conf.h"
#include "gated/conn.h"
#include "gated/feed.h"
#include "gated/listener.h"
#include "gated/permit.h"
#include "gated/route.h"
#include "gated/timer.h"

#define CONNECTIONS_MAX 256

int
main(int argc, char **argv)
{
	static const struct proc_conf_row rows[] = {
	    {MSG_conf_gate, gate_conf_take}, {0, NULL}};
	static const struct proc_peer_row peers[] = {
	    {ROLE_JUDGE, permit_api_judge, NULL, NULL, feed_judge_gone},
	    {ROLE_NONE, NULL, NULL, NULL, NULL},
	};
	static const struct proc_serve serve = {
	    peers, listener_take, feed_stop, permit_gate_master};

	proc_begin(ROLE_API, argc, argv);
	gate_conf_bound(CONNECTIONS_MAX);
	proc_configure(rows);
	route_data_api();
	proc_enter(NULL);
	if (timers_init() == -1 || conns_init() == -1)
		fatalx("no memory");
	stats_source(gate_numbers);
	stats_source(feed_numbers);
	proc_serve(&serve);
	return 0;
}
