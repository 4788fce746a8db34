/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving up privileges. Runs in every daemon before the first octet of a peer; trusts
 * only the kernel, and reads back what it set.
 */
#include "common/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/securebits.h>

#include "common/log.h"

/* Nobody needs more descriptors to keep than a start-up hands over. */
#define KEEP_MAX 64

static bool dropped;

static int
cmp_int(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

/* close_range(2) by number: the C library of a build host may be older than the kernel.
 */
static void
close_from_to(unsigned int first, unsigned int last)
{
	if (first <= last && syscall(SYS_close_range, first, last, 0u) != 0)
		fatal("close_range");
}

void
priv_close_fds(const int *keep, size_t n)
{
	int sorted[KEEP_MAX], fd;
	unsigned int from = 3;
	size_t i;

	if (n > KEEP_MAX)
		fatalx("too many descriptors to keep");
	for (i = 0; i < n; i++)
		sorted[i] = keep[i];
	if (n > 1)
		qsort(sorted, n, sizeof sorted[0], cmp_int);
	for (fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			fatal("/dev/null");
	for (i = 0; i < n; i++) {
		if (sorted[i] < (int)from)
			continue;
		close_from_to(from, (unsigned int)sorted[i] - 1);
		from = (unsigned int)sorted[i] + 1;
	}
	close_from_to(from, UINT_MAX);
}

void
priv_no_dumps(void)
{
	static const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		fatal("core dumps cannot be turned off");
}

/* Sets soft and hard limit to @want, or to the hard limit where that is lower. */
static void
limit(__rlimit_resource_t what, rlim_t want)
{
	struct rlimit rl = {want, want};

	if (setrlimit(what, &rl) == 0)
		return;
	if (getrlimit(what, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max = rl.rlim_max < want ? rl.rlim_max : want;
		if (setrlimit(what, &rl) == 0)
			return;
	}
	fatal("resource limits cannot be set");
}

void
priv_rlimits(enum role role)
{
	rlim_t files;

	switch (role) {
	case ROLE_GATE:
		files = 65536; /* two and more for every connection */
		break;
	case ROLE_WORKER:
	case ROLE_TOOLHOST:
	case ROLE_API:
		files = 8192; /* an upstream and two body streams for every request */
		break;
	default:
		files = 1024;
		break;
	}
	limit(RLIMIT_NOFILE, files);
	limit(RLIMIT_STACK, 8u << 20);
}

int
priv_uid_for(enum role role, uid_t *uid, gid_t *gid)
{
	const struct role_info *info = role_info(role);
	struct passwd *pw;

	if (info->user == NULL) {
		errno = EINVAL;
		return -1;
	}
	pw = getpwnam(info->user);
	*uid = pw != NULL ? pw->pw_uid : ROLE_UID_BASE + info->uid_offset;
	*gid = pw != NULL ? pw->pw_gid : (gid_t)(ROLE_UID_BASE + info->uid_offset);
	return 0;
}

/* Drops the bounding set; where CAP_SETPCAP is missing there is nothing to bound. */
static void
drop_bounding(void)
{
	cap_value_t cap;
	int there;

	for (cap = 0; (there = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0; cap++)
		if (there != 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 &&
		    errno != EPERM)
			fatal("capability bounding set");
}

/* Uid 0 means nothing any more: not at execve, not by setuid. Needs CAP_SETPCAP. */
static void
lock_securebits(void)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
	    SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
	    SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

	if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) != 0 && errno != EPERM)
		fatal("securebits");
}

/* True when any of the ways back to root is open. */
static bool
root_comes_back(gid_t gid)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (setuid(0) == 0 || seteuid(0) == 0 || setreuid(0, (uid_t)-1) == 0 ||
	    setresuid((uid_t)-1, (uid_t)-1, 0) == 0)
		return true;
	if (gid != 0 && (setgid(0) == 0 || setegid(0) == 0 || setgroups(0, NULL) == 0))
		return true;
	if (getresuid(&r, &e, &s) != 0 || getresgid(&rg, &eg, &sg) != 0)
		return true;
	return r == 0 || r != e || e != s || rg != eg || eg != sg;
}

void
priv_drop_user(enum role role, uid_t uid, gid_t gid)
{
	if (geteuid() == 0) {
		if (uid == 0 || gid == 0)
			fatalx("%s must not run as root", role_name(role));
		drop_bounding();
		lock_securebits();
		if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 ||
		    setresuid(uid, uid, uid) != 0)
			fatal("%s cannot become user %u", role_name(role), uid);
		if (getuid() != uid || getgid() != gid || getgroups(0, NULL) != 0)
			fatalx("%s did not become user %u", role_name(role), uid);
		dropped = true;
		priv_no_dumps();
	}
	if (root_comes_back(getgid()))
		fatalx("%s could become root again", role_name(role));
}

bool
priv_caps_empty(void)
{
	cap_t now = cap_get_proc(), none = cap_init();
	bool empty = now != NULL && none != NULL && cap_compare(now, none) == 0;
	int cap;

	for (cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			empty = false;
	if (now != NULL)
		(void)cap_free(now);
	if (none != NULL)
		(void)cap_free(none);
	return empty;
}

void
priv_drop_caps(void)
{
	cap_t none = cap_init();

	drop_bounding();
	lock_securebits();
	if (none == NULL ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
	    cap_set_proc(none) != 0)
		fatal("capabilities cannot be dropped");
	(void)cap_free(none);
	if (!priv_caps_empty())
		fatalx("capabilities are left");
}

void
priv_no_new_privs(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		fatal("no_new_privs");
}

enum priv_user
priv_user(void)
{
	if (geteuid() == 0)
		return PRIV_USER_ROOT;
	return dropped ? PRIV_USER_OWN : PRIV_USER_CALLER;
}
