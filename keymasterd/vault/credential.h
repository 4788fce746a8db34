/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known about a credential besides its secret. All of it is sealed together with
 * the secret, so that where a credential may go cannot be changed without the master key.
 */
#ifndef AEGIS_VAULT_CREDENTIAL_H
#define AEGIS_VAULT_CREDENTIAL_H

#include <stdint.h>

#include "common/span.h"

#define CREDENTIAL_SECRET_MAX 32768 /* octets; at least 1 */

/* Longest texts in octets, as in common/proto/vault.def. */
#define CREDENTIAL_TENANT_MAX 64
#define CREDENTIAL_NAME_MAX 128
#define CREDENTIAL_SERVICE_MAX 64
#define CREDENTIAL_DOMAINS_MAX 4096
#define CREDENTIAL_AUTH_MAX 16
#define CREDENTIAL_HEADER_MAX 128
#define CREDENTIAL_QUERY_MAX 128
#define CREDENTIAL_SCHEME_MAX 8
#define CREDENTIAL_METHODS_MAX 64
#define CREDENTIAL_PATHS_MAX 1000

/* UTF-8 texts without NUL; whoever gives one out says how long they live. */
struct credential {
	struct span tenant, name, service;
	struct span domains; /* comma separated, normalised */
	struct span auth_type, header_name, query_param;
	struct span scheme; /* https or http */
	uint32_t port;      /* 0: the scheme's own */
	uint8_t allow_private;
	/* limits, common/access.h; "" for none */
	struct span methods, allow_paths, deny_paths;
	uint64_t sealed;   /* counts: another number whenever it was sealed anew */
	uint8_t reference; /* what is sealed is no secret but says where it is */
	/* to be sealed in another's place: how long that one stays usable; 0: not at all.
	 * The same for who brings it and who asks */
	uint32_t grace_s;
};

/* That of a message with the fields of one (secret_offer, credential_seal). */
#define CREDENTIAL_OF(m)                                                           \
	{                                                                          \
		.tenant = (m)->tenant, .name = (m)->name, .service = (m)->service, \
		.domains = (m)->domains, .auth_type = (m)->auth_type,              \
		.header_name = (m)->header_name, .query_param = (m)->query_param,  \
		.scheme = (m)->scheme, .port = (m)->port,                          \
		.allow_private = (m)->allow_private, .methods = (m)->methods,      \
		.allow_paths = (m)->allow_paths, .deny_paths = (m)->deny_paths,    \
		.reference = (m)->secret_ref.len > 0, .grace_s = (m)->grace_s,     \
	}

/* Octets of all its texts together. */
size_t credential_octets(const struct credential *);
/* Copies its texts to where there are as many octets, and points into these. */
void credential_move(struct credential *, char *at);

#endif
