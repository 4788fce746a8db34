/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces and the mount of secret: references; see bao_place.h. Runs in vault. */
#include "keymasterd/vault/bao_place.h"

#include <stdio.h>

#include "common/proc.h"

#define PLATFORM "aegis-system"
#define SLUG_MAX 63 /* as of a DNS label */

static char own[257], kv[65];

int
bao_place_setup(struct span name_space, struct span kv_mount)
{
	return span_copy(name_space, own, sizeof(own)) == -1 ||
		span_copy(kv_mount, kv, sizeof(kv)) == -1
	    ? -1
	    : 0;
}

static bool
is_slug(struct span s)
{
	size_t i;

	if (s.len == 0 || s.len > SLUG_MAX || s.p[0] == '-')
		return false;
	for (i = 0; i < s.len; i++)
		if ((s.p[i] < 'a' || s.p[i] > 'z') && (s.p[i] < '0' || s.p[i] > '9') &&
		    s.p[i] != '-')
			return false;
	return true;
}

const char *
bao_place_of(struct span tenant, char out[BAO_NAMESPACE_SIZE])
{
	if (span_eq(tenant, proc_self.tenant) || span_eq(tenant, PLATFORM)) {
		(void)snprintf(out, BAO_NAMESPACE_SIZE, "%s", own);
		return NULL;
	}
	if (!is_slug(tenant))
		return "this tenant's name cannot be that of a namespace";
	(void)snprintf(out, BAO_NAMESPACE_SIZE, "%s%s" REFERENCE_TENANT "%.*s", own,
	    own[0] != '\0' ? "/" : "", (int)tenant.len, tenant.p);
	return NULL;
}

const char *
bao_place_reference(struct span text, struct reference *ref)
{
	const char *why = reference_parse(text, ref);

	if (why == NULL && ref->mount[0] == '\0')
		(void)span_copy(span_str(kv), ref->mount, sizeof(ref->mount));
	return why;
}
