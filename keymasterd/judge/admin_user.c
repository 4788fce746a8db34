/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis user: people, their roles and tokens. A token is shown once and kept as SHA-256.
 * Row, database and memory change in one turn. The last admin stays one: without an admin
 * nobody could make another. Judge only.
 *
 *	user_add, user_regenerate	done {name, role, token}
 *	user_list			row {name, role, token_prefix, created_at,
 *updated_at}
 */
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/hex.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "keymasterd/judge/admin.h"
#include "keymasterd/judge/admin_credential.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/turn.h"
#include "keymasterd/judge/user.h"

#define ROLES "admin, operator or viewer"

static void
act(struct chan *c, const char *event, const struct user *u)
{
	char detail[120];

	snprintf(detail, sizeof(detail), "%s, role %s", u->row.name, u->row.role);
	admin_ledger(c, &(struct admin_act){.event = event, .detail = span_str(detail)});
}

static int
failed(struct chan *c, uint64_t reqid)
{
	store_poison(judge_store, "a user could not be written");
	admin_done(c, reqid, ADMIN_FAILED, "The database could not be written.");
	return 0;
}

static void
token_make(char text[JUDGE_TOKEN_MAX], struct store_user *row)
{
	judge_token("aegis_user_", text, row->token_hash);
	snprintf(row->prefix, sizeof(row->prefix), "%.19s", text);
}

/* Writes the row; 0, or -1 when the turn has failed. */
static int
put(struct store_user *row)
{
	row->updated_ms = judge_now_ms();
	turn_touched();
	return store_user_put(judge_store, row) == 0 && user_set(row) != NULL ? 0 : -1;
}

static void
show_token(struct chan *c, uint64_t reqid, const struct store_user *row, char *text)
{
	struct jsonw w;
	struct buf json;

	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "name", row->name);
	jsonw_key_str(&w, "role", row->role);
	jsonw_key_str(&w, "token", text);
	jsonw_obj_close(&w);
	admin_result(c, reqid, &json);
	buf_wipe_free(&json);
	explicit_bzero(text, JUDGE_TOKEN_MAX);
}

static struct user *
user_named(struct chan *c, uint64_t reqid, struct span name)
{
	struct user *u = user_by_name(judge_conf.tenant, name);

	if (u == NULL)
		(void)admin_refuse(c, reqid,
		    "There is no user named %.*s. Who there is: aegis user list",
		    (int)name.len, name.p);
	return u;
}

/* Would nobody be an admin without this one? */
static int
last_admin(const struct user *u)
{
	const struct user *o;

	if (u->role != USER_ADMIN)
		return 0;
	TAILQ_FOREACH (o, &users, link)
		if (o != u && o->role == USER_ADMIN &&
		    strcmp(o->row.tenant, u->row.tenant) == 0)
			return 0;
	return 1;
}

int
admin_user_add(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_user_add *m = msg;
	const char *bad = check_identifier(m->name, 64);
	struct user u = {.role = user_role_of(m->role)};
	char text[JUDGE_TOKEN_MAX];

	if (bad != NULL)
		return admin_refuse(c, reqid, "The name %s.", bad);
	if (u.role == USER_NOBODY)
		return admin_refuse(c, reqid, "The role is " ROLES ".");
	if (user_by_name(judge_conf.tenant, m->name) != NULL)
		return admin_refuse(c, reqid,
		    "There is a user named %.*s already. Another role: aegis user role; "
		    "a new "
		    "token: aegis user regenerate-token",
		    (int)m->name.len, m->name.p);
	if (!users_any(judge_conf.tenant) && u.role != USER_ADMIN)
		return admin_refuse(c, reqid,
		    "The first user has to be an admin, who can then add others: aegis "
		    "user "
		    "add --name NAME --role admin");
	snprintf(u.row.tenant, sizeof(u.row.tenant), "%s", judge_conf.tenant);
	(void)span_copy(m->name, u.row.name, sizeof(u.row.name));
	snprintf(u.row.role, sizeof(u.row.role), "%s", user_role_name(u.role));
	u.row.created_ms = judge_now_ms();
	token_make(text, &u.row);
	act(c, "user.add", &u);
	if (put(&u.row) == -1)
		return failed(c, reqid);
	show_token(c, reqid, &u.row, text);
	return 0;
}

int
admin_user_list(struct chan *c, uint64_t reqid, void *msg)
{
	const struct user *u;
	struct jsonw w;
	struct buf json;
	char when[32];
	int r = 0;

	(void)msg;
	buf_init(&json);
	TAILQ_FOREACH (u, &users, link) {
		if (strcmp(u->row.tenant, judge_conf.tenant) != 0)
			continue;
		buf_reset(&json);
		jsonw_init(&w, &json);
		jsonw_obj_open(&w);
		jsonw_key_str(&w, "name", u->row.name);
		jsonw_key_str(&w, "role", u->row.role);
		jsonw_key_str(&w, "token_prefix", u->row.prefix);
		jsonw_key_str(&w, "created_at", time_text(u->row.created_ms, when));
		jsonw_key_str(&w, "updated_at", time_text(u->row.updated_ms, when));
		jsonw_obj_close(&w);
		if ((r = admin_row(c, reqid, &json)) == -1)
			break;
	}
	buf_free(&json);
	admin_done(c, reqid, r == 0 ? ADMIN_OK : ADMIN_FAILED,
	    r == 0 ? "" : "The list is too long to be sent at once.");
	return 0;
}

int
admin_user_remove(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_user_remove *m = msg;
	struct user *u = user_named(c, reqid, m->name);

	if (u == NULL)
		return 0;
	if (last_admin(u))
		return admin_refuse(c, reqid,
		    "%s is the last admin and stays. Make another one first: aegis user "
		    "add "
		    "--name NAME --role admin",
		    u->row.name);
	act(c, "user.remove", u);
	turn_touched();
	if (store_user_delete(judge_store, u->row.tenant, u->row.name) != 0)
		return failed(c, reqid);
	user_forget(u);
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

int
admin_user_role(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_user_role *m = msg;
	enum user_role role = user_role_of(m->role);
	struct user *u = user_named(c, reqid, m->name), changed;

	if (u == NULL)
		return 0;
	if (role == USER_NOBODY)
		return admin_refuse(c, reqid, "The role is " ROLES ".");
	if (role != USER_ADMIN && last_admin(u))
		return admin_refuse(c, reqid,
		    "%s is the last admin and stays one. Make another one first: aegis "
		    "user "
		    "role --name NAME --role admin",
		    u->row.name);
	changed = *u;
	snprintf(changed.row.role, sizeof(changed.row.role), "%s", user_role_name(role));
	act(c, "user.role", &changed);
	if (put(&changed.row) == -1)
		return failed(c, reqid);
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

int
admin_user_regenerate(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_user_regenerate *m = msg;
	struct user *u = user_named(c, reqid, m->name);
	struct store_user row;
	char text[JUDGE_TOKEN_MAX];

	if (u == NULL)
		return 0;
	row = u->row;
	token_make(text, &row);
	act(c, "user.regenerate", u);
	if (put(&row) == -1)
		return failed(c, reqid);
	show_token(c, reqid, &row, text);
	return 0;
}
