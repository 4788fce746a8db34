/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watching files of policies; see policy_watch.h. The master. Names in directories are
 * their owners'; they are compared with names of ours and not otherwise used.
 *
 * Editors rename, Kubernetes swaps the link `..data`, directories go and come back: so
 * each name on the way is watched in the directory that holds it.
 */
#include "aegis/policy_watch.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/policy_file.h"
#include "common/log.h"
#include "common/loop.h"

#define QUIET_MS 500
#define LATEST_MS 5000
#define LINKS_MAX 40
#define NAMES_MAX 4096

/* What can happen to a name, and to what is in a file. */
#define NAMES (IN_CREATE | IN_DELETE | IN_MOVE | IN_ATTRIB | IN_ONLYDIR | IN_MASK_ADD)
#define FILES (NAMES | IN_MODIFY | IN_CLOSE_WRITE)

static struct watched {
	int wd;
	char *name; /* NULL: every policy file */
} * names;
static size_t nnames;
static int notify = -1;
static struct event *readable, *timer;
static uint64_t first_ms; /* of the changes that nobody was told of yet; 0: none */
static void (*tell)(void);
static bool blind; /* something that has to be watched is not */

static void
forget(void)
{
	size_t i;

	if (readable != NULL)
		event_free(readable);
	readable = NULL;
	if (notify >= 0)
		close(notify);
	notify = -1;
	for (i = 0; i < nnames; i++)
		free(names[i].name);
	free(names);
	names = NULL;
	nnames = 0;
}

/* Changes of a name in a directory; NULL: of all policy files. */
static void
watch(const char *dir, const char *name, uint32_t what)
{
	struct watched *grown, w = {.wd = inotify_add_watch(notify, dir, what)};

	if (w.wd == -1) {
		/* a directory that lets pass only: those behind it can still be watched
		 */
		if (errno != EACCES)
			blind = true;
		return;
	}
	grown =
	    nnames < NAMES_MAX ? reallocarray(names, nnames + 1, sizeof(*grown)) : NULL;
	if (grown != NULL)
		names = grown;
	if (grown == NULL || (name != NULL && (w.name = strdup(name)) == NULL)) {
		blind = true;
		return;
	}
	names[nnames++] = w;
}

static int
join(char *at, const char *name)
{
	size_t n = strcmp(at, "/") == 0 ? 0 : strlen(at), len = strlen(name);

	if (n + 1 + len >= PATH_MAX)
		return -1;
	at[n] = '/';
	memcpy(at + n + 1, name, len + 1);
	return 0;
}

static void
up(char *at)
{
	char *slash = strrchr(at, '/');

	slash[slash == at] = '\0';
}

/* The first name of a path, cut off it. Its length, 0 at the end, -1: too long. */
static int
cut_name(char *rest, char name[NAME_MAX + 1])
{
	char *p = rest + strspn(rest, "/");
	size_t len = strcspn(p, "/");

	if (len > NAME_MAX)
		return -1;
	memcpy(name, p, len);
	name[len] = '\0';
	memmove(rest, p + len, strlen(p + len) + 1);
	return (int)len;
}

/* Puts what a link says in front of the rest. */
static int
through(const char *link, char *at, char rest[PATH_MAX])
{
	char target[PATH_MAX], whole[PATH_MAX * 2];
	ssize_t n = readlink(link, target, sizeof(target) - 1);

	if (n <= 0)
		return -1;
	target[n] = '\0';
	if (target[0] == '/')
		snprintf(at, PATH_MAX, "/");
	snprintf(whole, sizeof(whole), "%s/%s", target, rest);
	if (strlen(whole) >= PATH_MAX)
		return -1;
	memcpy(rest, whole, strlen(whole) + 1);
	return 0;
}

/*
 * Watches each name of an absolute path, through links, as far as it exists; at is where
 * it leads. 0, or -1 when it leads nowhere yet.
 */
