/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tool server serves which tool, and what the servers say their tools are. Names
 * come from the configuration; descriptions from tool servers, which are not trusted:
 * they are checked, and passed on as data. Judge only.
 */
#ifndef AEGIS_JUDGE_TOOLS_H
#define AEGIS_JUDGE_TOOLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/json.h"
#include "common/span.h"
#include "common/context.h"

struct jsonw;
struct session;

struct tool {
	char name[CONTEXT_TOOL_MAX + 1];
	uint32_t node;
};

struct tool_server {
	uint32_t number;
	char name[65];
	struct context_pattern *patterns; /* its capabilities */
	size_t npatterns;
	uint32_t timeout_ms;
	bool per_execution; /* a process for each session, not one for all */
	uint8_t state;      /* enum tool_state, 0: not heard of */
	char message[257], last_error[257], level[257];
	uint32_t pid, instances, restarts;
	uint64_t since_ms;
	/* calls since the judge was started: over, not answered, and under way */
	uint64_t calls, failed;
	unsigned in_flight;
	char *text; /* the tools array doc points into, NULL: none yet */
	struct json_doc doc;
	/* what it has beside tools (mcp_offer.c) */
	uint32_t features; /* enum mcp_feature */
	bool features_known;
	char *lists_text;
	struct json_doc lists;
	struct tool *tools; /* those of the array that it may offer, each name once */
	size_t ntools;
	TAILQ_ENTRY(tool_server) link;
};

TAILQ_HEAD(tool_server_list, tool_server);
extern struct tool_server_list tool_servers;

/* Who serves the tool: an exact name first, then the longest prefix. NULL: nobody. */
struct tool_server *tool_route(struct span tool);

/* For flight.c: a call of this server is granted, has an outcome, is over. */
void tool_call_begun(const char *server);
void tool_call_done(const char *server, unsigned outcome);
void tool_call_over(const char *server);

/* toolhost is gone, and they with it. */
void tool_servers_gone(void);
/* By name; NULL: there is none. */
struct tool_server *tool_server_named(struct span);
const char *tool_state_name(uint8_t state);
/* The execution of an MCP session: not its id, which is as good as a key. */
#define TOOL_EXECUTION_SIZE 40
void tool_execution_of(const char *mcp_session, char execution[TOOL_EXECUTION_SIZE]);
/* Tells toolhost that an execution is over. */
void tool_execution_end(const char *execution);
/* Tells toolhost which sessions with processes of their own are over. On a tick. */
void tool_executions_end(uint64_t unix_ms);

/*
 * Writes objects {"name","description","inputSchema"} of the tools that the context (and
 * the session's patterns; NULL: no session) permits, each once, from the `skip`th on,
 * until `room` octets are used. Returns how many were passed, skipped ones included;
 * *more says whether there are others.
 */
unsigned tools_write(struct jsonw *, const struct context *, const struct session *,
    unsigned skip, size_t room, bool *more);

#endif
