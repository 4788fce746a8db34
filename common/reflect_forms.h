/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spellings under which an upstream may send a secret back. Runs in the egress worker
 * on the secret alone; between reflect.c, its tests and its fuzzer.
 */
#ifndef AEGIS_REFLECT_FORMS_H
#define AEGIS_REFLECT_FORMS_H

#include <stddef.h>
#include <stdint.h>

#define REFLECT_MIN 4      /* shorter: not searched for, everything would match */
#define REFLECT_FORMED 8   /* shorter: as it is only, encodings would match by chance */
#define REFLECT_PREFIX 256 /* of a longer secret, this much is searched for */
/* The longest spelling: "\u00xx" or "&quot;" for every octet. */
#define REFLECT_FORM_MAX (REFLECT_PREFIX * 6)

/*
 * The search compares folded octets: letters without case, - as + and _ as /. So one
 * spelling stands for both cases of hexadecimal digits and both alphabets of base64.
 */
uint8_t reflect_fold(uint8_t c);

/*
 * Calls emit for every spelling, folded, each at least REFLECT_MIN octets; the same one
 * may come several times. work: REFLECT_FORM_MAX octets for the spelling, wiped at the
 * end.
 *
 * The spellings: as it is; base64 at the three alignments it may have in a longer text
 * (the characters that depend on nothing else), also with JSON's \/ and with percent
 * escapes; percent escapes of the usual sets and of everything; JSON strings with and
 * without \/, with \u00xx for what HTML dislikes, and for everything; the first three of
 * these once more inside a JSON string; HTML entities; hexadecimal.
 */
void reflect_forms(const uint8_t *s, size_t len, uint8_t *work,
    void (*emit)(const uint8_t *form, size_t len, void *arg), void *arg);

#endif
