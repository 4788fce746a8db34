/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration of vault in front of OpenBao; see openbao.h. The master is trusted, and
 * the certificate authorities are the operator's.
 */
#include "keymasterd/vault/openbao.h"

#include <openssl/ssl.h>
#include <unistd.h>

#include "common/authorities.h"
#include "common/log.h"
#include "common/msg.h"
#include "keymasterd/vault/bao_check.h"
#include "keymasterd/vault/bao_board.h"
#include "keymasterd/vault/bao_http.h"
#include "keymasterd/vault/bao_place.h"
#include "keymasterd/vault/bao_session.h"
#include "keymasterd/vault/bao_transit.h"
#include "keymasterd/vault/lease_bao.h"

static struct bao_http_conf http;
static struct bao_session_conf session;
static int given;

/* The descriptor is closed. NULL: no certificate in it. */
static SSL_CTX *
make_tls(int fd)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
		close(fd);
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (authorities_load(SSL_CTX_get_cert_store(ctx), fd) == -1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static int
take_addresses(struct span list)
{
	struct span one;
	size_t n;

	while (list.len > 0 &&
	    http.naddresses < sizeof(http.addresses) / sizeof(http.addresses[0])) {
		for (n = 0; n < list.len && list.p[n] != ' '; n++)
			;
		one = span_mem(list.p, n);
		if (span_copy(one, http.addresses[http.naddresses],
			sizeof(http.addresses[0])) == -1)
			return -1;
		http.naddresses++;
		n = n < list.len ? n + 1 : n;
		list = span_mem(list.p + n, list.len - n);
	}
	return http.naddresses > 0 ? 0 : -1;
}

int
openbao_configure(void *msg)
{
	struct msg_conf_openbao *m = msg;

	if (given || m->port == 0 || m->port > UINT16_MAX || m->renew_ms == 0 ||
	    (m->tls && m->ca_bundle < 0) || take_addresses(m->addresses) == -1 ||
	    span_copy(m->host, http.host, sizeof(http.host)) == -1 ||
	    span_copy(m->name_space, session.ns, sizeof(session.ns)) == -1 ||
	    span_copy(m->auth_mount, session.mount, sizeof(session.mount)) == -1 ||
	    bao_transit_setup(m->transit_mount, m->token_key) == -1 ||
	    bao_place_setup(m->name_space, m->kv_mount) == -1 ||
	    bao_board_setup(m->transit_mount, m->board_key) == -1 ||
	    lease_bao_setup(m->lease_role, m->lease_sweep != 0) == -1 ||
	    span_copy(m->role_id, session.role_id, sizeof(session.role_id)) == -1)
		return -1;
	http.port = (uint16_t)m->port;
	session.wrapped = m->wrapped;
	session.renew_ms = m->renew_ms;
	if (m->tls) {
		http.tls = make_tls(m->ca_bundle);
		m->ca_bundle = -1;
		if (http.tls == NULL)
			fatalx("secrets.openbao.ca_cert holds no certificate");
	}
	given = 1;
	bao_check_setup(http.tls != NULL, http.host);
	bao_http_setup(&http);
	bao_session_setup(&session);
	return 0;
}

static struct bao_session_conf next;
static SSL_CTX *next_tls;
static int staged;

const char *
openbao_stage(void *msg)
{
	struct msg_conf_openbao *m = msg;

	openbao_stage_end(0);
	next = session; /* the namespace is fixed */
	if (!given || m->renew_ms == 0 ||
	    span_copy(m->auth_mount, next.mount, sizeof(next.mount)) == -1 ||
	    span_copy(m->role_id, next.role_id, sizeof(next.role_id)) == -1)
		return "secrets.openbao cannot be used";
	next.wrapped = m->wrapped;
	next.renew_ms = m->renew_ms;
	if (http.tls != NULL && m->ca_bundle >= 0) {
		next_tls = make_tls(m->ca_bundle);
		m->ca_bundle = -1;
		if (next_tls == NULL)
			return "secrets.openbao.ca_cert holds no certificate";
	}
	staged = 1;
	return NULL;
}

void
openbao_stage_end(int commit)
{
	if (commit && staged) {
		if (next_tls != NULL) {
			SSL_CTX_free(http.tls); /* connections hold it */
			http.tls = next_tls;
			next_tls = NULL;
		}
		session = next;
		bao_session_changed(&session);
	}
	SSL_CTX_free(next_tls);
	next_tls = NULL;
	staged = 0;
}

const uint16_t *
openbao_port(void)
{
	return given ? &http.port : NULL;
}
