/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the master's conf_gate said. gated.
 */
#ifndef AEGIS_GATED_CONF_H
#define AEGIS_GATED_CONF_H

#include <stdint.h>

#include "common/http1.h"

struct gate_conf {
	unsigned connections; /* that this process serves at once */
	struct http1_limits limits;
	uint64_t max_body; /* octets of a request's body */
	uint32_t header_timeout_ms;
	uint32_t body_timeout_ms;
	uint32_t idle_timeout_ms;
	uint32_t request_timeout_ms;
	uint32_t drain_timeout_ms;
};

extern struct gate_conf gate_conf;

struct buf;
/* Of this process, whatever the configuration says. */
void gate_conf_bound(unsigned connections);
/* The row of proc_configure(). */
int gate_conf_take(void *msg);
/* For stats_source(). */
void gate_numbers(struct buf *);

struct msg_conf_gate;
/* All of it but TLS. */
void gate_conf_read(const struct msg_conf_gate *, struct gate_conf *);

#endif
