/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Old secrets in the vault file; see grace.h. Runs in vault. When an end comes the record
 * is removed from the file; a worker has the time too, and uses it no more by itself.
 */
#include "keymasterd/vault/grace.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/secret.h"

/* When the record ends, Unix milliseconds. */
static uint64_t
end_of(const struct record *rec)
{
	char text[24];

	return span_copy(rec->meta.service, text, sizeof(text)) == -1
	    ? 0
	    : strtoull(text, NULL, 10);
}

enum store_code
grace_keep(struct store *st, const struct credential *c, const struct secret *old,
    uint64_t until_ms)
{
	char until[24];
	struct credential meta = {.tenant = c->tenant, .name = c->name};
	struct record *rec;

	(void)snprintf(until, sizeof(until), "%llu", (unsigned long long)until_ms);
	meta.service = span_str(until);
	rec = record_seal(st->keys.record, RECORD_GRACE, st->counter + 1, &meta, old);
	return rec == NULL ? STORE_MEMORY : store_put(st, rec);
}

enum store_code
grace_drop(struct store *st, struct span tenant, struct span name)
{
	const struct record *rec = store_find(st, RECORD_GRACE, tenant, name);

	return rec == NULL ? STORE_OK : store_remove(st, rec);
}

struct secret *
grace_secret(const struct store *st, struct span tenant, struct span name,
    uint64_t now_ms, uint64_t *left_ms)
{
	const struct record *rec = store_find(st, RECORD_GRACE, tenant, name);

	if (rec == NULL || end_of(rec) <= now_ms)
		return NULL;
	*left_ms = end_of(rec) - now_ms;
	return record_open(st->keys.record, rec);
}

uint64_t
grace_sweep(
    struct store *st, uint64_t now_ms, void (*over)(struct span tenant, struct span name))
{
	uint64_t next = 0, end;
	char tenant[CREDENTIAL_TENANT_MAX + 1], name[CREDENTIAL_NAME_MAX + 1];
	const struct record *rec;
	size_t i = 0;

	while (i < st->n) {
		rec = st->records[i];
		end = rec->kind == RECORD_GRACE ? end_of(rec) : UINT64_MAX;
		if (end <= now_ms) {
			(void)span_copy(rec->meta.tenant, tenant, sizeof(tenant));
			(void)span_copy(rec->meta.name, name, sizeof(name));
			if (store_remove(st, rec) != STORE_OK)
				return UINT64_MAX;
			over(span_str(tenant), span_str(name));
			continue;
		}
		if (end != UINT64_MAX && (next == 0 || end < next))
			next = end;
		i++;
	}
	return next;
}
