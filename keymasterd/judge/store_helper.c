/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper thread of the store: copies SQLite's log into the database file once a
 * second over a connection of its own, so that the deciding thread never waits for the
 * disk. It touches nothing else of the judge.
 */
#include "keymasterd/judge/store_int.h"

#include <signal.h>
#include <time.h>

static void *
helper_main(void *arg)
{
	struct store *s = arg;
	sqlite3 *db = NULL;
	struct timespec until;

	if (sqlite3_open_v2(s->path, &db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
		NULL) != SQLITE_OK) {
		sqlite3_close(db);
		return NULL; /* the deciding thread copies when the log gets long */
	}
	(void)sqlite3_exec(db, "PRAGMA wal_autocheckpoint=0", NULL, NULL, NULL);
	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		(void)pthread_cond_timedwait(&s->wake, &s->lock, &until);
		if (s->stop)
			break;
		pthread_mutex_unlock(&s->lock);
		(void)sqlite3_wal_checkpoint_v2(
		    db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	sqlite3_close(db);
	return NULL;
}

int
store_helper_start(struct store *s)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	s->helper = pthread_create(&s->thread, NULL, helper_main, s) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return s->helper ? 0 : -1;
}

void
store_helper_stop(struct store *s)
{
	if (!s->helper)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = 1;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	s->helper = 0;
}
