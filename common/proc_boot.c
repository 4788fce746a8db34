/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start-up path of every daemon, without a loop, which toolexec does without: what
 * the master says on descriptor 3, which is trusted.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/log.h"
#include "common/priv.h"
#include "common/proc.h"
#include "common/sync.h"

#define CONF_TIMEOUT_MS 10000

#ifdef AEGIS_SANITIZE
/* the search for leaks attaches to the process, which a box refuses */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

struct proc_self proc_self;

static struct sync boot;

void
proc_boot(enum role role)
{
	static const int keep[] = {0, 1, 2, MASTER_FD};

	log_init(role, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
	if (fcntl(MASTER_FD, F_GETFD) == -1)
		fatalx("this program is started by \"aegis gate\", not by hand");
	fcntl(MASTER_FD, F_SETFD, FD_CLOEXEC);
	priv_close_fds(keep, sizeof(keep) / sizeof(keep[0]));
	clearenv();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* a terminal's ^C is the master's business */
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	proc_self.role = role;
	if (sync_hello(&boot, MASTER_FD, role, ROLE_MASTER, CONF_TIMEOUT_MS) == -1)
		fatal("the master did not greet (programs of different builds?)");
}

static void
take_common(const struct msg_conf_common *m)
{
	proc_self.instance = m->instance;
	proc_self.uid = m->uid;
	proc_self.gid = m->gid;
	if (span_copy(m->name, proc_self.name, sizeof(proc_self.name)) == -1 ||
	    span_copy(m->tenant, proc_self.tenant, sizeof(proc_self.tenant)) == -1 ||
	    span_copy(m->dir, proc_self.dir, sizeof(proc_self.dir)) == -1)
		fatalx("configuration: a name is too long");
	log_init(
	    proc_self.role, (enum log_format)m->log_format, (enum log_level)m->log_level);
}

/*
 * The master spoke of something that happens, not of the configuration, before we had all
 * of that. What we are to know of it stands in the configuration, so it costs nothing but
 * the message.
 */
static void
early(const struct msg_desc *d)
{
	if (d->type == MSG_stop) {
		LOG_INFO("stop", LI("instance", proc_self.instance));
		exit(0);
	}
	LOG_WARN("early", LS("message", d->name));
}

void
proc_configure(const struct proc_conf_row *rows)
{
	const struct proc_conf_row *row;

	for (;;) {
		if (sync_recv(&boot, CONF_TIMEOUT_MS) == -1)
			fatal("configuration did not arrive");
		if (boot.desc->type == MSG_conf_done)
			break;
		if (boot.desc->type == MSG_conf_common) {
			take_common((const void *)&boot.msg);
			continue;
		}
		for (row = rows; row->type != 0 && row->type != boot.desc->type; row++)
			;
		if (row->type == 0 && strncmp(boot.desc->name, "conf_", 5) != 0) {
			early(boot.desc);
			continue;
		}
		if (row->type == 0)
			fatalx(
			    "configuration: %s is not for this process", boot.desc->name);
		if (row->fn(&boot.msg) == -1)
			fatalx("configuration: %s cannot be used", boot.desc->name);
	}
	sync_done(&boot);
}

uint8_t *
proc_boot_rest(size_t *len)
{
	*len = boot.end - boot.off;
	return boot.octets + boot.off;
}

int
proc_wait_peer(enum role role, int timeout_ms)
{
	static int early[ROLE_MAX]; /* who came while another was waited for; 0: nobody */
	struct msg_peer *m = (void *)&boot.msg;
	int fd = early[role];

	early[role] = 0;
	while (fd <= 0) {
		if (sync_recv(&boot, timeout_ms) == -1)
			return -1;
		if (boot.desc->type != MSG_peer || m->role >= ROLE_MAX)
			continue;
		if (m->role == (uint8_t)role)
			fd = m->fd;
		else if (early[m->role] == 0)
			early[m->role] = m->fd;
		else
			continue;
		m->fd = -1;
	}
	sync_done(&boot);
	return fd;
}

int
proc_say_ready(const char *text)
{
	MSG_INIT(ready, m);

	m.level = span_str(text);
	return sync_send(&boot, MSG_ready, &m, 0);
}
