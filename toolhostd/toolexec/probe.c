/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs in the tool server's place: same user, namespaces, root, limits and system calls.
 * Tries what a captured server would try first, and says what came of it. Each attempt
 * is harmless where it succeeds.
 */
#include "toolhostd/toolexec/probe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "toolhostd/toolexec/plan.h"
#include "toolhostd/toolexec/relay.h"

#define CONNECT_MS 300
#define TUNNEL_MS 3000
#define FORKS_MAX 20000

static struct buf out;
static struct jsonw w;

static void
say(const char *attempt, const char *what, bool reached, const char *result)
{
	char text[1200];

	snprintf(text, sizeof(text), "%s%s%s", attempt, what[0] != '\0' ? " " : "", what);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "attempt", text);
	jsonw_key_bool(&w, "reached", reached);
	jsonw_key_str(&w, "result", result);
	jsonw_obj_close(&w);
}

/* What a call gave: errno, or success. */
static void
tell(const char *attempt, const char *what, long r)
{
	say(attempt, what, r != -1, r != -1 ? "possible" : strerror(errno));
}

static void
try_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	tell("read", path, fd);
	if (fd >= 0)
		close(fd);
}

static void
try_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_TMPFILE, 0600);

	tell("write", path, fd);
	if (fd >= 0)
		close(fd);
}

static void
try_connect(const char *what, const char *address, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct pollfd p = {.events = POLLOUT};
	socklen_t len = sizeof(int);
	int err = 0;

	p.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p.fd == -1 || inet_pton(AF_INET, address, &sin.sin_addr) != 1) {
		tell("connect", what, -1);
		return;
	}
	if (connect(p.fd, (const struct sockaddr *)&sin, sizeof(sin)) == -1)
		err = errno;
	if (err == EINPROGRESS) {
		err = ETIMEDOUT;
		if (poll(&p, 1, CONNECT_MS) == 1)
			(void)getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &err, &len);
	}
	/* refused is an answer of somebody: the address was reached, unless it is ours */
	say("connect", what,
	    err == 0 || (err == ECONNREFUSED && plan.network == TOOL_NETWORK_HOST),
	    err == 0 ? "possible" : strerror(err));
	close(p.fd);
}

/* Behind the closing bracket, if there is one. */
static bool
has_port(const char *pattern)
{
	const char *bracket = strrchr(pattern, ']');

	return strchr(bracket != NULL ? bracket : pattern, ':') != NULL;
}

/* Through the proxy: reached is what it answers 200 to; what it cannot reach right now
 * counts too, since it may. */
static void
try_tunnel(const char *host)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
	    .sin_port = htons(RELAY_PORT),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char text[512] = "", what[400];
	ssize_t n;

	snprintf(what, sizeof(what), "%.300s (by way of the proxy)", host);
	n = snprintf(text, sizeof(text), "CONNECT %.300s HTTP/1.1\r\n\r\n", host);
	if (fd == -1 || connect(fd, (const struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    write(fd, text, (size_t)n) != n || poll(&p, 1, TUNNEL_MS) != 1 ||
	    (n = read(fd, text, sizeof(text) - 1)) <= 0) {
		tell("connect", what, -1);
	} else {
		text[n] = '\0';
		text[strcspn(text, "\r")] = '\0';
		say("connect", what,
		    strncmp(text, "HTTP/1.1 200", 12) == 0 ||
			strncmp(text, "HTTP/1.1 502", 12) == 0,
		    text);
	}
	if (fd >= 0)
		close(fd);
}

static void
try_hosts(void)
{
	char host[300];
	size_t i;

	for (i = 0; plan.hosts[i] != NULL; i++) {
		snprintf(host, sizeof(host), "%s%s", plan.hosts[i],
		    has_port(plan.hosts[i]) ? "" : ":443");
		try_tunnel(host);
	}
	try_tunnel("not-named.invalid:443");
	try_tunnel("169.254.169.254:80");
}

static void
try_processes(void)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	char text[64];
	unsigned n = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		n += e->d_name[0] >= '1' && e->d_name[0] <= '9';
	if (d != NULL)
		closedir(d);
	snprintf(text, sizeof(text), "%u, itself and its first process among them", n);
	say("see processes", "", n > 2, text);
	try_read("/proc/1/environ");
	tell("ptrace", "1", ptrace(PTRACE_SEIZE, 1, 0, 0));
}

