/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of the database for aegis db backup, into a descriptor that the command line
 * brought: the judge alone opens its files. Judge only.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "common/proto.h"
#include "keymasterd/judge/act.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/store.h"
#include "keymasterd/judge/turn.h"

static int
write_all(const void *p, size_t len, void *arg)
{
	int fd = *(int *)arg;
	const char *at = p;
	ssize_t n;

	while (len > 0) {
		if ((n = write(fd, at, len)) <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

struct copy {
	struct act act;
	int fd;
};

static void
make_copy(int ok, void *arg)
{
	struct copy *copy = arg;

	if (ok && store_copy(judge_store, write_all, &copy->fd) == -1)
		ok = 0;
	close(copy->fd);
	act_end(&copy->act, ok ? ADMIN_OK : ADMIN_FAILED,
	    ok ? "" : "The database could not be copied.");
}

int
admin_db_copy(struct chan *c, uint64_t reqid, void *msg)
{
	struct msg_db_copy *m = msg;
	struct copy *copy;
	struct stat st;

	/* anything else could make us wait for its other end */
	if (fstat(m->out, &st) == -1 || !S_ISREG(st.st_mode))
		return admin_refuse(
		    c, reqid, "The copy goes into a file and nothing else.");
	if (act_pending("db.backup"))
		return admin_refuse(c, reqid, "Another copy is being made; try again.");
	if ((copy = act_new(c, reqid, "db.backup", sizeof(*copy))) == NULL)
		return 0;
	copy->fd = m->out;
	m->out = -1;
	admin_ledger(c, &(struct admin_act){.event = copy->act.event});
	turn_then(make_copy, copy);
	return 0;
}
