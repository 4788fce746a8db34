/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper thread of the store: copies SQLite's log into the database file once a
 * second over a connection of its own, so that the deciding thread never waits for the
 * disk. It touches nothing else of the judge.
 */
#include "keymasterd/judge/store_int.h"

#include <signal.h>
#include <time.h>

/* A thread's end takes system calls that the box does not have: it waits for the
 * process's end instead, on something that outlives the store. */
static void
park(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

	pthread_mutex_lock(&lock);
	for (;;)
		pthread_cond_wait(&never, &lock);
}

static void *
helper_main(void *arg)
{
	struct store *s = arg;
	sqlite3 *db = NULL;
	struct timespec until;

	if (sqlite3_open_v2(s->path, &db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
		NULL) == SQLITE_OK)
		(void)sqlite3_exec(db,
		    "PRAGMA wal_autocheckpoint=0;" /* and look in, or there is no log yet:
						    */
		    "SELECT count(*) FROM sqlite_schema",
		    NULL, NULL, NULL);
	pthread_mutex_lock(&s->lock);
	s->helper = 1;
	pthread_cond_signal(&s->wake);
	while (!s->stop) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		(void)pthread_cond_timedwait(&s->wake, &s->lock, &until);
		if (s->stop)
			break;
		pthread_mutex_unlock(&s->lock);
		if (db !=
		    NULL) /* else the deciding thread copies when the log gets long */
			(void)sqlite3_wal_checkpoint_v2(
			    db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		pthread_mutex_lock(&s->lock);
	}
	sqlite3_close(db);
	s->helper = 0;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	park();
	return NULL;
}

int
store_helper_start(struct store *s)
{
	sigset_t all, old;
	pthread_t thread;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&thread, NULL, helper_main, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return -1;
	/* a thread's beginning takes such calls, too: go on when it is past them */
	pthread_mutex_lock(&s->lock);
	while (!s->helper)
		pthread_cond_wait(&s->wake, &s->lock);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

void
store_helper_stop(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	s->stop = 1;
	if (s->helper)
		pthread_cond_signal(&s->wake);
	while (s->helper)
		pthread_cond_wait(&s->wake, &s->lock);
	pthread_mutex_unlock(&s->lock);
}
