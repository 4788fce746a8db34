/* SPDX-License-Identifier: Apache-2.0 */
/* See tools.h. Names, schemas and results are those that MCP hosts know already. */
#include "bridge/tools.h"

#include <stdio.h>
#include <string.h>

#include "bridge/gate.h"
#include "common/b64.h"
#include "common/jsonw.h"
#include "common/utf8.h"

#define ARG_MAX_OCTETS 8192

/* clang-format off */
const char tools_list[] =
    "[{\"name\":\"aegis_proxy_request\",\"description\":\"Make an authenticated API call: "
    "name service and path; the credential is injected on the way and never shown.\","
    "\"inputSchema\":{\"type\":\"object\",\"properties\":{"
    "\"service\":{\"type\":\"string\",\"description\":\"One of aegis_list_services\"},"
    "\"path\":{\"type\":\"string\",\"description\":\"Path and query at the service\"},"
    "\"method\":{\"type\":\"string\",\"enum\":[\"GET\",\"POST\",\"PUT\",\"PATCH\","
    "\"DELETE\",\"HEAD\",\"OPTIONS\"],\"default\":\"GET\"},"
    "\"headers\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}},"
    "\"body\":{\"type\":\"string\"},"
    "\"targetHost\":{\"type\":\"string\",\"description\":\"One of the service's domains\"}},"
    "\"required\":[\"service\",\"path\"],\"additionalProperties\":false}},"
    "{\"name\":\"aegis_list_services\",\"description\":\"List the services that you may "
    "use, never their secrets.\",\"inputSchema\":{\"type\":\"object\",\"properties\":{},"
    "\"additionalProperties\":false}},"
    "{\"name\":\"aegis_health\",\"description\":\"How the gate is, and as whom it knows "
    "you.\",\"inputSchema\":{\"type\":\"object\",\"properties\":{},"
    "\"additionalProperties\":false}}]";
/* clang-format on */

static const char *const methods[] = {
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"};

/* What the gate reads or the connection needs; it is not the model's to set. */
static const char *const ours[] = {"host", "content-length", "transfer-encoding",
    "connection", "x-aegis-agent", "x-target-host", "expect", "upgrade"};

/* Ends a tool with a sentence. */
static int
fail(struct buf *out, bool *failed, const char *why)
{
	*failed = true;
	buf_reset(out);
	return buf_puts(out, "Error: ") == -1 || buf_puts(out, why) == -1 ? -1 : 0;
}

static bool
is_token(const char *s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			(*s >= '0' && *s <= '9') || strchr(others, *s) != NULL))
			return false;
	return true;
}

/* Nothing that could end a line of a head, or a target. */
static bool
is_clean(const char *s, char least)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < (unsigned char)least || *s == 0x7f)
			return false;
	return true;
}

static bool
listed(const char *const *list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(list[i], s) == 0)
			return true;
	return false;
}

#define LISTED(list, s) listed(list, sizeof(list) / sizeof(list[0]), s)

static int
put_field(struct buf *fields, const char *name, const char *value)
{
	return buf_printf(fields, "%s: %s\r\n", name, value);
}

/* The model's own fields. 0; -1 with why, NULL when memory ended. */
static int
put_headers(const struct json_doc *d, uint32_t headers, struct buf *fields, bool *typed,
    const char **why)
{
	char name[256], value[ARG_MAX_OCTETS];
	struct json_iter it;

	*why = NULL;
	if (headers == JSON_NONE)
		return 0;
	*why = "headers is an object of texts";
	if (json_type(d, headers) != JT_OBJECT)
		return -1;
	json_iter_init(&it, d, headers);
	while (json_iter_next(&it, d)) {
		if (json_str_copy(d, it.name, name, sizeof(name), NULL) == -1 ||
		    json_str_copy(d, it.value, value, sizeof(value), NULL) == -1)
			return -1;
		if (!is_token(name) || !is_clean(value, ' ')) {
			*why = "a header has a name or value that HTTP does not allow";
			return -1;
		}
		if (LISTED(ours, name))
			continue;
		*typed |= strcasecmp(name, "content-type") == 0;
		if (put_field(fields, name, value) == -1) {
			*why = NULL;
			return -1;
		}
	}
	*why = NULL;
	return 0;
}

static int
put_body(struct jsonw *w, const struct buf *body, struct buf *scratch)
{
	if (utf8_valid(body->p, body->len) && memchr(body->p, 0, body->len) == NULL) {
		jsonw_key(w, "body");
		jsonw_strn(w, body->p, body->len);
		return 0;
	}
	buf_reset(scratch);
	if (b64_put(B64_STD, scratch, body->p, body->len) == -1)
		return -1;
	jsonw_key_str(w, "bodyEncoding", "base64");
	jsonw_key(w, "body");
	jsonw_strn(w, scratch->p, scratch->len);
	return 0;
}

