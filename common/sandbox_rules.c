/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process may make which system call. Everything not listed kills the process. To
 * be read as a page: what a captured process could still ask the kernel for is exactly
 * its column.
 */
#include "common/sandbox_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* The columns. */
#define G BOX_GATE
#define J BOX_JUDGE
#define V (BOX_VAULT | BOX_OPENBAO)
#define BAO BOX_OPENBAO
#define D BOX_DISPATCH
#define W BOX_WORKER
#define T BOX_TOOLHOST
#define X BOX_TOOLEXEC
#define R BOX_RELAY
#define A BOX_API
#define LOOP (G | A | J | V | D | W | T)
#define ALL (LOOP | X | R)

/* Calls that newer architectures do not have. */
#ifdef __NR_epoll_wait
#define __NR_EPOLL_WAIT __NR_epoll_wait
#else
#define __NR_EPOLL_WAIT __NR_epoll_pwait
#endif
#ifdef __NR_poll
#define __NR_POLL __NR_poll
#else
#define __NR_POLL __NR_ppoll
#endif
#ifndef __NR_open
#define __NR_open -1
#define __NR_stat -1
#define __NR_lstat -1
#define __NR_access -1
#define __NR_readlink -1
#define __NR_UNLINK __NR_unlinkat
#define __NR_RENAME __NR_renameat
#define __NR_ACCESS __NR_faccessat
#else
#define __NR_UNLINK __NR_unlink
#define __NR_ACCESS __NR_access
#endif

/* clang-format off */
/* The kernel takes these arguments as 32 bits, or has no use for the upper ones. */
#define INT		0xffffffffu
#define IS(n, v)	{ .arg = (n), .mask = INT, .value = (v) }
#define HAS(n, bits)	{ .arg = (n), .mask = (bits), .value = (bits) }
#define LACKS(n, bits)	{ .arg = (n), .mask = (bits), .value = 0 }
#define ONLY(n, bits)	{ .arg = (n), .mask = INT & ~(uint32_t)(bits), .value = 0 }
#define NIL(n)		{ .arg = (n), .nil = true }
/* A type of socket, with its flags or without. */
#define TYPE(n, t) \
	{ .arg = (n), .mask = INT & ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), .value = (t) }

/* A call, for which kinds, and with what arguments. */
#define CALL(call, kinds)	{ __NR_##call, #call, (kinds), 0, { { 0 } } }
#define CALL1(call, kinds, ...)	{ __NR_##call, #call, (kinds), 1, { __VA_ARGS__ } }
#define CALL2(call, kinds, ...)	{ __NR_##call, #call, (kinds), 2, { __VA_ARGS__ } }
#define SETSOCK(kinds, level, opt) CALL2(setsockopt, kinds, IS(1, level), IS(2, opt))
#define GETSOCK(kinds, level, opt) CALL2(getsockopt, kinds, IS(1, level), IS(2, opt))

