/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arena behind struct secret. Runs in every
 * process that handles secrets; the arena is bounded, so a peer that makes us decode many
 * secrets gets refusals, not our memory. Handles are ordinary heap; only the octets live
 * in the arena.
 */
#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447 /* the same number on every architecture */
#endif

/* Grain of the arena: small enough for tokens, large enough that the map stays tiny. */
#define UNIT 64u

struct secret {
	unsigned char *p;
	size_t len;
	unsigned int epoch; /* of the arena that p points into */
};

static struct {
	pthread_mutex_t lock;
	unsigned char *base; /* NULL until made */
	size_t units;
	unsigned char *used; /* one octet per unit */
	size_t next;         /* where the last search ended */
	unsigned int epoch;  /* grows in a forked child, which has no arena */
	enum secret_level level;
	bool lowered; /* a heap beside it exists but is not locked */
} arena = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Raises RLIMIT_MEMLOCK by what we are going to lock; best effort, told by the level. */
void
secret_memlock_raise(size_t more)
{
	struct rlimit rl, want;

	if (getrlimit(RLIMIT_MEMLOCK, &rl) != 0 || rl.rlim_cur == RLIM_INFINITY)
		return;
	/* What is locked already is not easy to learn: ask for twice the need. */
	want.rlim_cur = rl.rlim_cur + 2 * (rlim_t)more;
	want.rlim_max = rl.rlim_max == RLIM_INFINITY || rl.rlim_max > want.rlim_cur
	    ? rl.rlim_max
	    : want.rlim_cur;
	if (setrlimit(RLIMIT_MEMLOCK, &want) == 0)
		return;
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_MEMLOCK, &rl);
}

/* Maps @len octets over @at (inside the reserved range) and reports how well. */
static int
arena_map(void *at, size_t len, enum secret_level *level)
{
	void *p = MAP_FAILED;
	long fd = syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd >= 0) {
		if (ftruncate((int)fd, (off_t)len) == 0)
			p = mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			    (int)fd, 0);
		(void)close((int)fd);
		if (p != MAP_FAILED) {
			*level = SECRET_LEVEL_HIDDEN;
			goto advise;
		}
	}
	p = mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
	    -1, 0);
	if (p == MAP_FAILED)
		return -1;
	*level =
	    mlock2(p, len, MLOCK_ONFAULT) == 0 ? SECRET_LEVEL_LOCKED : SECRET_LEVEL_PLAIN;
	(void)madvise(p, len, MADV_WIPEONFORK);
advise:
	/* A child gets no copy at all; without this it would not be our arena alone. */
	if (madvise(p, len, MADV_DONTDUMP) != 0 || madvise(p, len, MADV_DONTFORK) != 0)
		return -1;
	return 0;
}

/* A forked child does not have the arena: forget it, the next secret makes a new one. */
static void
arena_forget(void)
{
	(void)pthread_mutex_init(&arena.lock, NULL);
	free(arena.used);
	arena.base = NULL;
	arena.used = NULL;
	arena.units = arena.next = 0;
	arena.epoch++;
}

/* With the lock held. */
static int
arena_make(size_t bytes)
{
	static bool fork_handled;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), len;
	unsigned char *range;

	if (arena.base != NULL)
		return 0;
	if (bytes == 0)
		bytes = SECRET_ARENA_DEFAULT;
	if (bytes > SIZE_MAX / 2) {
		errno = ENOMEM;
		return -1;
	}
	len = (bytes + page - 1) / page * page;
	secret_memlock_raise(len);
	arena.used = calloc(len / UNIT, 1);
	if (arena.used == NULL)
		return -1;
	/* One inaccessible page on either side stops overruns into and out of the arena.
	 */
	range = mmap(NULL, len + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (range == MAP_FAILED)
		goto fail;
	if (arena_map(range + page, len, &arena.level) != 0) {
		(void)munmap(range, len + 2 * page);
		goto fail;
	}
	if (!fork_handled && pthread_atfork(NULL, NULL, arena_forget) == 0)
		fork_handled = true;
	arena.base = range + page;
	arena.units = len / UNIT;
	arena.next = 0;
	return 0;
fail:
	free(arena.used);
	arena.used = NULL;
	errno = ENOMEM;
	return -1;
}

/* First run of @n free units from @from on, or SIZE_MAX. */
static size_t
arena_find(size_t from, size_t n)
{
	size_t i, run = 0;

	for (i = from; i < arena.units; i++) {
		run = arena.used[i] ? 0 : run + 1;
		if (run == n)
			return i + 1 - n;
	}
	return SIZE_MAX;
}

static size_t
units_of(size_t len)
{
	return len == 0 ? 1 : (len - 1) / UNIT + 1;
}

/* A handle with @len zeroed octets, or NULL with errno. */
static struct secret *
secret_alloc(size_t len)
{
	struct secret *s = malloc(sizeof *s);
	size_t n = units_of(len), at = SIZE_MAX;

	if (s == NULL)
		return NULL;
	(void)pthread_mutex_lock(&arena.lock);
	if (arena_make(0) == 0) {
		at = arena_find(arena.next, n);
		if (at == SIZE_MAX)
			at = arena_find(0, n);
	}
	if (at != SIZE_MAX) {
		memset(arena.used + at, 1, n);
		arena.next = at + n;
		s->p = arena.base + at * UNIT;
		s->len = len;
		s->epoch = arena.epoch;
	}
	(void)pthread_mutex_unlock(&arena.lock);
	if (at == SIZE_MAX) {
		free(s);
		errno = ENOMEM;
		return NULL;
	}
	return s;
}

