/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loaded ahead of the C library into a daemon under test: the allocation that the test
 * names in a shared page fails, or this one and all behind it. As a program (with PROGRAM
 * defined) it is what the master starts in the daemon's place: it loads itself into that.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef PROGRAM
int
main(int argc, char **argv)
{
	(void)argc;
	setenv("LD_PRELOAD", LIBRARY, 1);
	setenv("AEGIS_NO_MEMORY", PAGE, 1);
	execv(PROGRAM, argv);
	return 127;
}
#else
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static struct page {
	_Atomic long left;  /* so many allocations work, then one fails; 0: all work */
	_Atomic long fails; /* how many have failed */
	_Atomic long more;  /* 1: those behind it fail as well */
} * page;

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("AEGIS_NO_MEMORY");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *p;

	unsetenv("AEGIS_NO_MEMORY");
	unsetenv("LD_PRELOAD");
	if (fd == -1)
		return;
	p = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	page = p == MAP_FAILED ? NULL : p;
}

static int
fails(void)
{
	long n;

	if (page == NULL || atomic_load(&page->left) == 0)
		return 0;
	n = atomic_fetch_sub(&page->left, 1);
	if (n > 1)
		return 0;
	atomic_store(&page->left, atomic_load(&page->more)); /* 1: the next one, too */
	atomic_fetch_add(&page->fails, 1);
	errno = ENOMEM;
	return 1;
}

void *
malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t each)
{
	return fails() ? NULL : __libc_calloc(n, each);
}

void *
realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}

void *
memalign(size_t align, size_t n)
{
	return fails() ? NULL : __libc_memalign(align, n);
}

void *
aligned_alloc(size_t align, size_t n)
{
	return memalign(align, n);
}

int
posix_memalign(void **p, size_t align, size_t n)
{
	void *new = memalign(align, n);

	if (new == NULL)
		return ENOMEM;
	*p = new;
	return 0;
}
#endif
