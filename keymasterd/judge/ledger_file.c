/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the ledger as octets; what they mean is not known here. Judge only. */
#include "keymasterd/judge/ledger_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keymasterd/judge/ledger_line.h"

#define NAME_LEN 26 /* 20 digits, ".jsonl" */
#define CHUNK ((size_t)256 << 10)

struct ledger_dir ledger_dir = {
    .fd = -1, .index = -1, .head = -1, .marks = {-1, -1}, .last = -1};

static struct {
	uint64_t first;
	int fd;
} reader = {0, -1}; /* an older file that is being read */

int
ledger_dir_fail(const char *what)
{
	snprintf(
	    ledger_dir.error, sizeof(ledger_dir.error), "%s: %s", what, strerror(errno));
	return -1;
}

static void
name_of(uint64_t first, char name[NAME_LEN + 1])
{
	snprintf(name, NAME_LEN + 1, "%020" PRIu64 ".jsonl", first);
}

static int
note_file(uint64_t first)
{
	uint64_t *more;
	size_t cap;

	if (ledger_dir.n == ledger_dir.cap) {
		cap = ledger_dir.cap == 0 ? 16 : 2 * ledger_dir.cap;
		more = reallocarray(ledger_dir.first, cap, sizeof(*more));
		if (more == NULL)
			return -1;
		ledger_dir.first = more;
		ledger_dir.cap = cap;
	}
	ledger_dir.first[ledger_dir.n++] = first;
	return 0;
}

