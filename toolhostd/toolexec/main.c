/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toolexec: starts one tool server in a room of its own, with its secrets in its
 * environment, and stays as the pump between it and toolhost. Started by the master, with
 * the server's input and output as descriptors 0 and 1. Knows the secrets of this one
 * server; parses nothing but, when an answer must be withheld, its id.
 *
 * Three processes: the pump (outside), the first process of the PID namespace, which only
 * waits and reaps, and the server. A fourth, the relay, where it may reach named hosts.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/priv.h"
#include "common/proc.h"
#include "common/proto.h"
#include "common/sandbox.h"
#include "common/secret.h"
#include "toolhostd/toolexec/environ.h"
#include "toolhostd/toolexec/fdpass.h"
#include "toolhostd/toolexec/isolate.h"
#include "toolhostd/toolexec/plan.h"
#include "toolhostd/toolexec/probe.h"
#include "toolhostd/toolexec/pump.h"
#include "toolhostd/toolexec/relay.h"
#include "toolhostd/toolexec/room.h"

#define PEER_TIMEOUT_MS 10000

static volatile sig_atomic_t child;
static int relay_line = -1; /* to the relay, when there is one */

/* SIGTERM goes on to the server; the master follows with SIGKILL five seconds later. */
static void
forward(int sig)
{
	if (child > 0)
		kill((pid_t)child, sig);
}

static void
handle(int sig, void (*fn)(int))
{
	struct sigaction sa = {.sa_handler = fn, .sa_flags = SA_RESTART};

	sigaction(sig, &sa, NULL);
}

/*
 * The server itself; never returns. While the first process makes the room this one makes
 * the network; while that one lets go of the old root this one locks itself in.
 */
static void
become_server(char **env, int line, int proc, int in, int out, int err)
{
	static const int keep[] = {0, 1, 2};
	const char *workdir;
	sigset_t none;

	if (plan.network != TOOL_NETWORK_HOST)
		fd_step(line, isolate_network(proc));
	if (plan.network == TOOL_NETWORK_NAMED)
		fd_step(relay_line, relay_listen());
	if (dup2(in, 0) == -1 || dup2(out, 1) == -1 || dup2(err, 2) == -1)
		fatal("%s: descriptors", plan.name);
	handle(SIGTERM, SIG_DFL);
	handle(SIGPIPE, SIG_DFL);
	handle(SIGINT, SIG_DFL);
	handle(SIGHUP, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	fd_await(line, NULL); /* the room is made */
	/* without a directory of its own an empty one: a relative path that a context
	 * allows must not begin where the master happened to be started */
	workdir = plan.workdir[0] != '\0' ? plan.workdir : ROOM_EMPTY;
	if (chdir(workdir) == -1)
		fatal("%s: working_directory %s", plan.name, workdir);
	isolate_self();
	fd_await(line, NULL); /* and it is all there is */
	priv_close_fds(keep, 3);
	if (plan.probe)
		probe_run();
	execve(plan.executable, plan.args, env);
	fatal("%s: %s", plan.name, plan.executable);
}

/* The first process of the PID namespace: when it goes, everybody in there goes. */
static void
be_init(char **env, int in, int out, int err)
{
	const int keep[] = {in, out, err, 2, relay_line};
	struct pollfd pump_gone = {.events = 0};
	int line[2], network, proc, status = 0;
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	priv_close_fds(keep,
	    relay_line >= 0 ? 5
			    : 4); /* not the door to the master, nor the pump's ends */
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC); /* soon it is covered */
	if (proc == -1 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) == -1)
		fatal("%s: no way to make its room", plan.name);
	child = pid = fork();
	if (pid == -1)
		fatal("%s: fork", plan.name);
	if (pid == 0) {
		close(line[0]);
		become_server(env, line[1], proc, in, out, err);
	}
	close(line[1]);
	close(proc);
	if (relay_line >= 0)
		close(relay_line);
	environ_wipe(env);
	room_make();
	if (plan.network != TOOL_NETWORK_HOST) {
		/* what the server sees in /proc/1 is to be its own network, not the
		 * host's */
		fd_await(line[0], &network);
		if (setns(network, CLONE_NEWNET) == -1)
			fatal("%s: its network namespace", plan.name);
		close(network);
	}
	fd_step(line[0], -1);
	room_close();
	fd_step(line[0], -1);
	isolate_user();
	pump_gone.fd = err;
	if (poll(&pump_gone, 1, 0) != 0)
		_exit(
		    1); /* while the change of user had cleared the signal of its death */
	close(line[0]);
	close(in);
	close(out);
	close(err);
	if (out != STDOUT_FILENO)
		close(STDOUT_FILENO); /* the pump's way to toolhost: only it may hold it
					 open */
	sandbox_tool_settle();
	for (;;) {
		pid_t gone = waitpid(-1, &status, 0);

		if (gone == pid || (gone == -1 && errno != EINTR))
			break;
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int
main(void)
{
	static const struct proc_conf_row rows[] = {
	    {MSG_conf_tool_exec, plan_take},
	    {0, NULL},
	};
	int out[2] = {-1, -1}, err[2], line = -1, watch, watch_relay = -1, status = 0;
	struct secret *const *secrets;
	char **env, level[256];
	size_t nsecrets;
	pid_t pid, relay = -1;

	proc_boot(ROLE_TOOLEXEC);
	secret_init(SECRET_ARENA_DEFAULT);
	proc_configure(rows);
	/* before there is a secret, and outside of the server's namespaces */
	if (plan.network == TOOL_NETWORK_NAMED)
		relay = relay_start(
		    proc_wait_peer(ROLE_DISPATCH, PEER_TIMEOUT_MS), &relay_line);
	if (plan.secrets > 0)
		line = proc_wait_peer(ROLE_VAULT, PEER_TIMEOUT_MS);
	environ_fetch(line);
	nsecrets = environ_secrets(&secrets);
	pump_setup(secrets, nsecrets);
	/* without secrets there is nothing to search for: the server writes to toolhost
	 * itself */
	if (pipe2(err, O_CLOEXEC) == -1 || (nsecrets > 0 && pipe2(out, O_CLOEXEC) == -1))
		fatal("%s: pipes", plan.name);
	env = environ_make();
	if (env == NULL)
		fatalx("%s: no environment", plan.name);
	handle(SIGTERM, forward);
	isolate_namespaces();
	pid = fork();
	if (pid == -1)
		fatal("%s: fork", plan.name);
	if (pid == 0)
		be_init(env, 0, nsecrets > 0 ? out[1] : 1, err[1]);
	environ_wipe(env);
	child = pid;
	if (relay_line >= 0)
		close(relay_line);
	close(0);
	close(err[1]);
	if (nsecrets > 0)
		close(out[1]);
	else
		close(1);
	watch = (int)syscall(SYS_pidfd_open, pid, 0);
	if (relay > 0)
		watch_relay = (int)syscall(SYS_pidfd_open, relay, 0);
	if (watch == -1 || (relay > 0 && watch_relay == -1))
		fatal("%s: pidfd", plan.name);
	isolate_user();
	priv_no_dumps();
	isolate_level(level, sizeof(level));
	LOG_INFO("tool.room", LS("server", plan.name), LS("room", level));
	proc_say_ready(level);
	sandbox_tool_settle();
	if (pump_run(watch, watch_relay, out[0], err[0]) == -1)
		kill(pid, SIGKILL); /* without its relay it waits in vain */
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
