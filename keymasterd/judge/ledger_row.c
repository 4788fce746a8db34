/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a row: one JSON object, members in the order of doc/design.md. Written by
 * hand rather than with jsonw, because every decision waits for it. What agents sent is
 * escaped member by member; long members are cut. Judge only.
 */
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/redact.h"

#include <string.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/proto.h"
#include "common/rfc3339.h"
#include "common/sha256.h"
#include "common/utf8.h"

static const char *const kinds[] = {"", "decision", "completion", "admin", "system"};

const char *
ledger_kind_name(enum ledger_kind kind)
{
	return kinds[kind];
}

/* key is `,"name":"` with its quotes; a literal, so that its length is a constant. */
#define PUT_TEXT(out, key, s) \
	((s).p == NULL ? 0 : put_text((out), ",\"" key "\":\"", sizeof(key) + 4, (s)))

static int
put_escaped(struct buf *out, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *plain;
	uint32_t cp;
	size_t n;

	while (p < end) {
		plain = json_skip_plain(p, end);
		if (buf_put(out, p, (size_t)(plain - p)) == -1)
			return -1;
		p = plain;
		if (p == end)
			break;
		n = utf8_decode(p, (size_t)(end - p), &cp);
		if (n == 0 || cp == 0) { /* readers refuse U+0000, ours too */
			cp = 0xfffd;
			n = n == 0 ? 1 : n;
		}
		if (jsonw_put_char(out, cp, false) == -1)
			return -1;
		p += n;
	}
	return 0;
}

static int
put_text(struct buf *out, const char *key, size_t keylen, struct span s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	size_t len = s.len;
	int cut = len > LEDGER_FIELD_MAX;

	if (cut) {
		len = LEDGER_FIELD_MAX;
		while (len > LEDGER_FIELD_MAX - 4 && (p[len] & 0xc0) == 0x80)
			len--; /* not in the middle of a character */
	}
	if (buf_put(out, key, keylen) == -1 || put_escaped(out, p, p + len) == -1)
		return -1;
	if (cut && buf_put(out, "...", 3) == -1)
		return -1;
	return buf_putc(out, '"');
}

static int
put_uint(struct buf *out, const char *key, uint64_t v)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return buf_puts(out, key) == -1 ||
		buf_put(out, digits + n, sizeof(digits) - n) == -1
	    ? -1
	    : 0;
}

static int
put_hex(struct buf *out, const char *key, const uint8_t *p, size_t n)
{
	if (p == NULL)
		return 0;
	if (buf_puts(out, key) == -1 || buf_reserve(out, 2 * n + 2) == -1)
		return -1;
	(void)hex_encode(p, n, (char *)out->p + out->len, 2 * n + 1);
	out->len += 2 * n;
	return buf_putc(out, '"');
}

/* The text up to the seconds is kept: rows come many to a second. */
static int
put_time(struct buf *out, uint64_t us)
{
	static char second[RFC3339_SIZE];
	static uint64_t known = UINT64_MAX;
	uint32_t frac = (uint32_t)(us % 1000000);
	char tail[9] = ".000000Z";
	int i;

	if (us / 1000000 != known) {
		if (rfc3339_format(
			(int64_t)(us / 1000000), 0, 0, second, sizeof(second)) != 20)
			return -1;
		known = us / 1000000;
	}
	for (i = 6; i > 0; i--, frac /= 10)
		tail[i] = (char)('0' + frac % 10);
	return buf_puts(out, ",\"time\":\"") == -1 || buf_put(out, second, 19) == -1 ||
		buf_put(out, tail, 8) == -1 || buf_putc(out, '"') == -1
	    ? -1
	    : 0;
}

static int
put_proof(struct buf *out, const uint8_t *proof)
{
	char text[92];
	ssize_t n;

	if (proof == NULL)
		return 0;
	n = b64_encode(B64_STD, proof, 64, text, sizeof(text));
	if (n < 0)
		return -1;
	return PUT_TEXT(out, "proof", ((struct span){text, (size_t)n}));
}

static int
put_key(struct buf *out, const uint8_t *key)
{
	char text[48];
	ssize_t n;

	if (key == NULL)
		return 0;
	n = b64_encode(B64_STD, key, 32, text, sizeof(text));
	if (n < 0)
		return -1;
	return PUT_TEXT(out, "key", ((struct span){text, (size_t)n}));
}

