/* SPDX-License-Identifier: Apache-2.0 */
/* Who may ask what over HTTP; see perm.h. Judge only; tokens are anybody's. */
#include "keymasterd/judge/perm.h"

#include <stdio.h>
#include <string.h>

#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"

#define USER_TOKEN "aegis_user_"

/* The token of a user behind "Bearer "; len 0 when it is something else. */
static struct span
user_token(struct span authorization)
{
	struct span s = authorization;

	if (s.len < 7 || !span_ieq(span_mem(s.p, 7), "bearer "))
		return span_str("");
	for (s = span_mem(s.p + 7, s.len - 7); s.len > 0 && s.p[0] == ' ';)
		s = span_mem(s.p + 1, s.len - 1);
	return s.len > sizeof(USER_TOKEN) &&
		memcmp(s.p, USER_TOKEN, sizeof(USER_TOKEN) - 1) == 0
	    ? s
	    : span_str("");
}

static enum operator_role
role_of_user(const struct user *u)
{
	return (enum operator_role)(
	    OPERATOR_READONLY + (unsigned)(u->role - USER_VIEWER));
}

/* 0; 401 or 503 with *why. */
static unsigned
identify(struct span authorization, struct operator_who *op, enum user_role *role,
    const char **why)
{
	struct span token = user_token(authorization);
	const struct user *u;
	unsigned status;

	if (token.len == 0) {
		status = operator_read(authorization, op, why);
		*role = (enum user_role)(USER_VIEWER + (op->role - OPERATOR_READONLY));
		return status;
	}
	memset(op, 0, sizeof(*op));
	op->is_user = true;
	judge_sha256(token.p, token.len, op->hash);
	u = user_by_hash(judge_conf.tenant, op->hash);
	if (u == NULL) {
		*why = "Invalid API key. Token not recognized.";
		return 401;
	}
	*role = u->role;
	op->role = role_of_user(u);
	snprintf(op->tenant, sizeof(op->tenant), "%s", u->row.tenant);
	snprintf(op->name, sizeof(op->name), "%s", u->row.name);
	return 0;
}

int
api_require(struct api_call *c, enum permission p, struct operator_who *op)
{
	struct decide *d = c->d;
	enum user_role role = USER_NOBODY;
	const char *why = NULL;
	char message[128];
	unsigned status;

	if ((status = identify(c->m->authorization, op, &role, &why)) != 0) {
		api_refuse_person(d, status, why);
		return -1;
	}
	c->op = op;
	c->tenant = op->tenant;
	d->row.oper = span_str(op->name);
	d->row.tenant = span_str(c->tenant);
	if (!user_role_may(role, p)) {
		(void)snprintf(message, sizeof(message),
		    "Permission denied. Role \"%s\" does not have \"%s\".",
		    user_role_name(role), permission_name(p));
		api_refuse(d, 403, message);
		return -1;
	}
	return 0;
}

bool
api_counts(const struct operator_who *op)
{
	const struct user *u;

	if (!op->is_user)
		return operator_counts(op);
	u = user_by_hash(op->tenant, op->hash);
	return u != NULL && role_of_user(u) == op->role;
}
