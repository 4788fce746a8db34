/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of the egress worker; see tls.h. Files are the operator's and trusted.
 */
#include "egressd/worker/tls.h"

#include <openssl/ssl.h>

#include "common/authorities.h"
#include "egressd/worker/worker.h"

#define SYSTEM_CA_DIR "/etc/ssl/certs"

static int owner_index = -1;
static int (*session_taker)(void *, SSL_SESSION *);

static int
load_directory(X509_STORE *store, const char *dir)
{
	X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir());

	return lookup != NULL && X509_LOOKUP_add_dir(lookup, dir, X509_FILETYPE_PEM) == 1
	    ? 0
	    : -1;
}

static int
load_authorities(SSL_CTX *ctx, const struct worker_conf *conf, const char **why)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	const char *dir = conf->ca_dir;

	if (conf->ca_bundle >= 0 && authorities_load(store, conf->ca_bundle) == -1) {
		*why = "the CA file holds no certificate";
		return -1;
	}
	if (dir[0] == '\0')
		dir = conf->ca_bundle >= 0 ? NULL : SYSTEM_CA_DIR;
	if (dir != NULL && load_directory(store, dir) == -1) {
		*why = "the CA directory cannot be used";
		return -1;
	}
	return 0;
}

SSL_CTX *
worker_tls_new(const struct worker_conf *conf, const char **why)
{
	static const unsigned char alpn[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	*why = "OpenSSL does not start";
	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn)) != 0)
		goto fail;
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(
	    ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	if (load_authorities(ctx, conf, why) == -1)
		goto fail;
	return ctx;
fail:
	SSL_CTX_free(ctx);
	return NULL;
}

static int
new_session(SSL *ssl, SSL_SESSION *session)
{
	void *owner = SSL_get_ex_data(ssl, owner_index);

	return owner == NULL ? 0 : session_taker(owner, session);
}

void
worker_tls_on_session(SSL_CTX *ctx, int (*on_session)(void *, SSL_SESSION *))
{
	owner_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	session_taker = on_session;
	SSL_CTX_sess_set_new_cb(ctx, new_session);
}

void
worker_tls_owner(void *ssl, void *arg)
{
	if (owner_index >= 0)
		SSL_set_ex_data(ssl, owner_index, arg);
}