const struct box_rule box_rules[] = {
	/* descriptors that are open already */
	CALL(read,		ALL),
	CALL(write,		ALL),
	CALL(writev,		ALL),	/* what libc says before it aborts */
	CALL(close,		ALL),
	CALL(sendmsg,		LOOP | R),
	CALL(recvmsg,		R),
	CALL(sendmmsg,		LOOP),
	CALL(recvmmsg,		LOOP),
	CALL1(sendto,		G | A | W | BAO, NIL(4)),	/* send() on a stream */
	CALL1(recvfrom,		G | A | W | BAO, NIL(4)),
	CALL(shutdown,		G | A | R),
	CALL1(fcntl,		ALL, IS(1, F_GETFL)),
	CALL1(fcntl,		ALL, IS(1, F_SETFL)),
	CALL1(fcntl,		ALL, IS(1, F_GETFD)),
	CALL1(fcntl,		ALL, IS(1, F_SETFD)),
	CALL1(fcntl,		G | J | V | T, IS(1, F_GET_SEALS)),
	CALL1(fcntl,		G | T, IS(1, F_ADD_SEALS)),
	CALL1(fcntl,		G | J, IS(1, F_DUPFD_CLOEXEC)),
	CALL1(fcntl,		J, IS(1, F_GETLK)),
	CALL1(fcntl,		J, IS(1, F_SETLK)),
	CALL1(fcntl,		J, IS(1, F_SETLKW)),
	CALL(fstat,		ALL),
	CALL1(newfstatat,	G | D | T | X, HAS(3, AT_EMPTY_PATH)),
	CALL(pread64,		G | A | J | T),

	/* the event loop */
	CALL(EPOLL_WAIT,	LOOP),
	CALL(epoll_ctl,		LOOP),

	/* memory, never executable */
	CALL(brk,		ALL),
	CALL1(mmap,		ALL, LACKS(2, PROT_EXEC)),
	CALL1(mprotect,		ALL, LACKS(2, PROT_EXEC)),
	CALL(munmap,		ALL),
	CALL(mremap,		ALL),
	CALL(madvise,		ALL),
	CALL(futex,		ALL),

	/* time, numbers, the end */
	CALL(clock_gettime,	ALL),
	CALL(gettimeofday,	ALL),	/* where the clock cannot be read without the kernel */
	CALL(getrandom,		ALL),
	CALL(getpid,		ALL),
	CALL(restart_syscall,	ALL),
	CALL(rt_sigreturn,	ALL),
	CALL(exit_group,	ALL),

	/* new descriptors: connections come in, pairs and memory go out */
	CALL(accept4,		G | A | J | V | R),
	CALL2(socketpair,	G | W, IS(0, AF_UNIX), IS(2, 0)),
	CALL1(memfd_create,	G | T, ONLY(1, MFD_CLOEXEC | MFD_ALLOW_SEALING)),
	CALL(ftruncate,		J),
	GETSOCK(W | BAO,	SOL_SOCKET, SO_ERROR),
	GETSOCK(J | V,		SOL_SOCKET, SO_PEERCRED),
	GETSOCK(J,		SOL_SOCKET, SO_PEERPIDFD),
	SETSOCK(W,		SOL_SOCKET, SO_SNDBUF),
	SETSOCK(G | A,		SOL_SOCKET, SO_LINGER),
	SETSOCK(G | A | D | W | BAO, IPPROTO_TCP, TCP_NODELAY),

	/* files, where Landlock says: a database, the vault, certificates, resolver files */
	CALL(openat,		J | V),
	CALL1(openat,		D | W, LACKS(2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)),
	CALL(newfstatat,	J | V | W),
	CALL(pwrite64,		J),
	CALL(lseek,		J | V | D | W | T),	/* V: a secret's memfd, wherever its writer left it */
	CALL(fsync,		J | V),
	CALL(fdatasync,		J),
	CALL(UNLINK,		J),
	CALL(unlinkat,		V),	/* relative to the one directory it has open */
	CALL(renameat,		V),
	CALL(ACCESS,		J),

	/* calling out: TCP only */
	CALL2(socket,		W | BAO, IS(0, AF_INET), TYPE(1, SOCK_STREAM)),
	CALL2(socket,		W | BAO, IS(0, AF_INET6), TYPE(1, SOCK_STREAM)),
	CALL(connect,		W | BAO | D),

	/* the resolver */
	CALL1(socket,		D, IS(0, AF_INET)),
	CALL1(socket,		D, IS(0, AF_INET6)),
	SETSOCK(D,		IPPROTO_IP, IP_RECVERR),
	SETSOCK(D,		IPPROTO_IPV6, IPV6_RECVERR),
	SETSOCK(D,		IPPROTO_IP, IP_MTU_DISCOVER),
	CALL(sendto,		D),
	CALL(recvfrom,		D),
	CALL(getsockname,	D),
	CALL(POLL,		D | X | R),
	CALL(uname,		D),
	CALL1(ioctl,		D, IS(1, FIONREAD)),

	/* a helper thread started just before the filter may still be about to begin */
	CALL(set_robust_list,	J | D),
	CALL(rseq,		J | D),
	CALL(rt_sigprocmask,	J | D),

	/* toolexec watches the tool server it started */
	CALL(wait4,		X),
	CALL(kill,		X),
};
/* clang-format on */

const size_t box_rules_n = sizeof box_rules / sizeof box_rules[0];

/* clang-format off */
#define REFUSE(call, kinds, err) { __NR_##call, #call, (kinds), (err) }

/* What the C library, SQLite and OpenSSL try on occasion and can do without. */
const struct box_errno box_errnos[] = {
	REFUSE(open,		ALL, EACCES),
	REFUSE(openat,		ALL, EACCES),
	REFUSE(openat2,		ALL, EACCES),
	REFUSE(stat,		ALL, EACCES),
	REFUSE(lstat,		ALL, EACCES),
	REFUSE(newfstatat,	ALL, EACCES),
	REFUSE(statx,		ALL, EACCES),
	REFUSE(access,		ALL, EACCES),
	REFUSE(faccessat,	ALL, EACCES),
	REFUSE(faccessat2,	ALL, EACCES),
	REFUSE(readlink,	ALL, EACCES),
	REFUSE(readlinkat,	ALL, EACCES),
	REFUSE(lseek,		ALL, ESPIPE),	/* stdio asks any descriptor where it stands */
	REFUSE(ioctl,		ALL, ENOTTY),
	REFUSE(sched_getaffinity, ALL, EPERM),	/* malloc: how many arenas? */
	REFUSE(sysinfo,		ALL, EPERM),	/* qsort: how much memory? */
	REFUSE(geteuid,		J, EPERM),	/* SQLite: a database of root's? No number is root's either */
	REFUSE(socket,		D, EACCES),	/* the resolver asks nscd and netlink first */
};
/* clang-format on */

const size_t box_errnos_n = sizeof box_errnos / sizeof box_errnos[0];

