/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a head to the part that serves it. gated; heads come from agents.
 */
#include <string.h>

#include "gated/answer.h"
#include "gated/ask.h"
#include "gated/body.h"
#include "gated/conf.h"
#include "gated/conn.h"
#include "gated/feed.h"
#include "gated/health.h"
#include "gated/refuse.h"
#include "gated/req.h"

/* Any request target but origin form; the hint helps who set us up as an HTTP proxy. */
static const char *
form_refusal(enum http1_form form)
{
	switch (form) {
	case HTTP1_FORM_ABSOLUTE:
		return "absolute request target: Aegis is no HTTP proxy; "
		       "unset the proxy setting and use http://<gate>/<service>/<path>";
	case HTTP1_FORM_AUTHORITY:
		return "CONNECT: Aegis is no HTTP proxy; "
		       "unset the proxy setting and use http://<gate>/<service>/<path>";
	case HTTP1_FORM_ASTERISK:
		return "OPTIONS *: ask for a path";
	default:
		return NULL;
	}
}

/* The path of an absolute request target, for the words that its client understands. */
static struct span
path_of(struct span target)
{
	const char *p = target.p, *end = target.p + target.len;
	unsigned slashes = 0;

	for (; p < end; p++)
		if (*p == '/' && ++slashes == 3)
			break;
	return span_mem(p, (size_t)(end - p));
}

static void
dispatch(struct req *r, const struct http1_head *h)
{
	switch (r->route->kind) {
	case ROUTE_HEALTH:
		health_answer(r);
		return;
	case ROUTE_SEAL:
		seal_begin(r, h);
		return;
	case ROUTE_API:
	case ROUTE_METRICS:
		api_begin(r, h);
		return;
	case ROUTE_FEED:
		feed_begin(r, h);
		return;
	case ROUTE_MCP:
		mcp_begin(r, h);
		return;
	default:
		proxy_begin(r, h);
	}
}

static uint64_t begun;

uint64_t
requests_begun(void)
{
	return begun;
}

void
request_begin(struct conn *c, const struct http1_head *h)
{
	struct req *r = req_new(c);
	const char *why;

	begun++;
	if (r == NULL || req_keep(r, &r->target, h->target) != 0) {
		conn_close(c, true);
		return;
	}
	memcpy(r->method, h->method.p, h->method.len);
	r->method_len = (uint8_t)h->method.len;
	r->minor = (uint8_t)h->minor;
	r->head_only = span_eq(h->method, "HEAD");
	r->keep_alive = h->keep_alive;
	r->wants_continue = h->expect_continue;
	if (!h->keep_alive)
		c->close_after = true;
	r->body_len =
	    h->body == HTTP1_BODY_CHUNKED ? BODY_LEN_UNKNOWN : h->content_length;
	body_init(&r->body, h, gate_conf.max_body);
	why = form_refusal(h->form);
	if (why != NULL) {
		c->close_after = true;
		r->seal = h->form == HTTP1_FORM_ABSOLUTE &&
		    route_find(path_of(h->target))->seal;
		refuse(r,
		    h->form == HTTP1_FORM_AUTHORITY ? REFUSAL_METHOD_NOT_ALLOWED
						    : REFUSAL_BAD_REQUEST,
		    h->form == HTTP1_FORM_AUTHORITY ? 405 : 400, why);
		return;
	}
	r->route = route_find(h->target);
	r->seal = r->route->seal;
	if (!route_allows(r->route, h->method)) {
		refuse(
		    r, REFUSAL_METHOD_NOT_ALLOWED, 405, "this path takes another method");
		return;
	}
	dispatch(r, h);
}

void
request_collected(struct req *r)
{
	switch (r->route->kind) {
	case ROUTE_SEAL:
		seal_collected(r);
		return;
	case ROUTE_API:
	case ROUTE_METRICS:
		api_collected(r);
		return;
	case ROUTE_MCP:
		judge_ask_mcp(r);
		return;
	default:
		proxy_collected(r);
	}
}
