/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The judge hands over a local connection and asks which program connected it and in
 * which cgroup: that stands in /proc, which only the master can read. The names of
 * cgroups and files are their owners'; they are passed on, bounded, and not looked into.
 * The connection itself is not read.
 */
#include "aegis/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/chan.h"
#include "common/log.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#define HASH_MAX (256 * 1024 * 1024) /* of a program */
#define TEXT_MAX 1024
#define KNOWN_MAX 32 /* programs whose hash is kept */
#define SETTLED_S 2  /* since the last change; file systems' clocks are coarse */

/* A file that was hashed, as it was then. Nobody but root sets a ctime. */
struct known_file {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
	uint8_t hash[32];
};
static struct known_file known[KNOWN_MAX];
static unsigned nknown, next_known;

/* A process of which the number is known to be its own as long as it lives. */
static int
pidfd_of_peer(int conn, pid_t pid)
{
	socklen_t len = sizeof(int);
	int fd = -1;

	if (getsockopt(conn, SOL_SOCKET, SO_PEERPIDFD, &fd, &len) == 0)
		return fd;
	/* before Linux 6.5: who connected may have ended, and its number have gone on */
	if (errno == ENOPROTOOPT || errno == EINVAL)
		return (int)syscall(SYS_pidfd_open, pid, 0);
	return -1;
}

/* Not reaped yet, so its number was nobody else's until now. */
static int
has_lived(int pidfd)
{
	return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0 || errno == EPERM;
}

static int
hash_file(int fd, uint8_t out[32])
{
	static uint8_t octets[65536];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ssize_t n = -1;
	int r = -1;

	if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		goto out;
	while ((n = read(fd, octets, sizeof(octets))) > 0)
		if (EVP_DigestUpdate(ctx, octets, (size_t)n) != 1)
			goto out;
	if (n == 0 && EVP_DigestFinal_ex(ctx, out, NULL) == 1)
		r = 0;
out:
	EVP_MD_CTX_free(ctx);
	return r;
}

static int
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static int
is_file(const struct known_file *k, const struct stat *st)
{
	return k->dev == st->st_dev && k->ino == st->st_ino && k->size == st->st_size &&
	    same_time(k->mtime, st->st_mtim) && same_time(k->ctime, st->st_ctim);
}

/* Every connection asks for it, and a large program takes a tenth of a second. */
static int
hash_known(int fd, const struct stat *st, uint8_t out[32])
{
	time_t now = time(NULL);
	struct stat after;
	struct known_file *k;
	unsigned i;

	for (i = 0; i < nknown; i++)
		if (is_file(&known[i], st)) {
			memcpy(out, known[i].hash, sizeof(known[i].hash));
			return 0;
		}
	if (hash_file(fd, out) == -1)
		return -1;
	k = &known[next_known];
	*k = (struct known_file){
	    st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim, {0}};
	memcpy(k->hash, out, sizeof(k->hash));
	/* what was changed just now could be changed again without another time */
	if (fstat(fd, &after) == -1 || !is_file(k, &after) ||
	    st->st_ctim.tv_sec > now - SETTLED_S) {
		memset(k, 0, sizeof(*k));
		return 0;
	}
	next_known = (next_known + 1) % KNOWN_MAX;
	if (nknown < KNOWN_MAX)
		nknown++;
	return 0;
}

/*
 * The program's path, and its SHA-256 if that is wanted. The path counts only if it leads
 * to the same file for us: in a mount namespace of its own a process may give any name to
 * any file.
 */
static int
read_exe(pid_t pid, int hash, char path[TEXT_MAX], uint8_t digest[32], int *hashed)
{
	struct stat running, named;
	char link[64];
	ssize_t n;
	int fd, r = -1;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	n = readlink(link, path, TEXT_MAX - 1);
	if (n <= 0 || n == TEXT_MAX - 1)
		return -1;
	path[n] = '\0';
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1)
		return -1;
	if (fstat(fd, &running) == 0 && S_ISREG(running.st_mode) &&
	    stat(path, &named) == 0 && running.st_dev == named.st_dev &&
	    running.st_ino == named.st_ino)
		r = 0;
	if (r == 0 && hash && running.st_size <= HASH_MAX)
		*hashed = hash_known(fd, &running, digest) == 0;
	close(fd);
	return r;
}

/* The unified hierarchy's group; with version 1 that of systemd's. */
static int
read_cgroup(pid_t pid, char path[TEXT_MAX])
{
	char name[64], line[TEXT_MAX + 64], *p;
	FILE *f;
	int r = -1;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)pid);
	f = fopen(name, "re");
	if (f == NULL)
		return -1;
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			p = line + 3;
		else if ((p = strstr(line, ":name=systemd:")) != NULL)
			p += 14;
		else
			continue;
		if (strlen(p) < TEXT_MAX)
			r = snprintf(path, TEXT_MAX, "%s", p) > 0 ? 0 : -1;
		if (line[0] == '0' && strcmp(p, "/") != 0)
			break;
	}
	fclose(f);
	return r;
}

int
process_ask(struct chan *c, uint64_t reqid, void *msg)
{
	struct msg_process_ask *m = msg;
	char exe[TEXT_MAX] = "", cgroup[TEXT_MAX] = "";
	struct ucred cred = {0};
	socklen_t len = sizeof(cred);
	int pidfd = -1, hashed = 0;
	MSG_INIT(process_facts, a);

	if (getsockopt(m->conn, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1 ||
	    cred.pid <= 0 || (pidfd = pidfd_of_peer(m->conn, cred.pid)) == -1) {
		a.code = ESRCH;
		return chan_answer(c, reqid, MSG_process_facts, &a);
	}
	if (read_exe(cred.pid, m->hash, exe, a.sha256, &hashed) == -1)
		exe[0] = '\0';
	if (read_cgroup(cred.pid, cgroup) == -1)
		cgroup[0] = '\0';
	if (!has_lived(pidfd)) { /* what was read may be another's */
		a.code = ESRCH;
		exe[0] = cgroup[0] = '\0';
		hashed = 0;
	}
	close(pidfd);
	if (!hashed)
		memset(a.sha256, 0, sizeof(a.sha256));
	a.has_hash = (uint8_t)hashed;
	a.exe = span_str(exe);
	a.cgroup = span_str(cgroup);
	return chan_answer(c, reqid, MSG_process_facts, &a);
}
