/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe attack|needs BOX: sets the scene, enters the box and reports line by line.
 *
 *	attack BOX	each attempt in a child of its own: "name:
 *refused|succeeded|killed" needs BOX	"name: ok|failed", all in one process level BOX
 *the level text and the process's own view of its status
 *
 * BOX is a role, or: openbao (vault in front of OpenBao), tool (what a tool server gets),
 * same-uid (no box, unguarded victim of the same user), guarded (no box, the victim
 *guards its memory), root (no box, no change of user).
 */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/priv.h"
#include "common/sandbox.h"
#include "common/secret.h"

struct scene scene;

enum special { BOXED, SAME_UID, GUARDED, ROOT };

struct box {
	const char *name;
	enum role role;
	enum special special;
	enum sandbox_variant variant;
	bool settle; /* toolexec after it started its tool server */
};

static const struct box boxes[] = {
    {"gate", ROLE_GATE, BOXED, SANDBOX_PLAIN, false},
    {"api", ROLE_API, BOXED, SANDBOX_PLAIN, false},
    {"judge", ROLE_JUDGE, BOXED, SANDBOX_PLAIN, false},
    {"vault", ROLE_VAULT, BOXED, SANDBOX_PLAIN, false},
    {"openbao", ROLE_VAULT, BOXED, SANDBOX_OPENBAO, false},
    {"dispatcher", ROLE_DISPATCH, BOXED, SANDBOX_PLAIN, false},
    {"worker", ROLE_WORKER, BOXED, SANDBOX_PLAIN, false},
    {"toolhost", ROLE_TOOLHOST, BOXED, SANDBOX_PLAIN, false},
    {"toolexec", ROLE_TOOLEXEC, BOXED, SANDBOX_PLAIN, true},
    {"relay", ROLE_TOOLEXEC, BOXED, SANDBOX_RELAY, false},
    {"tool", ROLE_TOOLEXEC, BOXED, SANDBOX_PLAIN, false},
    {"same-uid", ROLE_VAULT, SAME_UID, SANDBOX_PLAIN, false},
    {"guarded", ROLE_VAULT, GUARDED, SANDBOX_PLAIN, false},
    {"root", ROLE_NONE, ROOT, SANDBOX_PLAIN, false},
};

static char dir[64], data[96], ledger[96], readable[96];

static void
become(enum role role)
{
	uid_t uid = 0;
	gid_t gid = 0;

	if (priv_uid_for(role, &uid, &gid) != 0)
		fatal("no user for %s", role_name(role));
	priv_drop_user(role, uid, gid);
}

/* proc_enter()'s order. */
static void
enter(const struct box *box, struct sandbox_level *level)
{
	static const struct sandbox_path resolver[] = {
	    {"/etc/resolv.conf", SANDBOX_READ | SANDBOX_MAYBE},
	    {"/etc/hosts", SANDBOX_READ | SANDBOX_MAYBE},
	    {"/etc/nsswitch.conf", SANDBOX_READ | SANDBOX_MAYBE}};
	static const struct sandbox_path certs[] = {{"/etc/ssl", SANDBOX_READ},
	    {"/usr/share/ca-certificates", SANDBOX_READ | SANDBOX_MAYBE}};
	static const struct sandbox_path tool[] = {{"/usr", SANDBOX_EXEC},
	    {"/bin", SANDBOX_EXEC | SANDBOX_MAYBE},
	    {"/lib", SANDBOX_EXEC | SANDBOX_MAYBE},
	    {"/lib64", SANDBOX_EXEC | SANDBOX_MAYBE}};
	struct sandbox_path own[] = {{data, SANDBOX_READ | SANDBOX_WRITE}};
	struct sandbox_paths paths = {.variant = box->variant};
	pid_t parent;

	if (box->special == ROOT)
		return;
	if (box->special != BOXED) {
		uid_t uid;
		gid_t gid;

		/* The same user, with nothing taken away but root's powers. */
		if (geteuid() == 0 &&
		    (priv_uid_for(box->role, &uid, &gid) != 0 ||
			setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0))
			fatal("user");
		/* As if started by that user: a change of user takes it away. */
		if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
			fatal("dumpable");
		return;
	}
	switch (box->role) {
	case ROLE_JUDGE:
	case ROLE_VAULT:
		paths.list = own;
		paths.n = 1;
		break;
	case ROLE_DISPATCH:
		paths.list = resolver;
		paths.start_threads = needs_start_threads;
		paths.n = 3;
		break;
	case ROLE_WORKER:
		paths.list = certs;
		paths.n = 2;
		break;
	case ROLE_TOOLEXEC:
		if (box->variant == SANDBOX_RELAY)
			break;
		paths.list = tool;
		paths.n = 4;
		break;
	default:
		break;
	}
	if (box->role == ROLE_WORKER || box->variant == SANDBOX_OPENBAO) {
		paths.ports = &scene.upstream;
		paths.nports = 1;
	}
	priv_no_dumps();
	priv_rlimits(box->role);
	if (secret_init(0) != 0)
		fatal("secret memory");
	become(box->role);
	priv_no_dumps();
	priv_drop_caps();
	sandbox_enter(box->role, &paths, level);
	if (!box->settle)
		return;
	parent = getpid();
	scene.child = fork();
	if (scene.child == 0) { /* the tool server */
		priv_close_fds(NULL, 0);
		if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == parent)
			(void)pause();
		_exit(0);
	}
	sandbox_tool_settle();
}

