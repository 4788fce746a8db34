/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in OpenBao's answers; see bao_json.h. Runs in vault. */
#include "keymasterd/vault/bao_json.h"

#include "common/secret.h"

struct text_at {
	const struct json_doc *doc;
	uint32_t node;
};

static long
fill_text(void *p, size_t max, void *arg)
{
	const struct text_at *t = arg;
	size_t len;

	return json_str_copy(t->doc, t->node, p, max, &len) == 0 ? (long)len : -1;
}

struct secret *
bao_json_secret(const struct json_doc *d, uint32_t node, size_t max)
{
	struct text_at at = {.doc = d, .node = node};

	return secret_new_fill(max, fill_text, &at);
}
