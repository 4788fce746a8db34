/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As root every server has a user of its own; not as root a user namespace does the same
 * work: any process of the same user could read /proc/PID/environ otherwise.
 */
#include "toolhostd/toolexec/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/priv.h"
#include "common/proto.h"
#include "common/sandbox.h"
#include "toolhostd/toolexec/plan.h"

#define HELPERS 3 /* processes of the same user: pump, first one, relay */

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fatal("%s", path);
	close(fd);
}

/* The way back to itself: helpers of a server speak over it with each other. */
static void
loopback_up(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1 || ioctl(fd, SIOCSIFFLAGS, &r) == -1)
		LOG_WARN("tool.isolate", LS("server", plan.name), LE("loopback", errno));
	if (fd >= 0)
		close(fd);
}

void
isolate_namespaces(void)
{
	int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
	uid_t uid = getuid();
	gid_t gid = getgid();
	char map[64];

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

int
isolate_network(int proc)
{
	int fd;

	if (unshare(CLONE_NEWNET) == -1)
		fatal("%s: no network namespace", plan.name);
	loopback_up();
	fd = openat(proc, "self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		fatal("%s: its network namespace", plan.name);
	return fd;
}

/* The same once more, by path: a mistake in the room would not be the end of it; and the
 * abstract sockets of a network that is shared. */
static void
confine(void)
{
	struct sandbox_path list[PLAN_PATHS_MAX + 5] = {
	    {"/", SANDBOX_READ | SANDBOX_EXEC}, {"/tmp", SANDBOX_ALL},
	    {"/dev", SANDBOX_WRITE}, {"/dev/shm", SANDBOX_ALL}};
	struct sandbox_paths paths = {.list = list, .n = 4};
	size_t i;

	for (i = 0; i < plan.npaths; i++)
		if (plan.paths[i][0] == PLAN_WRITE)
			list[paths.n++] =
			    (struct sandbox_path){plan.paths[i] + 1, SANDBOX_ALL};
	if (!plan.no_proc) /* names of its threads, and the like */
		list[paths.n++] = (struct sandbox_path){"/proc", SANDBOX_WRITE};
	if (sandbox_tool_files(&paths) == -1)
		fatal("%s: Landlock", plan.name);
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
isolate_level(char *out, size_t size)
{
	static const char *const networks[] = {[TOOL_NETWORK_NONE] = "none",
	    [TOOL_NETWORK_HOST] = "host",
	    [TOOL_NETWORK_NAMED] = "named"};

	snprintf(out, size,
	    "user=%s namespaces=mount,pid,ipc,uts%s%s seccomp=deny landlock=%d "
	    "network=%s cgroup=%s",
	    plan.uid != 0 ? "own" : "caller", plan.uid != 0 ? "" : ",user",
	    plan.network == TOOL_NETWORK_HOST ? "" : ",net", sandbox_tool_landlock(),
	    networks[plan.network], plan.cgroup[0] != '\0' ? plan.cgroup : "none");
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
	/* counted for the user, whoever started its processes and however long they take
	 * to die; a control group knows better, where there is one */
	limit(RLIMIT_NPROC,
	    (plan.processes + HELPERS) * (strstr(plan.cgroup, "pids") != NULL ? 2 : 1));
	isolate_user();
	confine();
	if (sandbox_tool_denylist() == -1)
		fatal("%s: seccomp", plan.name);
}
