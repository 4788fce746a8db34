/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: files, TCP and signals, as far as the running kernel knows how. Runs once in
 * every boxed process. The constants of newer kernels stand here, so that a binary built
 * on an older system uses what it finds at run time.
 */
#include "common/sandbox_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

/* What each ABI added; see landlock(7). */
#define FS_ABI1 ((1ull << 13) - 1) /* EXECUTE ... MAKE_SYM */
#define FS_REFER (1ull << 13)      /* ABI 2 */
#define FS_TRUNCATE (1ull << 14)   /* ABI 3 */
#define FS_IOCTL_DEV (1ull << 15)  /* ABI 5 */
#define NET_BIND (1ull << 0)       /* ABI 4 */
#define NET_CONNECT (1ull << 1)
#define SCOPE_UNIX (1ull << 0) /* ABI 6: abstract sockets of others */
#define SCOPE_SIGNAL (1ull << 1)
#define RULE_NET_PORT 2

/* Rights that make sense for a file that is no directory. */
#define FS_FILE                                                       \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | \
	    LANDLOCK_ACCESS_FS_READ_FILE | FS_TRUNCATE)
#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE                                                           \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |   \
	    LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
	    LANDLOCK_ACCESS_FS_MAKE_REG | FS_TRUNCATE)

/* Longer than the build host's header may know. */
struct ruleset_attr {
	uint64_t fs, net, scoped;
};
struct net_attr {
	uint64_t access, port;
};

static int
add_path(int ruleset, const struct sandbox_path *p, uint64_t known)
{
	struct landlock_path_beneath_attr attr = {0};
	struct stat st;
	int rc = -1, saved;

	attr.parent_fd = open(p->path, O_PATH | O_CLOEXEC);
	if (attr.parent_fd < 0)
		return (p->access & SANDBOX_MAYBE) && errno == ENOENT ? 0 : -1;
	if (fstat(attr.parent_fd, &st) != 0)
		goto out;
	if (p->access & SANDBOX_READ)
		attr.allowed_access |= FS_READ;
	if (p->access & SANDBOX_WRITE)
		attr.allowed_access |= FS_READ | FS_WRITE;
	if (p->access & SANDBOX_EXEC)
		attr.allowed_access |= FS_READ | LANDLOCK_ACCESS_FS_EXECUTE;
	if (p->access & SANDBOX_ALL)
		attr.allowed_access = known;
	attr.allowed_access &= known;
	if (!S_ISDIR(st.st_mode))
		attr.allowed_access &= FS_FILE;
	rc = (int)syscall(
	    SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0u);
out:
	saved = errno;
	(void)close(attr.parent_fd);
	errno = saved;
	return rc;
}

static int
add_port(int ruleset, uint16_t port)
{
	struct net_attr attr = {.access = NET_CONNECT, .port = port};

	return (int)syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &attr, 0u);
}

static size_t
attr_size(long abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset_attr);
	return abi >= 4 ? offsetof(struct ruleset_attr, scoped)
			: offsetof(struct ruleset_attr, net);
}

int
box_landlock_abi(void)
{
	long abi = syscall(
	    SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 1 ? 0 : (int)abi;
}

int
box_landlock(const struct sandbox_paths *paths, enum box_tcp tcp)
{
	struct ruleset_attr attr = {.fs = FS_ABI1};
	int fd, rc = -1, saved;
	long abi = box_landlock_abi();
	size_t i;

	if (abi < 1)
		return 0;
	if (abi >= 2)
		attr.fs |= FS_REFER;
	if (abi >= 3)
		attr.fs |= FS_TRUNCATE;
	if (abi >= 5 && tcp != BOX_TCP_ALL)
		attr.fs |= FS_IOCTL_DEV;
	if (abi >= 4 && tcp != BOX_TCP_ALL)
		attr.net = tcp == BOX_TCP_PORTS ? NET_BIND | NET_CONNECT : NET_BIND;
	if (abi >= 6)
		attr.scoped = SCOPE_UNIX | SCOPE_SIGNAL;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, attr_size(abi), 0u);
	if (fd < 0)
		return -1;
	for (i = 0; paths != NULL && i < paths->n; i++)
		if (add_path(fd, &paths->list[i], attr.fs) != 0)
			goto out;
	for (i = 0; paths != NULL && i < paths->nports && (attr.net & NET_CONNECT); i++)
		if (add_port(fd, paths->ports[i]) != 0)
			goto out;
	if (syscall(SYS_landlock_restrict_self, fd, 0u) == 0)
		rc = (int)abi;
out:
	saved = errno;
	(void)close(fd);
	errno = saved;
	return rc;
}
