/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain and TLS byte streams without blocking. gated and the egress worker.
 */
#include "common/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void
stream_plain(struct stream *s, int fd)
{
	memset(s, 0, sizeof(*s));
	s->fd = fd;
	s->handshaken = 1;
}

/* The peer must prove this name (RFC 9525): an address literal, or a DNS name with SNI.
 */
static int
expect_name(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	unsigned char addr[16];

	if (inet_pton(AF_INET, name, addr) == 1 || inet_pton(AF_INET6, name, addr) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1 ? 0 : -1;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_host(param, name, 0) != 1 ||
	    SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
		(void *)(uintptr_t)name) != 1) /* copies; the macro drops const loudly */
		return -1;
	return 0;
}

int
stream_tls(struct stream *s, int fd, SSL_CTX *ctx, int server, const char *name)
{
	SSL *ssl = SSL_new(ctx);

	stream_plain(s, fd);
	s->handshaken = 0;
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		goto fail;
	SSL_set_mode(ssl,
	    SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
		SSL_MODE_RELEASE_BUFFERS);
	if (server) {
		SSL_set_accept_state(ssl);
	} else {
		SSL_set_connect_state(ssl);
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
		if (expect_name(ssl, name) == -1)
			goto fail;
	}
	s->ssl = ssl;
	return 0;
fail:
	SSL_free(ssl);
	return -1;
}

/* What an SSL call that did not succeed asks for. */
static ssize_t
tls_result(struct stream *s, int r)
{
	switch (SSL_get_error(s->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		s->want_read = 1;
		return STREAM_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		s->want_write = 1;
		return STREAM_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return STREAM_EOF;
	default:
		return STREAM_ERROR;
	}
}

static void
tls_begin(struct stream *s)
{
	s->want_read = s->want_write = 0;
	ERR_clear_error();
}

int
stream_handshake(struct stream *s)
{
	ssize_t n;
	int r;

	if (s->handshaken)
		return 1;
	tls_begin(s);
	r = SSL_do_handshake(s->ssl);
	if (r == 1) {
		s->handshaken = 1;
		return 1;
	}
	n = tls_result(s, r);
	return n == STREAM_AGAIN ? STREAM_AGAIN : STREAM_ERROR;
}

static ssize_t
plain_result(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? STREAM_AGAIN
									 : STREAM_ERROR;
}

ssize_t
stream_read(struct stream *s, void *p, size_t len)
{
	int r;

	if (s->ssl == NULL)
		return plain_result(recv(s->fd, p, len, MSG_DONTWAIT));
	tls_begin(s);
	r = SSL_read(s->ssl, p, len > INT_MAX ? INT_MAX : (int)len);
	return r > 0 ? r : tls_result(s, r);
}

ssize_t
stream_write(struct stream *s, const void *p, size_t len)
{
	ssize_t n;
	int r;

	if (len == 0)
		return 0;
	if (s->ssl == NULL)
		return plain_result(send(s->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT));
	tls_begin(s);
	r = SSL_write(s->ssl, p, len > INT_MAX ? INT_MAX : (int)len);
	if (r > 0)
		return r;
	n = tls_result(s, r);
	return n == STREAM_EOF ? STREAM_ERROR : n;
}

ssize_t
stream_writev(struct stream *s, const struct iovec *iov, int n)
{
	struct msghdr mh = {.msg_iovlen = (size_t)n};
	ssize_t done = 0, w;
	int i;

	if (s->ssl == NULL) {
		memcpy(&mh.msg_iov, &iov, sizeof(iov));
		return plain_result(sendmsg(s->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT));
	}
	for (i = 0; i < n; i++) {
		w = stream_write(s, iov[i].iov_base, iov[i].iov_len);
		if (w < 0)
			return done > 0 ? done : w;
		done += w;
		if ((size_t)w < iov[i].iov_len)
			break;
	}
	return done;
}

short
stream_events(const struct stream *s, short wanted)
{
	if (s->want_read)
		wanted |= EV_READ;
	if (s->want_write)
		wanted |= EV_WRITE;
	return wanted;
}

size_t
stream_pending(const struct stream *s)
{
	return s->ssl == NULL ? 0 : (size_t)SSL_pending(s->ssl);
}

const char *
stream_error(const struct stream *s)
{
	unsigned long e;
	long v;

	if (s->ssl == NULL)
		return strerror(errno);
	v = SSL_get_verify_result(s->ssl);
	if (v != X509_V_OK)
		return X509_verify_cert_error_string(v);
	e = ERR_peek_error();
	return e == 0 ? "connection closed" : ERR_reason_error_string(e);
}

void
stream_close(struct stream *s)
{
	if (s->ssl != NULL) {
		ERR_clear_error();
		if (s->handshaken)
			(void)SSL_shutdown(s->ssl);
		SSL_free(s->ssl);
	}
	if (s->fd >= 0)
		close(s->fd);
	memset(s, 0, sizeof(*s));
	s->fd = -1;
}