static int
put_answer(const struct gate_answer *a, struct buf *out)
{
	struct buf scratch;
	struct jsonw w;
	int r;

	buf_init(&scratch);
	buf_reset(out);
	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	jsonw_key_int(&w, "status", a->head.status);
	jsonw_key(&w, "headers");
	jsonw_obj_open(&w);
	for (size_t i = 0; i < a->head.nheaders; i++) {
		const struct http1_header *h = &a->head.headers[i];
		char name[256];
		size_t k;

		for (k = 0; k < i; k++) /* a name once */
			if (span_same(h->name, a->head.headers[k].name))
				break;
		if (k < i || h->name.len >= sizeof(name) ||
		    !utf8_valid((const uint8_t *)h->value.p, h->value.len))
			continue;
		for (k = 0; k < h->name.len; k++)
			name[k] = ascii_lower(h->name.p[k]);
		jsonw_keyn(&w, name, h->name.len);
		jsonw_strn(&w, h->value.p, h->value.len);
	}
	jsonw_obj_close(&w);
	r = put_body(&w, &a->body, &scratch);
	jsonw_obj_close(&w);
	buf_free(&scratch);
	return r == -1 || jsonw_done(&w) != 0 ? -1 : 0;
}

static int
proxy_request(const char *token, const struct json_doc *d, uint32_t args, struct buf *out,
    bool *failed)
{
	char service[65], path[ARG_MAX_OCTETS], method[16] = "GET", host[256] = "";
	char target[ARG_MAX_OCTETS + 80], err[GATE_ERROR_MAX];
	uint32_t m = json_get(d, args, "method"), h = json_get(d, args, "targetHost"),
		 b = json_get(d, args, "body");
	struct gate_answer a = {0};
	struct buf fields, body;
	const char *why = NULL;
	bool typed = false;
	int r = -1;

	buf_init(&fields);
	buf_init(&body);
	if (json_str_copy(
		d, json_get(d, args, "service"), service, sizeof(service), NULL) == -1 ||
	    !is_token(service))
		why = "service is the name of one; aegis_list_services has them";
	else if (json_str_copy(d, json_get(d, args, "path"), path, sizeof(path), NULL) ==
		-1 ||
	    !is_clean(path, '!'))
		why = "path is a text without blanks; encode them as %20";
	else if (m != JSON_NONE &&
	    (json_str_copy(d, m, method, sizeof(method), NULL) == -1 ||
		!LISTED(methods, method)))
		why = "method is GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS";
	else if (h != JSON_NONE &&
	    (json_str_copy(d, h, host, sizeof(host), NULL) == -1 || !is_clean(host, '!')))
		why = "targetHost is one of the service's domains";
	else if (b != JSON_NONE && json_type(d, b) != JT_STRING)
		why = "body is a text";
	else if (put_headers(d, json_get(d, args, "headers"), &fields, &typed, &why) ==
		-1 &&
	    why == NULL)
		goto out;
	if (why != NULL) {
		r = fail(out, failed, why);
		goto out;
	}
	snprintf(
	    target, sizeof(target), "/%s%s%s", service, path[0] == '/' ? "" : "/", path);
	if ((token[0] != '\0' && put_field(&fields, "X-Aegis-Agent", token) == -1) ||
	    (host[0] != '\0' && put_field(&fields, "X-Target-Host", host) == -1) ||
	    (b != JSON_NONE && json_str_put(d, b, &body) == -1) ||
	    (b != JSON_NONE && !typed &&
		put_field(&fields, "Content-Type", "application/json") == -1))
		goto out;
	r = gate_request(span_str(method), span_str(target),
	    span_mem(fields.p, fields.len),
	    b != JSON_NONE ? span_mem(body.len > 0 ? body.p : (const void *)"", body.len)
			   : (struct span){NULL, 0},
	    &a, err);
	r = r == -1 ? fail(out, failed, err) : put_answer(&a, out);
	gate_answer_free(&a);
out:
	buf_wipe_free(&fields);
	buf_free(&body);
	return r;
}

/* The gate's own JSON as it is; what it refuses is an error of the tool. */
static int
pass_on(const char *token, const char *target, struct buf *out, bool *failed)
{
	char err[GATE_ERROR_MAX];
	struct gate_answer a = {0};
	struct buf fields;
	int r = -1;

	buf_init(&fields);
	if (token[0] == '\0' || put_field(&fields, "X-Aegis-Agent", token) == 0) {
		r = gate_request(span_str("GET"), span_str(target),
		    span_mem(fields.p, fields.len), (struct span){NULL, 0}, &a, err);
		if (r == -1)
			r = fail(out, failed, err);
		else if (a.head.status != 200 && buf_put(&a.body, "", 1) == 0)
			r = fail(out, failed, (const char *)a.body.p);
		else
			r = buf_put(out, a.body.p, a.body.len);
		gate_answer_free(&a);
	}
	buf_wipe_free(&fields);
	return r;
}

int
tools_call(const char *token, const struct json_doc *d, const char *name, uint32_t args,
    struct buf *out, bool *failed)
{
	*failed = false;
	if (strcmp(name, "aegis_proxy_request") == 0)
		return proxy_request(token, d, args, out, failed);
	if (strcmp(name, "aegis_list_services") == 0)
		return pass_on(token, "/v1/services", out, failed);
	if (strcmp(name, "aegis_health") == 0)
		return pass_on(token, "/v1/health", out, failed);
	return 1;
}
