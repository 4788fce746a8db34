/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record; see record.h. Runs in vault on octets of the vault file, which are hostile
 * until the file's MAC was right, and are read with bounds in any case.
 */
#include "keymasterd/vault/record.h"

#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "common/wire.h"
#include "keymasterd/vault/seal.h"

/* Beside allow_private, in one octet. */
#define FLAG_REFERENCE 2
#define FLAG_LIMITS 4 /* three texts follow */

static struct record *
record_alloc(size_t len)
{
	struct record *r;

	if (len > RECORD_MAX)
		return NULL;
	r = calloc(1, sizeof(*r) + len);
	if (r != NULL)
		r->len = len;
	return r;
}

static int
has_limits(const struct credential *m)
{
	return m->methods.len + m->allow_paths.len + m->deny_paths.len > 0;
}

/* What is authenticated with the secret: the same octets as stand in the file. */
static void
put_description(
    struct wire_w *w, enum record_kind kind, uint64_t version, const struct credential *m)
{
	wire_put_u8(w, (uint8_t)kind);
	wire_put_u64(w, version);
	wire_put_str(w, m->tenant, CREDENTIAL_TENANT_MAX);
	wire_put_str(w, m->name, CREDENTIAL_NAME_MAX);
	wire_put_str(w, m->service, CREDENTIAL_SERVICE_MAX);
	wire_put_str(w, m->domains, CREDENTIAL_DOMAINS_MAX);
	wire_put_str(w, m->auth_type, CREDENTIAL_AUTH_MAX);
	wire_put_str(w, m->header_name, CREDENTIAL_HEADER_MAX);
	wire_put_str(w, m->query_param, CREDENTIAL_QUERY_MAX);
	wire_put_str(w, m->scheme, CREDENTIAL_SCHEME_MAX);
	wire_put_u32(w, m->port);
	wire_put_u8(w,
	    (uint8_t)(m->allow_private | (m->reference ? FLAG_REFERENCE : 0) |
		(has_limits(m) ? FLAG_LIMITS : 0)));
	if (!has_limits(m))
		return;
	wire_put_str(w, m->methods, CREDENTIAL_METHODS_MAX);
	wire_put_str(w, m->allow_paths, CREDENTIAL_PATHS_MAX);
	wire_put_str(w, m->deny_paths, CREDENTIAL_PATHS_MAX);
}

static void
get_description(struct wire_r *r, struct record *rec)
{
	struct credential *m = &rec->meta;
	uint8_t flags;

	rec->kind = wire_get_u8(r);
	rec->version = m->sealed = wire_get_u64(r);
	m->tenant = wire_get_str(r, CREDENTIAL_TENANT_MAX);
	m->name = wire_get_str(r, CREDENTIAL_NAME_MAX);
	m->service = wire_get_str(r, CREDENTIAL_SERVICE_MAX);
	m->domains = wire_get_str(r, CREDENTIAL_DOMAINS_MAX);
	m->auth_type = wire_get_str(r, CREDENTIAL_AUTH_MAX);
	m->header_name = wire_get_str(r, CREDENTIAL_HEADER_MAX);
	m->query_param = wire_get_str(r, CREDENTIAL_QUERY_MAX);
	m->scheme = wire_get_str(r, CREDENTIAL_SCHEME_MAX);
	m->port = wire_get_u32(r);
	flags = wire_get_u8(r);
	m->reference = (flags & FLAG_REFERENCE) != 0;
	m->allow_private = flags & (uint8_t) ~(FLAG_REFERENCE | FLAG_LIMITS);
	if ((flags & FLAG_LIMITS) == 0)
		return;
	m->methods = wire_get_str(r, CREDENTIAL_METHODS_MAX);
	m->allow_paths = wire_get_str(r, CREDENTIAL_PATHS_MAX);
	m->deny_paths = wire_get_str(r, CREDENTIAL_PATHS_MAX);
	if (!has_limits(m))
		r->failed = 1; /* one content has one form */
}

