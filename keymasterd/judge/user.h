/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People who administer, and what they may do (permission.def). While there is nobody,
 * who reaches the admin socket may do everything: that is how the first admin is made.
 * Judge only.
 */
#ifndef AEGIS_JUDGE_USER_H
#define AEGIS_JUDGE_USER_H

#include <stdint.h>
#include <sys/queue.h>

#include "common/chan.h"
#include "common/span.h"
#include "keymasterd/judge/store.h"

/* Each may what the one before it may. */
enum user_role { USER_NOBODY, USER_VIEWER, USER_OPERATOR, USER_ADMIN };

enum permission {
	PERMISSION_NONE,
#define PERMISSION(id, name, least) PERM_##id,
#define NEEDS(message, id)
#include "keymasterd/judge/permission.def"
#undef PERMISSION
#undef NEEDS
	PERMISSIONS
};

struct user {
	struct store_user row;
	enum user_role role;
	TAILQ_ENTRY(user) link;
};
TAILQ_HEAD(user_list, user);
extern struct user_list users;

/* "viewer", "operator", "admin"; and back, USER_NOBODY for anything else. */
const char *user_role_name(enum user_role);
enum user_role user_role_of(struct span name);
/* "vault:read". */
const char *permission_name(enum permission);
int user_role_may(enum user_role, enum permission);
/* PERMISSION_NONE when there is none of this name. */
enum permission permission_named(struct span);
/* What an administrator's message needs; an admin's permission when the table has no line
 * for it. */
enum permission permission_of(unsigned type);

/* Reads everybody. 0, or -1: see store_error(). Also after a rollback. */
int users_load(void);
/* A row was written: take it into memory. NULL when out of memory. */
struct user *user_set(const struct store_user *);
void user_forget(struct user *);
struct user *user_by_name(const char *tenant, struct span name);
/* By the SHA-256 of a token. NULL: nobody's. */
struct user *user_by_hash(const char *tenant, const uint8_t hash[STORE_HASH_LEN]);
/* Has anybody been made? Until then everything is allowed. */
int users_any(const char *tenant);

/*
 * May whoever shows this token do that? NULL, or what to answer. hash NULL: no token was
 * shown. *who is the user, NULL while there is nobody.
 */
const char *user_denied(const char *tenant, const uint8_t *hash, enum permission,
    struct user **who, char *text, size_t size);

/* Handlers of the admin socket (admin_user.c). */
int admin_user_add(struct chan *, uint64_t reqid, void *msg);
int admin_user_list(struct chan *, uint64_t reqid, void *msg);
int admin_user_remove(struct chan *, uint64_t reqid, void *msg);
int admin_user_role(struct chan *, uint64_t reqid, void *msg);
int admin_user_regenerate(struct chan *, uint64_t reqid, void *msg);

#endif
