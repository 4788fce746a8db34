/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups; see cgroup.h. The master runs this with paths of the kernel's own and
 * numbers of the configuration; nothing of a peer gets here.
 */
#include "aegis/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define PREFIX "aegis-tool-" /* and the master's pid, -, the child's instance */
#define PERIOD_US 100000u
#define PATH_SIZE 1024

enum { MEMORY, PIDS, CPU, CONTROLLERS };

static const char *const names[CONTROLLERS] = {"memory", "pids", "cpu"};

/* Where groups are made: one place for all in version 2, one for each in version 1. */
static struct place {
	char dir[PATH_SIZE]; /* "": not to be had */
	bool two;
} places[CONTROLLERS];
static char home[PATH_SIZE]; /* where the master moved away from, or "" */

struct group {
	TAILQ_ENTRY(group) entry;
	uint32_t instance;
	bool dropped;
	bool have[CONTROLLERS];
	char limits[32];
};

static TAILQ_HEAD(, group) groups = TAILQ_HEAD_INITIALIZER(groups);

static int
put(const char *dir, const char *file, const char *text)
{
	char path[PATH_SIZE + 64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

static int
put_number(const char *dir, const char *file, unsigned long long n)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", n);
	return put(dir, file, text);
}

/* The first octets of a small file; "" when there is none. */
static const char *
get(const char *dir, const char *file)
{
	static char text[4096];
	char path[PATH_SIZE + 64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static bool
has_word(const char *list, const char *word, const char *separators)
{
	size_t len, want = strlen(word);

	for (; *list != '\0'; list += len + (list[len] != '\0')) {
		len = strcspn(list, separators);
		if (len == want && memcmp(list, word, len) == 0)
			return true;
	}
	return false;
}

/* -- finding them -- */

/* Our path in a hierarchy: the line of /proc/self/cgroup with this controller ("": the
 * one of version 2). */
static int
own_path(const char *controller, char *out, size_t size)
{
	char line[PATH_SIZE + 64], *list, *path;
	FILE *f = fopen("/proc/self/cgroup", "re");
	int r = -1;

	while (f != NULL && r == -1 && fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		list = strchr(line, ':');
		path = list == NULL ? NULL : strchr(list + 1, ':');
		if (path == NULL)
			continue;
		*list++ = *path++ = '\0';
		if (controller[0] == '\0' ? list[0] == '\0'
					  : has_word(list, controller, ","))
			r = snprintf(out, size, "%s", path) < (int)size ? 0 : -1;
	}
	if (f != NULL)
		fclose(f);
	return r;
}

/*
 * Where a hierarchy is mounted, and our directory below it. A mount that does not begin
 * at the hierarchy's root shows only what is below that.
 */
static int
own_dir(const char *type, const char *controller, char *out, size_t size)
{
	char line[4096], root[PATH_SIZE], at[PATH_SIZE], fs[64], options[PATH_SIZE],
	    path[PATH_SIZE];
	const char *rest, *dash;
	FILE *f;
	int r = -1;

	if (own_path(controller, path, sizeof(path)) == -1 ||
	    (f = fopen("/proc/self/mountinfo", "re")) == NULL)
		return -1;
	while (r == -1 && fgets(line, sizeof(line), f) != NULL) {
		dash = strstr(line, " - ");
		if (dash == NULL ||
		    sscanf(line, "%*d %*d %*s %1023s %1023s", root, at) != 2 ||
		    sscanf(dash, " - %63s %*s %1023s", fs, options) != 2 ||
		    strcmp(fs, type) != 0 ||
		    (controller[0] != '\0' && !has_word(options, controller, ",")))
			continue;
		rest = path;
		if (strcmp(root, "/") != 0 && strncmp(path, root, strlen(root)) == 0)
			rest = path + strlen(root);
		if (strcmp(rest, "/") == 0)
			rest = "";
		if (snprintf(out, size, "%s%s", at, rest) < (int)size &&
		    access(out, W_OK) == 0)
			r = 0;
	}
	fclose(f);
	return r;
}

/* Turns a controller on for the groups below. */
static int
give_down(const char *dir, int controller)
{
	char text[16];

	if (has_word(get(dir, "cgroup.subtree_control"), names[controller], " \n"))
		return 0;
	snprintf(text, sizeof(text), "+%s", names[controller]);
	return put(dir, "cgroup.subtree_control", text);
}

/*
 * A group of version 2 that has processes cannot give controllers to groups below it, so
 * the master moves into one itself. With others in its group (a shell's) that does not
 * help, and it moves back.
 */
static void
find_two(void)
{
	char dir[PATH_SIZE - 32], own[PATH_SIZE], text[16];
	bool busy = false;
	int i, given = 0;

	if (own_dir("cgroup2", "", dir, sizeof(dir)) == -1 ||
	    get(dir, "cgroup.controllers")[0] == '\0')
		return;
	/* first, since pids and cpu can be given down from a group that has processes:
	 * then its groups take threads only, and no process can be put into them */
	snprintf(own, sizeof(own), "%s/aegis-master", dir);
	if ((mkdir(own, 0755) == -1 && errno != EEXIST) ||
	    put_number(own, "cgroup.procs", (unsigned long long)getpid()) == -1)
		return;
	snprintf(home, sizeof(home), "%s", dir);
	for (i = 0; i < CONTROLLERS && !busy; i++) {
		if (!has_word(get(dir, "cgroup.controllers"), names[i], " \n"))
			continue;
		if (give_down(dir, i) == 0) {
			snprintf(places[i].dir, sizeof(places[i].dir), "%s", dir);
			places[i].two = true;
			given++;
		} else {
			busy = errno == EBUSY;
		}
	}
	if (given > 0 && !busy)
		return;
	for (i = 0; i < CONTROLLERS; i++)
		if (places[i].two) {
			snprintf(text, sizeof(text), "-%s", names[i]);
			(void)put(dir, "cgroup.subtree_control", text);
			places[i].dir[0] = '\0';
			places[i].two = false;
		}
	(void)put_number(home, "cgroup.procs", (unsigned long long)getpid());
	(void)rmdir(own);
	home[0] = '\0';
}

/* Of a master that was killed: its groups are empty, since its children died with it. */
static void
sweep(const char *dir)
{
	char path[PATH_SIZE + NAME_MAX + 2];
	struct dirent *e;
	DIR *d = opendir(dir);
	long pid;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, PREFIX, sizeof(PREFIX) - 1) != 0)
			continue;
		pid = strtol(e->d_name + sizeof(PREFIX) - 1, NULL, 10);
		if (pid <= 0 || pid == getpid() || kill((pid_t)pid, 0) == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		(void)rmdir(path);
	}
	if (d != NULL)
		closedir(d);
}

void
cgroup_setup(void)
{
	char text[64] = "";
	int i;

	find_two();
	for (i = 0; i < CONTROLLERS; i++) {
		if (places[i].dir[0] == '\0' &&
		    own_dir("cgroup", names[i], places[i].dir, sizeof(places[i].dir)) ==
			-1)
			places[i].dir[0] = '\0';
		if (places[i].dir[0] == '\0')
			continue;
		sweep(places[i].dir);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s.v%d",
		    text[0] != '\0' ? "," : "", names[i], places[i].two ? 2 : 1);
	}
	LOG_INFO("cgroups", LS("limits", text[0] != '\0' ? text : "none"));
}

