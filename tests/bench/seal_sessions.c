/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many SEAL sessions in one load generator. A call's members are written in their sorted
 * order, so that what is sent is what is signed (spec: canonical form).
 */
#include "tests/bench/seal_sessions.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct session {
	unsigned char secret[crypto_sign_SECRETKEYBYTES];
	char *token;
};

static struct session *sessions;
static const char *agent_token, *context;

int
sessions_new(size_t n, const char *token, const char *name)
{
	unsigned char public[crypto_sign_PUBLICKEYBYTES];
	size_t i;

	if (sodium_init() == -1 || (sessions = calloc(n, sizeof(*sessions))) == NULL)
		return -1;
	for (i = 0; i < n; i++)
		crypto_sign_keypair(public, sessions[i].secret);
	agent_token = token;
	context = name;
	return 0;
}

static char *
request(const char *path, const char *header, const char *body)
{
	char *out;

	if (asprintf(&out,
		"POST %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Type: "
		"application/json\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		path, header, strlen(body), body) == -1)
		return NULL;
	return out;
}

char *
sessions_attest(size_t session)
{
	char key[64], header[300], body[512];

	/* the second half of a secret key is the public one */
	sodium_bin2base64(key, sizeof(key), sessions[session].secret + 32, 32,
	    sodium_base64_VARIANT_ORIGINAL);
	snprintf(header, sizeof(header), "X-Aegis-Agent: %s\r\n", agent_token);
	snprintf(body, sizeof(body),
	    "{\"public_key\":\"%s\",\"workload_id\":\"soak-%zu\",\"security_context\":\"%"
	    "s\"}",
	    key, session, context);
	return request("/v1/seal/attest", header, body);
}

int
sessions_attested(size_t session, const char *answer)
{
	static const char name[] = "\"security_token\":\"";
	const char *p = strstr(answer, name), *end;

	if (p == NULL || (end = strchr(p + sizeof(name) - 1, '"')) == NULL)
		return -1;
	p += sizeof(name) - 1;
	free(sessions[session].token);
	sessions[session].token = strndup(p, (size_t)(end - p));
	return sessions[session].token == NULL ? -1 : 0;
}

char *
sessions_call(size_t session, size_t number)
{
	struct session *s = &sessions[session];
	unsigned char signature[crypto_sign_BYTES];
	char base64[96], *signed_text, *body, *out = NULL;
	int n;

	n = asprintf(&signed_text,
	    "{\"payload\":{\"id\":%zu,\"jsonrpc\":\"2.0\",\"method\":\"tools/"
	    "call\",\"params\":{"
	    "\"arguments\":{\"n\":%zu},\"name\":\"noop\"}},\"security_token\":\"%s\","
	    "\"timestamp\":%lld}",
	    number, number, s->token, (long long)time(NULL));
	if (n == -1)
		return NULL;
	crypto_sign_detached(signature, NULL, (const unsigned char *)signed_text,
	    (unsigned long long)n, s->secret);
	sodium_bin2base64(base64, sizeof(base64), signature, sizeof(signature),
	    sodium_base64_VARIANT_ORIGINAL);
	if (asprintf(&body, "{\"protocol\":\"seal/v1\",\"signature\":\"%s\",%s", base64,
		signed_text + 1) != -1) {
		out = request("/v1/seal/invoke", "", body);
		free(body);
	}
	free(signed_text);
	return out;
}
