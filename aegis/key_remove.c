/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master key leaves the file that `aegis init` or `aegis vault create` wrote it to;
 * see key_remove.h. What it lies in otherwise is not ours to change. Runs as whoever
 * typed the command.
 */
#include "aegis/key_remove.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/cli.h"
#include "aegis/config.h"
#include "aegis/config_int.h"
#include "aegis/keys.h"
#include "common/buf.h"

#define NAME "AEGIS_MASTER_KEY"
#define DOTENV_MAX 65536

/* Its path, the caller's; NULL when it is in none of ours. */
static char *
place_of(const struct config *c)
{
	if (c->master_key == NULL || c->master_key_source == NULL)
		return NULL;
	if (strcmp(c->master_key_source, ".env") == 0)
		return key_path_join(c->base_dir, ".env");
	if (strncmp(c->master_key_source, ".master-key", 11) == 0)
		return key_path_join(c->data_dir, ".master-key");
	return NULL;
}

int
key_remove_check(const struct config *c)
{
	char *path = place_of(c);
	int r = path != NULL && access(path, W_OK) == 0 ? 0 : -1;

	if (c->master_key == NULL)
		cli_error("Leave --remove-key out.", "there is no master key here");
	else if (path == NULL)
		cli_error("Leave --remove-key out, and remove it by hand when the shares "
			  "are safe.",
		    "the master key comes from %s, which is not changed",
		    c->master_key_source);
	else if (r == -1)
		cli_error(NULL, "%s: %s", path, strerror(errno));
	free(path);
	return r;
}

/* What the file was is overwritten, as far as a file system lets anybody. 0 or -1. */
static int
overwrite(int fd)
{
	static const char zeros[512];
	struct stat st;
	off_t at, n;

	if (fstat(fd, &st) == -1)
		return -1;
	for (at = 0; at < st.st_size; at += n) {
		n = st.st_size - at < (off_t)sizeof(zeros) ? st.st_size - at
							   : (off_t)sizeof(zeros);
		n = pwrite(fd, zeros, (size_t)n, at);
		if (n <= 0)
			return -1;
	}
	return fsync(fd);
}

static bool
is_key_line(const char *line, size_t len)
{
	size_t blank = strspn(line, " \t"), n = sizeof(NAME) - 1;

	if (len < blank + n || strncmp(line + blank, NAME, n) != 0)
		return false;
	line += blank + n;
	return line[strspn(line, " \t")] == '=';
}

/* All lines but the key's. 0 or -1 with errno. */
static int
rewrite(const char *path, const char *temp, mode_t mode)
{
	size_t len, n;
	char *text = config_read_file(path, DOTENV_MAX, &len), *at;
	int fd, r = -1;

	if (text == NULL)
		return -1;
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	for (at = text; fd >= 0 && *at != '\0'; at += n) {
		n = strcspn(at, "\n");
		n += at[n] == '\n';
		if (!is_key_line(at, n) && write(fd, at, n) != (ssize_t)n)
			break;
	}
	if (fd >= 0 && *at == '\0' && fsync(fd) == 0 && rename(temp, path) == 0)
		r = 0;
	if (fd >= 0)
		close(fd);
	explicit_bzero(text, len);
	free(text);
	return r;
}

int
key_remove(const struct config *c)
{
	char *path = place_of(c), *temp = NULL;
	int fd = path != NULL ? open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct stat st;
	int r = -1;

	if (fd == -1 || fstat(fd, &st) == -1)
		goto out;
	if (strcmp(c->master_key_source, ".env") != 0)
		r = overwrite(fd) == 0 ? unlink(path) : -1;
	else if (asprintf(&temp, "%s.new", path) != -1 &&
	    rewrite(path, temp, st.st_mode & 0777) == 0)
		r = overwrite(fd);
out:
	if (r == -1)
		cli_error("The shares count. Remove the key by hand.", "%s: %s",
		    path != NULL ? path : "the master key", strerror(errno));
	if (fd >= 0)
		close(fd);
	free(temp);
	free(path);
	return r;
}
