/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root of its own for the tool server, made from nothing: what is not put into it is
 * not there. Runs in toolexec, in the first process of the new namespaces, before the
 * server is started; trusts the plan, which is the master's.
 */
#include "toolhostd/toolexec/room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "common/log.h"
#include "toolhostd/toolexec/plan.h"

/* The new root is built here: a directory that every system has and nobody's files are
 * in. */
#define STAGE "/proc"
#define TREES_MAX (PLAN_PATHS_MAX + 64)
#define INODES "nr_inodes=65536"

/* A tree of the host that goes into the room, taken before anything is covered. */
struct tree {
	const char *at;
	int fd;
	bool dir;
};

static struct tree trees[TREES_MAX];
static size_t ntrees;
static int root = -1;

/* Programs and libraries; symbolic links (merged /usr) stay links. */
static const char *const system_dirs[] = {
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};

/* What interpreters and libraries read. No passwd, no shadow, no host names. */
static const char *const system_files[] = {"/etc/ld.so.cache", "/etc/ld.so.conf",
    "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime", "/etc/timezone",
    "/etc/locale.alias", "/etc/mime.types", "/etc/magic", "/etc/terminfo",
    "/etc/os-release", "/etc/debian_version", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
    "/etc/ca-certificates", "/etc/pki/tls/certs", "/etc/python3", "/etc/perl",
    "/etc/fonts", "/etc/protocols", "/etc/services"};

/* Only of use with a network, and only then anybody's business. */
static const char *const network_files[] = {
    "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/gai.conf"};

static const char *const devices[] = {
    "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};

/* Takes a tree; what does not exist is passed over unless it must be there. */
static void
take(const char *from, const char *at, uint64_t attributes, bool must)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSUID | attributes};
	struct stat st;
	int fd;

	fd = open_tree(
	    AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (unsigned)AT_RECURSIVE);
	if (fd == -1 && (errno == ENOENT || errno == ENOTDIR) && !must)
		return;
	if (fd == -1 || fstat(fd, &st) == -1 ||
	    mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) ==
		-1)
		fatal("%s: %s cannot be shown to it", plan.name, from);
	if (ntrees == TREES_MAX)
		fatalx("%s: too many paths", plan.name);
	trees[ntrees++] = (struct tree){at, fd, S_ISDIR(st.st_mode)};
}

