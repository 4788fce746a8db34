/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes to the judge.
 */
#include "toolhostd/report.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/loop.h"
#include "common/proc.h"
#include "toolhostd/call.h"
#include "toolhostd/server.h"

int
report_memfd(const void *p, size_t len)
{
	int fd = memfd_create("aegis", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t off = 0;
	ssize_t n;

	while (fd >= 0 && off < len) {
		n = write(fd, (const char *)p + off, len - off);
		if (n <= 0) {
			close(fd);
			return -1;
		}
		off += (size_t)n;
	}
	if (fd >= 0 &&
	    (lseek(fd, 0, SEEK_SET) != 0 ||
		fcntl(fd, F_ADD_SEALS,
		    F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == -1)) {
		close(fd);
		return -1;
	}
	return fd;
}

void
report_catalogue(const struct server *s, const char *why, enum tool_state event)
{
	const struct server *of = s->of != NULL ? s->of : s;
	struct chan *judge = proc_peer(ROLE_JUDGE);
	struct server_sum sum;
	MSG_INIT(tool_catalogue, m);
	struct buf array;

	if (judge == NULL)
		return;
	server_sum_up(of, &sum);
	buf_init(&array);
	m.server = s->number;
	m.state = (uint8_t)sum.state;
	m.event = (uint8_t)event;
	m.execution = span_str(s->execution);
	m.message = span_str(why);
	m.last_error = span_str(s->last_error);
	m.level = span_str(sum.shown->room);
	m.pid = sum.processes == 1 ? sum.shown->pid : 0;
	m.instances = sum.processes;
	m.restarts = sum.restarts;
	m.since_ms = sum.shown->since_ms;
	if (s->tools.len > 0 && s->state == TOOL_RUNNING && buf_putc(&array, '[') == 0 &&
	    buf_put(&array, s->tools.p, s->tools.len) == 0 &&
	    buf_putc(&array, ']') == 0) {
		if (array.len <= INLINE_JSON_MAX)
			m.tools = span_mem(array.p, array.len);
		else
			m.big = report_memfd(array.p, array.len);
	}
	chan_note(judge, MSG_tool_catalogue, &m);
	buf_free(&array);
}

void
report_all(void)
{
	const struct server *s;

	TAILQ_FOREACH (s, &servers, entry)
		if (s->trial == NULL)
			report_catalogue(s, s->why, 0);
}

void
report_done(const struct call *c, unsigned outcome, unsigned status, uint64_t bytes_out,
    const char *detail)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(done, m);

	if (judge == NULL)
		return;
	memcpy(m.request_id, c->request_id, sizeof(m.request_id));
	memcpy(m.grant, c->grant, sizeof(m.grant));
	m.outcome = (uint8_t)outcome;
	m.status = status;
	m.bytes_in = c->bytes_in;
	m.bytes_out = bytes_out;
	m.duration_us = loop_unix_us() - c->began_us;
	m.detail = span_str(detail);
	chan_note(judge, MSG_done, &m);
}
