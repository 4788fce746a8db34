/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where secrets and signing keys live. The handlers of vault know only this interface, so
 * that another home for them can be added beside the embedded file. What another machine
 * may have to be asked for comes through a callback, at once or in a later turn of the
 * loop; what is kept in our own file is synchronous. vault is asked when a worker starts,
 * an operator types or a token is issued, never for a request that passes through.
 */
#ifndef AEGIS_VAULT_PROVIDER_H
#define AEGIS_VAULT_PROVIDER_H

#include <stddef.h>
#include <stdint.h>

#include "common/proto.h"
#include "keymasterd/vault/credential.h"

struct secret;

enum vault_key { VAULT_KEY_TOKEN, VAULT_KEY_LEDGER };

#define VAULT_PUBLIC_LEN 32 /* Ed25519, RFC 8032 */
#define VAULT_SIGNATURE_LEN 64
#define VAULT_RSA_LEN 256 /* octets of a node key's modulus and signatures */
#define VAULT_OLD_MAX 15  /* token keys that verify beside the newest */

/* A token key that signs no more. */
struct vault_old_key {
	uint8_t pub[VAULT_PUBLIC_LEN];
	uint64_t retires_s; /* Unix second from which it verifies no more */
};

struct vault_open {
	int dirfd;        /* the directory this process may write; borrowed */
	const char *path; /* its name, for messages */
	const char *name;
	const struct secret *master_key; /* 32 octets, borrowed */
	int create;
	/* The token key became another one: tell those who verify, at once. */
	void (*keys_changed)(void);
};

/* A secret that is asked for by a reference. */
struct vault_question {
	struct span tenant; /* whose: the reference cannot lead out of its namespace */
	struct span reference;
	int fresh; /* not what was read before, however short ago */
};

/* What is encrypted for whom: both are authenticated with it. */
struct vault_object {
	struct span tenant, object;
};

/* What became of a question. All of it lives until the callback returns. */
struct vault_answer {
	enum vault_code code;
	const char *why; /* for the one who asked, without secrets; NULL: serve_text() */
	const uint8_t *signature;      /* sign: VAULT_SIGNATURE_LEN octets */
	const struct credential *meta; /* fetch */
	struct secret *secret;         /* fetch, resolve */
	struct secret *old; /* fetch: the one before its rotation, NULL: none is kept */
	uint64_t old_ms;    /* and for how long still */
	struct span text;   /* encrypt */
	unsigned version;   /* fetch, resolve: of the secret; 0: its home has none */
	int cached;         /* fetch, resolve: it was read a while ago */
	uint64_t until_ms;  /* of loop_now_ms(): it ends then; 0: not known to end */
	const char *lease;  /* lease: its name in rows */
	uint32_t lease_s;
	int open; /* lease: a user's name, which may be seen */
};

/* The process of a tool server that a credential is made for. */
struct vault_holder {
	uint32_t instance; /* toolexec */
	struct span tenant, server, execution;
};

/*
 * Called exactly once for each question, perhaps before the question's function returns.
 * A provider that waits for another machine gives up by itself, after 4 s at most.
 */
typedef void (*vault_done_fn)(const struct vault_answer *, void *arg);

