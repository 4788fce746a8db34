/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Old secrets in the vault file; see grace.h. Runs in vault. When an end comes the record
 * is removed from the file; a worker has the time too, and uses it no more by itself.
 */
#include "keymasterd/vault/grace.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/loop.h"
#include "common/secret.h"

/* What a record from before periods were kept may have at most. */
#define LONGEST_MS (8760ull * 3600 * 1000)

/* When the record ends, Unix milliseconds, and how long it was to be kept. */
static uint64_t
end_of(const struct record *rec, uint64_t *period_ms)
{
	char text[24];

	*period_ms = rec->meta.port != 0 ? rec->meta.port * 1000ull : LONGEST_MS;
	return span_copy(rec->meta.service, text, sizeof(text)) == -1
	    ? 0
	    : strtoull(text, NULL, 10);
}

/* What is left of a record's time: never more than it was given. */
static uint64_t
left_of(const struct record *rec, uint64_t now_ms)
{
	uint64_t period, end = end_of(rec, &period);

	if (end <= now_ms)
		return 0;
	return end - now_ms < period ? end - now_ms : period;
}

uint64_t
grace_now_ms(void)
{
	static uint64_t boot; /* Unix time when the machine started, the latest seen */
	uint64_t since = loop_boot_ms(), now = loop_unix_ms();

	if (now > since && now - since > boot)
		boot = now - since;
	return boot + since;
}

struct record *
grace_record(const struct store *st, const struct credential *c, const struct secret *old,
    uint64_t now_ms, uint32_t period_s)
{
	char until[24];
	struct credential meta = {.tenant = c->tenant, .name = c->name, .port = period_s};

	(void)snprintf(until, sizeof(until), "%llu",
	    (unsigned long long)now_ms + period_s * 1000ull);
	meta.service = span_str(until);
	return record_seal(st->keys.record, RECORD_GRACE, st->counter + 1, &meta, old);
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

	*left_ms = rec != NULL ? left_of(rec, now_ms) : 0;
	return *left_ms == 0 ? NULL : record_open(st->keys.record, rec);
}

/* The clock was set to before the rotation: what is left is counted from now on. */
static void
begin_again(struct store *st, const struct record *rec, uint64_t now_ms)
{
	uint64_t period, end = end_of(rec, &period);
	struct secret *s;
	struct record *again;

	if (end <= now_ms || end - now_ms <= period)
		return;
	s = record_open(st->keys.record, rec);
	again = s != NULL
	    ? grace_record(st, &rec->meta, s, now_ms, (uint32_t)(period / 1000))
	    : NULL;
	secret_free(s);
	/* if it cannot be saved it is tried again, and no more than the period is given
	 * out in any case */
	if (again != NULL)
		(void)store_put(st, again);
}

uint64_t
grace_sweep(
    struct store *st, uint64_t now_ms, void (*over)(struct span tenant, struct span name))
{
	uint64_t next = 0, left;
	char tenant[CREDENTIAL_TENANT_MAX + 1], name[CREDENTIAL_NAME_MAX + 1];
	const struct record *rec;
	size_t i = 0;

	while (i < st->n) {
		rec = st->records[i];
		if (rec->kind != RECORD_GRACE) {
			i++;
			continue;
		}
		left = left_of(rec, now_ms);
		if (left == 0) {
			(void)span_copy(rec->meta.tenant, tenant, sizeof(tenant));
			(void)span_copy(rec->meta.name, name, sizeof(name));
			if (store_remove(st, rec) != STORE_OK)
				return UINT64_MAX;
			over(span_str(tenant), span_str(name));
			continue;
		}
		if (next == 0 || now_ms + left < next)
			next = now_ms + left;
		begin_again(st, rec, now_ms);
		i++;
	}
	return next;
}
