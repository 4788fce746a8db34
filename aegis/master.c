/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master's life: lock, listen, start everybody, link, restart who dies, stop.
 */
#include "aegis/master.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aegis/cgroup.h"
#include "aegis/child.h"
#include "aegis/config.h"
#include "aegis/confsend.h"
#include "aegis/layout.h"
#include "aegis/link.h"
#include "aegis/listen.h"
#include "aegis/numbers.h"
#include "aegis/openbao.h"
#include "aegis/reload.h"
#include "aegis/policies.h"
#include "aegis/sealed.h"
#include "aegis/spawn.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/priv.h"
#include "common/proto.h"
#include "common/secret.h"

#define RESTART_MIN_MS 20
#define RESTART_MAX_MS 2000
#define STEADY_MS 5000 /* who lived this long starts again at once */
#define STOP_GRACE_MS 5000
#define VAULT_DRAIN_MS 2000 /* for leases, and then it has a token to revoke */
#define VAULT_STOP_MS (VAULT_DRAIN_MS + 1500)
#define TOOL_GRACE_MS 6000 /* tool servers may take five seconds after their SIGTERM */
#define START_FAILURES_MAX 5
#define BACKGROUND_MS 60000 /* a slow machine derives keys for a while */

static const struct config *config;
static enum master_mode mode;
static int ready_fd = -1;
static int forked_key_fd = -1; /* made before a fork, which secrets do not survive */
static int announced, stopping, exit_code;
static uint64_t stop_at_ms;

/* What must run: one slot each, restarted when its process ends. */
static struct slot {
	enum role role;
	unsigned index;
	unsigned failures; /* ends in a row before STEADY_MS */
	uint64_t start_at_ms;
	uint32_t instance; /* 0: not running */
} slots[32];
static unsigned nslots;

static void
add_slot(enum role role, unsigned index)
{
	if (nslots < sizeof(slots) / sizeof(slots[0]))
		slots[nslots++] = (struct slot){.role = role, .index = index};
}

static void
start_slot(struct slot *s)
{
	struct child *child;
	char name[16] = "";

	if (s->role == ROLE_GATE) /* of several: which */
		snprintf(name, sizeof(name), "%u", s->index);
	child = child_start(s->role, config->tenant, name, s->index, NULL, NULL);

	if (child == NULL) {
		LOG_ERROR(
		    "child.start", LS("child", role_name(s->role)), LE("what", errno));
		s->start_at_ms = loop_now_ms() + RESTART_MAX_MS;
		return;
	}
	s->instance = child->instance;
}

/* -- announcing -- */

