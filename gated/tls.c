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
use_chain(BIO *bio)
{
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	int n = 0;

	while (cert != NULL) {
		if (n == 0) {
			if (SSL_CTX_use_certificate(ctx, cert) != 1)
				break;
			X509_free(cert);
		} else if (SSL_CTX_add0_chain_cert(ctx, cert) != 1) {
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
use_file(int fd, int (*use)(BIO *))
{
	ssize_t len = read_all(fd);
	BIO *bio = len > 0 ? BIO_new_mem_buf(pem, (int)len) : NULL;
	int r = bio == NULL ? -1 : use(bio);

	BIO_free(bio);
	OPENSSL_cleanse(pem, sizeof(pem));
	return r;
}

static int
use_key(BIO *bio)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	int r = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
		SSL_CTX_check_private_key(ctx) == 1
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

int
tls_init_take(int cert_fd, int key_fd)
{
	int r = -1;

	ctx = SSL_CTX_new(TLS_server_method());
	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
		goto out;
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	if (use_file(cert_fd, use_chain) == -1) {
		LOG_ERROR("tls.certificate", LS("reason", reason()));
		goto out;
	}
	ERR_clear_error();
	if (use_file(key_fd, use_key) == -1) {
		LOG_ERROR("tls.key", LS("reason", reason()));
		goto out;
	}
	r = 0;
out:
	if (r == -1) {
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	close(cert_fd);
	close(key_fd);
	return r;
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
