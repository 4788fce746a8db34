/* SPDX-License-Identifier: Apache-2.0 */
/* A line to a worker or toolexec, bound to one credential or tool server. Runs in vault.
 */
#ifndef AEGIS_VAULT_LINE_H
#define AEGIS_VAULT_LINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct chan;

#define LINE_HASH_LEN 16

struct line {
	LIST_ENTRY(line) entry;
	struct chan *chan;
	uint32_t instance;
	char tenant[65];
	char name[161];     /* of the credential, or of the tool server */
	char execution[65]; /* the session that the tool server's process is for, or "" */
	/* of a worker whose secret lives elsewhere (watch.c) */
	bool watched;
	uint64_t due_ms;
	uint8_t hash[LINE_HASH_LEN]; /* of what it was given */
};

LIST_HEAD(line_list, line);
extern struct line_list lines;

#endif
