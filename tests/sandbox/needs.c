/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each role must still be able to do in its box: the other half of the probe, so
 * that a box cannot pass by forbidding everything.
 */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <sqlite3.h>

#include "common/log.h"
#include "common/secret.h"

#define ON(role) (1u << (role))
#define EVERYONE 0xffffffffu

static int
memory(void)
{
	void *p[300];
	size_t i;

	for (i = 0; i < 300; i++) {
		p[i] = malloc(i * 997);
		if (p[i] == NULL)
			return 1;
		memset(p[i], 1, i * 997);
	}
	for (i = 0; i < 300; i++) {
		p[i] = realloc(p[i], i * 1999 + 1);
		free(p[i]);
	}
	return 0;
}

static int
log_line_out(void)
{
	LOG_INFO("probe", LS("peer", "x\ny"), LE("errno", EACCES));
	return 0;
}

static int
random_and_time(void)
{
	unsigned char buf[32];
	struct timespec ts;
	struct timeval tv;

	/* as calls of the kernel, which they become where its clock cannot be read in
	 * user space (hpet, acpi_pm, xen) */
	return RAND_bytes(buf, sizeof buf) == 1 &&
		syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts) == 0 &&
		syscall(SYS_gettimeofday, &tv, NULL) == 0
	    ? 0
	    : 1;
}

static int
secrets(void)
{
	struct secret *s = secret_new_random(1000);
	int rc = s != NULL && secret_len(s) == 1000 ? 0 : 1;

	secret_free(s);
	return rc;
}

static int
refused_open_is_no_death(void)
{
	return open("/etc/localtime.d/none", O_RDONLY) < 0 ? 0 : 1;
}

/* A descriptor travels through a pair, both under epoll; batches as channels send them.
 */
static int pair[2] = {-1, -1};

static int
channel(void)
{
	char byte = 'm', ctrl[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct mmsghdr mm = {.msg_hdr = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = ctrl,
				 .msg_controllen = sizeof ctrl}};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mm.msg_hdr);
	struct epoll_event ev = {.events = EPOLLIN};

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &pair[0], sizeof(int));
	if (epoll_ctl(scene.epoll, EPOLL_CTL_ADD, pair[1], &ev) != 0 ||
	    sendmsg(pair[0], &mm.msg_hdr, MSG_NOSIGNAL) != 1 ||
	    epoll_wait(scene.epoll, &ev, 1, 1000) != 1 ||
	    recvmmsg(pair[1], &mm, 1, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL) != 1 ||
	    sendmmsg(pair[0], &mm, 1, MSG_NOSIGNAL) != 1)
		return 1;
	return fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(pair[0], F_GETFL) >= 0
	    ? 0
	    : 1;
}

/* A connection for the judge to look at. */
static int
duplicate(void)
{
	int fd = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);

	return fd >= 0 && close(fd) == 0 ? 0 : 1;
}

static int
pump(void)
{
	struct pollfd pfd = {.fd = pair[0], .events = POLLOUT};
	char c;

	return poll(&pfd, 1, 1000) == 1 && write(pair[0], "x", 1) == 1 &&
		read(pair[1], &c, 1) == 1
	    ? 0
	    : 1;
}

static int
accept_one(void)
{
	int fd = accept4(scene.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int one = 1;

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0)
		return 1;
	return send(fd, "x", 1, MSG_NOSIGNAL) == 1 && shutdown(fd, SHUT_WR) == 0 &&
		close(fd) == 0
	    ? 0
	    : 1;
}

/* An administrator. */
static int
accept_admin(void)
{
	int fd = accept4(scene.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return fd >= 0 && close(fd) == 0 ? 0 : 1;
}

static int
body_pair(void)
{
	int p[2];

	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p) == 0
	    ? 0
	    : 1;
}

static int
sealed_memfd(void)
{
	int fd = memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char buf[3];

	if (fd < 0 || write(fd, "abc", 3) != 3 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) != 0)
		return 1;
	return pread(fd, buf, 3, 0) == 3 ? 0 : 1;
}

static int
peer_credentials(void)
{
	struct ucred cred;
	socklen_t len = sizeof cred;

	return getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 ? 0 : 1;
}

static int
database(void)
{
	char path[256];
	sqlite3 *db = NULL;
	int rc;

	(void)snprintf(path, sizeof path, "%s/probe.db", scene.dir);
	rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db,
		    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
		    "CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b BLOB);"
		    "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
		    "WHERE i < 3000) INSERT INTO t(b) SELECT randomblob(300) FROM n; "
		    "COMMIT;"
		    "DELETE FROM t WHERE a % 2; PRAGMA wal_checkpoint(TRUNCATE);"
		    "SELECT count(*) FROM t ORDER BY b;",
		    NULL, NULL, NULL);
	if (sqlite3_close(db) != SQLITE_OK || rc != SQLITE_OK)
		return 1;
	return unlink(path) == 0 ? 0 : 1;
}