static void
take_system(void)
{
	const uint64_t ro = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV;
	struct stat st;
	size_t i;

	for (i = 0; i < sizeof(system_dirs) / sizeof(system_dirs[0]); i++)
		if (lstat(system_dirs[i], &st) == 0 && S_ISDIR(st.st_mode))
			take(system_dirs[i], system_dirs[i], ro, false);
	for (i = 0; i < sizeof(system_files) / sizeof(system_files[0]); i++)
		take(system_files[i], system_files[i], ro, false);
	for (i = 0; plan.network && i < sizeof(network_files) / sizeof(network_files[0]);
	     i++)
		take(network_files[i], network_files[i], ro, false);
	for (i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
		take(devices[i], devices[i], MOUNT_ATTR_NOEXEC, true);
}

/* Shorter first, so that a path within another one goes on top of it. */
static int
by_length(const void *a, const void *b)
{
	size_t x = strlen(*(char *const *)a), y = strlen(*(char *const *)b);

	return (x > y) - (x < y);
}

static void
take_paths(void)
{
	uint64_t attributes;
	size_t i;

	qsort(plan.paths, plan.npaths, sizeof(plan.paths[0]), by_length);
	for (i = 0; i < plan.npaths; i++) {
		attributes = MOUNT_ATTR_NODEV;
		if (plan.paths[i][0] != PLAN_WRITE)
			attributes |= MOUNT_ATTR_RDONLY;
		take(plan.paths[i] + 1, plan.paths[i] + 1, attributes, true);
	}
}

/* Opens a name as it will be seen from inside, links followed there; -1: not there. */
static int
inside(const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

static bool
is_inside(const char *path)
{
	int fd = inside(path);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Makes the directories above a name, where the room does not have them yet. */
static void
make_parents(const char *path)
{
	char part[1100];
	const char *slash = path;
	size_t len;

	while ((slash = strchr(slash + 1, '/')) != NULL) {
		len = (size_t)(slash - path);
		if (len >= sizeof(part))
			fatalx("%s: %s is too long", plan.name, path);
		memcpy(part, path, len);
		part[len] = '\0';
		if (!is_inside(part) && mkdirat(root, part + 1, 0755) == -1)
			fatal("%s: %s cannot be made in its room", plan.name, part);
	}
}

static void
make_dir(const char *path, mode_t mode)
{
	make_parents(path);
	if (!is_inside(path) &&
	    (mkdirat(root, path + 1, mode) == -1 ||
		fchmodat(root, path + 1, mode, 0) == -1))
		fatal("%s: %s cannot be made in its room", plan.name, path);
}

static void
make_file(const char *path, const char *text)
{
	int fd;

	make_parents(path);
	fd = openat(root, path + 1, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fatal("%s: %s cannot be made in its room", plan.name, path);
	close(fd);
}

static void
put(const struct tree *t)
{
	int at;

	if (!is_inside(t->at)) {
		if (t->dir)
			make_dir(t->at, 0755);
		else
			make_file(t->at, "");
	}
	at = inside(t->at);
	if (at == -1 ||
	    move_mount(t->fd, "", at, "",
		MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == -1)
		fatal("%s: %s cannot be shown to it", plan.name, t->at);
	close(at);
	close(t->fd);
}

static void
make_tmpfs(const char *path, const char *options)
{
	char at[256];

	make_dir(path, 0755);
	snprintf(at, sizeof(at), STAGE "%s", path);
	if (mount("tmpfs", at, "tmpfs", MS_NOSUID | MS_NODEV, options) == -1)
		fatal("%s: no %s of its own", plan.name, path);
}

/* Names for the numbers it will see: programs ask who they are. */
static void
make_users(void)
{
	char text[256];
	unsigned uid = plan.uid != 0 ? plan.uid : (unsigned)getuid(),
		 gid = plan.uid != 0 ? plan.gid : (unsigned)getgid();

	snprintf(text, sizeof(text),
	    "root:x:0:0::/:/usr/sbin/nologin\ntool:x:%u:%u::/tmp:/usr/sbin/nologin\n",
	    uid, gid);
	make_file("/etc/passwd", text);
	snprintf(text, sizeof(text), "root:x:0:\ntool:x:%u:\n", gid);
	make_file("/etc/group", text);
	make_file(
	    "/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
	if (!plan.network)
		make_file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
}

static void
make_links(void)
{
	static const char *const links[][2] = {{"/proc/self/fd", "dev/fd"},
	    {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"},
	    {"/proc/self/fd/2", "dev/stderr"}};
	char target[256];
	ssize_t n;
	size_t i;

	for (i = 0; i < sizeof(system_dirs) / sizeof(system_dirs[0]); i++) {
		n = readlink(system_dirs[i], target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (symlinkat(target, root, system_dirs[i] + 1) == -1)
			fatal("%s: %s", plan.name, system_dirs[i]);
	}
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlinkat(links[i][0], root, links[i][1]) == -1)
			fatal("%s: %s", plan.name, links[i][1]);
}

/* Nothing where `path` was, within a path that was named. Not there: hidden already. */
static void
hide(const char *path)
{
	struct mount_attr attr = {
	    .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC};
	struct stat st;
	int nothing = -1, fd = inside(path);

	if (fd == -1)
		return;
	if (fstat(fd, &st) == 0)
		nothing =
		    open_tree(root, S_ISDIR(st.st_mode) ? &ROOM_EMPTY[1] : "dev/null",
			OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (nothing == -1 ||
	    mount_setattr(nothing, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == -1 ||
	    move_mount(nothing, "", fd, "",
		MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == -1)
		fatal("%s: %s cannot be hidden", plan.name, path);
	close(nothing);
	close(fd);
}

static void
make_proc(void)
{
	make_dir("/proc", 0555);
	if (mount("proc", STAGE "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		NULL) == 0)
		return;
	/* where the host's own /proc is partly covered the kernel allows no new one to a
	 * user namespace; there is none then, rather than the host's */
	LOG_WARN("tool.room", LS("server", plan.name), LE("proc", errno));
	plan.no_proc = 1;
}

static void
change_root(void)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	if (fchdir(root) == -1 || syscall(SYS_pivot_root, ".", ".") == -1 ||
	    umount2(".", MNT_DETACH) == -1 || chdir("/") == -1 ||
	    mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) == -1)
		fatal("%s: no root of its own", plan.name);
	close(root);
}

/* Arguments that name a file of the host which is not in the room: most often a path
 * that was forgotten. */
static void
warn_hidden(const bool *there)
{
	size_t i;

	for (i = 1; i < PLAN_LIST_MAX && plan.args[i] != NULL; i++)
		if (there[i] && !is_inside(plan.args[i]))
			LOG_WARN("tool.hidden", LS("server", plan.name),
			    LS("path", plan.args[i]),
			    LS("what",
				"an argument names it, but the server does not see it: "
				"name it in paths"));
}

void
room_enter(void)
{
	static bool there[PLAN_LIST_MAX + 1];
	mode_t mask = umask(022);
	char size[96];
	size_t i, program;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		fatal("%s: mounts cannot be made private", plan.name);
	for (i = 1; i < PLAN_LIST_MAX && plan.args[i] != NULL; i++)
		there[i] = plan.args[i][0] == '/' && access(plan.args[i], F_OK) == 0;
	take_system();
	take_paths();
	program = ntrees;
	take(
	    plan.executable, plan.executable, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, true);
	if (mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV,
		"size=1m,nr_inodes=4096,mode=0755") == -1 ||
	    (root = open(STAGE, O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1)
		fatal("%s: no room", plan.name);
	snprintf(size, sizeof(size), "size=%um," INODES ",mode=1777",
	    plan.memory_mb / 4 > 16 ? plan.memory_mb / 4 : 16);
	make_tmpfs("/tmp", size);
	make_tmpfs("/dev/shm", size);
	make_dir(ROOM_EMPTY, 0555);
	make_links();
	for (i = 0; i < ntrees; i++) {
		if (i == program && is_inside(trees[i].at))
			close(trees[i].fd);
		else
			put(&trees[i]);
	}
	make_users();
	make_proc();
	for (i = 0; plan.hide[i] != NULL; i++)
		hide(plan.hide[i]);
	warn_hidden(there);
	change_root();
	umask(mask);
}