/* A bound loopback socket; its port in *port. */
static int
bound(int type, uint16_t *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, len) != 0 ||
	    (type == SOCK_STREAM && listen(fd, 64) != 0) ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) != 0)
		fatal("loopback socket");
	*port = ntohs(sin.sin_port);
	return fd;
}

static int
note(const void *p, size_t len, void *arg)
{
	(void)len;
	*(uintptr_t *)arg = (uintptr_t)p;
	return 0;
}

/* Holds the canary twice, tells where, and waits until we end. */
static void
victim(const struct box *box, int out, int forever)
{
	static const struct box vault = {
	    "vault", ROLE_VAULT, BOXED, SANDBOX_PLAIN, false};
	struct secret *s;
	char *heap, c;

	if (box->special == SAME_UID)
		enter(box, NULL);
	else
		enter(&vault, NULL);
	heap = strdup(CANARY);
	s = secret_new(CANARY, CANARY_LEN);
	if (heap == NULL || s == NULL)
		_exit(1);
	scene.heap = (uintptr_t)heap;
	secret_use(s, note, &scene.arena);
	if (write(out, &scene, sizeof scene) != (ssize_t)sizeof scene)
		_exit(1);
	while (read(forever, &c, 1) > 0)
		;
	_exit(0);
}

static void
start_victim(const struct box *box)
{
	int told[2], forever[2];
	struct scene seen;

	if (pipe2(told, O_CLOEXEC) != 0 || pipe2(forever, O_CLOEXEC) != 0)
		fatal("pipe");
	scene.victim_fd = forever[0];
	scene.victim = fork();
	if (scene.victim == 0) {
		(void)close(forever[1]);
		victim(box, told[1], forever[0]);
	}
	(void)close(told[1]);
	if (read(told[0], &seen, sizeof seen) != (ssize_t)sizeof seen)
		fatalx("the victim did not start");
	scene.heap = seen.heap;
	scene.arena = seen.arena;
	/* forever[1] stays open here: when we end, so does the victim. */
}

static void
file_of(const char *path, mode_t mode, enum role owner)
{
	uid_t uid;
	gid_t gid;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0 || write(fd, "row\n", 4) != 4 || close(fd) != 0 ||
	    chmod(path, mode) != 0)
		fatal("%s", path);
	if (geteuid() == 0 && owner != ROLE_NONE &&
	    (priv_uid_for(owner, &uid, &gid) != 0 || chown(path, uid, gid) != 0))
		fatal("%s", path);
}

static void
set_scene(const struct box *box)
{
	uid_t uid;
	gid_t gid;

	(void)snprintf(dir, sizeof dir, "/tmp/aegis-probe-XXXXXX");
	if (mkdtemp(dir) == NULL || chmod(dir, 0711) != 0)
		fatal("%s", dir);
	(void)snprintf(data, sizeof data, "%s/data", dir);
	(void)snprintf(ledger, sizeof ledger, "%s/ledger", dir);
	(void)snprintf(readable, sizeof readable, "%s/readable", dir);
	if (mkdir(data, 0700) != 0)
		fatal("%s", data);
	if (geteuid() == 0 && box->role != ROLE_NONE &&
	    (priv_uid_for(box->role, &uid, &gid) != 0 || chown(data, uid, gid) != 0))
		fatal("%s", data);
	file_of(ledger, 0600, box->role == ROLE_JUDGE ? ROLE_VAULT : ROLE_JUDGE);
	file_of(readable, 0644, ROLE_NONE);
	scene.dir = data;
	scene.ledger = ledger;
	scene.readable = readable;
	scene.listener = bound(SOCK_STREAM, &scene.upstream);
	(void)bound(SOCK_STREAM, &scene.other);
	(void)bound(SOCK_DGRAM, &scene.udp);
}