static void
notify_systemd(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	size_t len;
	int fd;

	if (path == NULL || (len = strlen(path)) >= sizeof(sun.sun_path) || len == 0)
		return;
	memcpy(sun.sun_path, path, len);
	if (sun.sun_path[0] == '@')
		sun.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&sun,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

static void
announce(void)
{
	unsigned i;

	announced = 1;
	if (mode == MASTER_ALL) {
		for (i = 0; config->listen[i] != NULL; i++)
			printf("Aegis is ready on %s://%s\n",
			    config->tls_cert != NULL ? "https" : "http",
			    config->listen[i]);
		if (config->dashboard)
			printf("Its data API is on %s://%s:%u/api/\n",
			    config->tls_cert != NULL ? "https" : "http",
			    config->dashboard_host, config->dashboard_port);
		if (sealed_now())
			printf("The vault is sealed: every request is answered 503 until "
			       "enough shares were given to \"aegis vault unseal\".\n");
		fflush(stdout);
		notify_systemd("READY=1");
	}
	if (ready_fd >= 0) {
		(void)!write(ready_fd, "", 1);
		close(ready_fd);
		ready_fd = -1;
	}
}

/* What is said to be ready serves: the judge has met vault, too. */
void
master_on_serving(void)
{
	const struct child *c;
	unsigned i;

	for (i = 0; i < nslots; i++) {
		c = slots[i].instance == 0 ? NULL : child_find(slots[i].instance);
		if (c == NULL || c->state != CHILD_READY ||
		    (c->role == ROLE_JUDGE && !c->serving))
			return;
	}
	if (!announced)
		announce();
}

void
master_on_ready(struct child *child)
{
	LOG_DEBUG("child.ready", LS("child", role_name(child->role)),
	    LU("instance", child->instance), LU("ms", loop_now_ms() - child->born_ms));
	reload_on_ready(child);
	if (child->role == ROLE_VAULT)
		sealed_vault_ready(child);
	master_on_serving();
}

/* -- children come and go -- */

static void
hand_listener(struct child *child, int kind, int fd)
{
	MSG_INIT(listen, m);

	m.kind = (uint8_t)kind;
	m.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (m.fd >= 0)
		chan_note(child->door, MSG_listen, &m);
}

void
master_on_configured(struct child *child)
{
	const int *fd;

	if (child->role == ROLE_GATE)
		for (fd = listen_agents(); *fd != -1; fd++)
			hand_listener(child, LISTEN_AGENTS, *fd);
	if (child->role == ROLE_API && listen_api() >= 0)
		hand_listener(child, LISTEN_AGENTS, listen_api());
	if (child->role == ROLE_JUDGE && listen_admin() >= 0)
		hand_listener(child, LISTEN_ADMIN, listen_admin());
	if (child->role == ROLE_VAULT && listen_vault() >= 0)
		hand_listener(child, LISTEN_VAULT, listen_vault());
	link_child(child);
}

static void
begin_stop(int code)
{
	struct child *c;

	if (stopping)
		return;
	stopping = 1;
	exit_code = code;
	notify_systemd("STOPPING=1");
	listen_close_agents(); /* so that newcomers are refused while the gate drains */
	/* the gate first: it drains; the others once it is gone */
	stop_at_ms = loop_now_ms() + config->drain_timeout_ms + STOP_GRACE_MS +
	    (config->ntools > 0 ? TOOL_GRACE_MS : 0);
	TAILQ_FOREACH (c, &children, entry) {
		MSG_INIT(stop, m);

		m.drain_ms = config->drain_timeout_ms;
		if ((c->role == ROLE_GATE || c->role == ROLE_API) && c->door != NULL)
			chan_note(c->door, MSG_stop, &m);
	}
}

/* While stopping: when the gates are gone, ask the rest; judge and vault last. */
static void
continue_stop(void)
{
	static int rest_told, keymaster_told;
	static uint64_t vault_told_ms;
	struct child *c;
	int gates = 0, others = 0, all = 0;

	TAILQ_FOREACH (c, &children, entry) {
		all++;
		gates += c->role == ROLE_GATE || c->role == ROLE_API;
		others += c->role != ROLE_GATE && c->role != ROLE_API &&
		    c->role != ROLE_JUDGE && c->role != ROLE_VAULT;
	}
	if (all == 0) {
		loop_stop();
		return;
	}
	TAILQ_FOREACH (c, &children, entry) {
		MSG_INIT(stop, m);

		if (c->door == NULL || gates > 0)
			continue;
		if (c->role == ROLE_JUDGE ? (others == 0 && !keymaster_told)
					  : (c->role != ROLE_VAULT && !rest_told))
			chan_note(c->door, MSG_stop, &m);
		if (c->role == ROLE_VAULT && child_of_role(ROLE_JUDGE) == NULL &&
		    vault_told_ms == 0) {
			m.drain_ms = VAULT_DRAIN_MS;
			chan_note(c->door, MSG_stop, &m);
			vault_told_ms = loop_now_ms();
		}
		if (c->role == ROLE_VAULT && vault_told_ms != 0 &&
		    loop_now_ms() > vault_told_ms + VAULT_STOP_MS)
			child_end(c, 500);
	}
	if (gates == 0) {
		rest_told = 1;
		keymaster_told = others == 0;
	}
	if (loop_now_ms() > stop_at_ms)
		TAILQ_FOREACH (c, &children, entry)
			child_end(c, 0);
}

static void
plan_restart(struct slot *s, const struct child *child, int status)
{
	uint64_t lived = loop_now_ms() - child->born_ms, wait;

	s->instance = 0;
	s->failures = lived >= STEADY_MS ? 0 : s->failures + 1;
	wait = s->failures <= 1 ? RESTART_MIN_MS
				: (uint64_t)RESTART_MIN_MS << (s->failures - 1);
	if (wait > RESTART_MAX_MS)
		wait = RESTART_MAX_MS;
	s->start_at_ms = loop_now_ms() + wait;
	if (!announced && (WIFEXITED(status) || s->failures >= START_FAILURES_MAX)) {
		/* it said why on standard error; a daemon that cannot start will not,
		 * later */
		fprintf(stderr, "aegis: %s did not start (%s %d)\n",
		    role_info(s->role)->title, WIFEXITED(status) ? "exit" : "signal",
		    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
		begin_stop(1);
	}
}

void
master_on_exit(struct child *child, int status)
{
	struct child *c;
	unsigned i;

	if (!stopping && (WIFSIGNALED(status) || WEXITSTATUS(status) != 0))
		LOG_WARN("child.exit", LS("child", role_name(child->role)),
		    LS("name", child->name), LU("instance", child->instance),
		    LS("how", WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit"),
		    LI("status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)));
	spawn_exited(child, status);
	if (child->role == ROLE_VAULT)
		sealed_vault_gone(child);
	if (child->role == ROLE_TOOLHOST)
		TAILQ_FOREACH (c, &children, entry)
			if (c->role == ROLE_TOOLEXEC)
				child_end(c, 0); /* nobody reads it any more */
	for (i = 0; i < nslots && !stopping; i++)
		if (slots[i].instance == child->instance)
			plan_restart(&slots[i], child, status);
}

static void
on_child(evutil_socket_t fd, short what, void *arg)
{
	struct child *child;
	int status;
	pid_t pid;

	(void)fd;
	(void)what;
	(void)arg;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		child = child_find_pid(pid);
		if (child != NULL)
			child_reaped(child, status);
	}
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (stopping) /* the second time: now */
		stop_at_ms = 0;
	begin_stop(0);
}

static void
on_turn(void *arg)
{
	uint64_t now = loop_now_ms();
	unsigned i;

	(void)arg;
	child_tick(now);
	sealed_tick(now);
	cgroup_tick();
	if (stopping) {
		continue_stop();
		return;
	}
	for (i = 0; i < nslots; i++)
		if (slots[i].instance == 0 && slots[i].start_at_ms <= now)
			start_slot(&slots[i]);
}

static void
on_hangup(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (announced && !stopping)
		reload_by_signal();
}

/* A tick of its own: restarts wait 20 ms, the loop's tick is slower. */
static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static int
watch_signals(void)
{
	static const struct timeval tick = {.tv_usec = RESTART_MIN_MS * 1000};
	struct event *e[5];
	unsigned i;

	e[0] = evsignal_new(loop_base(), SIGCHLD, on_child, NULL);
	e[1] = evsignal_new(loop_base(), SIGTERM, on_signal, NULL);
	e[2] = evsignal_new(loop_base(), SIGINT, on_signal, NULL);
	e[3] = event_new(loop_base(), -1, EV_PERSIST, on_tick, NULL);
	e[4] = evsignal_new(loop_base(), SIGHUP, on_hangup, NULL);
	for (i = 0; i < 5; i++)
		if (e[i] == NULL || event_add(e[i], i == 3 ? &tick : NULL) == -1)
			return -1;
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int
write_key(const void *p, size_t len, void *arg)
{
	return write(*(int *)arg, p, len) == (ssize_t)len ? 0 : -1;
}

int
master_key_descriptor(const struct secret *key)
{
	int fd = memfd_create("master-key", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1 || secret_use(key, write_key, &fd) != 0 ||
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == -1) {
		fprintf(stderr, "aegis: the master key cannot be handed to vault: %s\n",
		    strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static void
plan_slots(void)
{
	unsigned i;

	add_slot(ROLE_VAULT, 0); /* first: deriving its keys takes longest */
	add_slot(ROLE_JUDGE, 0);
	if (mode != MASTER_ALL)
		return;
	for (i = 0; i < config->workers; i++)
		add_slot(ROLE_GATE, i);
	if (config->dashboard)
		add_slot(ROLE_API, 0);
	add_slot(ROLE_DISPATCH, 0);
	add_slot(ROLE_TOOLHOST, 0);
}

int
master_run(struct config *c, enum master_mode m, int fd)
{
	int lock = -1, key = -1;
	char why[400];

	config = c;
	mode = m;
	ready_fd = fd;
	exit_code = 1;
	log_init(
	    ROLE_MASTER, (enum log_format)c->log_format, (enum log_level)c->log_level);
	sealed_setup(c);
	if (c->master_key == NULL && !sealed_now() && forked_key_fd == -1) {
		fprintf(stderr,
		    "AEGIS_MASTER_KEY is not set: export AEGIS_MASTER_KEY=<key>, or use "
		    "\"aegis init --write-secrets\".\n");
		return 1;
	}
	/* a command without a gate has no business there, unless the key for tokens is */
	if ((mode == MASTER_ALL ||
		(mode != MASTER_INIT &&
		    (c->openbao_token_key != NULL || c->openbao_board_key != NULL))) &&
	    config_resolve_openbao(c, why, sizeof(why)) == -1) {
		fprintf(stderr, "aegis: %s\n", why);
		return 1;
	}
	if (layout_make(c) == -1)
		return 1;
	lock = layout_lock(c);
	if (lock == -1) {
		fprintf(stderr, "aegis: %s: %s\n", c->data_dir,
		    errno == EWOULDBLOCK
			? "another aegis is running on it; stop that one first"
			: strerror(errno));
		return 1;
	}
	if ((mode == MASTER_ALL && listen_open_agents(c) == -1) ||
	    listen_open_admin(c) == -1)
		goto out;
	if (!sealed_now() && forked_key_fd >= 0)
		key = forked_key_fd;
	else if (!sealed_now() && (key = master_key_descriptor(c->master_key)) == -1)
		goto out;
	if (forked_key_fd < 0)
		secret_free(c->master_key); /* a fork has none to free */
	c->master_key = NULL;
	if (loop_init() == -1 || watch_signals() == -1)
		goto out;
	priv_no_dumps();
	confsend_setup(mode == MASTER_INIT, (unsigned)getuid());
	confsend_key(key);
	key = -1;
	child_setup(c);
	numbers_setup();
	openbao_setup(c);
	policies_setup(c);
	spawn_setup(c);
	if (mode == MASTER_ALL && c->ntools > 0)
		cgroup_setup();
	plan_slots();
	loop_on_turn(on_turn, NULL);
	exit_code = 0;
	loop_run();
	cgroup_end();
out:
	listen_close(c);
	if (key >= 0)
		close(key);
	confsend_key(-1);
	close(lock);
	return exit_code;
}

pid_t
master_start_background(const struct config *c, enum master_mode m)
{
	struct config without_tools = *c;
	struct pollfd pfd;
	int pipefd[2];
	char byte;
	pid_t pid;

	/* no tool server runs and no webhook is told; their secrets stay behind */
	without_tools.ntools = 0;
	without_tools.nhooks = 0;
	config = c;
	forked_key_fd = c->master_key != NULL && !sealed_would_be(c)
	    ? master_key_descriptor(c->master_key)
	    : -1;
	if (pipe2(pipefd, O_CLOEXEC) == -1)
		return -1;
	fflush(NULL);
	pid = fork();
	if (pid == -1)
		return -1;
	if (pid == 0) {
		close(pipefd[0]);
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		setsid();
		_exit(master_run(&without_tools, m, pipefd[1]));
	}
	close(pipefd[1]);
	if (forked_key_fd >= 0)
		close(forked_key_fd);
	forked_key_fd = -1;
	pfd = (struct pollfd){.fd = pipefd[0], .events = POLLIN};
	if (poll(&pfd, 1, BACKGROUND_MS) == 1 && read(pipefd[0], &byte, 1) == 1) {
		close(pipefd[0]);
		return pid;
	}
	close(pipefd[0]);
	master_stop_background(pid); /* it said why */
	return -1;
}

void
master_stop_background(pid_t pid)
{
	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, 0) == -1 && errno == EINTR)
		;
}
