/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data directory.
 */
#include "aegis/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/cli.h"
#include "aegis/config.h"
#include "common/priv.h"

/* Makes one directory owned by a role (ROLE_NONE: by us). */
static int
make_dir(const char *path, mode_t mode, enum role owner)
{
	uid_t uid;
	gid_t gid;

	if (mkdir(path, mode) == -1 && errno != EEXIST)
		goto fail;
	if (owner != ROLE_NONE && geteuid() == 0) {
		if (priv_uid_for(owner, &uid, &gid) == -1 || lchown(path, uid, gid) == -1)
			goto fail;
	}
	return 0;
fail:
	fprintf(stderr, "aegis: %s: %s: make it, or name another with vault.data_dir\n",
	    path, strerror(errno));
	return -1;
}

/*
 * As root the daemons are other users, and each directory above theirs has to let them
 * through: root's own home does not.
 */
static int
check_way(const char *dir)
{
	char path[PATH_MAX], *slash;
	struct stat st;

	if (geteuid() != 0 || realpath(dir, path) == NULL)
		return 0;
	while ((slash = strrchr(path, '/')) != NULL && slash != path) {
		*slash = '\0';
		if (stat(path, &st) == -1 || (st.st_mode & S_IXOTH))
			continue;
		fprintf(stderr,
		    "aegis: %s: its mode %04o keeps the users out that the daemons run "
		    "as: "
		    "chmod o+x %s, or name a data directory elsewhere with --data-dir\n",
		    path, (unsigned)(st.st_mode & 07777), path);
		return -1;
	}
	return 0;
}

int
layout_make(const struct config *c)
{
	char path[1100];

	if (make_dir(c->data_dir, geteuid() == 0 ? 0711 : 0700, ROLE_NONE) == -1 ||
	    check_way(c->data_dir) == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/judge", c->data_dir);
	if (make_dir(path, 0700, ROLE_JUDGE) == -1)
		return -1;
	snprintf(path, sizeof(path), "%s/vault", c->data_dir);
	return make_dir(path, 0700, ROLE_VAULT);
}

void
layout_absent(const struct config *c)
{
	char next[160];

	if (strcmp(c->vault_name, "default") == 0)
		snprintf(next, sizeof(next),
		    "Run \"aegis init\" first, or name the data directory with "
		    "--data-dir.");
	else
		snprintf(next, sizeof(next),
		    "Make it with \"aegis vault create --name %s\", or choose another: "
		    "aegis "
		    "vault vaults",
		    c->vault_name);
	cli_error(next, "there is no vault in %s", c->data_dir);
}

int
layout_lock(const struct config *c)
{
	char path[1100];
	int fd, saved;

	snprintf(path, sizeof(path), "%s/lock", c->data_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

int
layout_in_use(const struct config *c)
{
	int fd = layout_lock(c);

	if (fd == -1)
		return errno == EWOULDBLOCK;
	close(fd);
	return 0;
}
