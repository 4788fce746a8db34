/* SPDX-License-Identifier: Apache-2.0 */
/* Tool servers' secret variables; see toolenv.h. Runs in vault on configuration. */
#include "keymasterd/vault/toolenv.h"

#include <stdlib.h>

#include "common/reference.h"
#include "common/secret.h"

static struct toolenv *rows;
static size_t nrows;

int
toolenv_add(
    struct span server, struct span variable, struct span reference, struct secret *value)
{
	struct toolenv *grown, *row;

	if (server.len == 0 || variable.len == 0)
		return -1;
	grown = reallocarray(rows, nrows + 1, sizeof(*rows));
	if (grown == NULL)
		return -1;
	rows = grown;
	row = &rows[nrows];
	if (span_copy(server, row->server, sizeof(row->server)) == -1 ||
	    span_copy(variable, row->variable, sizeof(row->variable)) == -1 ||
	    span_copy(reference, row->reference, sizeof(row->reference)) == -1)
		return -1;
	row->value = value;
	nrows++;
	return 0;
}

const struct toolenv *
toolenv_get(const char *server, unsigned index)
{
	size_t i;

	for (i = 0; i < nrows; i++)
		if (strcmp(rows[i].server, server) == 0 && index-- == 0)
			return &rows[i];
	return NULL;
}

bool
toolenv_is_dynamic(const struct toolenv *row)
{
	struct reference ref;

	return reference_parse(span_str(row->reference), &ref) == NULL && ref.dynamic;
}

const struct toolenv *
toolenv_at(size_t n)
{
	return n < nrows ? &rows[n] : NULL;
}

void
toolenv_clear(void)
{
	size_t i;

	for (i = 0; i < nrows; i++)
		secret_free(rows[i].value);
	free(rows);
	rows = NULL;
	nrows = 0;
}