static int
by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int
list_files(void)
{
	int copy = openat(ledger_dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	char *end, name[NAME_LEN + 1];
	struct dirent *e;
	uint64_t first;
	int bad = 0;

	if (d == NULL)
		return -1;
	while (!bad && (e = readdir(d)) != NULL) {
		first = strtoull(e->d_name, &end, 10);
		name_of(first, name);
		if (first > 0 && strcmp(e->d_name, name) == 0)
			bad = note_file(first) == -1;
	}
	closedir(d);
	if (ledger_dir.n > 0)
		qsort(
		    ledger_dir.first, ledger_dir.n, sizeof(*ledger_dir.first), by_number);
	return bad ? -1 : 0;
}

static int
open_file(uint64_t first, int flags)
{
	char name[NAME_LEN + 1];

	name_of(first, name);
	return openat(ledger_dir.fd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int
open_last(void)
{
	struct stat st;

	ledger_dir.len = 0;
	ledger_dir.last = -1;
	if (ledger_dir.n == 0)
		return 0;
	ledger_dir.last = open_file(ledger_dir.first[ledger_dir.n - 1], O_RDWR);
	if (ledger_dir.last == -1 || fstat(ledger_dir.last, &st) == -1)
		return -1;
	ledger_dir.len = (uint64_t)st.st_size;
	return 0;
}

/* The directory, made if it is not there: on the disk, too, or its files are not. */
static int
make_dir(const char *dir, const char *path)
{
	int above, r;

	if (mkdir(path, 0700) == -1)
		return errno == EEXIST ? 0 : -1;
	above = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = above == -1 ? -1 : fsync(above);
	if (above >= 0)
		close(above);
	return r;
}

int
ledger_dir_open(const char *dir, char *err, size_t err_size)
{
	struct ledger_dir *l = &ledger_dir;
	char *path = l->path;

	l->max = LEDGER_FILE_MAX;
	snprintf(path, sizeof(l->path), "%s/ledger", dir);
	if (make_dir(dir, path) == -1 ||
	    (l->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1 ||
	    /* two who write would each cut off what the other one wrote */
	    flock(l->fd, LOCK_EX | LOCK_NB) == -1 ||
	    (l->index = openat(l->fd, "index", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) ==
		-1 ||
	    (l->head = openat(l->fd, "head", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) == -1 ||
	    (l->marks[0] =
		    openat(l->fd, "marks-0", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) == -1 ||
	    (l->marks[1] =
		    openat(l->fd, "marks-1", O_RDWR | O_CREAT | O_CLOEXEC, 0600)) == -1 ||
	    list_files() == -1 || open_last() == -1) {
		snprintf(err, err_size, "%s: %s", path,
		    errno == EWOULDBLOCK
			? "another gate writes this ledger: stop that one first, or name "
			  "another data directory"
			: strerror(errno));
		ledger_dir_close();
		return -1;
	}
	return 0;
}

static void
shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
ledger_dir_close(void)
{
	shut(&ledger_dir.last);
	shut(&ledger_dir.index);
	shut(&ledger_dir.head);
	shut(&ledger_dir.marks[0]);
	shut(&ledger_dir.marks[1]);
	shut(&ledger_dir.fd);
	shut(&reader.fd);
	free(ledger_dir.first);
	ledger_dir = (struct ledger_dir){
	    .fd = -1, .index = -1, .head = -1, .marks = {-1, -1}, .last = -1};
}

int
ledger_file_make(uint64_t first)
{
	return open_file(first, O_RDWR | O_CREAT | O_TRUNC);
}

int
ledger_file_add(uint64_t first, int fd, uint64_t len)
{
	if (note_file(first) == -1) {
		close(fd);
		return -1;
	}
	shut(&ledger_dir.last);
	ledger_dir.last = fd;
	ledger_dir.len = len;
	ledger_dir.dirty = 0;
	return 0;
}

int
ledger_file_unmake(uint64_t first)
{
	char path[sizeof(ledger_dir.path) + 1 + NAME_LEN + 1], name[NAME_LEN + 1];

	name_of(first, name);
	snprintf(path, sizeof(path), "%s/%s", ledger_dir.path, name);
	return unlink(path);
}

int
ledger_file_drop(void)
{
	if (ledger_file_unmake(ledger_dir.first[ledger_dir.n - 1]) == -1)
		return -1;
	shut(&ledger_dir.last);
	ledger_dir.n--;
	return open_last();
}

int
ledger_pwrite(int fd, const void *p, size_t len, uint64_t at)
{
	const uint8_t *from = p;
	ssize_t n;

	while (len > 0) {
		n = pwrite(fd, from, len, (off_t)at);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = ENOSPC;
			return -1;
		}
		from += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

static int
reader_of(size_t i)
{
	if (i == ledger_dir.n - 1)
		return ledger_dir.last;
	if (reader.fd >= 0 && reader.first == ledger_dir.first[i])
		return reader.fd;
	shut(&reader.fd);
	reader.first = ledger_dir.first[i];
	reader.fd = open_file(reader.first, O_RDONLY);
	return reader.fd;
}

int64_t
ledger_file_len(size_t i)
{
	struct stat st;
	int fd;

	if (i == ledger_dir.n - 1)
		return (int64_t)ledger_dir.len;
	fd = reader_of(i);
	return fd == -1 || fstat(fd, &st) == -1 ? -1 : st.st_size;
}

ssize_t
ledger_file_read(size_t i, void *p, size_t len, uint64_t at)
{
	uint8_t *to = p;
	size_t done = 0;
	ssize_t n;
	int fd = reader_of(i);

	if (fd == -1)
		return -1;
	if (i == ledger_dir.n - 1) {
		if (at >= ledger_dir.len)
			return 0;
		if (len > ledger_dir.len - at)
			len = (size_t)(ledger_dir.len - at);
	}
	while (done < len) {
		n = pread(fd, to + done, len - done, (off_t)(at + done));
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int
ledger_file_trim(void)
{
	if (ledger_dir.last >= 0 &&
	    ftruncate(ledger_dir.last, (off_t)ledger_dir.len) == -1)
		return ledger_dir_fail("ftruncate");
	ledger_dir.dirty = 0;
	return 0;
}

int
ledger_cursor_open(struct ledger_cursor *c, size_t file, uint64_t at)
{
	*c = (struct ledger_cursor){.file = file, .at = at, .octets = malloc(CHUNK)};
	return c->octets == NULL ? -1 : 0;
}

void
ledger_cursor_close(struct ledger_cursor *c)
{
	free(c->octets);
	c->octets = NULL;
}

/* Reads on behind what is there. As pread(). */
static ssize_t
fill(struct ledger_cursor *c)
{
	ssize_t n;

	memmove(c->octets, c->octets + c->pos, c->end - c->pos);
	c->end -= c->pos;
	c->pos = 0;
	n = ledger_file_read(c->file, c->octets + c->end, CHUNK - c->end, c->at + c->end);
	if (n > 0)
		c->end += (size_t)n;
	return n;
}

enum ledger_next
ledger_cursor_next(struct ledger_cursor *c, struct span *line)
{
	const uint8_t *nl = NULL;
	size_t looked = 0;
	ssize_t n;

	for (;;) {
		nl = memchr(c->octets + c->pos + looked, '\n', c->end - c->pos - looked);
		if (nl != NULL)
			break;
		looked = c->end - c->pos;
		if (looked > LEDGER_LINE_MAX + 1)
			return LEDGER_NEXT_TORN;
		if ((n = fill(c)) == -1)
			return LEDGER_NEXT_ERROR;
		if (n > 0)
			continue;
		if (looked > 0)
			return LEDGER_NEXT_TORN;
		if (c->file + 1 >= ledger_dir.n)
			return LEDGER_NEXT_END;
		c->file++;
		c->at = 0;
	}
	*line = span_mem(c->octets + c->pos, (size_t)(nl - (c->octets + c->pos)));
	c->pos += line->len + 1;
	c->at += line->len + 1;
	return LEDGER_NEXT_LINE;
}
