/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a captured process might try. Each attempt is complete: it reports success only
 * when the attack had its effect. Run in a child of its own, since many of them end in
 * SIGSYS.
 */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>

/* errno of a failed call, never 0. */
static int
refused(void)
{
	return errno > 0 && errno < 255 ? errno : 255;
}

static int
try_open(const char *path, int flags)
{
	char c;
	int fd = open(path, flags);

	if (fd < 0)
		return refused();
	return (flags & O_ACCMODE) == O_RDONLY && read(fd, &c, 1) < 0 ? refused() : 0;
}

static const char *
proc_path(const char *leaf)
{
	static char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/%s", scene.victim, leaf);
	return path;
}

static int
open_shadow(void)
{
	return try_open("/etc/shadow", O_RDONLY);
}

static int
open_passwd(void)
{
	return try_open("/etc/passwd", O_RDONLY);
}

static int
open_readable(void)
{
	return try_open(scene.readable, O_RDONLY);
}

static int
proc_environ(void)
{
	return try_open(proc_path("environ"), O_RDONLY);
}

static int
proc_mem(void)
{
	return try_open(proc_path("mem"), O_RDWR) == 0 || errno == EIO ? 0 : refused();
}

static int
read_procmem(uintptr_t at)
{
	char buf[CANARY_LEN];
	int fd = open(proc_path("mem"), O_RDONLY);

	if (fd < 0 || pread(fd, buf, sizeof buf, (off_t)at) != (ssize_t)sizeof buf)
		return refused();
	return memcmp(buf, CANARY, sizeof buf) == 0 ? 0 : 255;
}

static int
read_vm(uintptr_t at)
{
	char buf[CANARY_LEN];
	struct iovec local = {buf, sizeof buf}, remote = {(void *)at, sizeof buf};

	if (process_vm_readv(scene.victim, &local, 1, &remote, 1, 0) !=
	    (ssize_t)sizeof buf)
		return refused();
	return memcmp(buf, CANARY, sizeof buf) == 0 ? 0 : 255;
}

static int
heap_by_procmem(void)
{
	return read_procmem(scene.heap);
}

static int
heap_by_vm_readv(void)
{
	return read_vm(scene.heap);
}

static int
secret_by_procmem(void)
{
	return read_procmem(scene.arena);
}

static int
secret_by_vm_readv(void)
{
	return read_vm(scene.arena);
}

static int
ptrace_attach(void)
{
	if (ptrace(PTRACE_SEIZE, scene.victim, NULL, NULL) != 0)
		return refused();
	(void)ptrace(PTRACE_DETACH, scene.victim, NULL, NULL);
	return 0;
}

static int
pidfd(void)
{
	return syscall(SYS_pidfd_open, scene.victim, 0) < 0 ? refused() : 0;
}

static int
pidfd_steal(void)
{
	int fd = (int)syscall(SYS_pidfd_open, scene.victim, 0);

	if (fd < 0 || syscall(SYS_pidfd_getfd, fd, scene.victim_fd, 0) < 0)
		return refused();
	return 0;
}

static int
kill_victim(void)
{
	return kill(scene.victim, SIGCONT) != 0 ? refused() : 0;
}

static int
tcp_to(uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sin, sizeof sin) != 0)
		return refused();
	return 0;
}

static int
tcp_upstream(void)
{
	return tcp_to(scene.upstream);
}

static int
tcp_other(void)
{
	return tcp_to(scene.other);
}

static int
tcp_listen(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof sin) != 0 ||
	    listen(fd, 1) != 0)
		return refused();
	return 0;
}

static int
udp_send(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(scene.udp)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || sendto(fd, "x", 1, 0, (struct sockaddr *)&sin, sizeof sin) != 1)
		return refused();
	return 0;
}

static int
new_socket(int domain, int type, int proto)
{
	return socket(domain, type, proto) < 0 ? refused() : 0;
}

static int
socket_unix(void)
{
	return new_socket(AF_UNIX, SOCK_STREAM, 0);
}

static int
socket_netlink(void)
{
	return new_socket(AF_NETLINK, SOCK_RAW, 0);
}

static int
socket_raw(void)
{
	return new_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int
socket_alg(void)
{
	return new_socket(38 /* AF_ALG */, SOCK_SEQPACKET, 0);
}

static int
mmap_wx(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? refused() : 0;
}

static int
mprotect_exec(void)
{
	void *p =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_EXEC) != 0
	    ? refused()
	    : 0;
}

static int
mmap_exec_upper_bits(void)
{
	long p =
	    syscall(SYS_mmap, 0ul, 4096ul, 0xffffffff00000000ul | PROT_READ | PROT_EXEC,
		(long)MAP_PRIVATE | MAP_ANONYMOUS, -1l, 0l);

	return p == -1 ? refused() : 0;
}

