/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU, memory and descriptors of the master and its children, from /proc when the judge
 * asks; their boxes keep them from looking themselves. Numbers and names of ours go out,
 * nothing of what a process holds.
 */
#include "aegis/numbers.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/child.h"
#include "common/stats.h"

static uint64_t started[ROLE_MAX];

void
numbers_started(enum role role)
{
	started[role]++;
}

/* A file of /proc/PID, NUL-terminated. 0 or -1. */
static int
read_proc(pid_t pid, const char *name, char *out, size_t size)
{
	char path[64];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	fclose(f);
	return n > 0 ? 0 : -1;
}

/* Microseconds of user and system time: fields 14 and 15, behind the name. */
static int
cpu_of(pid_t pid, uint64_t *us)
{
	unsigned long long user, system;
	long ticks = sysconf(_SC_CLK_TCK);
	char text[1024];
	const char *p;

	if (read_proc(pid, "stat", text, sizeof(text)) == -1 ||
	    (p = strrchr(text, ')')) == NULL || ticks <= 0 ||
	    sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
		&system) != 2)
		return -1;
	*us = (user + system) * (1000000 / (uint64_t)ticks);
	return 0;
}

static int
rss_of(pid_t pid, uint64_t *octets)
{
	unsigned long long pages;
	char text[256];

	if (read_proc(pid, "statm", text, sizeof(text)) == -1 ||
	    sscanf(text, "%*u %llu", &pages) != 1)
		return -1;
	*octets = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

/* Since Linux 6.2 the directory's size is their number; before it takes a right to list
 * them that only root has. */
static int
fds_of(pid_t pid, uint64_t *n)
{
	char path[64];
	struct stat st;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	if (stat(path, &st) == 0 && st.st_size > 0) {
		*n = (uint64_t)st.st_size;
		return 0;
	}
	d = opendir(path);
	if (d == NULL)
		return -1;
	for (*n = 0; readdir(d) != NULL;)
		++*n;
	closedir(d);
	*n = *n > 2 ? *n - 2 : 0;
	return 0;
}

static void
put_process(struct buf *b, enum role role, const char *name, pid_t pid)
{
	char labels[256];
	uint64_t v;

	snprintf(labels, sizeof(labels), "%s" METRIC_SEP "%s", role_name(role), name);
	if (cpu_of(pid, &v) == 0)
		(void)metrics_put(b, METRIC_cpu, labels, v);
	if (rss_of(pid, &v) == 0)
		(void)metrics_put(b, METRIC_rss, labels, v);
	if (fds_of(pid, &v) == 0)
		(void)metrics_put(b, METRIC_fds, labels, v);
}

static void
put(struct buf *b)
{
	const struct child *c;
	unsigned i;

	put_process(b, ROLE_MASTER, "", getpid());
	TAILQ_FOREACH (c, &children, entry)
		if (b->len + 1024 < METRIC_BLOB_MAX)
			put_process(b, c->role, c->name, c->pid);
	for (i = 0; i < ROLE_MAX; i++)
		if (started[i] > 0)
			(void)metrics_put(
			    b, METRIC_starts, role_name((enum role)i), started[i]);
}

void
numbers_setup(void)
{
	stats_source(put);
}
