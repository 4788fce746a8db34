/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of one share of a master key, as people keep and type it. Runs in vault only,
 * on what whoever may use the admin socket has typed. doc/vault-format.md has the layout.
 */
#ifndef AEGIS_VAULT_SHARE_H
#define AEGIS_VAULT_SHARE_H

#include <stddef.h>
#include <stdint.h>

struct secret;

#define SHARE_PREFIX "aegis_share_"
#define SHARE_TEXT_LEN 99  /* prefix, two digits of the number, _, 84 digits */
#define SHARE_TEXT_MAX 512 /* with blanks around it */
#define SHARE_LEN 32       /* octets, as many as the master key has */
#define SHARE_GROUP_LEN 4
#define SHARE_HASH_LEN 32
#define SHARE_MAX 255 /* shares of a split: numbers 1 to 255 */

struct share {
	uint8_t number;                 /* where the polynomial was evaluated, from 1 */
	uint8_t threshold;              /* how many are needed */
	uint8_t group[SHARE_GROUP_LEN]; /* of which split it is */
	uint8_t hash[SHARE_HASH_LEN];   /* of all of it; tells nothing about it */
	struct secret *octets;          /* SHARE_LEN */
};

/*
 * Reads a text; blanks around it and the case of digits do not matter. NULL, and the
 * caller ends it with share_end(); or what is wrong, a clause without any of the text.
 */
const char *share_read(const struct secret *text, struct share *out);
void share_end(struct share *);

/*
 * Writes the text of a share, SHARE_TEXT_LEN characters without a NUL, and its hash. The
 * octets (SHARE_LEN) are the caller's to wipe.
 */
void share_write(
    char *out, const struct share *, const uint8_t *octets, uint8_t hash[SHARE_HASH_LEN]);

#endif