/* How many processes it may have at once. */
static void
try_forks(void)
{
	int gate[2], status, err = 0;
	unsigned n = 0;
	char text[96];
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC) == -1) {
		tell("fork", "", -1);
		return;
	}
	while (n < FORKS_MAX) {
		pid = fork();
		if (pid == 0) {
			close(gate[1]);
			(void)!read(gate[0], text, 1); /* until all may go */
			_exit(0);
		}
		if (pid == -1) {
			err = errno;
			break;
		}
		n++;
	}
	close(gate[0]);
	close(gate[1]);
	while (waitpid(-1, &status, 0) > 0)
		;
	snprintf(text, sizeof(text), "%u processes, then: %s", n,
	    err != 0 ? strerror(err) : "no end");
	say("fork", "without end", err == 0, text);
}

static void
try_descriptors(void)
{
	unsigned n = 0;
	char text[64];
	int fd;

	for (fd = 3; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	snprintf(text, sizeof(text), "%u beside 0, 1 and 2", n);
	say("inherited descriptors", "", n > 0, text);
}

static void
try_calls(void)
{
	tell("mount", "", mount("none", "/tmp", "tmpfs", 0, NULL));
	tell("unshare", "user namespace", syscall(SYS_unshare, 0x10000000));
	tell("bpf", "", syscall(SYS_bpf, 0, NULL, 0));
	tell("keyctl", "", syscall(SYS_keyctl, 0, -3, 1));
	tell("userfaultfd", "", syscall(SYS_userfaultfd, 0));
	tell("perf_event_open", "", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	tell("io_uring", "", syscall(SYS_io_uring_setup, 1, NULL));
	tell("setuid", "0", getuid() == 0 ? 0 : setuid(0));
}

static void
try_named(void)
{
	size_t i;

	for (i = 0; i < plan.npaths; i++) {
		struct stat st;
		const char *path = plan.paths[i] + 1;

		if (stat(path, &st) == -1 || !S_ISDIR(st.st_mode)) {
			try_read(path);
			continue;
		}
		try_read(path);
		try_write(path);
	}
}

void
probe_run(void)
{
	static const char *const reads[] = {"/etc/shadow", "/etc/passwd", "/home",
	    "/root", "/run", "/var/lib", "/sys", "/proc/kcore"};
	static const char *const writes[] = {"/", "/usr", "/etc", "/tmp"};
	size_t i;

	buf_init(&out);
	jsonw_init(&w, &out);
	jsonw_arr_open(&w);
	try_named();
	for (i = 0; plan.hide[i] != NULL; i++)
		try_read(plan.hide[i]);
	for (i = 0; i < sizeof(reads) / sizeof(reads[0]); i++)
		try_read(reads[i]);
	for (i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
		try_write(writes[i]);
	try_connect("127.0.0.1:22", "127.0.0.1", 22);
	try_connect("127.0.0.1:8200 (OpenBao)", "127.0.0.1", 8200);
	try_connect("169.254.169.254:80 (metadata)", "169.254.169.254", 80);
	try_connect("192.0.2.1:443 (the network)", "192.0.2.1", 443);
	if (plan.network == TOOL_NETWORK_NAMED)
		try_hosts();
	try_processes();
	try_descriptors();
	try_calls();
	try_forks();
	jsonw_arr_close(&w);
	(void)jsonw_done(&w);
	(void)buf_putc(&out, '\n');
	(void)!write(STDOUT_FILENO, out.p, out.len);
	_exit(0);
}
