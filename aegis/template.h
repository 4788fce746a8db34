/* SPDX-License-Identifier: Apache-2.0 */
/* The commented configuration file that `aegis init` writes, from the table of keys. */
#ifndef AEGIS_TEMPLATE_H
#define AEGIS_TEMPLATE_H

#include <stdbool.h>

#include "common/buf.h"

struct template
{
	const char *data_dir;
	const char *master_key; /* 64 digits to write, or NULL */
	bool tls;               /* with the certificate of --generate-cert */
};

/* Appends the file's text. 0, or -1 without memory. */
int template_write(const struct template *, struct buf *);

#endif
