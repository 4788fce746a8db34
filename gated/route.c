/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routes of the gate, first match wins. gated; targets come from agents.
 */
#include "gated/route.h"

static const struct route routes[] = {
    {"/health", false, ROUTE_HEALTH, ROUTE_GET, false},
    {"/_aegis/health", false, ROUTE_HEALTH, ROUTE_GET, false},
    {"/_aegis/metrics", false, ROUTE_METRICS, ROUTE_GET, false},
    {"/_aegis/stats", false, ROUTE_API, ROUTE_GET, false},
    {"/v1/seal/invoke", false, ROUTE_SEAL, ROUTE_POST, true},
    {"/v1/smcp/invoke", false, ROUTE_SEAL, ROUTE_POST, true},
    {"/v1/invoke", false, ROUTE_SEAL, ROUTE_POST, true},
    {"/v1/seal", true, ROUTE_API, ROUTE_ANY, true},
    {"/v1/smcp", true, ROUTE_API, ROUTE_ANY, true},
    {"/v1", true, ROUTE_API, ROUTE_ANY, true},
    {"/.well-known", true, ROUTE_API, ROUTE_ANY, true},
    {"/mcp", true, ROUTE_MCP, ROUTE_ANY, false},
    {"/cluster", true, ROUTE_API, ROUTE_ANY, true},
    {"", true, ROUTE_PROXY, ROUTE_ANY, false},
};

/* Of the data API, which serves nothing to agents. */
static const struct route data_routes[] = {
    {"/health", false, ROUTE_HEALTH, ROUTE_GET, false},
    {"/_aegis/health", false, ROUTE_HEALTH, ROUTE_GET, false},
    {"/_aegis/metrics", false, ROUTE_METRICS, ROUTE_GET, false},
    {"/ws", false, ROUTE_FEED, ROUTE_GET, false},
    {"", true, ROUTE_API, ROUTE_GET, false},
};

static const struct route *table = routes;

void
route_data_api(void)
{
	table = data_routes;
}

static bool
matches(const struct route *r, struct span path)
{
	size_t n = strlen(r->path);

	if (path.len < n || memcmp(path.p, r->path, n) != 0)
		return false;
	return path.len == n || n == 0 || (r->prefix && path.p[n] == '/');
}

const struct route *
route_find(struct span target)
{
	const char *query = memchr(target.p, '?', target.len);
	struct span path = target;
	const struct route *r = table;

	if (query != NULL)
		path.len = (size_t)(query - target.p);
	while (!matches(r, path))
		r++; /* the last row matches everything */
	return r;
}

bool
route_allows(const struct route *r, struct span method)
{
	if (r->methods & ROUTE_ANY)
		return true;
	if (r->methods & ROUTE_GET)
		return span_eq(method, "GET") || span_eq(method, "HEAD");
	return span_eq(method, "POST");
}
