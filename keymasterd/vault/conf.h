/* SPDX-License-Identifier: Apache-2.0 */
/* What the master tells vault before it is boxed. Runs in vault at start-up only. */
#ifndef AEGIS_VAULT_CONF_H
#define AEGIS_VAULT_CONF_H

#include "common/proc.h"

struct secret;

struct vault_conf {
	int given; /* conf_vault came */
	char name[65];
	int create;
	uint32_t admin_uid;        /* who may administer, besides root */
	int sealed;                /* there is no key */
	int joined;                /* it was made of shares */
	struct secret *master_key; /* 32 octets, until main() is done with it */
};

extern struct vault_conf vault_conf;
extern const struct proc_conf_row conf_rows[];

#endif
