/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As root every server has a user of its own; not as root a user namespace does the same
 * work: any process of the same user could read /proc/PID/environ otherwise.
 */
#include "toolhostd/toolexec/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/priv.h"
#include "common/sandbox.h"
#include "toolhostd/toolexec/plan.h"

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fatal("%s", path);
	close(fd);
}

void
isolate_namespaces(void)
{
	int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
	uid_t uid = getuid();
	gid_t gid = getgid();
	char map[64];

	if (!plan.network)
		flags |= CLONE_NEWNET;
	if (geteuid() != 0)
		flags |= CLONE_NEWUSER;
	/* the maps are written through /proc/self, which a process without dumps cannot
	 */
	prctl(PR_SET_DUMPABLE, 1);
	if (unshare(flags) == -1)
		fatal("%s: no namespaces for the tool server: let unprivileged user "
		      "namespaces "
		      "be made (sysctl user.max_user_namespaces), or run Aegis as root",
		    plan.name);
	if (flags & CLONE_NEWUSER) {
		write_file("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "%u %u 1", (unsigned)uid, (unsigned)uid);
		write_file("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "%u %u 1", (unsigned)gid, (unsigned)gid);
		write_file("/proc/self/gid_map", map);
	}
	prctl(PR_SET_DUMPABLE, 0);
}

/* Puts nothing where `path` was. A path that is not there is hidden already. */
static void
hide(const char *path)
{
	struct stat st;
	int r;

	if (stat(path, &st) == -1)
		return;
	if (S_ISDIR(st.st_mode))
		r = mount("none", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		    "size=4k,mode=0555");
	else
		r = mount("/dev/null", path, NULL, MS_BIND, NULL);
	if (r == -1)
		fatal("%s: %s cannot be hidden", plan.name, path);
}

void
isolate_mounts(void)
{
	size_t i;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		fatal("%s: mounts cannot be made private", plan.name);
	for (i = 0; plan.hide[i] != NULL; i++)
		hide(plan.hide[i]);
	/* where the host's own /proc is partly covered the kernel allows no new one to a
	 * user namespace; the server then sees the host's list of processes, but not into
	 * them */
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == -1)
		LOG_WARN("tool.isolate", LS("server", plan.name), LE("proc", errno));
}

static void
limit(int what, rlim_t value)
{
	struct rlimit r = {value, value};

	if (value != 0 && setrlimit(what, &r) == -1)
		LOG_WARN("tool.limit", LS("server", plan.name), LI("resource", what),
		    LE("what", errno));
}

void
isolate_user(void)
{
	if (geteuid() == 0)
		priv_drop_user(ROLE_TOOLEXEC, plan.uid, plan.gid);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of user clears it */
	priv_drop_caps();
	priv_no_new_privs();
}

void
isolate_self(void)
{
	struct rlimit core = {0, 0};

	setrlimit(RLIMIT_CORE, &core);
	limit(RLIMIT_NOFILE, 4096);
	/* address space would be the wrong measure for runtimes that map terabytes: data
	 */
	limit(RLIMIT_DATA, (rlim_t)plan.memory_mb * 1024 * 1024 * 4);
	limit(RLIMIT_NPROC, plan.processes);
	isolate_user();
	if (sandbox_tool_denylist() == -1)
		fatal("%s: seccomp", plan.name);
}
