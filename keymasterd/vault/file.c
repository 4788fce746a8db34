/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File access of vault; see file.h. It works relative to one directory that was opened
 * before the process was boxed, and follows no symbolic links.
 */
#include "keymasterd/vault/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

static int
read_all(int fd, uint8_t *p, size_t len)
{
	size_t off = 0;
	ssize_t n;

	while (off < len) {
		n = read(fd, p + off, len - off);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = EIO; /* it shrank */
			return -1;
		}
		off += (size_t)n;
	}
	return 0;
}

int
file_read(int dirfd, const char *name, size_t max, uint8_t **p, size_t *len)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	uint8_t *octets = NULL;
	int err = 0;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1)
		err = errno;
	else if (!S_ISREG(st.st_mode))
		err = EINVAL;
	else if (st.st_size < 0 || (uintmax_t)st.st_size > max)
		err = EFBIG;
	else if ((octets = malloc((size_t)st.st_size + 1)) == NULL)
		err = ENOMEM;
	else if (read_all(fd, octets, (size_t)st.st_size) == -1)
		err = errno;
	close(fd);
	if (err != 0) {
		free(octets);
		errno = err;
		return -1;
	}
	*p = octets;
	*len = (size_t)st.st_size;
	return 0;
}

static int
write_all(int fd, const uint8_t *p, size_t len)
{
	size_t off = 0;
	ssize_t n;

	while (off < len) {
		n = write(fd, p + off, len - off);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		off += (size_t)n;
	}
	return 0;
}

int
file_replace(int dirfd, const char *name, const char *temp, const void *p, size_t len)
{
	int fd, err = 0;

	if (unlinkat(dirfd, temp, 0) == -1 && errno != ENOENT)
		return -1;
	fd = openat(
	    dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	if (write_all(fd, p, len) == -1 || fsync(fd) == -1)
		err = errno;
	if (close(fd) == -1 && err == 0)
		err = errno;
	if (err == 0 && renameat(dirfd, temp, dirfd, name) == -1)
		err = errno;
	if (err != 0) {
		(void)unlinkat(dirfd, temp, 0);
		errno = err;
		return -1;
	}
	/* The new file is in force from here on; all that can be lost is its durability.
	 */
	if (fsync(dirfd) == -1)
		LOG_ERROR("vault.sync", LE("error", errno),
		    LS("what",
			"saved, but a power cut now might bring the old file back"));
	return 0;
}
