/* SPDX-License-Identifier: Apache-2.0 */
/* See ledger_sync.h. Two threads of the judge meet here, under one lock. */
#include "keymasterd/judge/ledger_sync.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "keymasterd/judge/ledger_file.h"

#define REST_MS 25 /* of the 50: the disk needs some, too */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER, idle = PTHREAD_COND_INITIALIZER;
static int running, stop, urgent, syncing;
static int wake_fd = -1;
static atomic_int dirty; /* 1: the thread knows that there is something to do */

/* Written by the deciding thread, read under the lock. */
static int file = -1;
static _Atomic uint64_t wrote_seq, wrote_len;
/* Written by the thread. */
static _Atomic uint64_t synced_seq, synced_len;
static atomic_int failed;

static struct {
	uint8_t octets[1024];
	size_t len; /* 0: none waits */
	uint64_t seq;
	unsigned slot;
} head;

static void
rest(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += REST_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	while (
	    !urgent && !stop && pthread_cond_timedwait(&work, &lock, &until) != ETIMEDOUT)
		;
}

/* Two slots in turn: whatever happens while one is written, the other is whole. */
static void
write_head(uint64_t seq)
{
	uint8_t octets[sizeof(head.octets)];
	unsigned slot = head.slot;
	size_t len = head.len;

	if (len == 0 || head.seq > seq)
		return;
	memcpy(octets, head.octets, len);
	head.len = 0;
	head.slot ^= 1;
	pthread_mutex_unlock(&lock);
	if (ledger_pwrite(ledger_dir.head, octets, len, slot * LEDGER_HEAD_SLOT) == 0)
		(void)fdatasync(ledger_dir.head);
	pthread_mutex_lock(&lock);
}

static void
sync_once(void)
{
	uint64_t seq = wrote_seq, len = wrote_len, one = 1;
	int fd = file, told = urgent, r;

	urgent = 0;
	syncing = 1;
	pthread_mutex_unlock(&lock);
	r = failed == 0 && fd >= 0 ? fdatasync(fd) : 0;
	pthread_mutex_lock(&lock);
	if (r == -1) {
		failed = errno;
	} else if (failed == 0 && fd == file) {
		synced_seq = seq;
		synced_len = len;
		write_head(seq);
	}
	syncing = 0;
	pthread_cond_broadcast(&idle);
	if (told && write(wake_fd, &one, sizeof(one)) == -1)
		failed = errno; /* cannot be: the counter has 64 bits */
}

static void *
sync_main(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&lock);
	running = 1;
	pthread_cond_broadcast(&idle);
	while (!stop) {
		if (!dirty && !urgent) {
			(void)pthread_cond_wait(&work, &lock);
			continue;
		}
		rest();
		dirty = 0;
		sync_once();
	}
	running = 0;
	pthread_cond_broadcast(&idle);
	/* a thread's end takes system calls that the box does not have */
	for (;;)
		(void)pthread_cond_wait(&work, &lock);
	return NULL;
}

int
ledger_sync_start(void)
{
	sigset_t all, old;
	pthread_t thread;
	int r;

	if (wake_fd == -1 && (wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1)
		return -1;
	stop = urgent = 0;
	head.len = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&thread, NULL, sync_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return -1;
	/* a thread's beginning takes such calls, too: go on when it is past them */
	pthread_mutex_lock(&lock);
	while (!running)
		(void)pthread_cond_wait(&idle, &lock);
	pthread_mutex_unlock(&lock);
	return 0;
}

void
ledger_sync_stop(void)
{
	pthread_mutex_lock(&lock);
	stop = 1;
	pthread_cond_broadcast(&work);
	while (running)
		(void)pthread_cond_wait(&idle, &lock);
	if (file >= 0 && failed == 0 && fdatasync(file) == 0)
		write_head(wrote_seq);
	file = -1;
	dirty = 0;
	pthread_mutex_unlock(&lock);
}

int
ledger_sync_wake(void)
{
	return wake_fd;
}

void
ledger_sync_wrote(int fd, uint64_t seq, uint64_t len)
{
	if (fd != file) {
		pthread_mutex_lock(&lock);
		file = fd;
		pthread_mutex_unlock(&lock);
	}
	wrote_len = len;
	wrote_seq = seq;
	if (atomic_exchange(&dirty, 1) == 0) {
		pthread_mutex_lock(&lock);
		pthread_cond_broadcast(&work);
		pthread_mutex_unlock(&lock);
	}
}

void
ledger_sync_known(int fd, uint64_t seq, uint64_t len)
{
	pthread_mutex_lock(&lock);
	while (syncing) /* of the file that was: it may be closed when this returns */
		(void)pthread_cond_wait(&idle, &lock);
	file = fd;
	wrote_seq = synced_seq = seq;
	wrote_len = synced_len = len;
	failed = 0;
	write_head(seq);
	pthread_mutex_unlock(&lock);
}

int
ledger_sync_now(int fd, uint64_t seq, uint64_t len)
{
	int r;

	pthread_mutex_lock(&lock);
	while (syncing) /* the kernel tells a failure once only, perhaps to the thread */
		(void)pthread_cond_wait(&idle, &lock);
	if (failed == 0 && fdatasync(fd) == -1)
		failed = errno;
	if (failed == 0) {
		synced_seq = seq;
		synced_len = len;
	}
	r = failed == 0 ? 0 : -1;
	pthread_mutex_unlock(&lock);
	return r;
}

int
ledger_sync_flush(int fd)
{
	int r;

	pthread_mutex_lock(&lock);
	while (syncing) /* the kernel tells a failure once only, perhaps to the thread */
		(void)pthread_cond_wait(&idle, &lock);
	if (failed == 0 && fdatasync(fd) == -1)
		failed = errno;
	r = failed == 0 ? 0 : -1;
	pthread_mutex_unlock(&lock);
	return r;
}

uint64_t
ledger_synced(void)
{
	return synced_seq;
}

uint64_t
ledger_synced_len(void)
{
	return synced_len;
}

void
ledger_sync_urge(void)
{
	pthread_mutex_lock(&lock);
	urgent = 1;
	pthread_cond_broadcast(&work);
	pthread_mutex_unlock(&lock);
}

int
ledger_sync_failed(void)
{
	return failed;
}

void
ledger_sync_head(const void *line, size_t len, uint64_t seq)
{
	if (len > sizeof(head.octets))
		return;
	pthread_mutex_lock(&lock);
	memcpy(head.octets, line, len);
	head.len = len;
	head.seq = seq;
	if (seq <= synced_seq)
		atomic_store(&dirty, 1);
	pthread_cond_broadcast(&work);
	pthread_mutex_unlock(&lock);
}
