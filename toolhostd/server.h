/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tool server as toolhost sees it: two pipes, a state, and the calls under way. Runs
 * in toolhostd; what comes from the server is hostile, what comes from the gate is
 * checked against the judge's grant.
 */
#ifndef AEGIS_TOOLHOSTD_SERVER_H
#define AEGIS_TOOLHOSTD_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/proto.h"
#include "common/span.h"
#include "toolhostd/mcp_skim.h"

struct chan;
struct event;
struct call;
struct trial;
struct json_doc;

/* What a server is asked for; MCP_LIST_TOOLS lies in `tools`, the others in `lists`. */
enum mcp_list {
	MCP_LIST_TOOLS,
	MCP_LIST_RESOURCES,
	MCP_LIST_TEMPLATES,
	MCP_LIST_PROMPTS,
	MCP_LISTS
};

struct server {
	TAILQ_ENTRY(server) entry;
	/* configuration */
	uint32_t number;
	char name[65];
	char health_method[65];
	uint32_t health_interval_ms, health_timeout_ms, call_timeout_ms;
	uint64_t max_output;
	bool at_start;
	uint32_t max_instances; /* 0: one process for all; else it has none itself */
	uint32_t instance_idle_ms;
	/* a process for one session, or of a test: what it is one of, else NULL */
	struct server *of;
	char execution[65];
	struct trial *trial;
	bool over;                  /* no more calls; goes when its process has gone */
	struct server *successor;   /* takes its place once it runs (replace.c) */
	struct server *predecessor; /* whose place this one takes; nobody calls it yet */
	uint64_t used_ms;
	/* from here on what belongs to the process, and goes with it (replace.c) */
	enum tool_state state;
	uint32_t instance; /* of its process at the master; 0: none */
	uint32_t leaving;  /* of one that was told to end, and has not yet; 0: none */
	uint32_t pid;
	bool spawning;     /* asked the master, no answer yet */
	unsigned failures; /* starts in a row that did not last */
	unsigned starts;
	bool served; /* answered a call since it was started */
	uint64_t retry_at_ms, running_since_ms, since_ms;
	char why[128], last_error[160], room[257];
	/* pipes */
	int in, out; /* what we write, what we read; -1: closed */
	struct event *readable, *writable;
	bool writing; /* waits for room in the pipe */
	struct buf to_send, received;
	size_t scanned;       /* of received: no newline before this */
	struct mcp_skim skim; /* of the line that is coming in */
	uint64_t useless_s;   /* the second that is counted in */
	unsigned useless;     /* lines in it that nobody waited for */
	uint64_t useless_octets;
	/* protocol */
	uint64_t last_id;
	uint64_t control_id; /* our own question under way (initialize, list, health), 0:
				none */
	uint64_t control_due_ms;
	enum {
		ASKED_NOTHING,
		ASKED_INITIALIZE,
		ASKED_LIST,
		ASKED_HEALTH,
		ASKED_LEVEL
	} asked;
	uint64_t next_health_ms;
	struct buf tools;            /* what tools/list gave, page by page: "{..},{..}" */
	struct buf lists[MCP_LISTS]; /* the same of the other lists; tools is the first */
	struct buf page;             /* the list that is being asked for */
	unsigned stale;              /* bit n: list n is to be asked for */
	unsigned listing, pages;     /* which one is being asked for */
	uint32_t features;           /* enum mcp_feature */
	uint8_t level, level_wanted; /* of its log; 0: never set */
	TAILQ_HEAD(, call) calls;    /* sent and waiting, and waiting for the start */
	unsigned ncalls;
};

TAILQ_HEAD(server_list, server);
extern struct server_list servers;

/* registry.c */
int server_add(void *conf_tool_msg);
struct server *server_find(uint32_t number);
/* Who serves a call of this execution ("": not one of its own): made when there is none
 * yet. NULL: no such server, or no more processes of it may be had (*full). */
struct server *server_for(uint32_t number, struct span execution, bool *full);
/* One more of a configured server, in no state yet; NULL: no memory. */
struct server *server_clone(struct server *of, struct span execution);
void server_free(struct server *);
struct server *server_find_instance(uint32_t instance);
/* Over all its processes. */
struct server_sum {
	unsigned processes, restarts;
	enum tool_state state;
	const struct server *shown; /* whose pid and messages */
};
void server_sum_up(const struct server *configured, struct server_sum *);

/* supervise.c */
void server_start(struct server *);
/* Ends the process (SIGTERM, five seconds, SIGKILL), fails its calls, plans a restart. */
void server_fail(struct server *, enum tool_state, const char *why);
void server_exited(uint32_t instance, int status);
/* Its room is made. */
void server_boxed(uint32_t instance, struct span level);
/* The session is over. */
int server_execution_end(struct chan *, uint64_t reqid, void *msg);
/* Ends its process and calls for good. */
void server_end(struct server *, const char *why);
void server_state_set(struct server *, enum tool_state, const char *why);
void server_tick(uint64_t now_ms);
/* Ends all; loop_stop() when they are gone, or after a little more than five seconds. */
void server_stop_all(void);

/* replace.c */
/* What its process was given ends soon: a new one takes its place without a lost call. */
void server_replace(uint32_t instance);
/* A successor runs, or does not start; one without a predecessor has no purpose. */
void replace_tick(uint64_t now_ms);
/* This server is about to go: neither takes the other's place. */
void replace_forget(struct server *);

/* mcp_io.c */
/* The process's pipes are this server's from now on. 0 or -1. */
int mcp_adopt(struct server *);
int mcp_open(struct server *, int in, int out);
void mcp_close(struct server *);
/* Queues one line (without its newline). -1: the server does not read; fail it. */
int mcp_send(struct server *, const void *line, size_t len);
/* Line breaks become blanks: JSON has them between tokens only, and a line, or an event,
 * is a message. */
void mcp_one_line(struct buf *);

/* mcp_list.c */
/* Asks for the lists that are due, one at a time. */
void mcp_list_next(struct server *);
/* A page of the list under way: `doc` holds the answer, result JSON_NONE an error. */
void mcp_list_take(struct server *, const struct json_doc *, uint32_t result);
/* "notifications/.../list_changed". True if it is one. */
bool mcp_list_changed(struct server *, const char *method);

/* A line was longer than anybody may have: `skim` says whose it was. */
void mcp_line_skipped(struct server *, const struct mcp_skim *);

/* A line that nobody waited for, logged as `what` (NULL: not). False: too many of them,
 * and the server was failed. */
bool mcp_useless(struct server *, const char *what, size_t len);

/* mcp_session.c */
/* Asks one of our own questions; only one is under way at a time. */
void mcp_ask(struct server *, int what, const char *method, const struct buf *params,
    uint32_t timeout_ms);
/* The list of tools is here: calls can be made. */
void mcp_is_running(struct server *);
void mcp_begin(struct server *);
/* One line from the server. */
void mcp_line(struct server *, const uint8_t *line, size_t len);
void mcp_tick(struct server *, uint64_t now_ms);
/* The server's log is wanted from this level (enum mcp_level) on. */
void mcp_level_want(struct server *, uint8_t level);
/* Tells the judge what the servers have beside tools. */
void mcp_report_all(void);

#endif
