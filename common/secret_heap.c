/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A heap that wipes what it frees, for libraries whose buffers hold secrets for a while.
 * Runs in worker and vault. Blocks are ordinary malloc() blocks, so that a library which
 * mixes up its allocator with libc's does no harm but leave one block unwiped.
 */
#include "common/secret.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/crypto.h>

/* The block is larger than what was asked for; _FORTIFY_SOURCE must not hold us to the
 * latter. */
static void *
whole_block(void *p)
{
	__asm__("" : "+r"(p));
	return p;
}

void *
secret_zero_malloc(size_t n)
{
	return whole_block(malloc(n));
}

void
secret_zero_free(void *p)
{
	if (p != NULL)
		explicit_bzero(whole_block(p), malloc_usable_size(p));
	free(p);
}

void *
secret_zero_realloc(void *p, size_t n)
{
	size_t had;
	void *q;

	if (p == NULL)
		return secret_zero_malloc(n);
	if (n == 0) {
		secret_zero_free(p);
		return NULL;
	}
	had = malloc_usable_size(p);
	/* In place when it fits and does not waste half of the block. */
	if (n <= had && n >= had / 2)
		return p;
	q = secret_zero_malloc(n);
	if (q == NULL)
		return NULL;
	memcpy(q, whole_block(p), had < n ? had : n);
	secret_zero_free(p);
	return q;
}

static void *
zero_malloc_at(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return n == 0 ? NULL : malloc(n);
}

static void *
zero_realloc_at(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return secret_zero_realloc(p, n);
}

static void
zero_free_at(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	secret_zero_free(p);
}

int
secret_zero_heap_install(void)
{
	event_set_mem_functions(
	    secret_zero_malloc, secret_zero_realloc, secret_zero_free);
	if (CRYPTO_set_mem_functions(zero_malloc_at, zero_realloc_at, zero_free_at) != 1)
		return -1;
	return 0;
}

int
secret_init_openssl(size_t bytes)
{
	int rc;

	secret_memlock_raise(bytes);
	rc = CRYPTO_secure_malloc_init(bytes, 32);
	if (rc == 2)
		secret_level_lower();
	return rc == 0 ? -1 : 0;
}
