/* SPDX-License-Identifier: Apache-2.0 */
/* Transit encrypt and decrypt; see bao_board.h. Runs in vault. */
#include "keymasterd/vault/bao_board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/json.h"
#include "common/secret.h"
#include "keymasterd/vault/bao_session.h"
#include "keymasterd/vault/board.h"

struct asking {
	vault_done_fn done;
	void *arg;
	unsigned version; /* of the key, of what is decrypted */
};

static char mount[129], name[129];

int
bao_board_setup(struct span m, struct span key)
{
	return span_copy(m, mount, sizeof(mount)) == -1 ||
		span_copy(key, name, sizeof(name)) == -1
	    ? -1
	    : 0;
}

bool
bao_board_on(void)
{
	return name[0] != '\0';
}

/* secret_use() callback */
static int
put_secret(const void *p, size_t len, void *arg)
{
	return b64_put(B64_STD, arg, p, len);
}

/* Base64 and what leads to it need no quoting in JSON. */
static int
put_aad(struct buf *body, const struct vault_object *o)
{
	struct buf aad;
	int r;

	buf_init(&aad);
	r = board_aad(o, &aad) == 0 && buf_puts(body, "\",\"associated_data\":\"") == 0 &&
		b64_put(B64_STD, body, aad.p, aad.len) == 0 && buf_puts(body, "\"}") == 0
	    ? 0
	    : -1;
	buf_free(&aad);
	return r;
}

static void
ask(const char *ns, const char *verb, const struct buf *body, bao_result_fn fn,
    const struct asking *about)
{
	static const struct vault_answer failed = {.code = VAULT_IO};
	struct asking *a = body != NULL ? malloc(sizeof(*a)) : NULL;
	struct bao_call call = {.method = "POST", .ns = ns};
	char path[300];

	if (a == NULL) {
		about->done(&failed, about->arg);
		return;
	}
	*a = *about;
	(void)snprintf(path, sizeof(path), "/v1/%s/%s/%s", mount, verb, name);
	call.path = path;
	call.body = span_mem(body->p, body->len);
	bao_session_call(&call, fn, a);
}

/* What both answers have in common; *doc is to be freed in any case. 0 or -1. */
static int
open_answer(const struct bao_result *r, struct json_doc *doc, struct vault_answer *a)
{
	json_init(doc);
	*a = (struct vault_answer){.code = r->code, .why = r->why};
	if (r->code != VAULT_OK)
		return -1;
	a->code = VAULT_MISSING;
	a->why = "there is no such key in OpenBao, or no namespace of this tenant";
	if (r->status == 404)
		return -1;
	a->code = VAULT_REFUSED;
	a->why = "OpenBao's answer is not that of the Transit engine";
	return json_parse(doc, r->body.p, r->body.len, NULL) == JSON_OK ? 0 : -1;
}

static char *
copy_text(const struct json_doc *d, const char *member, size_t *len)
{
	uint32_t node = json_get(d, json_get(d, json_root(d), "data"), member);
	char *text = malloc(BAO_HTTP_BODY_MAX);

	if (text != NULL && json_str_copy(d, node, text, BAO_HTTP_BODY_MAX, len) == -1) {
		free(text);
		text = NULL;
	}
	return text;
}

static void
on_encrypted(const struct bao_result *r, void *arg)
{
	struct asking *about = arg;
	struct vault_answer a;
	struct json_doc doc;
	struct span rest;
	char *text = NULL;
	size_t len = 0;

	if (open_answer(r, &doc, &a) == 0 &&
	    (text = copy_text(&doc, "ciphertext", &len)) != NULL) {
		a.text = span_mem(text, len);
		a.version = board_version(a.text, BOARD_OPENBAO, &rest);
		if (a.version != 0)
			a.code = VAULT_OK;
	}
	about->done(&a, about->arg);
	free(text);
	json_free(&doc);
	free(about);
}

void
bao_board_encrypt(const char *ns, const struct vault_object *o,
    const struct secret *plain, vault_done_fn done, void *arg)
{
	const struct asking about = {.done = done, .arg = arg};
	struct buf body;

	buf_init(&body);
	ask(ns, "encrypt",
	    buf_puts(&body, "{\"plaintext\":\"") == 0 &&
		    secret_use(plain, put_secret, &body) == 0 && put_aad(&body, o) == 0
		? &body
		: NULL,
	    on_encrypted, &about);
	buf_wipe_free(&body);
}

struct encoded {
	const char *text;
	size_t len;
};

static long
fill_decoded(void *p, size_t max, void *arg)
{
	const struct encoded *e = arg;

	return (long)b64_decode(B64_STD, e->text, e->len, p, max);
}

static void
on_decrypted(const struct bao_result *r, void *arg)
{
	struct asking *about = arg;
	struct vault_answer a;
	struct encoded e = {NULL, 0};
	struct json_doc doc;
	char *text = NULL;

	if (open_answer(r, &doc, &a) == 0 &&
	    (text = copy_text(&doc, "plaintext", &e.len)) != NULL) {
		e.text = text;
		a.secret = secret_new_fill(CREDENTIAL_SECRET_MAX, fill_decoded, &e);
		a.version = about->version;
		if (a.secret != NULL)
			a.code = VAULT_OK;
		explicit_bzero(text, BAO_HTTP_BODY_MAX);
	} else if (a.code == VAULT_REFUSED && r->code != VAULT_OK) {
		a.why = "OpenBao refuses it: it was not encrypted for this tenant and "
			"object, or it was changed";
	}
	about->done(&a, about->arg);
	secret_free(a.secret);
	free(text);
	json_free(&doc);
	free(about);
}

/* Of the characters that Transit writes; they need no quoting in JSON. */
static bool
is_plain(struct span s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if ((s.p[i] < 'A' || s.p[i] > 'Z') && (s.p[i] < 'a' || s.p[i] > 'z') &&
		    (s.p[i] < '0' || s.p[i] > '9') && s.p[i] != '+' && s.p[i] != '/' &&
		    s.p[i] != '=')
			return false;
	return true;
}

void
bao_board_decrypt(const char *ns, const struct vault_object *o, struct span text,
    vault_done_fn done, void *arg)
{
	static const struct vault_answer none = {
	    .code = VAULT_REFUSED, .why = "it is not what OpenBao has encrypted"};
	struct asking about = {.done = done, .arg = arg};
	struct span rest = {NULL, 0};
	struct buf body;

	about.version = board_version(text, BOARD_OPENBAO, &rest);
	if (about.version == 0 || !is_plain(rest)) {
		done(&none, arg);
		return;
	}
	buf_init(&body);
	ask(ns, "decrypt",
	    buf_puts(&body, "{\"ciphertext\":\"") == 0 &&
		    buf_put(&body, text.p, text.len) == 0 && put_aad(&body, o) == 0
		? &body
		: NULL,
	    on_decrypted, &about);
	buf_free(&body);
}
