/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that loses its power: what a program does to the files of one directory is
 * recorded, through calls that stand before the C library's, and power_cut() makes the
 * directory as it may be after a power cut behind any of these calls. What was synced is
 * there. Of the rest any sectors are, or are not, in any order, a file's length before
 * its octets as well; of names that were made, renamed or removed and not synced, the
 * first few. Included by one test program each.
 */
#ifndef AEGIS_TESTS_POWER_H
#define AEGIS_TESTS_POWER_H

#include <check.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum power_kind {
	POWER_WRITE,
	POWER_TRIM,
	POWER_SYNC, /* a file's calls before `began` are on the disk */
	POWER_MAKE,
	POWER_RENAME,
	POWER_REMOVE,
	POWER_DIRSYNC,
	POWER_TOLD /* somebody was told of everything up to `value` */
};

struct power_op {
	enum power_kind kind;
	unsigned file;
	uint64_t value; /* offset, length, or what was told */
	size_t len, began;
	uint8_t *p;
	char name[48], to[48];
	double ms;
};

#define POWER_OPS 40000
#define POWER_FILES 256
#define POWER_SIZE (1u << 20)
#define POWER_SECTOR 512

static struct {
	struct power_op op[POWER_OPS];
	size_t n, begun; /* begun: calls that stand for what was there before */
	char dir[96];    /* "": nothing is recorded */
	ino_t inode[POWER_FILES];
	unsigned files;
	int no_sync; /* nothing waits for the real disk */
	pthread_mutex_t lock;
} power = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define POWER_REAL(name)               \
	static __typeof__(name) *real; \
	if (real == NULL)              \
	*(void **)&real = dlsym(RTLD_NEXT, #name)

static struct power_op *
power_add(enum power_kind kind, unsigned file, uint64_t value)
{
	struct power_op *op = &power.op[power.n];
	struct timespec t;

	ck_assert_uint_lt(power.n, POWER_OPS);
	power.n++;
	clock_gettime(CLOCK_MONOTONIC, &t);
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->file = file;
	op->value = value;
	op->ms = (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
	return op;
}

/* The name that fd has in the directory; the directory's own is "". */
static int
power_name(int fd, char name[48])
{
	char link[40], path[200];
	ssize_t n;
	size_t len = strlen(power.dir);

	if (len == 0)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < (ssize_t)len || memcmp(path, power.dir, len) != 0)
		return 0;
	path[n] = '\0';
	if (path[len] != '\0' && path[len] != '/')
		return 0;
	snprintf(name, 48, "%s", path[len] == '/' ? path + len + 1 : "");
	return 1;
}

/* The number of a file that is there, or POWER_FILES. */
static unsigned
power_file(const struct stat *st)
{
	unsigned i;

	for (i = power.files; i-- > 0;)
		if (power.inode[i] == st->st_ino)
			return i;
	return POWER_FILES;
}

/* ... which is made with its first octet. */
static unsigned
power_file_made(int fd, const char *name)
{
	struct stat st;
	unsigned i;

	ck_assert_int_eq(fstat(fd, &st), 0);
	i = power_file(&st);
	if (i != POWER_FILES)
		return i;
	ck_assert_uint_lt(power.files, POWER_FILES);
	i = power.files++;
	power.inode[i] = st.st_ino;
	snprintf(power_add(POWER_MAKE, i, 0)->name, 48, "%s", name);
	return i;
}

static void
power_wrote(int fd, const void *p, size_t n, uint64_t at)
{
	struct power_op *op;
	char name[48];
	unsigned file;

	if (!power_name(fd, name) || name[0] == '\0')
		return;
	pthread_mutex_lock(&power.lock);
	file = power_file_made(fd, name);
	op = power_add(POWER_WRITE, file, at);
	op->len = n;
	op->p = malloc(n + 1);
	ck_assert_ptr_nonnull(op->p);
	memcpy(op->p, p, n);
	pthread_mutex_unlock(&power.lock);
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	POWER_REAL(pwrite);
	ssize_t r = real(fd, p, n, at);

	if (r > 0)
		power_wrote(fd, p, (size_t)r, (uint64_t)at);
	return r;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	POWER_REAL(write);
	off_t at = lseek(fd, 0, SEEK_CUR);
	ssize_t r = real(fd, p, n);

	if (r > 0 && at >= 0)
		power_wrote(fd, p, (size_t)r, (uint64_t)at);
	return r;
}

int
ftruncate(int fd, off_t len)
{
	POWER_REAL(ftruncate);
	int r = real(fd, len);
	char name[48];

	if (r == 0 && power_name(fd, name)) {
		pthread_mutex_lock(&power.lock);
		power_add(POWER_TRIM, power_file_made(fd, name), (uint64_t)len);
		pthread_mutex_unlock(&power.lock);
	}
	return r;
}

static int
power_sync(int fd, int (*real)(int))
{
	struct power_op *op;
	size_t began;
	char name[48];
	int r;

	pthread_mutex_lock(&power.lock);
	began = power.n;
	pthread_mutex_unlock(&power.lock);
	r = power.no_sync ? 0 : real(fd);
	if (r != 0 || !power_name(fd, name))
		return r;
	pthread_mutex_lock(&power.lock);
	if (name[0] == '\0')
		op = power_add(POWER_DIRSYNC, 0, 0);
	else
		op = power_add(POWER_SYNC, power_file_made(fd, name), 0);
	op->began = began;
	pthread_mutex_unlock(&power.lock);
	return r;
}

int
fdatasync(int fd)
{
	POWER_REAL(fdatasync);

	return power_sync(fd, real);
}

int
fsync(int fd)
{
	POWER_REAL(fsync);

	return power_sync(fd, real);
}

int
renameat(int from, const char *a, int to, const char *b)
{
	POWER_REAL(renameat);
	struct power_op *op;
	struct stat st;
	char name[48];
	unsigned file;
	int there = fstatat(to, b, &st, AT_SYMLINK_NOFOLLOW) == 0;
	int r = real(from, a, to, b);

	if (r == 0 && power_name(from, name) && name[0] == '\0') {
		pthread_mutex_lock(&power.lock);
		file = there ? power_file(&st) : POWER_FILES;
		if (file != POWER_FILES)
			power.inode[file] = 0; /* the number may be another's next */
		op = power_add(POWER_RENAME, 0, 0);
		snprintf(op->name, 48, "%s", a);
		snprintf(op->to, 48, "%s", b);
		pthread_mutex_unlock(&power.lock);
	}
	return r;
}

int
unlinkat(int fd, const char *a, int flags)
{
	POWER_REAL(unlinkat);
	struct stat st;
	char name[48];
	unsigned file = POWER_FILES;
	int there = fstatat(fd, a, &st, AT_SYMLINK_NOFOLLOW) == 0;
	int r = real(fd, a, flags);

	if (r != 0 || !there || !power_name(fd, name) || name[0] != '\0')
		return r;
	pthread_mutex_lock(&power.lock);
	file = power_file(&st);
	if (file != POWER_FILES)
		power.inode[file] = 0; /* the number may be another's next */
	snprintf(power_add(POWER_REMOVE, file, 0)->name, 48, "%s", a);
	pthread_mutex_unlock(&power.lock);
	return r;
}

/* ---- for the tests ---- */

/* Answers leave: whoever asked may rely on everything up to `value`. */
static void
power_told(uint64_t value)
{
	if (power.dir[0] == '\0')
		return; /* what comes after a cut is not what was before it */
	pthread_mutex_lock(&power.lock);
	power_add(POWER_TOLD, 0, value);
	pthread_mutex_unlock(&power.lock);
}

static void
power_begin(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	size_t i;
	int fd;

	ck_assert_ptr_nonnull(d);
	for (i = 0; i < power.n; i++)
		free(power.op[i].p);
	power.n = power.files = 0;
	snprintf(power.dir, sizeof(power.dir), "%s", dir);
	/* what is there already, and on the disk */
	while ((e = readdir(d)) != NULL) {
		static uint8_t octets[POWER_SIZE];
		ssize_t n;

		if (e->d_name[0] == '.' && (e->d_name[1] == '\0' || e->d_name[1] == '.'))
			continue;
		fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		n = read(fd, octets, sizeof(octets));
		ck_assert_int_ge(n, 0);
		power_wrote(fd, octets, (size_t)n, 0);
		ck_assert_int_eq(fsync(fd), 0);
		close(fd);
	}
	ck_assert_int_eq(fsync(dirfd(d)), 0);
	closedir(d);
	power.begun = power.n;
}

static void
power_end(void)
{
	power.dir[0] = '\0';
}

static size_t
power_draw(size_t n)
{
	return n == 0 ? 0 : (size_t)rand() % n;
}

struct power_content {
	uint8_t p[POWER_SIZE];
	size_t len;
};

static void
power_put(struct power_content *c, const struct power_op *op, size_t from, size_t n)
{
	size_t end = (size_t)op->value + from + n;

	ck_assert_uint_le(end, POWER_SIZE);
	memcpy(c->p + op->value + from, op->p + from, n);
	if (end > c->len)
		c->len = end;
}

/* A file after a cut behind `cut` calls, by one of five kinds of disks. */
static void
power_content(struct power_content *c, unsigned file, size_t cut, unsigned how)
{
	size_t i, from, n, durable = 0;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < cut; i++)
		if (power.op[i].kind == POWER_SYNC && power.op[i].file == file &&
		    power.op[i].began > durable) /* two may end in any order */
			durable = power.op[i].began;
	for (i = 0; i < cut; i++) {
		const struct power_op *op = &power.op[i];

		if (op->file != file ||
		    (op->kind != POWER_WRITE && op->kind != POWER_TRIM))
			continue;
		if (op->kind == POWER_TRIM) {
			if (i >= durable && how != 0 && power_draw(2) == 0)
				continue;
			if (op->value < c->len)
				memset(c->p + op->value, 0, c->len - op->value);
			c->len = (size_t)op->value;
			continue;
		}
		if (i < durable || how == 0) {
			power_put(c, op, 0, op->len);
			continue;
		}
		if (how == 1) /* nothing more */
			continue;
		if (how == 4 && op->value + op->len > c->len) /* its length at least */
			c->len = (size_t)op->value + op->len;
		for (from = 0; from < op->len; from += n) {
			n = POWER_SECTOR - (size_t)(op->value + from) % POWER_SECTOR;
			if (n > op->len - from)
				n = op->len - from;
			/* any of them; or those of some whole calls; the last may be torn
			 */
			if (how == 3 ? (i * 2654435761u ^ cut) >> 7 & 1
				     : power_draw(3) != 0)
				power_put(c, op, from, n);
			else if (how == 2 && power_draw(8) == 0)
				power_put(c, op, from, 1 + power_draw(n));
		}
	}
}

