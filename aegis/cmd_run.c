/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis run: starts an agent's program with a token of its own in its environment and
 * nothing of ours; the token dies with the program.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aegis/admin.h"
#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "aegis/config.h"
#include "common/proto.h"

#define TTL_DEFAULT 86400

extern char **environ;

struct run {
	char token[256], id[65], url[300];
	pid_t pid;
};

static const int passed_on[] = {
    SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};
#define NPASSED (sizeof(passed_on) / sizeof(passed_on[0]))

/* Where the agent reaches the gate: an address to connect to, not one to listen on. */
static void
set_url(struct run *run, const char *listening)
{
	const char *address = strstr(listening, "://");
	int scheme;

	address = address != NULL ? address + 3 : listening;
	scheme = (int)(address - listening);
	if (strncmp(address, "0.0.0.0:", 8) == 0)
		snprintf(run->url, sizeof(run->url), "%.*s127.0.0.1:%s", scheme,
		    listening, address + 8);
	else if (strncmp(address, "[::]:", 5) == 0)
		snprintf(run->url, sizeof(run->url), "%.*s[::1]:%s", scheme, listening,
		    address + 5);
	else
		snprintf(run->url, sizeof(run->url), "%s", listening);
}

/* The gate may run with another port than this configuration says: ask it. */
static int
find_url(struct run *run)
{
	struct admin_answer a = {0};
	char url[sizeof(run->url)];
	int r = ADMIN_OK;
	MSG_INIT(status, m);

	if (admin_ask(MSG_status, &m, NULL, NULL, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if (!admin_answer_text(&a, "gate_url", url, sizeof(url))) {
		cli_error(NULL, "the judge does not know the gate's address");
		r = ADMIN_FAILED;
	} else {
		set_url(run, url);
	}
	admin_answer_free(&a);
	return r;
}

static int
begin(struct cli *cli, struct run *run)
{
	struct admin_answer a = {0};
	int r = admin_open(cli, ADMIN_NEED_GATE);
	MSG_INIT(agent_run, m);

	if (r != 0)
		return r;
	r = find_url(run);
	if (r != ADMIN_OK)
		goto out;
	m.name = span_str(cli_text(cli, "agent"));
	m.ttl_s = cli_number(cli, "ttl", TTL_DEFAULT);
	if (admin_ask(MSG_agent_run, &m, NULL, NULL, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if (!admin_answer_text(&a, "token", run->token, sizeof(run->token)) ||
	    !admin_answer_text(&a, "run", run->id, sizeof(run->id))) {
		cli_error(NULL, "the judge answered without a token");
		r = ADMIN_FAILED;
	}
out:
	admin_answer_free(&a);
	admin_close();
	return r;
}

static void
end(struct cli *cli, const struct run *run)
{
	struct admin_answer a = {0};
	MSG_INIT(agent_run_end, m);

	m.run = span_str(run->id);
	if (admin_open_quietly(cli->config) == -1 ||
	    admin_ask(MSG_agent_run_end, &m, NULL, NULL, &a) == -1 || a.code != ADMIN_OK)
		fprintf(stderr,
		    "warning: the token of this run could not be ended; it dies when "
		    "its time is over\n");
	admin_answer_free(&a);
	admin_close();
}

/* The environment without anything of ours, then what the agent needs. */
static int
set_environment(const struct cli *cli, const struct run *run)
{
	char **e = environ, name[256];

	while (*e != NULL) {
		size_t n = strcspn(*e, "=");

		if (strncmp(*e, "AEGIS_", 6) != 0 || n >= sizeof(name)) {
			e++;
			continue;
		}
		memcpy(name, *e, n);
		name[n] = '\0';
		unsetenv(name);
		e = environ; /* it has moved */
	}
	return setenv("AEGIS_GATE_URL", run->url, 1) == -1 ||
		setenv("AEGIS_SEAL_URL", run->url, 1) == -1 ||
		setenv("AEGIS_AGENT_TOKEN", run->token, 1) == -1 ||
		setenv("AEGIS_AGENT", cli_text(cli, "agent"), 1) == -1
	    ? -1
	    : 0;
}

static void
become(const struct cli *cli, const struct run *run, const sigset_t *mask)
{
	int err;

	if (set_environment(cli, run) == 0) {
		sigprocmask(SIG_SETMASK, mask, NULL);
		execvp(cli->rest[0], cli->rest);
	}
	err = errno;
	cli_error(NULL, "%s: %s", cli->rest[0], strerror(err));
	_exit(err == ENOENT ? 127 : 126);
}

/* Waits for the program and passes signals on. Its exit code, or 128 and the signal. */
static int
attend(const struct run *run, const sigset_t *watched)
{
	siginfo_t info;
	int status;

	for (;;) {
		if (sigwaitinfo(watched, &info) == -1)
			continue;
		if (info.si_signo != SIGCHLD) {
			/* what a terminal sends, it sends to the program too */
			if (info.si_code != SI_KERNEL)
				kill(run->pid, info.si_signo);
			continue;
		}
		if (waitpid(run->pid, &status, WNOHANG) != run->pid)
			continue;
		return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

int
cmd_run(struct cli *cli)
{
	struct run run = {0};
	sigset_t watched, before;
	size_t i;
	int r;

	if (cli->nrest == 0) {
		cli_error("aegis run --agent NAME -- COMMAND ARGUMENTS",
		    "name the command to run");
		return ADMIN_USAGE;
	}
	if (cli_config(cli) == NULL)
		return ADMIN_FAILED;
	r = begin(cli, &run);
	if (r != ADMIN_OK)
		return r;
	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	for (i = 0; i < NPASSED; i++)
		sigaddset(&watched, passed_on[i]);
	sigprocmask(SIG_BLOCK, &watched, &before);
	fflush(NULL);
	run.pid = fork();
	if (run.pid == 0)
		become(cli, &run, &before);
	explicit_bzero(run.token, sizeof(run.token));
	if (run.pid == -1) {
		cli_error(NULL, "fork: %s", strerror(errno));
		r = ADMIN_FAILED;
	} else {
		r = attend(&run, &watched);
	}
	end(cli, &run);
	return r;
}