static int
save_by_rename(void)
{
	int dir = open(scene.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	struct stat st;
	char c;

	fd = openat(dir, "vault.new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (dir < 0 || fd < 0 || write(fd, "v", 1) != 1 || fsync(fd) != 0 ||
	    close(fd) != 0 || renameat(dir, "vault.new", dir, "vault") != 0 ||
	    fsync(dir) != 0)
		return 1;
	fd = openat(dir, "vault", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &c, 1) != 1 || fstatat(dir, "vault", &st, 0) != 0)
		return 1;
	return unlinkat(dir, "vault", 0);
}

static int
resolve(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai;
	int rc = getaddrinfo("localhost", "443", &hints, &ai);

	if (rc != 0)
		return rc;
	freeaddrinfo(ai);
	/* Whether a server answers does not matter; that we live does. */
	if (getaddrinfo("aegis.invalid", "443", &hints, &ai) == 0)
		freeaddrinfo(ai);
	return 0;
}

/* A helper thread, started where the dispatcher starts its own, waits for work. */
static pthread_t helper;
static int work[2] = {-1, -1};
static volatile int helped = 1;

static void *
help(void *unused)
{
	char c;

	(void)unused;
	if (read(work[0], &c, 1) == 1)
		helped = resolve() == 0 && memory() == 0 ? 0 : 1;
	return read(work[0], &c, 1) == 1 ? unused
					 : NULL; /* stays, as the resolver's do */
}

void
needs_start_threads(void)
{
	if (pipe2(work, O_CLOEXEC) != 0 || pthread_create(&helper, NULL, help, NULL) != 0)
		fatal("helper thread");
}

static int
thread(void)
{
	int i;

	if (write(work[1], "w", 1) != 1)
		return 1;
	for (i = 0; i < 100 && helped != 0; i++)
		(void)poll(NULL, 0, 50);
	return helped;
}

static int
upstream(void)
{
	struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_port = htons(scene.upstream)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, err;
	socklen_t len = sizeof err;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sin, sizeof sin) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		return 1;
	return send(fd, "x", 1, MSG_NOSIGNAL) == 1 ? 0 : 1;
}

/* Looks an issuer up in the hashed directory, which OpenSSL does by stat and open. */
static int
certificates(void)
{
	X509_STORE *store = X509_STORE_new();
	FILE *f = fopen("/etc/ssl/certs/ca-certificates.crt", "re");
	int rc = 1;

	if (store != NULL && f != NULL &&
	    X509_STORE_load_path(store, "/etc/ssl/certs") == 1)
		rc = 0;
	if (f != NULL)
		fclose(f);
	X509_STORE_free(store);
	return rc;
}

static int
reap_child(void)
{
	int status;

	if (scene.child == 0) { /* a tool server may start programs of its own */
		scene.child = fork();
		if (scene.child == 0) {
			(void)pause();
			_exit(0);
		}
	}
	if (kill(scene.child, SIGKILL) != 0)
		return 1;
	return waitpid(scene.child, &status, 0) == scene.child ? 0 : 1;
}

const struct need needs[] = {
    {"memory", EVERYONE, memory},
    {"log", EVERYONE, log_line_out},
    {"random", EVERYONE, random_and_time},
    {"secrets", EVERYONE, secrets},
    {"refused-open", EVERYONE, refused_open_is_no_death},
    {"channel", EVERYONE & ~ON(ROLE_TOOLEXEC) & ~ON_RELAY, channel},
    {"pump", ON(ROLE_TOOLEXEC), pump},
    {"accept", ON(ROLE_GATE) | ON(ROLE_API), accept_one},
    {"accept-admin", ON(ROLE_JUDGE) | ON(ROLE_VAULT) | ON_RELAY, accept_admin},
    {"duplicate", ON(ROLE_GATE) | ON(ROLE_JUDGE), duplicate},
    {"body-pair", ON(ROLE_GATE) | ON(ROLE_WORKER), body_pair},
    {"sealed-memfd", ON(ROLE_GATE) | ON(ROLE_TOOLHOST), sealed_memfd},
    {"peercred", ON(ROLE_JUDGE) | ON(ROLE_VAULT), peer_credentials},
    {"database", ON(ROLE_JUDGE), database},
    {"save", ON(ROLE_VAULT), save_by_rename},
    {"resolve", ON(ROLE_DISPATCH), resolve},
    {"thread", ON(ROLE_DISPATCH), thread},
    {"upstream", ON(ROLE_WORKER), upstream},
    {"certificates", ON(ROLE_WORKER), certificates},
    {"reap", ON(ROLE_TOOLEXEC), reap_child},
};

const unsigned int needs_n = sizeof needs / sizeof needs[0];

int
needs_prepare(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai;
	unsigned char b;

	/* Loads what libraries load once: name services, the random generator's methods.
	 */
	if (getaddrinfo("localhost", NULL, &hints, &ai) == 0)
		freeaddrinfo(ai);
	(void)RAND_bytes(&b, 1);
	scene.epoll = epoll_create1(EPOLL_CLOEXEC);
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}
