/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roles a process of Aegis can have, and what each is called.
 * Every process includes this; it holds names only, no policy.
 */
#ifndef AEGIS_COMMON_ROLE_H
#define AEGIS_COMMON_ROLE_H

/* The order is part of the start protocol: append only, before ROLE_MAX. */
enum role {
	ROLE_NONE,
	ROLE_MASTER,
	ROLE_GATE,
	ROLE_JUDGE,
	ROLE_VAULT,
	ROLE_DISPATCH,
	ROLE_WORKER,
	ROLE_TOOLHOST,
	ROLE_TOOLEXEC,
	ROLE_ADMIN,
	ROLE_API,
	ROLE_MAX
};

/* Constant facts about one role. */
struct role_info {
	const char *name;        /* "gate", "judge", ...: logs and command lines */
	const char *title;       /* process title, such as "keymasterd: vault" */
	const char *user;        /* system user, such as "aegis-vault"; or NULL */
	unsigned int uid_offset; /* added to ROLE_UID_BASE when no such user */
};

/* First numeric uid used when the system has no user of a role's name. */
#define ROLE_UID_BASE 61000u

/**
 * role_info - the constant facts about a role.
 * Never NULL: a value out of range gives the entry of ROLE_NONE.
 */
const struct role_info *role_info(enum role role);

/** role_name - the short name of a role ("gate"); "none" when out of range. */
const char *role_name(enum role role);

/**
 * role_from_name - the role of a short name.
 * Returns ROLE_NONE for a name that is not known, and for NULL.
 */
enum role role_from_name(const char *name);

#endif /* AEGIS_COMMON_ROLE_H */
