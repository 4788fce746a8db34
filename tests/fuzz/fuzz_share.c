/* SPDX-License-Identifier: Apache-2.0 */
/* What people type as a share, and the file that says which ones count. */
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "keymasterd/vault/split.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct split split;
	struct secret *text;
	struct share s;

	if (split_decode(data, len, &split) == 0 &&
	    (split.threshold < 2 || split.shares < split.threshold))
		abort();
	if (len == 0 || len > SHARE_TEXT_MAX || (text = secret_new(data, len)) == NULL)
		return 0;
	if (share_read(text, &s) == NULL) {
		/* whatever was taken is in range, and says the same when written */
		uint8_t octets[SHARE_LEN] = {0}, hash[SHARE_HASH_LEN];
		char again[SHARE_TEXT_LEN];

		if (s.number == 0 || s.threshold < 2 || secret_len(s.octets) != SHARE_LEN)
			abort();
		(void)split_refuses(&split, &s);
		share_write(again, &s, octets, hash);
		if (memcmp(again, SHARE_PREFIX, sizeof(SHARE_PREFIX) - 1) != 0)
			abort();
	} else if (s.octets != NULL) {
		abort();
	}
	share_end(&s);
	secret_free(text);
	return 0;
}
