/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite store: what is written is read, turns are whole or not at all, tenants
 * apart. */
#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keymasterd/judge/store.h"
#include "keymasterd/judge/store_hook.h"

static char dir[64], path[96], err[512];
static struct store *store;

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/aegis-store-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/judge.db", dir);
	store = store_open(path, 0, err, sizeof(err));
	ck_assert_msg(store != NULL, "%s", err);
}

static void
teardown(void)
{
	char command[128];

	store_close(store);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static void
reopen(void)
{
	store_close(store);
	store = store_open(path, 1, err, sizeof(err));
	ck_assert_msg(store != NULL, "%s", err);
}

static unsigned
count(const char *sql)
{
	sqlite3_stmt *st;
	sqlite3 *db;
	unsigned n;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	n = (unsigned)sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static struct store_agent
agent(const char *id, const char *tenant, const char *name)
{
	struct store_agent a = {
	    .created_ms = 5, .proc_uid = 1000, .proc_exe = "/bin/agent"};

	snprintf(a.id, sizeof(a.id), "%s", id);
	snprintf(a.tenant, sizeof(a.tenant), "%s", tenant);
	snprintf(a.name, sizeof(a.name), "%s", name);
	return a;
}

static struct store_credential
credential(const char *id, const char *tenant, const char *name, const char *service)
{
	struct store_credential c = {.expires_ms = 7, .allow_private = 1};

	snprintf(c.id, sizeof(c.id), "%s", id);
	snprintf(c.tenant, sizeof(c.tenant), "%s", tenant);
	snprintf(c.name, sizeof(c.name), "%s", name);
	snprintf(c.service, sizeof(c.service), "%s", service);
	snprintf(c.domains, sizeof(c.domains), "a.example.com,b.example.com:8443");
	snprintf(c.auth_type, sizeof(c.auth_type), "bearer");
	snprintf(c.scopes, sizeof(c.scopes), "*");
	snprintf(c.inspection, sizeof(c.inspection), "block");
	return c;
}

static int
keep_agent(const struct store_agent *a, void *arg)
{
	struct store_agent *out = arg;

	*out = *a;
	return 0;
}

static int
keep_credential(const struct store_credential *c, void *arg)
{
	struct store_credential *out = arg;

	*out = *c;
	return 0;
}

START_TEST(mode_and_schema)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	reopen(); /* migrations that ran do not run again */
	ck_assert_uint_eq(count("SELECT count(*) = max(version) FROM schema_version"), 1);
	/* every table but the version's, and the database's own values, belongs to a
	 * tenant */
	ck_assert_uint_eq(
	    count("SELECT count(*) FROM sqlite_schema s WHERE type = 'table' AND name"
		  " NOT IN ('schema_version', 'meta') AND NOT EXISTS (SELECT 1 FROM"
		  " pragma_table_info(s.name) WHERE name = 'tenant_id')"),
	    0);
}
END_TEST

/* A database from before the ledger had files: refused when it has rows in it. */
START_TEST(an_old_ledger)
{
	static const char back[] =
	    "DELETE FROM schema_version WHERE version >= 4;"
	    "ALTER TABLE agents DROP COLUMN proc_uid;"
	    "ALTER TABLE agents DROP COLUMN proc_exe;"
	    "ALTER TABLE agents DROP COLUMN proc_sha256;"
	    "ALTER TABLE agents DROP COLUMN proc_cgroup;"
	    "DROP TABLE nodes; DROP TABLE node_nonces; DROP TABLE users;"
	    "ALTER TABLE credentials DROP COLUMN methods;"
	    "ALTER TABLE credentials DROP COLUMN allow_paths;"
	    "ALTER TABLE credentials DROP COLUMN deny_paths;"
	    "DROP TABLE webhooks; DROP TABLE webhook_queue; DROP TABLE webhook_told;"
	    "ALTER TABLE credentials DROP COLUMN secret_ref; DROP TABLE operator_tokens;"
	    "ALTER TABLE credentials DROP COLUMN grace_until;"
	    "CREATE TABLE ledger(seq INTEGER PRIMARY KEY, tenant_id TEXT);"
	    "CREATE TABLE checkpoints(seq INTEGER, tenant_id TEXT);"
	    "CREATE TABLE replay_marks(seen_ms INTEGER, tenant_id TEXT);";
	sqlite3 *db;

	store_close(store);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, back, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_exec(db, "INSERT INTO ledger VALUES(1, 't')", NULL, NULL, NULL);
	ck_assert_ptr_null(store_open(path, 0, err, sizeof(err)));
	ck_assert_ptr_nonnull(strstr(err, "begin with a new data directory"));
	sqlite3_exec(db, "DELETE FROM ledger", NULL, NULL, NULL);
	sqlite3_close(db);
	store = store_open(path, 0, err, sizeof(err));
	ck_assert_msg(store != NULL, "%s", err);
	ck_assert_uint_eq(
	    count("SELECT count(*) FROM sqlite_schema WHERE name = 'ledger'"), 0);
}
END_TEST

START_TEST(agents_and_rights)
{
	struct store_agent a = agent("id1", "t1", "bot"), got;
	struct store_credential c = credential("c1", "t1", "slack", "slack"), gotc;
	struct store_token t = {.expires_ms = 9};

	ck_assert_int_eq(store_agent_put(store, &a), 0);
	a = agent(
	    "id2", "t2", "bot"); /* the same name in another tenant is another agent */
	ck_assert_int_eq(store_agent_put(store, &a), 0);
	a = agent("id3", "t1", "bot");
	ck_assert_int_eq(store_agent_put(store, &a), STORE_EXISTS);
	ck_assert_int_eq(store_credential_put(store, &c), 0);
	c = credential("c2", "t1", "other", "slack");
	ck_assert_int_eq(store_credential_put(store, &c), STORE_EXISTS);
	snprintf(t.tenant, sizeof(t.tenant), "t1");
	snprintf(t.agent_id, sizeof(t.agent_id), "id1");
	ck_assert_int_eq(store_token_put(store, &t), 0);
	t.hash[0] = 1;
	ck_assert_int_eq(store_token_put(store, &t), 0);
	ck_assert_int_eq(store_grant_put(store, "t1", "id1", "c1", 1), 0);
	ck_assert_int_eq(store_grant_put(store, "t1", "id1", "c1", 2), 0);
	ck_assert_int_eq(store_agent_context_put(store, "t1", "id1", "readonly", 1), 0);
	/* a clash did not spoil the turn */
	ck_assert_int_eq(store_commit(store), 0);
	ck_assert_uint_eq(count("SELECT count(*) FROM agent_tokens"), 1);
	ck_assert_uint_eq(count("SELECT count(*) FROM agent_credentials"), 1);
	reopen();
	ck_assert_int_eq(store_agent_each(store, keep_agent, &got), 0);
	ck_assert_str_eq(got.id, "id2");
	ck_assert_int_eq(got.proc_uid, 1000);
	ck_assert_str_eq(got.proc_exe, "/bin/agent");
	ck_assert_int_eq(store_credential_each(store, keep_credential, &gotc), 0);
	ck_assert_str_eq(gotc.domains, "a.example.com,b.example.com:8443");
	ck_assert_uint_eq(gotc.expires_ms, 7);
	ck_assert_int_eq(gotc.allow_private, 1);
	/* not with another tenant's name on it */
	ck_assert_int_eq(store_agent_delete(store, "t2", "id1"), 0);
	ck_assert_int_eq(store_grant_delete(store, "t2", "id1", "c1"), 0);
	ck_assert_int_eq(store_commit(store), 0);
	ck_assert_uint_eq(count("SELECT count(*) FROM agents"), 2);
	ck_assert_uint_eq(count("SELECT count(*) FROM agent_credentials"), 1);
	/* what belongs to an agent goes with it */
	ck_assert_int_eq(store_agent_delete(store, "t1", "id1"), 0);
	ck_assert_int_eq(store_commit(store), 0);
	ck_assert_uint_eq(count("SELECT count(*) FROM agent_tokens"), 0);
	ck_assert_uint_eq(count("SELECT count(*) FROM agent_credentials"), 0);
	ck_assert_uint_eq(count("SELECT count(*) FROM agent_contexts"), 0);
}
END_TEST

START_TEST(whole_turns)
{
	struct store_agent a = agent("id1", "t", "a");

	ck_assert_int_eq(store_pending(store), 0);
	ck_assert_int_eq(store_agent_put(store, &a), 0);
	ck_assert_int_eq(store_pending(store), 1);
	store_rollback(store);
	ck_assert_uint_eq(count("SELECT count(*) FROM agents"), 0);
	/* and the next turn is a new one */
	ck_assert_int_eq(store_agent_put(store, &a), 0);
	ck_assert_int_eq(store_commit(store), 0);
	store_poison(store, "test");
	ck_assert_int_eq(store_failed(store), 1);
	ck_assert_int_eq(store_meta_set(store, "k", "v"), -1);
	ck_assert_str_eq(store_error(store), "test");
	ck_assert_int_eq(store_commit(store), -1);
}
END_TEST

/* A rival that holds the database makes the turn fail at once, not after a wait. */
START_TEST(a_rival)
{
	struct store_agent a = agent("id1", "t", "a");
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(
	    sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(store_agent_put(store, &a), -1);
	ck_assert_int_eq(store_commit(store), -1);
	ck_assert_ptr_nonnull(strstr(store_error(store), "locked"));
	sqlite3_close(db);
	ck_assert_int_eq(store_agent_put(store, &a), 0);
	ck_assert_int_eq(store_commit(store), 0);
}
END_TEST

/* Many pages of anything, key by key. */
static int
put_window(unsigned n, const void *p, size_t len)
{
	char key[32];

	snprintf(key, sizeof(key), "agent:%u", n);
	return store_window_put(store, "t", key, p, len);
}

/* A full disk, as SQLite reports it when the file may not grow. */
START_TEST(a_full_disk)
{
	static char text[200000];
	unsigned n;
	sqlite3 *db;
	int r = 0;

	store_close(store);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_close(db);
	memset(text, 'x', sizeof(text));
	store = store_open(path, 0, err, sizeof(err));
	store_limit_pages(store, 100);
	for (n = 1; n < 100 && r == 0; n++) {
		r = put_window(n, text, sizeof(text));
		r = store_commit(store);
	}
	ck_assert_int_eq(r, -1);
	ck_assert_ptr_nonnull(strstr(store_error(store), "full"));
	ck_assert_uint_eq(count("SELECT count(*) FROM rate_windows"), n - 2);
	store_limit_pages(store, 1000000);
	ck_assert_int_eq(put_window(n - 1, text, sizeof(text)), 0);
	ck_assert_int_eq(store_commit(store), 0);
}
END_TEST

static int
session_seen(const struct store_session *s, void *arg)
{
	*(int *)arg += s->public_key[31] == 9 && strcmp(s->run, "r1") == 0 &&
	    strcmp(s->patterns, "[\"fs.*\"]") == 0;
	return 0;
}

static int
context_seen(const struct store_context *c, void *arg)
{
	*(int *)arg += c->version == 2 && span_eq(c->json, "{\"b\":2}");
	return 0;
}

START_TEST(seal_state)
{
	struct store_session s = {.state = 1, .created_ms = 1, .expires_ms = 100};
	struct store_context c = {.version = 1, .json = span_str("{\"a\":1}")};
	int n = 0;

	snprintf(s.id, sizeof(s.id), "s1");
	snprintf(s.tenant, sizeof(s.tenant), "t");
	snprintf(s.patterns, sizeof(s.patterns), "[\"fs.*\"]");
	snprintf(s.run, sizeof(s.run), "r1");
	s.public_key[31] = 9;
	ck_assert_int_eq(store_session_put(store, &s), 0);
	snprintf(c.tenant, sizeof(c.tenant), "t");
	snprintf(c.name, sizeof(c.name), "c");
	ck_assert_int_eq(store_context_put(store, &c), 0);
	c.version = 2;
	c.json = span_str("{\"b\":2}");
	ck_assert_int_eq(store_context_put(store, &c), 0);
	ck_assert_int_eq(store_commit(store), 0);
	reopen();
	ck_assert_int_eq(store_session_each(store, 99, session_seen, &n), 0);
	ck_assert_int_eq(n, 1);
	ck_assert_int_eq(store_session_each(store, 100, session_seen, &n), 0);
	ck_assert_int_eq(n, 1);
	n = 0;
	ck_assert_int_eq(store_context_each(store, context_seen, &n), 0);
	ck_assert_int_eq(n, 1);
	ck_assert_int_eq(store_session_purge(store, 101, 10), 0);
	ck_assert_int_eq(store_context_delete(store, "other", "c"), 0);
	ck_assert_int_eq(store_commit(store), 0);
	ck_assert_uint_eq(count("SELECT count(*) FROM sessions"), 0);
	ck_assert_uint_eq(count("SELECT count(*) FROM contexts"), 1);
}
END_TEST

/* A nonce is good once for each tenant, and forgotten in the end. */
START_TEST(nonces)
{
	ck_assert_int_eq(store_node_nonce(store, "a", "n", 100), 0);
	ck_assert_int_eq(store_node_nonce(store, "a", "n", 101), STORE_EXISTS);
	ck_assert_int_eq(store_node_nonce(store, "b", "n", 200), 0);
	ck_assert_int_eq(store_node_nonce_purge(store, 100, 10), 0);
	ck_assert_int_eq(store_node_nonce(store, "a", "n", 102), STORE_EXISTS);
	ck_assert_int_eq(store_node_nonce_purge(store, 201, 1), 0);
	ck_assert_int_eq(store_commit(store), 0);
	ck_assert_uint_eq(count("SELECT count(*) FROM node_nonces"), 1);
	ck_assert_int_eq(store_node_nonce_purge(store, 201, 1), 0);
	ck_assert_int_eq(store_commit(store), 0);
	ck_assert_uint_eq(count("SELECT count(*) FROM node_nonces"), 0);
	ck_assert_int_eq(store_node_nonce(store, "a", "n", 300), 0);
	ck_assert_int_eq(store_commit(store), 0);
}
END_TEST

/* The helper copies the log while rows are written, and lets go in the end. */
static int
keep_delivery(const struct store_delivery *d, void *arg)
{
	*(struct store_delivery *)arg = *d;
	return 0;
}

START_TEST(a_delivery_is_more_than_its_number)
{
	struct store_delivery d = {.tenant = "t",
	    .hook = "0123456789abcdef",
	    .id = "first",
	    .event = 1,
	    .body = span_str("{}"),
	    .created_ms = 1,
	    .next_ms = 1};
	struct store_delivery first, second;
	uint64_t pending, dead, next;
	char id[HOOK_ID_LEN + 1] = "";

	ck_assert_int_eq(store_delivery_add(store, &d), 0);
	ck_assert_int_eq(
	    store_delivery_due(store, d.tenant, d.hook, 1, 2, keep_delivery, &first), 0);
	ck_assert_int_eq(store_delivery_hook_next(store, d.tenant, id), 0);
	ck_assert_str_eq(id, d.hook);
	ck_assert_int_eq(store_delivery_hook_next(store, d.tenant, id), 0);
	ck_assert_str_eq(id, "");
	ck_assert_int_eq(store_hook_delete(store, d.tenant, d.hook), 0);
	snprintf(d.id, sizeof(d.id), "second");
	ck_assert_int_eq(store_delivery_add(store, &d), 0);
	ck_assert_int_eq(
	    store_delivery_due(store, d.tenant, d.hook, 1, 2, keep_delivery, &second), 0);
	ck_assert_uint_eq(first.number, second.number);
	/* what becomes of the first one is nothing to the second */
	ck_assert_int_eq(store_delivery_delete(store, &first), 0);
	first.dead = 1;
	ck_assert_int_eq(store_delivery_update(store, &first), 0);
	ck_assert_int_eq(
	    store_delivery_count(store, d.tenant, d.hook, &pending, &dead, &next), 0);
	ck_assert_uint_eq(pending, 1);
	ck_assert_uint_eq(dead, 0);
	ck_assert_int_eq(store_delivery_delete(store, &second), 0);
	ck_assert_int_eq(
	    store_delivery_count(store, d.tenant, d.hook, &pending, &dead, &next), 0);
	ck_assert_uint_eq(pending, 0);
}
END_TEST

START_TEST(helper)
{
	static char text[2000];
	struct stat st;
	unsigned n;

	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(store_helper_start(store), 0);
	for (n = 1; n <= 2000; n++) {
		ck_assert_int_eq(put_window(n, text, sizeof(text)), 0);
		ck_assert_int_eq(store_commit(store), 0);
	}
	sleep(2);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_ge(st.st_size, 4000000);
	reopen();
	ck_assert_uint_eq(count("SELECT count(*) FROM rate_windows"), 2000);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("store");
	TCase *t = tcase_create("sqlite");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, mode_and_schema);
	tcase_add_test(t, an_old_ledger);
	tcase_add_test(t, agents_and_rights);
	tcase_add_test(t, whole_turns);
	tcase_add_test(t, a_rival);
	tcase_add_test(t, a_full_disk);
	tcase_add_test(t, seal_state);
	tcase_add_test(t, nonces);
	tcase_add_test(t, a_delivery_is_more_than_its_number);
	tcase_add_test(t, helper);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