/* A credential has a tenant and a name, a signing key has no description at all. */
static int
description_ok(const struct record *rec)
{
	const struct credential *m = &rec->meta;

	if (rec->version == 0)
		return 0;
	switch (rec->kind) {
	case RECORD_TOKEN_KEY:
	case RECORD_LEDGER_KEY:
		return m->tenant.len + m->name.len + m->service.len + m->domains.len +
			m->auth_type.len + m->header_name.len + m->query_param.len +
			m->scheme.len ==
		    0 &&
		    m->port == 0 && m->allow_private == 0 && m->reference == 0 &&
		    !has_limits(m) && rec->sealed_len == RECORD_KEY_LEN + SEAL_TAG_LEN;
	case RECORD_TOKEN_OLD:
		return m->tenant.len == 0 && m->name.len > 0 && m->service.len > 0 &&
		    m->service.len <= 19 &&
		    strspn(m->service.p, "0123456789") >= m->service.len &&
		    rec->sealed_len == RECORD_KEY_LEN + SEAL_TAG_LEN;
	case RECORD_BOARD_KEY:
		return m->tenant.len > 0 && m->name.len == 10 &&
		    strspn(m->name.p, "0123456789") >= m->name.len &&
		    rec->sealed_len == RECORD_KEY_LEN + SEAL_TAG_LEN;
	case RECORD_NODE_KEY:
		return m->tenant.len + m->name.len + m->service.len == 0 &&
		    !has_limits(m);
	case RECORD_GRACE:
		return m->tenant.len > 0 && m->name.len > 0 && m->service.len > 0 &&
		    m->service.len <= 19 &&
		    strspn(m->service.p, "0123456789") >= m->service.len &&
		    !has_limits(m);
	case RECORD_CREDENTIAL:
		return m->tenant.len > 0 && m->name.len > 0 && m->port <= UINT16_MAX &&
		    m->allow_private <= 1;
	}
	return 0;
}

/* Sets every member of rec from its octets. 0 or -1. */
static int
record_parse(struct record *rec)
{
	struct wire_r r = {.p = rec->octets, .len = rec->len};
	struct span sealed;

	get_description(&r, rec);
	rec->aad_len = r.off;
	rec->nonce = rec->octets + r.off;
	if (r.failed || r.len - r.off < SEAL_NONCE_LEN)
		return -1;
	r.off += SEAL_NONCE_LEN;
	sealed = wire_get_span(&r, CREDENTIAL_SECRET_MAX + SEAL_TAG_LEN);
	if (r.failed || r.off != r.len || sealed.len <= SEAL_TAG_LEN)
		return -1;
	rec->sealed = (const uint8_t *)sealed.p;
	rec->sealed_len = sealed.len;
	return description_ok(rec) ? 0 : -1;
}

struct record *
record_seal(const struct secret *key, enum record_kind kind, uint64_t version,
    const struct credential *meta, const struct secret *secret)
{
	static const struct credential none;
	uint8_t description[RECORD_MAX - CREDENTIAL_SECRET_MAX - 64];
	struct wire_w w = {.p = description, .cap = sizeof(description)};
	size_t n = secret_len(secret), sealed_len = n + SEAL_TAG_LEN;
	struct record *rec;
	uint8_t *nonce;

	if (n == 0 || n > CREDENTIAL_SECRET_MAX)
		return NULL;
	put_description(&w, kind, version, meta == NULL ? &none : meta);
	if (w.failed)
		return NULL;
	rec = record_alloc(w.len + SEAL_NONCE_LEN + 4 + sealed_len);
	if (rec == NULL)
		return NULL;
	memcpy(rec->octets, description, w.len);
	nonce = rec->octets + w.len;
	w = (struct wire_w){.p = nonce + SEAL_NONCE_LEN, .cap = 4};
	wire_put_u32(&w, (uint32_t)sealed_len);
	if (seal_close(key, rec->octets, (size_t)(nonce - rec->octets), secret, nonce,
		nonce + SEAL_NONCE_LEN + 4) == -1 ||
	    record_parse(rec) == -1) {
		free(rec);
		return NULL;
	}
	return rec;
}

struct record *
record_decode(const uint8_t *p, size_t len)
{
	struct record *rec = record_alloc(len);

	if (rec == NULL)
		return NULL;
	memcpy(rec->octets, p, len);
	if (record_parse(rec) == -1) {
		free(rec);
		return NULL;
	}
	return rec;
}

struct secret *
record_open(const struct secret *key, const struct record *rec)
{
	return seal_open(
	    key, rec->octets, rec->aad_len, rec->nonce, rec->sealed, rec->sealed_len);
}

void
record_free(struct record *rec)
{
	free(rec);
}

static int
span_compare(struct span a, struct span b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int r = n == 0 ? 0 : memcmp(a.p, b.p, n);

	return r != 0 ? r : (a.len > b.len) - (a.len < b.len);
}

int
record_compare(
    enum record_kind kind, struct span tenant, struct span name, const struct record *rec)
{
	int r;

	if (kind != rec->kind)
		return kind < rec->kind ? -1 : 1;
	r = span_compare(tenant, rec->meta.tenant);
	return r != 0 ? r : span_compare(name, rec->meta.name);
}
