/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks and keeps what vault gave; see credential.h. Vault is trusted for the secret and
 * its list of domains; texts are checked again because they end up in request heads.
 */
#include "egressd/worker/credential.h"

#include <stdlib.h>
#include <string.h>

#include "common/access.h"
#include "common/http1_class.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/msg.h"
#include "common/secret.h"
#include "common/reflect.h"

static bool
is_token(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (!http1_is(*s, HTTP1_C_TOKEN))
			return false;
	return true;
}

/* 1 when the octets may stand in a field value (RFC 9110 5.5), blanks only inside. */
static int
fits_header(const void *p, size_t len, void *arg)
{
	const unsigned char *s = p;

	(void)arg;
	if (len == 0 || s[0] == ' ' || s[0] == '\t' || s[len - 1] == ' ' ||
	    s[len - 1] == '\t')
		return 0;
	for (size_t i = 0; i < len; i++)
		if ((s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
			return 0;
	return 1;
}

static int
kind_of(struct span auth_type)
{
	if (span_eq(auth_type, "bearer"))
		return INJECT_BEARER;
	if (span_eq(auth_type, "header"))
		return INJECT_HEADER;
	if (span_eq(auth_type, "basic"))
		return INJECT_BASIC;
	if (span_eq(auth_type, "webhook"))
		return INJECT_WEBHOOK;
	return span_eq(auth_type, "query") ? INJECT_QUERY : 0;
}

static const char *
fill(struct credential *c, struct msg_credential_secret *m)
{
	c->kind = (enum inject_kind)kind_of(m->auth_type);
	if (c->kind == 0)
		return "unknown type of authentication";
	if (span_copy(m->header_name, c->header_name, sizeof(c->header_name)) == -1 ||
	    span_copy(m->query_param, c->query_param, sizeof(c->query_param)) == -1 ||
	    span_copy(m->service, c->service, sizeof(c->service)) == -1 ||
	    span_copy(m->domains, c->domains, sizeof(c->domains)) == -1)
		return "a text is too long";
	if (c->header_name[0] == '\0')
		memcpy(c->header_name, "x-api-key", sizeof("x-api-key"));
	if (c->query_param[0] == '\0')
		memcpy(c->query_param, "key", sizeof("key"));
	if (!is_token(c->header_name))
		return "the header's name is not a field name";
	c->tls = !span_eq(m->scheme, "http");
	if (m->scheme.len != 0 && c->tls && !span_eq(m->scheme, "https"))
		return "unknown scheme";
	if (m->port > UINT16_MAX)
		return "no such port";
	c->port = m->port != 0 ? (uint16_t)m->port : c->tls ? 443 : 80;
	c->allow_private = m->allow_private != 0;
	c->access = access_new(m->methods, m->allow_paths, m->deny_paths);
	if (c->access == NULL)
		return "its limits to methods and paths cannot be read";
	c->sealed = m->sealed;
	c->secret = m->secret;
	m->secret = NULL;
	if (secret_len(c->secret) == 0)
		return "the secret is empty";
	if ((c->kind == INJECT_BEARER || c->kind == INJECT_HEADER) &&
	    secret_use(c->secret, fits_header, NULL) != 1)
		return "the secret cannot stand in a header: it holds a line break or a "
		       "control character; rotate it";
	c->reflect = reflect_new(c->secret, c->kind == INJECT_BASIC);
	return c->reflect == NULL ? "locked memory is used up" : NULL;
}

/* The same credential with the secret before. NULL: it cannot be used. */
static struct credential *
before(const struct credential *c, struct msg_credential_secret *m)
{
	struct credential *old = calloc(1, sizeof(*old));

	if (old == NULL)
		return NULL;
	*old = *c;
	old->refs = 1;
	old->grace = (struct grace){0};
	old->access = NULL; /* was asked of the one that it hangs from */
	old->secret = m->old;
	m->old = NULL;
	old->reflect = reflect_new(old->secret, c->kind == INJECT_BASIC);
	if (old->reflect != NULL &&
	    ((c->kind != INJECT_BEARER && c->kind != INJECT_HEADER) ||
		secret_use(old->secret, fits_header, NULL) == 1))
		return old;
	credential_unref(old);
	return NULL;
}

struct credential *
credential_new_take(struct msg_credential_secret *m, const char **why)
{
	struct credential *c = calloc(1, sizeof(*c));

	*why = c == NULL ? "out of memory" : fill(c, m);
	if (c == NULL)
		return NULL;
	c->refs = 1;
	if (*why != NULL) {
		credential_unref(c);
		return NULL;
	}
	if (m->old != NULL && m->old_ms > 0) {
		c->grace.old = before(c, m);
		c->grace.until_ms = loop_boot_ms() + m->old_ms;
		if (c->grace.old == NULL)
			LOG_WARN("credential.old_unusable", LS("service", c->service));
	}
	return c;
}

struct credential *
credential_ref(struct credential *c)
{
	c->refs++;
	return c;
}

void
credential_unref(struct credential *c)
{
	if (c == NULL || --c->refs > 0)
		return;
	credential_unref(c->grace.old);
	secret_free(c->secret);
	reflect_free(c->reflect);
	access_free(c->access);
	free(c);
}

bool
credential_feed(
    const struct credential *c, struct reflect_at at[2], const void *p, size_t len)
{
	return reflect_feed(c->reflect, &at[0], p, len) ||
	    (c->grace.old != NULL && reflect_feed(c->grace.old->reflect, &at[1], p, len));
}

size_t
credential_hold(const struct credential *c, const struct reflect_at at[2])
{
	size_t a = reflect_hold(c->reflect, &at[0]), b = 0;

	if (c->grace.old != NULL)
		b = reflect_hold(c->grace.old->reflect, &at[1]);
	return a > b ? a : b;
}