/* -- one child's -- */

static void
path_of(const struct group *g, int controller, char *out, size_t size)
{
	if (snprintf(out, size, "%s/" PREFIX "%d-%u", places[controller].dir,
		(int)getpid(), g->instance) >= (int)size)
		out[0] = '\0';
}

static int
set_limit(const char *dir, int what, const struct cgroup_limit *l)
{
	unsigned long long octets = (unsigned long long)l->memory_mb << 20,
			   quota =
			       (unsigned long long)l->cpu_millicores * PERIOD_US / 1000;
	bool two = places[what].two;
	char text[64];

	switch (what) {
	case MEMORY:
		/* swap and the fate of the whole group: where the kernel has them */
		if (put_number(
			dir, two ? "memory.max" : "memory.limit_in_bytes", octets) == -1)
			return -1;
		(void)put_number(dir,
		    two ? "memory.swap.max" : "memory.memsw.limit_in_bytes",
		    two ? 0 : octets);
		if (two)
			(void)put(dir, "memory.oom.group", "1");
		return 0;
	case PIDS:
		return put_number(dir, "pids.max", l->processes);
	default:
		if (!two)
			return put_number(dir, "cpu.cfs_period_us", PERIOD_US) == 0
			    ? put_number(dir, "cpu.cfs_quota_us", quota)
			    : -1;
		snprintf(text, sizeof(text), "%llu %u", quota, PERIOD_US);
		return put(dir, "cpu.max", text);
	}
}

static void
open_way(struct cgroup_way *way, int controller, const char *dir)
{
	char path[PATH_SIZE + 96];

	if (places[controller].two) {
		if (way->two == -1) /* one for all controllers */
			way->two = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return;
	}
	snprintf(path, sizeof(path), "%s/tasks", dir);
	way->ones[way->nones] = open(path, O_WRONLY | O_CLOEXEC);
	way->nones += way->ones[way->nones] != -1;
}

