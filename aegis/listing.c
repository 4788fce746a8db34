/* SPDX-License-Identifier: Apache-2.0 */
/* Lists for people and for programs; see listing.h. Runs as whoever typed the command. */
#include "aegis/listing.h"

#include <stdio.h>

int
listing_begin(struct listing *l, bool json, const struct column *columns)
{
	l->failed = false;
	buf_init(&l->json);
	l->table = json ? NULL : table_new(columns);
	return json || l->table != NULL ? 0 : -1;
}

void
listing_add(struct listing *l, const void *json, size_t len)
{
	if (l->table != NULL)
		l->failed = table_add(l->table, json, len) == -1 || l->failed;
	else if (buf_puts(&l->json, l->json.len > 0 ? ",\n  " : "\n  ") == -1 ||
	    buf_put(&l->json, json, len) == -1)
		l->failed = true;
}

void
listing_print(const struct listing *l, const char *empty)
{
	if (l->table != NULL)
		table_print(l->table, stdout, empty);
	else
		printf("[%.*s%s]\n", (int)l->json.len,
		    l->json.len > 0 ? (const char *)l->json.p : "",
		    l->json.len > 0 ? "\n" : "");
}

void
listing_end(struct listing *l)
{
	table_free(l->table);
	buf_free(&l->json);
}
