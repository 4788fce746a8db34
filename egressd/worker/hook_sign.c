/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures of webhooks (RFC 2104 with SHA-256); see hook.h. Egress worker, on bodies of
 * the judge.
 */
#include <sodium.h>
#include <stdio.h>

#include "common/hex.h"
#include "common/secret.h"
#include "egressd/worker/credential.h"
#include "egressd/worker/hook.h"
#include "egressd/worker/inject.h"

struct sign_job {
	struct span time, body;
	char plain[2 * crypto_auth_hmacsha256_BYTES + 1];
	char timed[2 * crypto_auth_hmacsha256_BYTES + 1];
};

static void
digest(const void *key, size_t len, struct span first, struct span second, char *hex)
{
	crypto_auth_hmacsha256_state st;
	uint8_t mac[crypto_auth_hmacsha256_BYTES];

	crypto_auth_hmacsha256_init(&st, key, len);
	if (first.len > 0)
		crypto_auth_hmacsha256_update(&st, (const uint8_t *)first.p, first.len);
	if (second.len > 0)
		crypto_auth_hmacsha256_update(&st, (const uint8_t *)second.p, second.len);
	crypto_auth_hmacsha256_final(&st, mac);
	sodium_memzero(&st, sizeof(st));
	(void)hex_encode(mac, sizeof(mac), hex, 2 * sizeof(mac) + 1);
}

static int
sign(const void *key, size_t len, void *arg)
{
	struct sign_job *j = arg;

	digest(key, len, span_str(""), j->body, j->plain);
	digest(key, len, j->time, j->body, j->timed);
	return 0;
}

int
hook_sign(
    const struct inject_request *r, const struct credential *c, char *out, size_t size)
{
	struct sign_job j = {.body = r->body};
	char time[24];
	int n;

	snprintf(time, sizeof(time), "%llu.", (unsigned long long)r->signed_s);
	j.time = span_str(time);
	if (secret_use(c->secret, sign, &j) != 0)
		return -1;
	n = snprintf(out, size,
	    "X-Aegis-Signature: sha256=%s\r\nX-Aegis-Timestamp: %llu\r\n"
	    "X-Aegis-Signature-V2: t=%llu,v1=%s\r\n",
	    j.plain, (unsigned long long)r->signed_s, (unsigned long long)r->signed_s,
	    j.timed);
	return n > 0 && (size_t)n < size ? 0 : -1;
}