void
cgroup_make(uint32_t instance, const struct cgroup_limit *l, struct cgroup_way *way)
{
	struct group *g = calloc(1, sizeof(*g));
	char dir[PATH_SIZE + 64];
	int i;

	*way = (struct cgroup_way){.two = -1};
	if (g == NULL)
		return;
	g->instance = instance;
	for (i = 0; i < CONTROLLERS; i++) {
		if (places[i].dir[0] == '\0')
			continue;
		path_of(g, i, dir, sizeof(dir));
		if (mkdir(dir, 0755) == -1 && errno != EEXIST)
			continue;
		g->have[i] = set_limit(dir, i, l) == 0;
		if (g->have[i])
			open_way(way, i, dir);
		else
			(void)rmdir(dir);
	}
	TAILQ_INSERT_TAIL(&groups, g, entry);
}

pid_t
cgroup_fork(const struct cgroup_way *way)
{
	struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
	long pid;

	if (way == NULL || way->two == -1)
		return fork();
	args.cgroup = (unsigned)way->two;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	return pid >= 0 ? (pid_t)pid : fork(); /* it is put there later */
}

void
cgroup_enter(const struct cgroup_way *way)
{
	unsigned i;

	for (i = 0; way != NULL && i < way->nones; i++)
		(void)!write(way->ones[i], "0", 1);
}

void
cgroup_way_close(struct cgroup_way *way)
{
	unsigned i;

	if (way->two >= 0)
		close(way->two);
	for (i = 0; i < way->nones; i++)
		close(way->ones[i]);
}

static bool
is_member(const char *dir, pid_t pid)
{
	const char *p = get(dir, "cgroup.procs");
	char *end;
	long member;

	for (; (member = strtol(p, &end, 10)) > 0; p = end)
		if (member == pid)
			return true;
	return false;
}

void
cgroup_settle(uint32_t instance, pid_t pid)
{
	char dir[PATH_SIZE + 64];
	struct group *g;
	int i;

	TAILQ_FOREACH (g, &groups, entry)
		if (g->instance == instance)
			break;
	for (i = 0; g != NULL && i < CONTROLLERS; i++) {
		if (!g->have[i])
			continue;
		path_of(g, i, dir, sizeof(dir));
		if (is_member(dir, pid) ||
		    put_number(dir, "cgroup.procs", (unsigned long long)pid) == 0) {
			snprintf(g->limits + strlen(g->limits),
			    sizeof(g->limits) - strlen(g->limits), "%s%s",
			    g->limits[0] != '\0' ? "," : "", names[i]);
		} else {
			(void)rmdir(dir);
			g->have[i] = false;
		}
	}
}

const char *
cgroup_limits(uint32_t instance)
{
	const struct group *g;

	TAILQ_FOREACH (g, &groups, entry)
		if (g->instance == instance)
			return g->limits;
	return "";
}

/* Ends whoever is left: nobody, but for a moment while the namespaces go. */
static void
kill_members(const char *dir)
{
	const char *p;
	char *end;
	long pid;

	if (put(dir, "cgroup.kill", "1") == 0)
		return;
	for (p = get(dir, "cgroup.procs"); (pid = strtol(p, &end, 10)) > 0; p = end)
		kill((pid_t)pid, SIGKILL);
}

/* True when nothing is left of it. */
static bool
take_away(struct group *g)
{
	char dir[PATH_SIZE + 64];
	bool gone = true;
	int i;

	for (i = 0; i < CONTROLLERS; i++) {
		if (!g->have[i])
			continue;
		path_of(g, i, dir, sizeof(dir));
		if (rmdir(dir) == -1 && errno != ENOENT) {
			kill_members(dir);
			gone = false;
		} else {
			g->have[i] = false;
		}
	}
	return gone;
}

void
cgroup_drop(uint32_t instance)
{
	struct group *g;

	TAILQ_FOREACH (g, &groups, entry)
		if (g->instance == instance)
			g->dropped = true;
	cgroup_tick();
}

void
cgroup_tick(void)
{
	struct group *g, *next;

	for (g = TAILQ_FIRST(&groups); g != NULL; g = next) {
		next = TAILQ_NEXT(g, entry);
		if (!g->dropped || !take_away(g))
			continue;
		TAILQ_REMOVE(&groups, g, entry);
		free(g);
	}
}

void
cgroup_end(void)
{
	static const struct timespec pause = {.tv_nsec = 10000000};
	char own[PATH_SIZE + 16];
	struct group *g;
	int i;

	TAILQ_FOREACH (g, &groups, entry)
		g->dropped = true;
	for (i = 0; i < 50 && !TAILQ_EMPTY(&groups); i++) {
		cgroup_tick();
		if (!TAILQ_EMPTY(&groups))
			nanosleep(&pause, NULL);
	}
	if (home[0] == '\0')
		return;
	for (i = 0; i < CONTROLLERS; i++)
		if (places[i].two) {
			snprintf(own, sizeof(own), "-%s", names[i]);
			(void)put(home, "cgroup.subtree_control", own);
		}
	(void)put_number(home, "cgroup.procs", (unsigned long long)getpid());
	snprintf(own, sizeof(own), "%s/aegis-master", home);
	(void)rmdir(own);
}
