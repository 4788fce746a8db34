/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which part of gated serves a request target. Looks at octets only: nothing is decoded,
 * so a disguised path is a proxied one, and the judge refuses it.
 */
#ifndef AEGIS_GATED_ROUTE_H
#define AEGIS_GATED_ROUTE_H

#include <stdbool.h>

#include "common/span.h"

enum route_kind {
	ROUTE_HEALTH = 1,
	ROUTE_SEAL,
	ROUTE_API,
	ROUTE_METRICS, /* as ROUTE_API; text is made here of what the judge says */
	ROUTE_FEED,    /* a WebSocket of the data API */
	ROUTE_MCP,
	ROUTE_PROXY
};

enum { ROUTE_GET = 1 << 0, ROUTE_POST = 1 << 1, ROUTE_ANY = 1 << 2 };

struct route {
	const char *path;
	bool prefix; /* everything below it too */
	enum route_kind kind;
	unsigned methods;
	bool seal; /* refusals in SEAL's error body */
};

/* This process serves the data API, and the paths of that one. */
void route_data_api(void);
/* The row for a target in origin form, query and all. Never NULL. */
const struct route *route_find(struct span target);
/* True if the row serves that method; GET includes HEAD. */
bool route_allows(const struct route *, struct span method);

#endif