struct power_names {
	char name[POWER_FILES][48];
	unsigned file[POWER_FILES];
	size_t n;
};

static size_t
power_find(const struct power_names *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->n && strcmp(t->name[i], name) != 0; i++)
		;
	return i;
}

static unsigned
power_take(struct power_names *t, const char *name)
{
	size_t i = power_find(t, name);
	unsigned file;

	ck_assert_uint_lt(i, t->n);
	file = t->file[i];
	t->n--;
	memmove(t->name[i], t->name[t->n], 48);
	t->file[i] = t->file[t->n];
	return file;
}

static void
power_name_put(struct power_names *t, const char *name, unsigned file)
{
	size_t i = power_find(t, name);

	ck_assert_uint_lt(i, POWER_FILES);
	t->n += i == t->n;
	snprintf(t->name[i], 48, "%s", name);
	t->file[i] = file;
}

/* Which names there are after a cut: synced ones, and the first few others. */
static void
power_names(struct power_names *t, size_t cut, unsigned how)
{
	size_t i, durable = 0, names = 0;

	for (i = 0; i < cut; i++)
		if (power.op[i].kind == POWER_DIRSYNC)
			durable = power.op[i].began;
	for (i = durable; i < cut; i++)
		names +=
		    power.op[i].kind >= POWER_MAKE && power.op[i].kind <= POWER_REMOVE;
	if (how != 0)
		names = power_draw(names + 1);
	t->n = 0;
	for (i = 0; i < cut; i++) {
		const struct power_op *op = &power.op[i];

		if (op->kind < POWER_MAKE || op->kind > POWER_REMOVE)
			continue;
		if (i >= durable && names-- == 0)
			return;
		if (op->kind == POWER_MAKE)
			power_name_put(t, op->name, op->file);
		else if (op->kind == POWER_RENAME)
			power_name_put(t, op->to, power_take(t, op->name));
		else
			(void)power_take(t, op->name);
	}
}

#define POWER_WAYS 5

/* Makes `dir`, which it empties, what the disk may hold after a cut behind `cut` calls.
 */
static void
power_cut(const char *dir, size_t cut, unsigned how)
{
	static struct power_content content;
	static struct power_names names;
	const struct dirent *e;
	DIR *d = opendir(dir);
	size_t i;
	int fd;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			ck_assert_int_eq(unlinkat(dirfd(d), e->d_name, 0), 0);
	power_names(&names, cut, how);
	for (i = 0; i < names.n; i++) {
		power_content(&content, names.file[i], cut, how);
		fd = openat(dirfd(d), names.name[i],
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(write(fd, content.p, content.len), (ssize_t)content.len);
		close(fd);
	}
	closedir(d);
}
#endif