struct vault_provider {
	const char *name;
	/* 0; or -1 with a text for the operator in why: what is wrong and what to do. */
	int (*open)(const struct vault_open *, char *why, size_t size);
	/* How many credentials are sealed. */
	uint32_t (*count)(void);
	/* How often all of it was saved, so that an older state is noticed; NULL: the
	 * provider does not count. */
	uint64_t (*saves)(void);
	/*
	 * Seals a credential, durably. replace 0: VAULT_EXISTS when it is there; 1:
	 * VAULT_MISSING when it is not. A NULL secret keeps the old one, else the old
	 * one is kept beside it for grace_s. After an error all is as it was.
	 */
	enum vault_code (*seal)(
	    const struct credential *, const struct secret *, int replace);
	enum vault_code (*drop)(struct span tenant, struct span name);
	/* Wipes old secrets whose time is over: grace_sweep() of grace.h. */
	uint64_t (*expire)(uint64_t now_ms, void (*over)(struct span, struct span));
	/* What is sealed with a credential, until the next change. 0, or -1: there is
	 * none. */
	int (*describe)(struct span tenant, struct span name, struct credential *);
	/*
	 * A credential: its secret and its description. Where that says reference, what
	 * comes as the secret is the text to resolve().
	 */
	void (*fetch)(
	    struct span tenant, struct span name, vault_done_fn done, void *arg);
	/*
	 * A secret by a reference such as vault:MOUNT/PATH#FIELD or secret:PATH.
	 * VAULT_BAD_REFERENCE: this provider knows no such ones.
	 */
	void (*resolve)(const struct vault_question *, vault_done_fn done, void *arg);
	/*
	 * A credential that is made for this process alone, by a dynamic reference
	 * (reference.h), and revoked when the process ends; all its fields are of one
	 * lease. May take 8 s.
	 */
	void (*lease)(const struct vault_holder *, struct span reference,
	    vault_done_fn done, void *arg);
	/* This process has all that it came for, or (ended) is no more. */
	void (*lease_over)(uint32_t instance, int ended);
	/* Before the end, and before stop: finishes what can be finished within ms, then
	 * calls done. NULL: there is nothing. */
	void (*drain)(uint32_t ms, void (*done)(void));
	/* Forgets what was read elsewhere: what is asked for next is read again. */
	void (*refresh)(void);
	/*
	 * Ed25519 over octets that sign.c built from typed values, by the key whose
	 * public half public_key() gives in the same turn. The octets are copied.
	 */
	void (*sign)(
	    enum vault_key, const void *, size_t len, vault_done_fn done, void *arg);
	/* NULL while another machine has not told of it: then nothing can be signed. */
	const uint8_t *(*public_key)(enum vault_key);
	/* done once public_key() knows, or gives up for now. */
	void (*wait)(vault_done_fn done, void *arg);
	/*
	 * A new token key signs from now on; the one before verifies until retires_s, or
	 * not at all when that is not after now_s. What retired earlier is forgotten.
	 * Durable before `done`; the private half of the old key is gone then.
	 */
	void (*rotate)(uint64_t now_s, uint64_t retires_s, vault_done_fn done, void *arg);
	/* The token keys that verify beside public_key(VAULT_KEY_TOKEN). How many. */
	size_t (*old_keys)(uint64_t now_s, struct vault_old_key out[VAULT_OLD_MAX]);
	/*
	 * The RSA key for tokens of nodes, whose exponent is 65537: its modulus. make: it
	 * is made when there is none yet. 0 or -1.
	 */
	int (*node_key)(int make, uint8_t modulus[VAULT_RSA_LEN]);
	/* RS256 with it; a signature of VAULT_RSA_LEN octets. */
	void (*node_sign)(const void *, size_t len, vault_done_fn done, void *arg);
	/* The end is near: leaves other machines in order, then calls done. May be NULL.
	 */
	void (*stop)(void (*done)(void));
	/*
	 * A blackboard's octets, up to CREDENTIAL_SECRET_MAX: a text that decrypt()
	 * knows, with the version of the key. new_key: under a new version of it, from
	 * now on.
	 */
	void (*encrypt)(const struct vault_object *, int new_key,
	    const struct secret *plain, vault_done_fn done, void *arg);
	/* VAULT_REFUSED when it was encrypted for another tenant or object, or changed.
	 */
	void (*decrypt)(
	    const struct vault_object *, struct span text, vault_done_fn done, void *arg);
	void (*close)(void);
};

/*
 * A key of its own for something that lies beside our file, derived from that file's by
 * its name; or NULL. The caller frees it. Any time between open and close.
 */
struct secret *provider_embedded_subkey(const char *name);

extern const struct vault_provider provider_embedded, provider_openbao;
/* Of a sealed vault: has nothing, and answers VAULT_LOCKED. */
extern const struct vault_provider provider_locked;

#endif
