/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wrapped secret ids; see bao_wrap.h. The file openbao.id is SHA-256 of the wrapping
 * token, nonce, and the secret id with AES-256-GCM, the first as associated data. Runs in
 * vault.
 */
#include "keymasterd/vault/bao_wrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/sha256.h"
#include "keymasterd/vault/bao_json.h"
#include "keymasterd/vault/bao_http.h"
#include "keymasterd/vault/bao_session.h"
#include "keymasterd/vault/event.h"
#include "keymasterd/vault/file.h"
#include "keymasterd/vault/provider.h"
#include "keymasterd/vault/seal.h"

#define FILE_NAME "openbao.id"
#define HASH_LEN 32
#define ID_MAX 4096
#define FILE_MAX (HASH_LEN + SEAL_NONCE_LEN + ID_MAX + SEAL_TAG_LEN)
#define TRY_MS 2000

static int dir = -1;
static struct secret *kept; /* the secret id */
static uint8_t kept_hash[HASH_LEN];

static const struct bao_session_conf *conf;
static struct secret *token;
static uint8_t token_hash[HASH_LEN];
static bao_wrap_fn done;

/* -- what is kept -- */

static void
load(void)
{
	struct secret *key = provider_embedded_subkey("openbao.id");
	uint8_t *p = NULL;
	size_t len = 0;

	if (key != NULL && file_read(dir, FILE_NAME, FILE_MAX, &p, &len) == 0 &&
	    len > HASH_LEN + SEAL_NONCE_LEN + SEAL_TAG_LEN) {
		kept = seal_open(key, p, HASH_LEN, p + HASH_LEN,
		    p + HASH_LEN + SEAL_NONCE_LEN, len - HASH_LEN - SEAL_NONCE_LEN);
		memcpy(kept_hash, p, HASH_LEN);
		if (kept == NULL)
			LOG_ERROR("openbao.id",
			    LS("error",
				"damaged, or sealed under another master key: not used"));
	}
	free(p);
	secret_free(key);
}

/* Lost when it fails: the next start needs a new one. */
static void
save(void)
{
	struct secret *key = provider_embedded_subkey("openbao.id");
	uint8_t out[FILE_MAX];
	size_t len = HASH_LEN + SEAL_NONCE_LEN + secret_len(kept) + SEAL_TAG_LEN;

	memcpy(out, kept_hash, HASH_LEN);
	if (key == NULL || len > sizeof(out) ||
	    seal_close(key, out, HASH_LEN, kept, out + HASH_LEN,
		out + HASH_LEN + SEAL_NONCE_LEN) == -1 ||
	    file_replace(dir, FILE_NAME, FILE_NAME ".new", out, len) == -1)
		LOG_ERROR("openbao.id",
		    LS("error", "cannot be saved: a restart needs a new wrapping token"));
	secret_free(key);
}

void
bao_wrap_open(int dirfd)
{
	dir = dirfd;
	load();
}

void
bao_wrap_close(void)
{
	secret_free(kept);
	secret_free(token);
	kept = token = NULL;
}

/* -- unwrapping -- */

static void
end(const struct secret *id, enum vault_code code, const char *why,
    const struct bao_answer *away)
{
	secret_free(token);
	token = NULL;
	done(id, code, why, away);
}

static void
suspect(enum openbao_event event, const char *why)
{
	LOG_ERROR(
	    event == OPENBAO_WRAP_USED ? "openbao.wrap_used" : "openbao.wrap_foreign",
	    LS("error", why));
	event_tell(event, why);
	end(NULL, VAULT_DENIED, why, NULL);
}

static void
used_up(void)
{
	suspect(OPENBAO_WRAP_USED,
	    "the wrapping token of the secret id is used up or has expired: if nobody of "
	    "you used it, the secret id may be stolen: destroy it (bao write "
	    "auth/MOUNT/role/ROLE/secret-id/destroy), look into OpenBao's audit log, and "
	    "wrap a new one");
}

static bool
in_trouble(const struct bao_answer *a)
{
	return a->outcome != BAO_ANSWERED || a->status >= 500 || a->status == 429;
}

