/* SPDX-License-Identifier: Apache-2.0 */
/* What the master's conf_gate says, and this process's numbers. gated. */
#include "gated/conf.h"

#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "common/metrics.h"
#include "common/msg.h"
#include "gated/body.h"
#include "gated/conn.h"
#include "gated/req.h"
#include "gated/tls.h"

#define HEAD_MAX 16384 /* what an authorization message can carry of it */
#define HEAD_MIN 1024
#define TARGET_MAX 8192
#define FIELDS_MAX 100
#define DESCRIPTORS_OTHER 512 /* doors to workers */
#define PER_CONNECTION 3      /* its own, a body's stream, an answer's */

struct gate_conf gate_conf;
static unsigned bound = 65536;

static uint32_t
or_default(uint32_t value, uint32_t otherwise)
{
	return value != 0 ? value : otherwise;
}

/* Connections for which there are descriptors, whatever the configuration says. */
static unsigned
descriptors_allow(void)
{
	static unsigned most; /* asked before the process is boxed */
	struct rlimit rl;
	rlim_t files = 65536; /* what priv_rlimits() asks for */

	if (most != 0)
		return most;
	if (getuid() != 0 && getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_max < files)
		files = rl.rlim_max;
	most = files > 2 * DESCRIPTORS_OTHER
	    ? (unsigned)(files - DESCRIPTORS_OTHER) / PER_CONNECTION
	    : 16;
	return most;
}

void
gate_conf_bound(unsigned connections)
{
	bound = connections;
}

void
gate_conf_read(const struct msg_conf_gate *m, struct gate_conf *c)
{
	uint32_t workers = or_default(m->workers, 1);
	uint32_t head = or_default(m->max_header_bytes, HEAD_MAX);
	unsigned most = descriptors_allow();

	/* a share each, rounded up */
	c->connections = or_default(m->max_connections, 10000) / workers;
	c->connections += m->max_connections % workers != 0;
	if (c->connections > most)
		c->connections = most;
	if (c->connections > bound)
		c->connections = bound;
	if (c->connections == 0)
		c->connections = 1;
	c->limits.head = head > HEAD_MAX ? HEAD_MAX : head < HEAD_MIN ? HEAD_MIN : head;
	c->limits.target = TARGET_MAX;
	c->limits.headers = FIELDS_MAX;
	c->max_body = m->max_body_bytes;
	c->header_timeout_ms = or_default(m->header_timeout_ms, 10000);
	c->body_timeout_ms = or_default(m->body_timeout_ms, 30000);
	c->idle_timeout_ms = or_default(m->idle_timeout_ms, 60000);
	c->request_timeout_ms = or_default(m->request_timeout_ms, 30000);
	c->drain_timeout_ms = or_default(m->drain_timeout_ms, 10000);
}

int
gate_conf_take(void *msg)
{
	struct msg_conf_gate *m = msg;
	int cert = m->tls_cert, key = m->tls_key;

	gate_conf_read(m, &gate_conf);
	if (cert < 0 && key < 0)
		return 0;
	if (cert < 0 || key < 0) {
		LOG_ERROR(
		    "tls.incomplete", LS("missing", cert < 0 ? "certificate" : "key"));
		return -1;
	}
	m->tls_cert = m->tls_key = -1;
	return tls_init_take(cert, key);
}

void
gate_numbers(struct buf *b)
{
	(void)metrics_put(b, METRIC_connections, NULL, conns_open());
	(void)metrics_put(b, METRIC_gate_requests, NULL, requests_begun());
	(void)metrics_put(b, METRIC_gate_held, NULL, body_held());
}
