/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session of vault with OpenBao: AppRole login, renewal of the token, repeating what
 * failed for a moment, and a circuit that opens when OpenBao is away, so that nobody
 * waits for it. Runs in a vault that is in front of OpenBao.
 */
#ifndef AEGIS_VAULT_BAO_SESSION_H
#define AEGIS_VAULT_BAO_SESSION_H

#include "common/proto.h"
#include "common/span.h"
#include "keymasterd/vault/bao_http.h"

#define BAO_CALL_MS 4000 /* a call's whole life, repetitions included */

struct bao_session_conf {
	char ns[257];    /* the namespace of the login, and of our own tenant */
	char mount[129]; /* of the AppRole method */
	char role_id[257];
	int wrapped;       /* the secret id comes as a wrapping token */
	uint32_t renew_ms; /* renew the token after this at the latest */
};

struct bao_call {
	const char *method, *path;
	const char *ns;             /* instead of the session's; NULL: that one */
	struct span body;           /* copied */
	int once;                   /* makes something new each time: never sent twice */
	const struct secret *token; /* instead of the session's; until done */
	/* Another server does the work: when that is slow or in trouble (500) OpenBao is
	 * not, and other calls go on. */
	int backend;
};

/* What came of a call. code VAULT_OK: OpenBao answered with status and body, 2xx or 404.
 */
struct bao_result {
	enum vault_code code;
	int status;
	struct span body; /* until the callback returns */
	const char *why;  /* for people, without secrets */
	int unanswered;   /* sent, but no answer came: it may have been done */
};

typedef void (*bao_result_fn)(const struct bao_result *, void *arg);

/* Takes copies. Before the loop runs. */
void bao_session_setup(const struct bao_session_conf *);
/*
 * The configuration was read again: who we are there may be another, or the secret id.
 * Takes copies. A login that waited its time is tried at once.
 */
void bao_session_changed(const struct bao_session_conf *);
/* Logs in as soon as the master's door is there. */
void bao_session_start(void);
/*
 * Calls OpenBao with the session's token. done is called exactly once, perhaps before
 * this returns, at the latest after BAO_CALL_MS, and at once while the circuit is open.
 */
void bao_session_call(const struct bao_call *, bao_result_fn done, void *arg);
/* The end of the session at OpenBao, too: its token is revoked; then done. */
void bao_session_stop(void (*done)(void));
void bao_session_close(void);

#endif
