/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of attestations; see attest_body.h. Judge only; the body is anybody's. */
#include "keymasterd/judge/attest_body.h"

#include "common/context.h"
#include "common/json.h"
#include "keymasterd/judge/attest_key.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/seal_error.h"

/* The first of these members that is there as a text, decoded. 0; 1 absent; -1 malformed.
 */
static int
text_of(const struct json_doc *d, const char *const *names, char *out, size_t size,
    size_t *len)
{
	uint32_t root = json_root(d), node;

	out[0] = '\0';
	*len = 0;
	for (; *names != NULL; names++) {
		node = json_get(d, root, *names);
		if (node == JSON_NONE || json_type(d, node) == JT_NULL)
			continue;
		if (json_str_copy(d, node, out, size, len) != 0)
			return -1;
		for (size_t i = 0; i < *len; i++)
			if ((unsigned char)out[i] < 0x20 && out[i] != '\n' &&
			    out[i] != '\r' && out[i] != '\t')
				return -1;
		return 0;
	}
	return 1;
}

static unsigned
read_members(const struct json_doc *doc, struct mint *p, const char **why)
{
	static const char *const key_names[] = {
	    "public_key", "public_key_pem", "agent_public_key", NULL};
	static const char *const context_names[] = {
	    "security_context", "requested_scope", NULL};
	static const char *const wid_names[] = {"workload_id", "container_id", NULL};
	static const char *const task_names[] = {"task_summary", NULL};
	char key[ATTEST_KEY_TEXT_MAX + 1];
	size_t len;

	*why = "workload_id and task_summary must be texts of at most 256 octets";
	if (text_of(doc, wid_names, p->wid, sizeof p->wid, &len) < 0) {
		p->wid[0] = '\0';
		return SEAL_ATTEST;
	}
	if (text_of(doc, task_names, p->task, sizeof p->task, &len) < 0)
		return SEAL_ATTEST;
	*why = "Name a SecurityContext as security_context";
	if (text_of(doc, context_names, p->row.context, sizeof p->row.context, &len) !=
		0 ||
	    !context_name_ok(span_mem(p->row.context, len))) {
		p->row.context[0] = '\0';
		return SEAL_SCOPE;
	}
	*why = "public_key must be an Ed25519 public key: Base64 of 32 octets, or PEM";
	if (text_of(doc, key_names, key, sizeof key, &len) != 0 ||
	    attest_key_read(span_mem(key, len), p->row.public_key) != 0)
		return SEAL_ATTEST;
	*why = NULL;
	return 0;
}

unsigned
attest_body_read(struct span body, struct mint *p, const char **why)
{
	struct json_doc doc;
	unsigned code = SEAL_ATTEST;

	json_init(&doc);
	*why = "The body must be a JSON object";
	if (json_parse(&doc, body.p, body.len, NULL) == JSON_OK &&
	    json_type(&doc, json_root(&doc)) == JT_OBJECT)
		code = read_members(&doc, p, why);
	json_free(&doc);
	return code;
}