static int
follow(const char *path, char at[PATH_MAX])
{
	char rest[PATH_MAX], full[PATH_MAX], name[NAME_MAX + 1];
	unsigned links = 0;
	struct stat st;
	int n;

	if (strlen(path) >= sizeof(rest))
		return -1;
	memcpy(rest, path, strlen(path) + 1);
	snprintf(at, PATH_MAX, "/");
	while ((n = cut_name(rest, name)) > 0) {
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			up(at);
			continue;
		}
		memcpy(full, at, strlen(at) + 1);
		if (join(full, name) == -1)
			return -1;
		if (lstat(full, &st) == -1) {
			watch(at, name, FILES);
			return -1;
		}
		watch(at, name, S_ISREG(st.st_mode) ? FILES : NAMES);
		if (!S_ISLNK(st.st_mode))
			memcpy(at, full, strlen(full) + 1);
		else if (++links > LINKS_MAX || through(full, at, rest) == -1)
			return -1;
	}
	return n;
}

static void
watch_files(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	char path[PATH_MAX], at[PATH_MAX];

	watch(dir, NULL, FILES);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (!policy_file_is(e->d_name) || e->d_type == DT_REG)
			continue;
		memcpy(path, dir, strlen(dir) + 1);
		if (join(path, e->d_name) == 0)
			(void)follow(path, at);
	}
	if (d != NULL)
		closedir(d);
}

/* ---- what happened ---- */

static void
arm(uint64_t ms)
{
	struct timeval tv = {
	    .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	if (timer != NULL)
		(void)evtimer_add(timer, &tv);
}

static void
on_quiet(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	first_ms = 0;
	if (tell != NULL)
		tell();
}

static void
touched(void)
{
	uint64_t now = loop_now_ms(), left;

	if (first_ms == 0)
		first_ms = now;
	left = first_ms + LATEST_MS > now ? first_ms + LATEST_MS - now : 0;
	arm(left < QUIET_MS ? left : QUIET_MS);
}

static bool
concerns(const struct inotify_event *e)
{
	size_t i;

	if ((e->mask & IN_Q_OVERFLOW) != 0)
		return true;
	for (i = 0; i < nnames; i++)
		if (names[i].wd == e->wd &&
		    ((e->mask & IN_IGNORED) != 0 ||
			(e->len > 0 &&
			    (names[i].name == NULL
				    ? policy_file_is(e->name)
				    : strcmp(names[i].name, e->name) == 0))))
			return true;
	return false;
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	_Alignas(struct inotify_event) char space[8192];
	const struct inotify_event *e;
	bool some = false;
	ssize_t n, at;

	(void)what;
	(void)arg;
	while ((n = read((int)fd, space, sizeof(space))) > 0)
		for (at = 0; at < n; at += (ssize_t)(sizeof(*e) + e->len)) {
			e = (const struct inotify_event *)(const void *)(space + at);
			some = concerns(e) || some;
		}
	if (some)
		touched();
}

void
policy_watch(const char *path, void (*changed)(void))
{
	bool was_blind = blind;
	char at[PATH_MAX];
	struct stat st;

	forget();
	tell = changed;
	blind = false;
	if (timer == NULL)
		timer = evtimer_new(loop_base(), on_quiet, NULL);
	if (path == NULL) {
		if (timer != NULL)
			(void)evtimer_del(timer);
		return;
	}
	notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (notify >= 0)
		readable =
		    event_new(loop_base(), notify, EV_READ | EV_PERSIST, on_event, NULL);
	if (readable == NULL || timer == NULL || event_add(readable, NULL) == -1)
		blind = true;
	else if (follow(path, at) == 0 && stat(at, &st) == 0 && S_ISDIR(st.st_mode))
		watch_files(at);
	if (blind && !was_blind)
		LOG_WARN("policy.watch", LS("path", path),
		    LS("effect",
			"changes may go unnoticed: use aegis policy reload, and see "
			"inotify(7) for the limits"));
}

void
policy_watch_soon(void)
{
	touched();
}
