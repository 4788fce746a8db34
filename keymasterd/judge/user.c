/* SPDX-License-Identifier: Apache-2.0 */
/* People in memory, as the database has them, and what their roles allow; see user.h.
 * Judge only. */
#include "keymasterd/judge/user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/proto.h"
#include "keymasterd/judge/judge.h"

static const struct {
	const char *name;
	enum user_role least;
} permissions[] = {
    {"", USER_NOBODY},
#define PERMISSION(id, text, role) {text, role},
#define NEEDS(message, id)
#include "keymasterd/judge/permission.def"
#undef PERMISSION
#undef NEEDS
};

static const struct {
	uint16_t type;
	uint8_t needs;
} messages[] = {
#define PERMISSION(id, text, role)
#define NEEDS(message, id) {MSG_##message, PERM_##id},
#include "keymasterd/judge/permission.def"
#undef PERMISSION
#undef NEEDS
};

static const char *const roles[] = {"", "viewer", "operator", "admin"};

struct user_list users = TAILQ_HEAD_INITIALIZER(users);

const char *
user_role_name(enum user_role role)
{
	return role <= USER_ADMIN ? roles[role] : "";
}

enum user_role
user_role_of(struct span name)
{
	for (unsigned i = USER_VIEWER; i <= USER_ADMIN; i++)
		if (span_eq(name, roles[i]))
			return (enum user_role)i;
	return USER_NOBODY;
}

const char *
permission_name(enum permission p)
{
	return p < PERMISSIONS ? permissions[p].name : "";
}

int
user_role_may(enum user_role role, enum permission p)
{
	return role >= USER_VIEWER && p > PERMISSION_NONE && p < PERMISSIONS &&
	    role >= permissions[p].least;
}

enum permission
permission_named(struct span name)
{
	for (unsigned p = PERMISSION_NONE + 1; p < PERMISSIONS; p++)
		if (span_eq(name, permissions[p].name))
			return (enum permission)p;
	return PERMISSION_NONE;
}

enum permission
permission_of(unsigned type)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		if (messages[i].type == type)
			return (enum permission)messages[i].needs;
	return PERM_USER_WRITE;
}

struct user *
user_by_name(const char *tenant, struct span name)
{
	struct user *u;

	TAILQ_FOREACH (u, &users, link)
		if (span_eq(name, u->row.name) && strcmp(u->row.tenant, tenant) == 0)
			return u;
	return NULL;
}

struct user *
user_by_hash(const char *tenant, const uint8_t hash[STORE_HASH_LEN])
{
	struct user *u;

	TAILQ_FOREACH (u, &users, link)
		if (memcmp(u->row.token_hash, hash, STORE_HASH_LEN) == 0 &&
		    strcmp(u->row.tenant, tenant) == 0)
			return u;
	return NULL;
}

int
users_any(const char *tenant)
{
	struct user *u;

	TAILQ_FOREACH (u, &users, link)
		if (strcmp(u->row.tenant, tenant) == 0)
			return 1;
	return 0;
}

struct user *
user_set(const struct store_user *row)
{
	struct user *u = user_by_name(row->tenant, span_str(row->name));

	if (u == NULL) {
		if ((u = calloc(1, sizeof(*u))) == NULL)
			return NULL;
		TAILQ_INSERT_TAIL(&users, u, link);
	}
	u->row = *row;
	u->role = user_role_of(span_str(row->role));
	return u;
}

void
user_forget(struct user *u)
{
	TAILQ_REMOVE(&users, u, link);
	free(u);
}

static int
load_one(const struct store_user *row, void *arg)
{
	(void)arg;
	return user_set(row) != NULL ? 0 : -1;
}

int
users_load(void)
{
	struct user *u;

	while ((u = TAILQ_FIRST(&users)) != NULL)
		user_forget(u);
	return store_user_each(judge_store, load_one, NULL);
}

const char *
user_denied(const char *tenant, const uint8_t *hash, enum permission p, struct user **who,
    char *text, size_t size)
{
	*who = NULL;
	if (!users_any(tenant))
		return NULL;
	if (hash == NULL)
		return "Authentication required. Set AEGIS_USER_TOKEN=<your-api-key>";
	*who = user_by_hash(tenant, hash);
	if (*who == NULL)
		return "Invalid API key. Token not recognized.";
	if (user_role_may((*who)->role, p))
		return NULL;
	snprintf(text, size, "Permission denied. Role \"%s\" does not have \"%s\".",
	    user_role_name((*who)->role), permission_name(p));
	return text;
}
