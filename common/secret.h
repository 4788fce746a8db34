/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets as a type. The octets of a secret live in one arena of memory that is never
 * swapped, dumped or inherited, with guard pages around it; where the kernel has
 * memfd_secret(2) not even root's /proc/PID/mem reads it. Worker and vault use this most;
 * any process that decodes a SECRET field does. There is no getter for the octets: code
 * that needs them runs inside secret_use(). Printing a secret gives "[REDACTED]".
 */
#ifndef AEGIS_COMMON_SECRET_H
#define AEGIS_COMMON_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct secret;

/* How well the arena is protected, best last. */
enum secret_level {
	SECRET_LEVEL_PLAIN, /* not dumped, but may be swapped: RLIMIT_MEMLOCK is too small
			     */
	SECRET_LEVEL_LOCKED, /* mlock(2), not dumped */
	SECRET_LEVEL_HIDDEN  /* memfd_secret(2): outside the kernel's own map as well */
};

/* Arena made when a secret is needed before secret_init() was called. */
#define SECRET_ARENA_DEFAULT (256u * 1024u)

/**
 * secret_init - make the arena.
 * @bytes: its size, rounded up to pages; 0 means SECRET_ARENA_DEFAULT. It never grows.
 *
 * Call it once, at start-up, before the seccomp filter and, when the process starts as
 * root, before root is given up: RLIMIT_MEMLOCK is raised as far as allowed. A limit that
 * stays too small is no error: see secret_level(). Calling it again does nothing. Returns
 * 0, or -1 with errno when there is no memory at all.
 */
int secret_init(size_t bytes);

/**
 * secret_init_openssl - lock OpenSSL's own secure heap too, where it puts private keys.
 * @bytes: size, a power of two.
 * Call before the first private key is made. Returns 0, or -1 when the heap could not be
 * made; a heap that exists but is not locked counts as SECRET_LEVEL_PLAIN.
 */
int secret_init_openssl(size_t bytes);

/* For secret_heap.c: raises RLIMIT_MEMLOCK by what is going to be locked, as far as that
 * may be; tells that something which was to be locked is not. */
void secret_memlock_raise(size_t more);
void secret_level_lower(void);

/** secret_level - what secret_init() and secret_init_openssl() reached, the worse of
 * them. */
enum secret_level secret_level(void);

/** secret_level_text - the same for the start-up log: "none", "ok" or "hidden". */
const char *secret_level_text(void);

/**
 * secret_new - a secret that holds a copy of @len octets. The source stays the caller's
 * to wipe.
 * @len may be 0. Returns NULL with errno ENOMEM when the arena is full.
 */
struct secret *secret_new(const void *p, size_t len);

/** secret_new_take - as secret_new(), and wipes the source, also on failure. */
struct secret *secret_new_take(void *p, size_t len);

/** secret_new_random - @len octets from the kernel's generator. NULL with errno on
 * failure. */
struct secret *secret_new_random(size_t len);

/**
 * secret_new_fill - a secret that @fn writes, so that nothing is built outside the arena.
 * @fn gets @max zeroed octets and returns how many it used, or a negative number to give
 * up. Returns NULL with errno: ENOMEM, or EINVAL when @fn gave up or claimed more than
 * @max.
 */
struct secret *secret_new_fill(
    size_t max, long (*fn)(void *p, size_t max, void *arg), void *arg);

/**
 * secret_new_take_fd - everything that can be read from @fd, which is closed in any case.
 * For pipes (until end of file) and memfds (from their start). @fd must not be
 * non-blocking. Returns NULL with errno; EMSGSIZE when there are more than @max octets.
 */
struct secret *secret_new_take_fd(int fd, size_t max);

/** secret_free - wipe and release. NULL is allowed. */
void secret_free(struct secret *s);

/** secret_len - length in octets; 0 for NULL. */
size_t secret_len(const struct secret *s);

/**
 * secret_use - run @fn on the octets, which must not be kept or copied to ordinary memory
 * that is not wiped afterwards. Returns what @fn returned. @p is never NULL.
 */
int secret_use(
    const struct secret *s, int (*fn)(const void *p, size_t len, void *arg), void *arg);

/** secret_eq - equal? Time depends on the lengths only. NULL equals nothing. */
bool secret_eq(const struct secret *a, const struct secret *b);

/** secret_eq_mem - as secret_eq() against @len plain octets. */
bool secret_eq_mem(const struct secret *a, const void *p, size_t len);

/** secret_fmt - what logs and traces print for a secret: always "[REDACTED]". */
const char *secret_fmt(const struct secret *s);

/**
 * secret_zero_heap_install - make OpenSSL and libevent wipe what they free.
 * Their buffers hold secrets for a while (TLS records, headers); for worker and vault.
 * Call it first thing in main: both libraries refuse once they have allocated. Returns 0,
 * or -1 when OpenSSL refused.
 */
int secret_zero_heap_install(void);

/* The allocator behind it, for other libraries that take one (json_set_alloc_funcs). */
void *secret_zero_malloc(size_t n);
void *secret_zero_realloc(void *p, size_t n);
void secret_zero_free(void *p);

#endif /* AEGIS_COMMON_SECRET_H */