static int
memfd_exec(void)
{
	static const char script[] = "#!/bin/true\n";
	char *argv[] = {"x", NULL}, *envp[] = {NULL};
	int fd = memfd_create("x", 0);

	if (fd < 0 || write(fd, script, sizeof script - 1) < 0)
		return refused();
	(void)fexecve(fd, argv, envp);
	return refused();
}

static int
io_uring(void)
{
	struct io_uring_params p = {0};

	return syscall(SYS_io_uring_setup, 4, &p) < 0 ? refused() : 0;
}

static int
bpf_map(void)
{
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY,
	    .key_size = 4,
	    .value_size = 4,
	    .max_entries = 1};

	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr) < 0 ? refused() : 0;
}

static int
perf_event(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
	    .size = sizeof attr,
	    .config = PERF_COUNT_SW_TASK_CLOCK,
	    .exclude_kernel = 1,
	    .exclude_hv = 1};

	return syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0) < 0 ? refused() : 0;
}

static int
unshare_user(void)
{
	return unshare(CLONE_NEWUSER) != 0 ? refused() : 0;
}

static int
clone_user(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? refused() : 0;
}

static int
userfault(void)
{
	return syscall(SYS_userfaultfd, 0) < 0 ? refused() : 0;
}

static int
mount_tmpfs(void)
{
	/* On a directory that is ours, so that nothing of the machine changes. */
	if (mount("none", scene.dir, "tmpfs", 0, NULL) != 0)
		return refused();
	(void)umount2(scene.dir, MNT_DETACH);
	return 0;
}

static int
do_chroot(void)
{
	return chroot(scene.dir) != 0 ? refused() : 0;
}

static int
keyring(void)
{
	return syscall(SYS_add_key, "user", "aegis-probe", "x", 1, -1) < 0 ? refused()
									   : 0;
}

static int
become_root(void)
{
	return setresuid(0, 0, 0) != 0 ? refused() : 0;
}

static int
fork_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? refused() : 0;
}

static int
exec_true(void)
{
	char *argv[] = {"true", NULL}, *envp[] = {NULL};

	(void)execve("/bin/true", argv, envp);
	return refused();
}

static int
truncate_ledger(void)
{
	int fd = open(scene.ledger, O_WRONLY | O_TRUNC);

	return fd < 0 ? refused() : 0;
}

static int
truncate_by_path(void)
{
	return truncate(scene.ledger, 0) != 0 ? refused() : 0;
}

static int
create_file(void)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof path, "/tmp/aegis-probe.%d", getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return refused();
	(void)unlink(path);
	return 0;
}

/* The other way to make system calls, with numbers of their own. */
static int
int80_getpid(void)
{
#ifdef __x86_64__
	long ret = 20;

	__asm__ volatile("int $0x80" : "+a"(ret) : : "memory", "r8", "r9", "r10", "r11");
	return ret > 0 ? 0 : 255;
#else
	return ENOSYS;
#endif
}

static int
undump(void)
{
	return syscall(SYS_prctl, 4 /* PR_SET_DUMPABLE */, 1, 0, 0, 0) != 0 ? refused()
									    : 0;
}

const struct attempt attempts[] = {
    {"open-shadow", open_shadow},
    {"open-passwd", open_passwd},
    {"open-readable", open_readable},
    {"create-file", create_file},
    {"truncate-ledger", truncate_ledger},
    {"truncate-by-path", truncate_by_path},
    {"proc-environ", proc_environ},
    {"proc-mem", proc_mem},
    {"heap-by-procmem", heap_by_procmem},
    {"heap-by-vm-readv", heap_by_vm_readv},
    {"secret-by-procmem", secret_by_procmem},
    {"secret-by-vm-readv", secret_by_vm_readv},
    {"ptrace", ptrace_attach},
    {"pidfd-open", pidfd},
    {"pidfd-getfd", pidfd_steal},
    {"kill", kill_victim},
    {"tcp-upstream", tcp_upstream},
    {"tcp-other", tcp_other},
    {"tcp-listen", tcp_listen},
    {"udp-send", udp_send},
    {"socket-unix", socket_unix},
    {"socket-netlink", socket_netlink},
    {"socket-raw", socket_raw},
    {"socket-alg", socket_alg},
    {"mmap-wx", mmap_wx},
    {"mprotect-exec", mprotect_exec},
    {"mmap-exec-upper", mmap_exec_upper_bits},
    {"memfd-exec", memfd_exec},
    {"io-uring", io_uring},
    {"bpf", bpf_map},
    {"perf-event", perf_event},
    {"unshare-newuser", unshare_user},
    {"clone-newuser", clone_user},
    {"userfaultfd", userfault},
    {"mount", mount_tmpfs},
    {"chroot", do_chroot},
    {"keyring", keyring},
    {"become-root", become_root},
    {"undump", undump},
    {"fork", fork_child},
    {"execve", exec_true},
    {"int80", int80_getpid},
};

const unsigned int attempts_n = sizeof attempts / sizeof attempts[0];