/* AddressSanitizer's and UBSan's reports, the leak check at exit. */
const int box_sanitizer[] = {__NR_openat, __NR_readlinkat, __NR_sigaltstack, __NR_gettid,
    __NR_sched_yield, __NR_rt_sigprocmask, __NR_rt_sigaction, __NR_prctl, __NR_getrusage,
    __NR_clone, __NR_wait4, __NR_ptrace, __NR_getdents64, __NR_lseek, __NR_tgkill,
    __NR_newfstatat};
const size_t box_sanitizer_n = sizeof box_sanitizer / sizeof box_sanitizer[0];

/* clang-format off */
#define DENY(call)		{ __NR_##call, #call, EPERM, 0, { { 0 } } }
#define DENY_IF(call, ...)	{ __NR_##call, #call, EPERM, 1, { __VA_ARGS__ } }
#define DENY_AS(call, err)	{ __NR_##call, #call, (err), 0, { { 0 } } }
#define DENY_CLONE(flag)	DENY_IF(clone, HAS(0, flag))

const struct box_deny box_denies[] = {
	/* other processes */
	DENY(ptrace), DENY(process_vm_readv), DENY(process_vm_writev), DENY(process_madvise),
	DENY(pidfd_getfd), DENY(kcmp), DENY(move_pages), DENY(migrate_pages),
	/* namespaces and mounts; clone3 hides its flags in memory, libc falls back to clone */
	DENY(unshare), DENY(setns), DENY_AS(clone3, ENOSYS),
	DENY_CLONE(CLONE_NEWUSER), DENY_CLONE(CLONE_NEWNS), DENY_CLONE(CLONE_NEWPID),
	DENY_CLONE(CLONE_NEWNET), DENY_CLONE(CLONE_NEWIPC), DENY_CLONE(CLONE_NEWUTS),
	DENY_CLONE(CLONE_NEWCGROUP),
	DENY(mount), DENY(umount2), DENY(pivot_root), DENY(chroot), DENY(open_tree),
	DENY(move_mount), DENY(fsopen), DENY(fsconfig), DENY(fsmount), DENY(fspick),
	DENY(mount_setattr), DENY(name_to_handle_at), DENY(open_by_handle_at),
	/* parts of the kernel with a history */
	DENY(bpf), DENY(perf_event_open), DENY(userfaultfd),
	DENY_AS(io_uring_setup, ENOSYS), DENY_AS(io_uring_enter, ENOSYS),
	DENY_AS(io_uring_register, ENOSYS),
	DENY(keyctl), DENY(add_key), DENY(request_key),
	DENY(vmsplice), DENY(fanotify_init), DENY(lookup_dcookie),
	/* the machine */
	DENY(kexec_load), DENY(kexec_file_load), DENY(init_module), DENY(finit_module),
	DENY(delete_module), DENY(reboot), DENY(swapon), DENY(swapoff), DENY(acct),
	DENY(syslog), DENY(quotactl), DENY(quotactl_fd), DENY(nfsservctl), DENY(vhangup),
	DENY(settimeofday), DENY(clock_settime), DENY(adjtimex), DENY(clock_adjtime),
	DENY(sethostname), DENY(setdomainname),
#ifdef __NR_ioperm
	DENY(ioperm), DENY(iopl), DENY(modify_ldt), DENY(uselib), DENY(ustat), DENY(sysfs),
#endif
	DENY(personality),
	/* typing into the terminal of whoever started us */
	DENY_IF(ioctl, IS(1, TIOCSTI)), DENY_IF(ioctl, IS(1, TIOCLINUX)),
	/* sockets that are neither IP nor local */
	DENY_IF(socket, IS(0, AF_NETLINK)), DENY_IF(socket, IS(0, AF_PACKET)),
	DENY_IF(socket, IS(0, AF_ALG)), DENY_IF(socket, IS(0, AF_VSOCK)),
	DENY_IF(socket, IS(0, AF_KEY)), DENY_IF(socket, IS(0, AF_XDP)),
	DENY_IF(socket, IS(0, AF_BLUETOOTH)), DENY_IF(socket, IS(0, AF_TIPC)),
	DENY_IF(socket, IS(0, AF_RDS)), DENY_IF(socket, IS(0, AF_CAN)),
};
/* clang-format on */

const size_t box_denies_n = sizeof box_denies / sizeof box_denies[0];

unsigned int
box_kind_of(enum role role, enum sandbox_variant variant)
{
	switch (role) {
	case ROLE_GATE:
		return BOX_GATE;
	case ROLE_API:
		return BOX_API;
	case ROLE_JUDGE:
		return BOX_JUDGE;
	case ROLE_VAULT:
		return variant == SANDBOX_OPENBAO ? BOX_OPENBAO : BOX_VAULT;
	case ROLE_DISPATCH:
		return BOX_DISPATCH;
	case ROLE_WORKER:
		return BOX_WORKER;
	case ROLE_TOOLHOST:
		return BOX_TOOLHOST;
	case ROLE_TOOLEXEC:
		return variant == SANDBOX_RELAY ? BOX_RELAY : BOX_TOOLEXEC;
	default:
		return 0;
	}
}