int
secret_init(size_t bytes)
{
	int rc;

	(void)pthread_mutex_lock(&arena.lock);
	rc = arena_make(bytes);
	(void)pthread_mutex_unlock(&arena.lock);
	return rc;
}

void
secret_level_lower(void)
{
	arena.lowered = true;
}

enum secret_level
secret_level(void)
{
	if (arena.base == NULL || arena.lowered)
		return SECRET_LEVEL_PLAIN;
	return arena.level;
}

const char *
secret_level_text(void)
{
	switch (secret_level()) {
	case SECRET_LEVEL_HIDDEN:
		return "hidden";
	case SECRET_LEVEL_LOCKED:
		return "ok";
	case SECRET_LEVEL_PLAIN:
		break;
	}
	return "none";
}

struct secret *
secret_new(const void *p, size_t len)
{
	struct secret *s = secret_alloc(len);

	if (s != NULL && len > 0)
		memcpy(s->p, p, len);
	return s;
}

struct secret *
secret_new_take(void *p, size_t len)
{
	struct secret *s = secret_new(p, len);

	if (len > 0)
		explicit_bzero(p, len);
	return s;
}

struct secret *
secret_new_random(size_t len)
{
	struct secret *s = secret_alloc(len);
	size_t off = 0;
	ssize_t n;

	while (s != NULL && off < len) {
		n = getrandom(s->p + off, len - off, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			secret_free(s);
			return NULL;
		}
		off += (size_t)n;
	}
	return s;
}

/* Gives the units behind the first @len octets back. */
static void
secret_trim(struct secret *s, size_t len)
{
	size_t keep = units_of(len), had = units_of(s->len);
	size_t at = (size_t)(s->p - arena.base) / UNIT;

	explicit_bzero(s->p + len, s->len - len);
	(void)pthread_mutex_lock(&arena.lock);
	memset(arena.used + at + keep, 0, had - keep);
	(void)pthread_mutex_unlock(&arena.lock);
	s->len = len;
}

struct secret *
secret_new_fill(size_t max, long (*fn)(void *p, size_t max, void *arg), void *arg)
{
	struct secret *s = secret_alloc(max);
	long n;

	if (s == NULL)
		return NULL;
	n = fn(s->p, max, arg);
	if (n < 0 || (size_t)n > max) {
		secret_free(s);
		errno = EINVAL;
		return NULL;
	}
	secret_trim(s, (size_t)n);
	return s;
}

/* Reads until the end of @fd; one octet beyond @max tells that there is more. */
static long
fill_from_fd(void *p, size_t max, void *arg)
{
	int fd = *(int *)arg;
	size_t off = 0;
	ssize_t n;

	while (off < max) {
		n = read(fd, (unsigned char *)p + off, max - off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		off += (size_t)n;
	}
	return (long)off;
}

struct secret *
secret_new_take_fd(int fd, size_t max)
{
	struct secret *s = NULL;
	int err;

	/* A memfd arrives with the position its writer left; a pipe has none. */
	(void)lseek(fd, 0, SEEK_SET);
	errno = ENOMEM;
	if (max < SIZE_MAX / 2)
		s = secret_new_fill(max + 1, fill_from_fd, &fd);
	err = errno;
	(void)close(fd);
	if (s != NULL && s->len > max) {
		secret_free(s);
		s = NULL;
		err = EMSGSIZE;
	}
	if (s == NULL)
		errno = err;
	return s;
}

/* False for NULL and for a handle that a fork carried away from its arena. */
static bool
secret_here(const struct secret *s)
{
	return s != NULL && s->epoch == arena.epoch;
}

void
secret_free(struct secret *s)
{
	size_t at;

	if (secret_here(s)) {
		at = (size_t)(s->p - arena.base) / UNIT;
		explicit_bzero(s->p, s->len);
		(void)pthread_mutex_lock(&arena.lock);
		memset(arena.used + at, 0, units_of(s->len));
		(void)pthread_mutex_unlock(&arena.lock);
	}
	free(s);
}

size_t
secret_len(const struct secret *s)
{
	return secret_here(s) ? s->len : 0;
}

int
secret_use(
    const struct secret *s, int (*fn)(const void *p, size_t len, void *arg), void *arg)
{
	if (!secret_here(s))
		return fn("", 0, arg);
	return fn(s->p, s->len, arg);
}

bool
secret_eq(const struct secret *a, const struct secret *b)
{
	return secret_here(b) && secret_eq_mem(a, b->p, b->len);
}

/* Takes the same time wherever they differ. */
static bool
same(const unsigned char *a, const unsigned char *b, size_t len)
{
	volatile unsigned char diff = 0;
	size_t i;

	for (i = 0; i < len; i++)
		diff = (unsigned char)(diff | (a[i] ^ b[i]));
	return diff == 0;
}

bool
secret_eq_mem(const struct secret *a, const void *p, size_t len)
{
	return secret_here(a) && a->len == len && same(a->p, p, len);
}

const char *
secret_fmt(const struct secret *s)
{
	(void)s;
	return "[REDACTED]";
}
