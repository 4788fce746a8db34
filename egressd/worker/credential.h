/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one credential of an egress worker, as vault sealed it: the secret, where it may go
 * and how it is put into a request. Counted, since requests under way keep the one they
 * began with when it is rotated.
 */
#ifndef AEGIS_WORKER_CREDENTIAL_H
#define AEGIS_WORKER_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/reflect.h"

struct access;
struct msg_credential_secret;
struct secret;

enum inject_kind {
	INJECT_BEARER = 1,
	INJECT_HEADER,
	INJECT_BASIC,
	INJECT_QUERY,
	INJECT_WEBHOOK /* it is no credential of ours there: what is sent is signed with
			  it */
};

/*
 * The secret before a rotation, while it is kept (grace.c): which of the two is tried
 * first was learned from answers.
 */
struct grace {
	struct credential *old; /* the same with that secret; NULL: none */
	uint64_t until_ms;      /* of loop_boot_ms() */
	uint64_t look_ms;       /* when the new one is tried again */
	bool old_first;
	bool proven; /* an upstream has taken the new one */
};

struct credential {
	unsigned refs;
	uint64_t sealed; /* vault's number of this description */
	struct secret *secret;
	struct reflect *reflect;
	enum inject_kind kind;
	char header_name[129]; /* INJECT_HEADER */
	char query_param[129]; /* INJECT_QUERY */
	char service[65];
	char domains[4097]; /* comma separated patterns */
	bool tls;
	uint16_t port; /* where a name without a port leads */
	bool allow_private;
	struct access *access; /* to which methods and paths it is limited */
	struct grace grace;
};

/* In a piece of an answer, is there the secret, or the one before it? True, once. */
bool credential_feed(
    const struct credential *, struct reflect_at at[2], const void *, size_t len);
/* reflect_hold() of both. */
size_t credential_hold(const struct credential *, const struct reflect_at at[2]);

/* Longest secret as injected: percent escapes of all of it. */
#define CREDENTIAL_INJECTED_MAX(c) (secret_len((c)->secret) * 3 + 512)

/*
 * From vault's answer; takes the secret out of it. One reference is the caller's. NULL
 * with *why set to a text for people.
 */
struct credential *credential_new_take(struct msg_credential_secret *, const char **why);
struct credential *credential_ref(struct credential *);
void credential_unref(struct credential *); /* NULL is allowed */

#endif
