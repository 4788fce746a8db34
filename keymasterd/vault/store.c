/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vault file; see store.h. Runs in vault. Of a file that is read, the header is used
 * unauthenticated to derive the keys; everything else is looked at only after the MAC
 * over the whole file was right, and is still read with bounds.
 */
#include "keymasterd/vault/store.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>

#include "common/secret.h"
#include "common/wire.h"
#include "keymasterd/vault/file.h"

#define MAGIC_LEN 8
#define VERSION 1
#define HEADER_LEN (MAGIC_LEN + 3 * 4 + KDF_SALT_LEN + KDF_CHECK_LEN + 8 + 4)
#define RECORDS_MAX 65536

static const char magic[MAGIC_LEN + 1] = "AEGISVLT";

struct header {
	struct kdf_params kdf;
	uint8_t check[KDF_CHECK_LEN];
	uint64_t counter;
	uint32_t records;
};

int
store_init(struct store *st, int dirfd, const char *name)
{
	size_t n = strspn(
	    name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.");

	memset(st, 0, sizeof(*st));
	if (n == 0 || n > STORE_NAME_MAX || name[n] != '\0' || name[0] == '.')
		return -1;
	st->dirfd = dirfd;
	snprintf(st->file, sizeof(st->file), "%s.vault", name);
	snprintf(st->temp, sizeof(st->temp), ".%s.vault.new", name);
	return 0;
}

static void
records_free(struct record **records, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		record_free(records[i]);
	free(records);
}

void
store_free(struct store *st)
{
	records_free(st->records, st->n);
	kdf_keys_free(&st->keys);
	st->records = NULL;
	st->n = 0;
}

/* -- writing -- */

static size_t
image_size(struct record *const *records, size_t n)
{
	size_t i, size = HEADER_LEN + KDF_MAC_LEN;

	for (i = 0; i < n && size <= STORE_FILE_MAX; i++)
		size += 4 + records[i]->len;
	return size;
}

/* Header, records and MAC into w, which has room for them. 0 or -1. */
static int
image_encode(const struct store *st, uint64_t counter, struct record *const *records,
    size_t n, struct wire_w *w)
{
	uint8_t mac[KDF_MAC_LEN];
	size_t i;

	wire_put_fix(w, magic, MAGIC_LEN);
	wire_put_u32(w, VERSION);
	wire_put_u32(w, st->kdf.algorithm);
	wire_put_u32(w, st->kdf.iterations);
	wire_put_fix(w, st->kdf.salt, KDF_SALT_LEN);
	wire_put_fix(w, st->keys.check, KDF_CHECK_LEN);
	wire_put_u64(w, counter);
	wire_put_u32(w, (uint32_t)n);
	for (i = 0; i < n; i++) {
		wire_put_u32(w, (uint32_t)records[i]->len);
		wire_put_fix(w, records[i]->octets, records[i]->len);
	}
	if (w->failed || kdf_file_mac(&st->keys, w->p, w->len, mac) == -1)
		return -1;
	wire_put_fix(w, mac, sizeof(mac));
	return w->failed ? -1 : 0;
}

/* Saves `next` (an array of its own, the records shared) and puts it in force, or frees
 * it. */
static enum store_code
commit(struct store *st, struct record **next, size_t n)
{
	size_t size = image_size(next, n);
	struct wire_w w = {.cap = size};
	enum store_code code = STORE_OK;
	int err;

	if (size > STORE_FILE_MAX || n > RECORDS_MAX)
		code = STORE_TOO_LARGE;
	else if ((w.p = malloc(size)) == NULL ||
	    image_encode(st, st->counter + 1, next, n, &w) == -1)
		code = STORE_MEMORY;
	else if (file_replace(st->dirfd, st->file, st->temp, w.p, w.len) == -1)
		code = STORE_IO;
	err = errno;
	free(w.p);
	if (code != STORE_OK) {
		free(next);
		errno = err;
		return code;
	}
	free(st->records);
	st->records = next;
	st->n = n;
	st->counter++;
	return STORE_OK;
}

/* Where the record stands (*found) or would have to be put. */
static size_t
position(struct record *const list[], size_t n, enum record_kind kind, struct span tenant,
    struct span name, int *found)
{
	size_t low = 0, high = n, mid;
	int r;

	*found = 0;
	while (low < high) {
		mid = low + (high - low) / 2;
		r = record_compare(kind, tenant, name, list[mid]);
		if (r == 0) {
			*found = 1;
			return mid;
		}
		if (r < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

const struct record *
store_find(
    const struct store *st, enum record_kind kind, struct span tenant, struct span name)
{
	int found;
	size_t i = position(st->records, st->n, kind, tenant, name, &found);

	return found ? st->records[i] : NULL;
}

/* Into a list with room for it: what it takes the place of, or NULL. */
static struct record *
insert(struct record **list, size_t *n, struct record *rec)
{
	struct record *old = NULL;
	int found;
	size_t i =
	    position(list, *n, rec->kind, rec->meta.tenant, rec->meta.name, &found);

	if (found)
		old = list[i];
	else
		memmove(list + i + 1, list + i, ((*n)++ - i) * sizeof(*list));
	list[i] = rec;
	return old;
}

static struct record *
take_out(struct record **list, size_t *n, const struct record *rec)
{
	struct record *old;
	int found;
	size_t i =
	    position(list, *n, rec->kind, rec->meta.tenant, rec->meta.name, &found);

	if (!found)
		return NULL;
	old = list[i];
	memmove(list + i, list + i + 1, (--*n - i) * sizeof(*list));
	return old;
}

enum store_code
store_change(struct store *st, struct record *const put[2], const struct record *gone)
{
	struct record *old[3] = {NULL};
	struct record **next = calloc(st->n + 2, sizeof(*next));
	enum store_code code = STORE_MEMORY;
	size_t n = st->n, i;
	int err;

	if (next != NULL) {
		if (n > 0)
			memcpy(next, st->records, n * sizeof(*next));
		if (gone != NULL)
			old[2] = take_out(next, &n, gone);
		for (i = 0; i < 2; i++)
			if (put[i] != NULL)
				old[i] = insert(next, &n, put[i]);
		code = commit(st, next, n);
	}
	err = errno;
	for (i = 0; i < 2; i++)
		record_free(code == STORE_OK ? old[i] : put[i]);
	if (code == STORE_OK)
		record_free(old[2]);
	errno = err;
	return code;
}

enum store_code
store_put(struct store *st, struct record *rec)
{
	return store_change(st, (struct record *[2]){rec, NULL}, NULL);
}

enum store_code
store_remove(struct store *st, const struct record *rec)
{
	if (store_find(st, rec->kind, rec->meta.tenant, rec->meta.name) == NULL)
		return STORE_ABSENT;
	return store_change(st, (struct record *[2]){NULL, NULL}, rec);
}

enum store_code
store_create(struct store *st, const struct secret *master,
    const struct secret *token_key, const struct secret *ledger_key)
{
	struct record **keys;
	struct stat sb;

	if (fstatat(st->dirfd, st->file, &sb, AT_SYMLINK_NOFOLLOW) == 0)
		return STORE_PRESENT;
	if (errno != ENOENT)
		return STORE_IO;
	kdf_params_new(&st->kdf);
	if (kdf_derive(&st->kdf, master, &st->keys) == -1)
		return STORE_MEMORY;
	keys = calloc(2, sizeof(struct record *));
	if (keys == NULL)
		return STORE_MEMORY;
	keys[0] = record_seal(st->keys.record, RECORD_TOKEN_KEY, 1, NULL, token_key);
	keys[1] = record_seal(st->keys.record, RECORD_LEDGER_KEY, 1, NULL, ledger_key);
	if (keys[0] == NULL || keys[1] == NULL) {
		records_free(keys, 2);
		return STORE_MEMORY;
	}
	return commit(st, keys, 2);
}

/* -- reading -- */

static int
header_decode(struct wire_r *r, struct header *h)
{
	uint8_t m[MAGIC_LEN];
	uint32_t version;

	wire_get_fix(r, m, sizeof(m));
	version = wire_get_u32(r);
	h->kdf.algorithm = wire_get_u32(r);
	h->kdf.iterations = wire_get_u32(r);
	wire_get_fix(r, h->kdf.salt, sizeof(h->kdf.salt));
	wire_get_fix(r, h->check, sizeof(h->check));
	h->counter = wire_get_u64(r);
	h->records = wire_get_u32(r);
	if (r->failed || memcmp(m, magic, MAGIC_LEN) != 0 || version != VERSION ||
	    h->counter == 0 || h->counter == UINT64_MAX || h->records > RECORDS_MAX)
		return -1;
	return kdf_params_check(&h->kdf);
}

static int
mac_right(const struct store *st, const uint8_t *p, size_t len)
{
	uint8_t mac[KDF_MAC_LEN];

	if (len < HEADER_LEN + KDF_MAC_LEN || len > STORE_FILE_MAX ||
	    kdf_file_mac(&st->keys, p, len - KDF_MAC_LEN, mac) == -1)
		return 0;
	return CRYPTO_memcmp(mac, p + len - KDF_MAC_LEN, KDF_MAC_LEN) == 0;
}

/* One record that must come after the one before it: so none is there twice. */
static int
next_record(struct store *st, struct wire_r *r)
{
	struct span s = wire_get_span(r, RECORD_MAX);
	struct record *rec;

	if (r->failed)
		return -1;
	rec = record_decode((const uint8_t *)s.p, s.len);
	if (rec == NULL)
		return -1;
	if (rec->version > st->counter ||
	    (st->n > 0 &&
		record_compare(rec->kind, rec->meta.tenant, rec->meta.name,
		    st->records[st->n - 1]) <= 0)) {
		record_free(rec);
		return -1;
	}
	st->records[st->n++] = rec;
	return 0;
}

enum store_code
store_decode(struct store *st, const uint8_t *p, size_t len)
{
	union { /* the reader could write, to wipe secrets; there are none in clear here
		 */
		const uint8_t *p;
		uint8_t *writable;
	} octets = {.p = p};
	struct wire_r r = {.p = octets.writable, .len = len};
	struct header h;
	uint32_t i;

	if (header_decode(&r, &h) == -1)
		return STORE_DAMAGED;
	if (CRYPTO_memcmp(h.check, st->keys.check, KDF_CHECK_LEN) != 0)
		return STORE_KEY;
	if (!mac_right(st, p, len))
		return STORE_DAMAGED;
	r.len -= KDF_MAC_LEN;
	st->kdf = h.kdf;
	st->counter = h.counter;
	st->records = calloc(h.records + 1, sizeof(struct record *));
	if (st->records == NULL)
		return STORE_MEMORY;
	for (i = 0; i < h.records; i++)
		if (next_record(st, &r) == -1)
			return STORE_DAMAGED;
	/* keys sort first, and the order allows each kind of key once */
	if (r.off != r.len || st->n < 2 || st->records[0]->kind != RECORD_TOKEN_KEY ||
	    st->records[1]->kind != RECORD_LEDGER_KEY)
		return STORE_DAMAGED;
	return STORE_OK;
}

enum store_code
store_open(struct store *st, const struct secret *master)
{
	enum store_code code;
	struct header h;
	struct wire_r r = {0};

	if (file_read(st->dirfd, st->file, STORE_FILE_MAX, &r.p, &r.len) == -1)
		return errno == ENOENT ? STORE_ABSENT : STORE_IO;
	if (header_decode(&r, &h) == -1)
		code = STORE_DAMAGED;
	else if (kdf_derive(&h.kdf, master, &st->keys) == -1)
		code = STORE_MEMORY;
	else
		code = store_decode(st, r.p, r.len);
	free(r.p);
	return code;
}
