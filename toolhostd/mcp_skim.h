/* SPDX-License-Identifier: Apache-2.0 */
/* A line that nobody may have, in constant memory: whose answer was it? */
#ifndef AEGIS_TOOLHOSTD_MCP_SKIM_H
#define AEGIS_TOOLHOSTD_MCP_SKIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: at the begin of a line. */
struct mcp_skim {
	bool on;      /* the rest of the line is not kept; the owner's */
	uint64_t len; /* octets so far */
	uint64_t id;  /* the outermost "id", 0 while unknown and when it is no number */
	bool method;  /* there is an outermost "method": no answer */
	/* where it is */
	unsigned depth;
	bool string, escape, value, number_over;
	unsigned key_len;
	char key[8];
	uint64_t number;
};

/*
 * Takes the next octets of the line, in pieces of any size. What is no JSON gives some id
 * or none, never anything worse.
 */
void mcp_skim(struct mcp_skim *, const uint8_t *, size_t len);

#endif