static void
on_unwrapped(const struct bao_answer *a, void *arg)
{
	struct json_doc doc;
	struct secret *id = NULL;

	(void)arg;
	if (in_trouble(a)) {
		end(NULL, VAULT_AWAY, NULL, a);
		return;
	}
	if (a->status != 200) {
		used_up();
		return;
	}
	json_init(&doc);
	if (json_parse(&doc, a->body.p, a->body.len, NULL) == JSON_OK) {
		id = bao_json_secret(&doc,
		    json_get(&doc, json_get(&doc, json_root(&doc), "data"), "secret_id"),
		    ID_MAX);
	}
	json_free(&doc);
	if (secret_len(id) == 0) {
		secret_free(id);
		suspect(OPENBAO_WRAP_FOREIGN,
		    "what was wrapped is no secret id, and is gone now: wrap a new one");
		return;
	}
	secret_free(kept);
	kept = id;
	memcpy(kept_hash, token_hash, sizeof(kept_hash));
	save();
	LOG_INFO("openbao.unwrapped", LS("kept", "sealed beside the vault's file"));
	event_tell(OPENBAO_UNWRAPPED, "the secret id was taken out of its wrapping");
	end(kept, VAULT_OK, NULL, NULL);
}

/* Is it auth/MOUNT/role/NAME/secret-id that made what is wrapped? */
static bool
is_ours(const char *path)
{
	char prefix[160];
	size_t n = (size_t)snprintf(prefix, sizeof(prefix), "auth/%s/role/", conf->mount);
	const char *name = path + n, *slash;

	if (strncmp(path, prefix, n) != 0)
		return false;
	slash = strchr(name, '/');
	return slash != NULL && slash != name && strcmp(slash, "/secret-id") == 0;
}

static void
on_looked(const struct bao_answer *a, void *arg)
{
	struct bao_request r = {.method = "POST",
	    .path = "/v1/sys/wrapping/unwrap",
	    .ns = conf->ns,
	    .token = token,
	    .body = span_str("{}"),
	    .timeout_ms = TRY_MS,
	    .once = 1};
	struct json_doc doc;
	char path[400] = "";

	(void)arg;
	if (in_trouble(a)) {
		end(NULL, VAULT_AWAY, NULL, a);
		return;
	}
	if (a->status != 200) {
		used_up();
		return;
	}
	json_init(&doc);
	if (json_parse(&doc, a->body.p, a->body.len, NULL) == JSON_OK)
		(void)json_str_copy(&doc,
		    json_get(
			&doc, json_get(&doc, json_root(&doc), "data"), "creation_path"),
		    path, sizeof(path), NULL);
	json_free(&doc);
	if (!is_ours(path))
		suspect(OPENBAO_WRAP_FOREIGN,
		    "the wrapping token wraps something else than a secret id of "
		    "secrets.openbao.auth.mount: it may have been exchanged; it was not "
		    "unwrapped");
	else
		bao_http_send(&r, on_unwrapped, NULL);
}

static int
put_token(const void *p, size_t len, void *arg)
{
	jsonw_strn(arg, p, len);
	return 0;
}

static void
look(void)
{
	struct bao_request r = {.method = "POST",
	    .path = "/v1/sys/wrapping/lookup",
	    .ns = conf->ns,
	    .timeout_ms = TRY_MS};
	struct jsonw w;
	struct buf body;

	buf_init(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key(&w, "token");
	(void)secret_use(token, put_token, &w);
	jsonw_obj_close(&w);
	r.body = span_mem(body.p, body.len);
	if (jsonw_done(&w) == 0)
		bao_http_send(&r, on_looked, NULL);
	else
		end(NULL, VAULT_DENIED, "the wrapping token is not text", NULL);
	buf_wipe_free(&body);
}

/* Without what an editor leaves behind. */
static int
copy_trimmed(const void *p, size_t len, void *arg)
{
	const char *s = p;

	while (len > 0 && strchr(" \t\r\n", s[len - 1]) != NULL)
		len--;
	sha256_two(s, len, NULL, 0, token_hash);
	*(struct secret **)arg = secret_new(s, len);
	return 0;
}

void
bao_wrap_get(
    const struct bao_session_conf *c, const struct secret *wrapped, bao_wrap_fn fn)
{
	conf = c;
	done = fn;
	secret_free(token);
	token = NULL;
	(void)secret_use(wrapped, copy_trimmed, &token);
	if (secret_len(token) == 0)
		end(NULL, VAULT_DENIED, "there is no wrapping token", NULL);
	else if (kept != NULL && memcmp(kept_hash, token_hash, sizeof(kept_hash)) == 0)
		end(kept, VAULT_OK, NULL, NULL);
	else
		look();
}