static void
clear_scene(void)
{
	(void)unlink(ledger);
	(void)unlink(readable);
	(void)rmdir(data);
	(void)rmdir(dir);
}

/* One attempt in a child; prints its fate and returns whether it succeeded. */
static bool
run_attempt(const struct box *box, const struct attempt *a)
{
	unsigned char err = 255;
	int told[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(told, O_CLOEXEC) != 0)
		fatal("pipe");
	pid = fork();
	if (pid == 0) {
		(void)alarm(10);
		enter(box, NULL);
		err = (unsigned char)a->fn();
		if (write(told[1], &err, 1) != 1)
			_exit(2);
		_exit(3);
	}
	(void)close(told[1]);
	n = read(told[0], &err, 1);
	(void)close(told[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fatal("child");
	if (WIFSIGNALED(status)) {
		printf("%s: killed SIG%s\n", a->name, sigabbrev_np(WTERMSIG(status)));
		return false;
	}
	/* No word and exit 0: it became another program. */
	if ((n == 1 && err == 0) || (n == 0 && WEXITSTATUS(status) == 0)) {
		printf("%s: succeeded\n", a->name);
		return true;
	}
	if (n != 1)
		fatalx("%s: the child failed before the attempt", a->name);
	printf("%s: refused %s\n", a->name, err == 255 ? "-" : strerrorname_np(err));
	return false;
}

static int
attack(const struct box *box)
{
	unsigned int i, worked = 0;

	start_victim(box);
	for (i = 0; i < attempts_n; i++) {
		worked += run_attempt(box, &attempts[i]);
		(void)fflush(stdout);
	}
	printf("succeeded %u of %u\n", worked, attempts_n);
	return 0;
}

static int
need_all(const struct box *box)
{
	struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_port = htons(scene.upstream)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), failed = 0;
	unsigned int i;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (needs_prepare() != 0 || fd < 0 ||
	    connect(fd, (struct sockaddr *)&sin, sizeof sin) != 0)
		fatal("preparation");
	if (fork() == 0) { /* so that a death in the box is seen and told */
		log_init(box->role, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
		enter(box, NULL);
		for (i = 0; i < needs_n; i++) {
			if ((needs[i].roles &
				(box->variant == SANDBOX_RELAY ? ON_RELAY
							       : 1u << box->role)) == 0)
				continue;
			if (needs[i].fn() != 0) {
				dprintf(STDOUT_FILENO, "%s: failed %s\n", needs[i].name,
				    strerrorname_np(errno));
				failed = 1;
			} else {
				dprintf(STDOUT_FILENO, "%s: ok\n", needs[i].name);
			}
		}
		_exit(failed);
	}
	if (wait(&failed) < 0)
		fatal("wait");
	if (WIFSIGNALED(failed))
		printf("next: failed SIG%s\n", sigabbrev_np(WTERMSIG(failed)));
	return failed == 0 ? 0 : 1;
}

/* /proc/self/status is opened before the box closes the door. */
static int
show_level(const struct box *box)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	struct sandbox_level level;
	char text[128], status[8192];
	ssize_t n;

	if (fd < 0)
		fatal("/proc/self/status");
	enter(box, &level);
	sandbox_level_text(&level, text, sizeof text);
	dprintf(STDOUT_FILENO, "%s\n", text);
	n = read(fd, status, sizeof status);
	return n > 0 && write(STDOUT_FILENO, status, (size_t)n) == n ? 0 : 1;
}

int
main(int argc, char **argv)
{
	const struct box *box = NULL;
	size_t i;
	pid_t pid;
	int status;

	log_set_level(LOG_LEVEL_WARN);
	for (i = 0; argc == 3 && i < sizeof boxes / sizeof boxes[0]; i++)
		if (strcmp(argv[2], boxes[i].name) == 0)
			box = &boxes[i];
	if (box == NULL)
		fatalx("usage: probe attack|needs|level BOX");
	set_scene(box);
	/* The scene is cleared by a process that never enters a box. */
	pid = fork();
	if (pid == 0) {
		if (strcmp(argv[1], "attack") == 0)
			exit(attack(box));
		if (strcmp(argv[1], "needs") == 0)
			exit(need_all(box));
		if (strcmp(argv[1], "level") == 0)
			exit(show_level(box));
		exit(2);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fatal("fork");
	clear_scene();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