/* The hash of what stands beside the row in the file; key is as for put_hex(). */
static int
put_digest(struct buf *out, const char *key, struct span s)
{
	uint8_t hash[SHA256_LEN];

	if (s.p == NULL)
		return 0;
	sha256_two(s.p, s.len, NULL, 0, hash);
	return put_hex(out, key, hash, sizeof(hash));
}

static int
put_numbers(struct buf *out, const struct ledger_row *r)
{
	int bad = 0;

	if (r->has_bytes) {
		bad |= put_uint(out, ",\"bytes_in\":", r->bytes_in);
		bad |= put_uint(out, ",\"bytes_out\":", r->bytes_out);
	}
	if (r->has_duration)
		bad |= put_uint(out, ",\"duration_us\":", r->duration_us);
	return bad;
}

int
ledger_row_text(const struct ledger_row *r, uint64_t seq, uint64_t now_us,
    const char *chain, struct buf *out)
{
	struct span path = r->path.p != NULL ? redact_path(r->path) : r->path;
	int bad = 0;

	bad |= put_uint(out, "{\"seq\":", seq);
	bad |= put_time(out, now_us);
	bad |= PUT_TEXT(out, "chain", span_str(chain));
	bad |= PUT_TEXT(out, "tenant", r->tenant);
	bad |= PUT_TEXT(out, "kind", span_str(kinds[r->kind]));
	bad |= put_hex(out, ",\"request\":\"", r->request, REQUEST_ID_LEN);
	bad |= PUT_TEXT(out, "event", r->event);
	bad |= PUT_TEXT(out, "agent", r->agent);
	bad |= PUT_TEXT(out, "service", r->service);
	bad |= PUT_TEXT(out, "credential", r->credential);
	bad |= PUT_TEXT(out, "method", r->method);
	bad |= PUT_TEXT(out, "domain", r->domain);
	bad |= PUT_TEXT(out, "path", path);
	bad |= PUT_TEXT(out, "tool", r->tool);
	bad |= PUT_TEXT(out, "server", r->server);
	bad |= PUT_TEXT(out, "arguments", r->arguments);
	bad |= PUT_TEXT(out, "context", r->context);
	bad |= PUT_TEXT(out, "session", r->session);
	bad |= PUT_TEXT(out, "exec", r->exec);
	bad |= PUT_TEXT(out, "workload", r->workload);
	bad |= PUT_TEXT(out, "operator", r->oper);
	bad |= PUT_TEXT(out, "policy", r->policy);
	if (r->decision != 0)
		bad |= PUT_TEXT(out, "decision",
		    span_str(r->decision == LEDGER_ALLOWED ? "allowed" : "blocked"));
	bad |= PUT_TEXT(out, "code", r->code);
	if (r->status != 0)
		bad |= put_uint(out, ",\"status\":", r->status);
	bad |= PUT_TEXT(out, "reason", r->reason);
	if (r->counted && r->decision == LEDGER_BLOCKED)
		bad |= PUT_TEXT(out, "counted", span_str("yes"));
	bad |= put_numbers(out, r);
	bad |= put_hex(out, ",\"judged\":\"", r->judged, 32);
	bad |= put_proof(out, r->proof);
	bad |= put_digest(out, ",\"signed\":\"", r->signed_text);
	bad |= put_key(out, r->key);
	bad |= put_digest(out, ",\"token\":\"", r->token);
	bad |= PUT_TEXT(out, "peer", r->peer);
	bad |= PUT_TEXT(out, "detail", r->detail);
	bad |= buf_putc(out, '}');
	return bad != 0 ? -1 : 0;
}

const char *
ledger_outcome_name(unsigned outcome)
{
	static const char *const names[] = {"", "ok", "agent_gone",
	    "upstream_unreachable", "upstream_timeout", "upstream_broken",
	    "address_refused", "domain_refused", "secret_echoed", "grant_refused",
	    "too_large", "tool_down", "tool_timeout", "tool_broken", "unredeemed", "lost",
	    "access_refused", "closed"};

	return outcome > 0 && outcome < sizeof(names) / sizeof(names[0]) ? names[outcome]
									 : "unknown";
}
