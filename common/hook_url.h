/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address of a webhook, as an administrator types it. The command line brings host
 * and port to vault, the judge names them, and both read them here.
 */
#ifndef AEGIS_COMMON_HOOK_URL_H
#define AEGIS_COMMON_HOOK_URL_H

#include <stdint.h>

#include "common/host.h"
#include "common/span.h"

#define HOOK_URL_MAX 2000
#define HOOK_ID_LEN 16 /* hexadecimal digits */
/* What vault and the worker know a webhook by, "webhook.<id>". */
#define HOOK_NAME "webhook."

struct hook_url {
	char scheme[8];
	char host[HOST_MAX]; /* normalised */
	uint32_t port;       /* 0: the scheme's own */
	char target[HOOK_URL_MAX + 2];
};

/* NULL, or what is wrong in a few words. */
const char *hook_url_parse(struct span, struct hook_url *);

#endif
