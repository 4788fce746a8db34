/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contexts that exist without an administrator having made them; doc/contexts.md says
 * why they are as narrow as they are. `unrestricted` is reserved but not among them:
 * whoever wants it has to write it down. Runs in the judge.
 */
#include "keymasterd/judge/context_table.h"

static const char *const builtin[] = {
    "{\"name\":\"read-only-research\","
    "\"description\":\"Search and read the web, read files below /workspace\","
    "\"capabilities\":["
    "{\"tool_pattern\":\"web.search\"},"
    "{\"tool_pattern\":\"web.fetch\"},"
    "{\"tool_pattern\":\"fs.read\",\"path_allowlist\":[\"/workspace\"]},"
    "{\"tool_pattern\":\"fs.list\",\"path_allowlist\":[\"/workspace\"]}],"
    "\"deny_list\":[\"cmd.*\",\"fs.write\",\"fs.delete\"]}",

    "{\"name\":\"code-assistant\","
    "\"description\":\"Read and write files below /workspace, delete none, run nothing\","
    "\"capabilities\":["
    "{\"tool_pattern\":\"fs.*\",\"path_allowlist\":[\"/workspace\"]},"
    "{\"tool_pattern\":\"web.search\"}],"
    "\"deny_list\":[\"cmd.*\",\"fs.delete\"]}",
};

const char *
context_builtin(size_t i)
{
	return i < sizeof builtin / sizeof builtin[0] ? builtin[i] : NULL;
}
