/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gate refuses by itself: the judge writes the row and words the answer, so that
 * every refusal is in the ledger and looks alike. The text comes from agents through the
 * gate. Judge only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/proto.h"
#include "keymasterd/judge/authorize.h"
#include "keymasterd/judge/flight.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/seal_error.h"
#include "keymasterd/judge/sealed.h"

struct words {
	uint32_t status;
	uint8_t close;
	const char *code;
	const char *error;
	const char *headers;
};

static const char inspection_hint[] =
    "Body inspection: blocked. Take the credential out of the request; the gate adds the "
    "one it is for. If it is "
    "none: "
    "aegis vault update --name NAME --body-inspection warn";

static const struct words table[] = {
    [REFUSAL_BODY_INSPECTION] = {403, 0, "body_inspection",
	"Request body contains credential-like patterns", NULL},
    [REFUSAL_BODY_UNREADABLE] = {415, 0, "body_inspection",
	"Request body cannot be inspected", NULL},
    [REFUSAL_BAD_REQUEST] = {400, 1, "bad_request", "Malformed HTTP request", NULL},
    [REFUSAL_HEADERS_TOO_LARGE] = {431, 1, "headers_too_large",
	"Request header fields too large", NULL},
    [REFUSAL_TARGET_TOO_LONG] = {414, 1, "target_too_long", "Request target too long",
	NULL},
    [REFUSAL_METHOD_NOT_ALLOWED] = {405, 0, "method_not_allowed", "Method not allowed",
	NULL},
    [REFUSAL_BODY_TOO_LARGE] = {413, 1, "body_too_large", "Request body too large", NULL},
    [REFUSAL_HEADER_TIMEOUT] = {408, 1, "header_timeout",
	"The request's head did not arrive in time", NULL},
    [REFUSAL_BODY_TIMEOUT] = {408, 1, "body_timeout",
	"The request's body did not arrive in time", NULL},
    [REFUSAL_TOO_MANY_CONNECTIONS] = {503, 1, "too_many_connections",
	"Too many connections", "Retry-After: 1\r\n"},
    [REFUSAL_SHUTTING_DOWN] = {503, 1, "shutting_down", "Aegis Gate is shutting down",
	NULL},
    [REFUSAL_UNSUPPORTED_MEDIA] = {415, 0, "unsupported_media",
	"Content-Type must be application/json", NULL},
    [REFUSAL_NOT_FOUND] = {404, 0, "not_found", "Nothing is served at this path", NULL},
    [REFUSAL_EXPECTATION] = {417, 1, "expectation", "Expectation cannot be met", NULL},
    [REFUSAL_REDEEMER_GONE] = {502, 0, "redeemer_gone",
	"Failed to reach upstream service", NULL},
    [REFUSAL_UPSTREAM_TIMEOUT] = {504, 0, "upstream_timeout",
	"Upstream request timed out", NULL},
    [REFUSAL_UPGRADE] = {426, 1, "upgrade_required", "Not a WebSocket handshake",
	"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"},
    [REFUSAL_ANSWER_TOO_LARGE] = {403, 0, "2006",
	"The tool's answer is larger than allowed", NULL},
};

/* Who would have answered was ended because of it. */
static const struct words sealed = {503, 0, SEALED_CODE, SEALED_ERROR, NULL};

/* A number of octets; 0 when it is none. */
static uint64_t
limit_of(struct span s)
{
	char text[24];

	return span_copy(s, text, sizeof(text)) == 0 ? strtoull(text, NULL, 10) : 0;
}

int
refusal_record(struct chan *c, uint64_t reqid, void *msg)
{
	static const uint8_t zeros[REQUEST_ID_LEN];
	const struct msg_refusal_record *m = msg;
	const struct words *w;
	const char *mark;
	struct decide d;
	uint32_t status;

	if (m->reason == 0 || m->reason >= sizeof(table) / sizeof(table[0]))
		return -1;
	w = vault_sealed && m->reason == REFUSAL_REDEEMER_GONE ? &sealed
							       : &table[m->reason];
	status =
	    w != &sealed && m->status >= 400 && m->status <= 599 ? m->status : w->status;
	decide_begin(&d, c, reqid, m->peer);
	d.budget = LEDGER_CAUSE_HTTP;
	if (memcmp(m->request_id, zeros, sizeof(zeros)) != 0) {
		memcpy(d.request_id, m->request_id, sizeof(d.request_id));
		flight_name(m->request_id, &d.row);
		/* beside the redeemer's own row: what the agent was told instead of an
		 * answer */
		if (m->reason != REFUSAL_BODY_INSPECTION &&
		    m->reason != REFUSAL_BODY_UNREADABLE) {
			d.row.kind = LEDGER_COMPLETION;
			d.row.event = span_str("gate.answer");
		} else {
			d.row.event = span_str("body.blocked");
		}
	}
	if (m->method.len > 0)
		d.row.method = m->method;
	if (m->target.len > 0) {
		d.row.path = m->target;
		mark = memchr(m->target.p, '?', m->target.len);
		if (mark != NULL)
			d.row.path.len = (size_t)(mark - m->target.p);
	}
	if (m->detail.len > 0)
		d.row.detail = m->detail;
	d.close = w->close;
	d.headers = w->headers;
	if (m->reason == REFUSAL_METHOD_NOT_ALLOWED) /* the gate knows two kinds */
		d.headers = m->seal ? "Allow: POST\r\n" : "Allow: GET, HEAD\r\n";
	else if (d.headers == NULL && status == 503 && w != &sealed)
		d.headers = "Retry-After: 1\r\n";
	d.seal = m->seal;
	if (m->seal && m->reason == REFUSAL_ANSWER_TOO_LARGE) {
		seal_refuse(&d,
		    &(struct seal_refusal){.code = SEAL_NO_CAPABILITY,
			.message = w->error,
			.reason = "max_response_size",
			.limit = limit_of(m->detail)});
	} else if (m->seal) {
		char message[400];

		(void)snprintf(message, sizeof(message), "%s%s%.*s", w->error,
		    m->detail.len > 0 ? ": " : "", (int)m->detail.len, m->detail.p);
		d.row.code = span_str(w->code);
		decide_refuse_seal(&d, status,
		    m->reason == REFUSAL_BAD_REQUEST ? 1000 : status, message,
		    (struct span){NULL, 0});
	} else if (w == &sealed) {
		decide_refuse(
		    &d, status, w->code, w->error, SEALED_HINT, DK("status", "sealed"));
	} else if (m->reason == REFUSAL_BODY_INSPECTION) {
		decide_refuse(&d, status, w->code, w->error, inspection_hint,
		    DK("mode", "block"), DKL("matches", m->detail));
	} else if (m->detail.len > 0) {
		decide_refuse(
		    &d, status, w->code, w->error, NULL, DKS("detail", m->detail));
	} else {
		decide_refuse(&d, status, w->code, w->error, NULL, DK_END);
	}
	return 0;
}

int
body_found(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_body_found *m = msg;
	struct ledger_row row = {.kind = LEDGER_COMPLETION,
	    .event = span_str("body.warned"),
	    .request = m->request_id,
	    .code = span_str("body_inspection"),
	    .detail = m->detail};

	(void)reqid;
	flight_name(m->request_id, &row);
	(void)ledger_append_budget(
	    &row, LEDGER_CAUSE_HTTP, role_name(chan_peer_role(c)), chan_peer_instance(c));
	return 0;
}
