/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS for agents: 1.2 and later, HTTP/1.1 only, no renegotiation, tickets instead of a
 * session cache. gated; the key is read before the process is boxed and stays in OpenSSL.
 */
#include "gated/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/stream.h"

#define PEM_SIZE_MAX (256 * 1024)

static SSL_CTX *ctx;
static SSL_CTX *staged; /* of a reload, until it counts */
static char pem[PEM_SIZE_MAX];

static const char *
reason(void)
{
	unsigned long e = ERR_peek_last_error();
	const char *s = e == 0 ? NULL : ERR_reason_error_string(e);

	return s == NULL ? "unreadable" : s;
}

/* The file's octets in pem[]; its length or -1. */
static ssize_t
read_all(int fd)
{
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(pem)) {
		n = pread(fd, pem + len, sizeof(pem) - len, (off_t)len);
		if (n == 0)
			return (ssize_t)len;
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			len += (size_t)n;
	}
	return -1;
}

/* Leaf first, then the chain, as every server reads it. */
static int
use_chain(SSL_CTX *into, BIO *bio)
{
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	int n = 0;

	while (cert != NULL) {
		if (n == 0) {
			if (SSL_CTX_use_certificate(into, cert) != 1)
				break;
			X509_free(cert);
		} else if (SSL_CTX_add0_chain_cert(into, cert) != 1) {
			break;
		}
		n++;
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	}
	if (cert != NULL) {
		X509_free(cert);
		return -1;
	}
	return n > 0 ? 0 : -1;
}

static int
use_file(SSL_CTX *into, int fd, int (*use)(SSL_CTX *, BIO *))
{
	ssize_t len = read_all(fd);
	BIO *bio = len > 0 ? BIO_new_mem_buf(pem, (int)len) : NULL;
	int r = bio == NULL ? -1 : use(into, bio);

	BIO_free(bio);
	OPENSSL_cleanse(pem, sizeof(pem));
	return r;
}

static int
use_key(SSL_CTX *into, BIO *bio)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	int r = key != NULL && SSL_CTX_use_PrivateKey(into, key) == 1 &&
		SSL_CTX_check_private_key(into) == 1
	    ? 0
	    : -1;

	EVP_PKEY_free(key);
	return r;
}

/* RFC 7301: a client that names protocols and none of them ours is refused. */
static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned int inlen, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned int i;

	(void)ssl;
	(void)arg;
	for (i = 0; i < inlen && in[i] < inlen - i; i += 1u + in[i]) {
		if (in[i] == ours[0] && memcmp(in + i, ours, sizeof(ours) - 1) == 0) {
			*out = in + i + 1;
			*outlen = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* From both files, which are closed; NULL with what is wrong in *why. */
static SSL_CTX *
make(int cert_fd, int key_fd, const char **why)
{
	SSL_CTX *made = SSL_CTX_new(TLS_server_method());

	*why = "OpenSSL does not start";
	if (made == NULL || SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION) != 1)
		goto fail;
	SSL_CTX_set_options(made,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(made, choose_protocol, NULL);
	*why = "gate.tls.cert holds no certificate that can be used";
	if (use_file(made, cert_fd, use_chain) == -1) {
		LOG_ERROR("tls.certificate", LS("reason", reason()));
		goto fail;
	}
	ERR_clear_error();
	*why = "gate.tls.key holds no key of that certificate";
	if (use_file(made, key_fd, use_key) == -1) {
		LOG_ERROR("tls.key", LS("reason", reason()));
		goto fail;
	}
	close(cert_fd);
	close(key_fd);
	return made;
fail:
	ERR_clear_error();
	SSL_CTX_free(made);
	close(cert_fd);
	close(key_fd);
	return NULL;
}

int
tls_init_take(int cert_fd, int key_fd)
{
	const char *why;

	ctx = make(cert_fd, key_fd, &why);
	return ctx == NULL ? -1 : 0;
}

const char *
tls_stage_take(int cert_fd, int key_fd)
{
	const char *why;

	tls_forget();
	staged = make(cert_fd, key_fd, &why);
	return staged == NULL ? why : NULL;
}

void
tls_commit(void)
{
	if (staged == NULL)
		return;
	SSL_CTX_free(ctx); /* connections hold it as long as they need it */
	ctx = staged;
	staged = NULL;
}

void
tls_forget(void)
{
	SSL_CTX_free(staged);
	staged = NULL;
}

bool
tls_wanted(void)
{
	return ctx != NULL;
}

int
tls_accept(struct stream *s, int fd)
{
	return stream_tls(s, fd, ctx, 1, NULL);
}

void
tls_goodbye(struct stream *s)
{
	if (s->ssl == NULL || !s->handshaken)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(s->ssl);
	s->handshaken = 0; /* said once */
}
