/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tool server that answers at once, for the benchmark: MCP over stdio with one tool,
 * "noop". Finds the id by looking for it; good enough for what our own toolhost sends.
 */
#include <stdio.h>
#include <string.h>

static void
answer(const char *line)
{
	const char *id = strstr(line, "\"id\":");
	unsigned long long number;

	if (id == NULL || sscanf(id + 5, "%llu", &number) != 1)
		return;
	if (strstr(line, "\"initialize\"") != NULL)
		printf("{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"protocolVersion\":"
		       "\"2025-06-18\",\"capabilities\":{\"tools\":{}},\"serverInfo\":{"
		       "\"name\":"
		       "\"quick\",\"version\":\"1\"}}}\n",
		    number);
	else if (strstr(line, "\"tools/list\"") != NULL)
		printf("{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"tools\":[{"
		       "\"name\":\"noop\","
		       "\"inputSchema\":{\"type\":\"object\"}}]}}\n",
		    number);
	else
		printf(
		    "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"result\":{\"content\":[{\"type\":"
		    "\"text\",\"text\":\"ok\"}]}}\n",
		    number);
	fflush(stdout);
}

int
main(void)
{
	static char line[1 << 20];

	while (fgets(line, sizeof(line), stdin) != NULL)
		answer(line);
	return 0;
}
