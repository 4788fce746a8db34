/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table behind http1_class.h.  Bytes not named here (controls, DEL) are in
 * no class and are therefore refused wherever they turn up.
 */
#include "common/http1_class.h"

#define T HTTP1_C_TOKEN
#define V HTTP1_C_VALUE
#define G HTTP1_C_TARGET
#define D HTTP1_C_DIGIT
#define X HTTP1_C_HEX
#define N HTTP1_C_NAME

/* clang-format off */
const uint8_t http1_class[256] = {
	['\t'] = V,
	[' '] = V,
	['!'] = T | V | G,
	['"'] = V,
	['#'] = T | V,
	['$' ... '\''] = T | V | G,
	['(' ... ')'] = V | G,
	['*' ... '+'] = T | V | G,
	[','] = V | G,
	['-' ... '.'] = T | V | G | N,
	['/'] = V | G,
	['0' ... '9'] = T | V | G | N | D | X,
	[':' ... ';'] = V | G,
	['<'] = V,
	['='] = V | G,
	['>'] = V,
	['?' ... '@'] = V | G,
	['A' ... 'F'] = T | V | G | N | X,
	['G' ... 'Z'] = T | V | G | N,
	['['] = V | G,
	['\\'] = V,
	[']'] = V | G,
	['^'] = T | V,
	['_'] = T | V | G | N,
	['`'] = T | V,
	['a' ... 'f'] = T | V | G | N | X,
	['g' ... 'z'] = T | V | G | N,
	['{'] = V,
	['|'] = T | V,
	['}'] = V,
	['~'] = T | V | G,
	[0x80 ... 0xff] = V,
};
/* clang-format on */
