/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has connected to the local socket is nothing that gated may say: the judge gets a
 * duplicate of the descriptor and looks itself. gated.
 */
#include "gated/process.h"

#include <fcntl.h>
#include <stdlib.h>

#include "common/msg.h"
#include "common/proc.h"
#include "gated/conn.h"

#define JUDGE_MS 5000

/* Outlives the connection: a number that comes too late is given back. */
struct process_question {
	struct conn *conn; /* NULL: closed */
};

static void
give_back(uint64_t process)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	MSG_INIT(process_gone, m);

	m.process = process;
	if (process != 0 && judge != NULL)
		(void)chan_note(judge, MSG_process_gone, &m);
}

static void
on_known(struct chan *judge, enum chan_status status, void *msg, void *arg)
{
	const struct msg_process_known *m = msg;
	struct process_question *q = arg;
	uint64_t process = status == CHAN_OK ? m->process : 0;
	struct conn *c = q->conn;

	(void)judge;
	free(q);
	if (c == NULL) {
		give_back(process);
		return;
	}
	c->process_ask = NULL;
	c->process = process;
	c->state = CONN_HEAD;
	conn_update(c);
}

void
process_ask(struct conn *c)
{
	struct chan *judge = proc_peer(ROLE_JUDGE);
	struct process_question *q = malloc(sizeof(*q));
	MSG_INIT(process_seen, m);

	if (q != NULL && judge != NULL &&
	    (m.conn = fcntl(c->stream.fd, F_DUPFD_CLOEXEC, 0)) >= 0) {
		q->conn = c;
		if (chan_ask(judge, MSG_process_seen, &m, JUDGE_MS, on_known, q) != 0) {
			c->process_ask = q;
			return;
		}
	}
	free(q);
	c->state = CONN_HEAD; /* it is nobody then */
}

void
process_leave(struct conn *c)
{
	if (c->process_ask != NULL)
		c->process_ask->conn = NULL;
	give_back(c->process);
	c->process_ask = NULL;
	c->process = 0;
}
