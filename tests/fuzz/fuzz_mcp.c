/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: messages and header fields of MCP clients. A message that is read keeps
 * what its struct promises; the fields are read to a verdict that does not depend on
 * blanks.
 */
#include <stdlib.h>
#include <string.h>

#include "keymasterd/judge/mcp_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

static void
check_message(const uint8_t *data, size_t size)
{
	static struct json_doc doc;
	const char *why = NULL;
	struct mcp_msg m;
	int64_t n;
	int r = mcp_read(&doc, data, size, &m, &why);

	must(r == 0 || r == RPC_PARSE || r == RPC_INVALID);
	must(m.id.len <= MCP_ID_MAX);
	must(m.id.len == 0 ||
	    ((const uint8_t *)m.id.p >= data &&
		(const uint8_t *)m.id.p + m.id.len <= data + size));
	if (r != 0) {
		must(why != NULL);
		return;
	}
	must(json_type(&doc, json_root(&doc)) == JT_OBJECT);
	must((m.kind == MCP_RESPONSE) == (m.method[0] == '\0'));
	must((m.kind == MCP_NOTIFICATION) == (m.id.len == 0));
	must(m.params == JSON_NONE || json_type(&doc, m.params) == JT_OBJECT);
	must(m.meta == JSON_NONE || json_type(&doc, m.meta) == JT_OBJECT);
	must(m.id.len == 0 || m.id.p[0] == '"' ||
	    json_int64(&doc, json_get(&doc, json_root(&doc), "id"), &n) == 0);
	must(strlen(m.method) <= MCP_METHOD_MAX);
}

static void
check_fields(const uint8_t *data, size_t size)
{
	static const char json[] = "application/json";
	char *text = malloc(size + 4);
	struct span s = span_mem(data, size), names = span_str("a.example b.example");
	bool accepts = mcp_accepts(s, json);

	must(text != NULL);
	text[0] = text[1] = ' ';
	if (size > 0)
		memcpy(text + 2, data, size);
	text[size + 2] = '\t';
	must(mcp_accepts(span_mem(text, size + 3), json) == accepts);
	must(!mcp_is_json(s) || size >= strlen(json));
	/* a page that may talk to us has a host that may be asked for */
	if (size > 7 && memcmp(data, "http://", 7) == 0 && mcp_origin_ok(s, names))
		must(mcp_host_ok(span_mem(data + 7, size - 7), names));
	(void)mcp_host_ok(s, names);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_message(data, size);
	check_fields(data, size);
	return 0;
}
