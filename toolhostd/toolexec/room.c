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

#include "common/log.h"
#include "common/proto.h"
#include "toolhostd/toolexec/plan.h"

/* The new root is mounted here first: a directory that every system has and nobody's
 * files are in. */
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

/* Programs and libraries; symbolic links (merged /usr) stay links. */
static const char *const system_dirs[] = {
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
#define NSYSTEM_DIRS (sizeof(system_dirs) / sizeof(system_dirs[0]))

static char links[NSYSTEM_DIRS][256];

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

	for (i = 0; i < NSYSTEM_DIRS; i++)
		if (lstat(system_dirs[i], &st) == 0 && S_ISDIR(st.st_mode))
			take(system_dirs[i], system_dirs[i], ro, false);
	for (i = 0; i < sizeof(system_files) / sizeof(system_files[0]); i++)
		take(system_files[i], system_files[i], ro, false);
	for (i = 0; plan.network == TOOL_NETWORK_HOST &&
	     i < sizeof(network_files) / sizeof(network_files[0]);
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
		if (mkdir(part, 0755) == -1 && errno != EEXIST)
			fatal("%s: %s cannot be made in its room", plan.name, part);
	}
}

/* Something to mount on: a directory, or an empty file. What is there already will do. */
static void
make_point(const char *path, bool dir, mode_t mode)
{
	int tries;

	for (tries = 0; tries < 2; tries++) {
		if ((dir ? mkdir(path, mode) : mknod(path, S_IFREG | mode, 0)) == 0 ||
		    errno == EEXIST)
			return;
		if (errno != ENOENT)
			break;
		make_parents(path);
	}
	fatal("%s: %s cannot be made in its room", plan.name, path);
}

static void
make_file(const char *path, const char *text)
{
	int fd;

	make_point(path, false, 0644);
	fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fatal("%s: %s cannot be made in its room", plan.name, path);
	close(fd);
}

static void
put(const struct tree *t)
{
	make_point(t->at, t->dir, t->dir ? 0755 : 0644);
	if (move_mount(t->fd, "", AT_FDCWD, t->at,
		MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) == -1)
		fatal("%s: %s cannot be shown to it", plan.name, t->at);
	close(t->fd);
}

static void
make_tmpfs(const char *path, const char *options)
{
	make_point(path, true, 0755);
	if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) == -1)
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
	if (plan.network != TOOL_NETWORK_HOST)
		make_file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
}

/* The host's symbolic links among the system's directories, while it is to be seen. */
static void
take_links(void)
{
	ssize_t n;
	size_t i;

	for (i = 0; i < NSYSTEM_DIRS; i++) {
		n = readlink(system_dirs[i], links[i], sizeof(links[i]) - 1);
		links[i][n > 0 ? n : 0] = '\0';
	}
}

static void
make_links(void)
{
	static const char *const descriptors[][2] = {{"/proc/self/fd", "/dev/fd"},
	    {"/proc/self/fd/0", "/dev/stdin"}, {"/proc/self/fd/1", "/dev/stdout"},
	    {"/proc/self/fd/2", "/dev/stderr"}};
	size_t i;

	for (i = 0; i < NSYSTEM_DIRS; i++)
		if (links[i][0] != '\0' && symlink(links[i], system_dirs[i]) == -1)
			fatal("%s: %s", plan.name, system_dirs[i]);
	for (i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++)
		if (symlink(descriptors[i][0], descriptors[i][1]) == -1)
			fatal("%s: %s", plan.name, descriptors[i][1]);
}

/* Nothing where `path` was, within a path that was named. Not there: hidden already. */
static void
hide(const char *path)
{
	struct mount_attr attr = {
	    .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC};
	struct stat st;
	int nothing;

	if (stat(path, &st) == -1)
		return;
	nothing = open_tree(AT_FDCWD, S_ISDIR(st.st_mode) ? ROOM_EMPTY : "/dev/null",
	    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (nothing == -1 ||
	    mount_setattr(nothing, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == -1 ||
	    move_mount(nothing, "", AT_FDCWD, path,
		MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) == -1)
		fatal("%s: %s cannot be hidden", plan.name, path);
	close(nothing);
}

static void
make_proc(void)
{
	make_point("/proc", true, 0555);
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
		return;
	/* where the host's own /proc is partly covered the kernel allows no new one to a
	 * user namespace; there is none then, rather than the host's */
	LOG_WARN("tool.room", LS("server", plan.name), LE("proc", errno));
	plan.no_proc = 1;
}

/* From here on / is the room, still empty, and the old root is where we stand: names and
 * the links in them lead to nothing of the host any more. */
static void
enter_root(void)
{
	if (mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV,
		"size=1m,nr_inodes=4096,mode=0755") == -1 ||
	    chdir(STAGE) == -1 || syscall(SYS_pivot_root, ".", ".") == -1)
		fatal("%s: no room", plan.name);
}

static void
close_root(void)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	if (mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof(attr)) == -1)
		fatal("%s: no root of its own", plan.name);
}

/* Arguments that name a file of the host which is not in the room: most often a path
 * that was forgotten. */
static void
warn_hidden(const bool *there)
{
	size_t i;

	for (i = 1; i < PLAN_LIST_MAX && plan.args[i] != NULL; i++)
		if (there[i] && access(plan.args[i], F_OK) == -1)
			LOG_WARN("tool.hidden", LS("server", plan.name),
			    LS("path", plan.args[i]),
			    LS("what",
				"an argument names it, but the server does not see it: "
				"name it in paths"));
}

void
room_make(void)
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
	take_links();
	take_paths();
	program = ntrees;
	take(
	    plan.executable, plan.executable, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV, true);
	enter_root();
	snprintf(size, sizeof(size), "size=%um," INODES ",mode=1777",
	    plan.memory_mb / 4 > 16 ? plan.memory_mb / 4 : 16);
	make_tmpfs("/tmp", size);
	make_tmpfs("/dev/shm", size);
	make_point(ROOM_EMPTY, true, 0555);
	make_links();
	for (i = 0; i < ntrees; i++) {
		if (i == program && access(trees[i].at, F_OK) == 0)
			close(trees[i].fd);
		else
			put(&trees[i]);
	}
	make_users();
	make_proc(); /* while the old one is there: the kernel wants to see it */
	for (i = 0; plan.hide[i] != NULL; i++)
		hide(plan.hide[i]);
	warn_hidden(there);
	close_root();
	umask(mask);
}

void
room_close(void)
{
	if (umount2(".", MNT_DETACH) == -1 || chdir("/") == -1)
		fatal("%s: no root of its own", plan.name);
}
