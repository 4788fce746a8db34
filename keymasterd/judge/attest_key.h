/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys as agents write them in attestations. Pure; the text is anybody's. */
#ifndef AEGIS_JUDGE_ATTEST_KEY_H
#define AEGIS_JUDGE_ATTEST_KEY_H

#include <stdint.h>

#include "common/span.h"

#define ATTEST_KEY_TEXT_MAX 1024

/*
 * An Ed25519 public key as Base64 or Base64url (padded or not) of 32 octets or of the
 * 44-octet SubjectPublicKeyInfo of RFC 8410, as PEM of the latter, or as 64 hexadecimal
 * digits. 0, or -1: another form, or a key that must not be used (small order,
 * non-canonical).
 */
int attest_key_read(struct span text, uint8_t key[32]);

#endif
