/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pump between a tool server and toolhost. It alone knows the server's secrets, so it
 * alone can keep them back: a line that holds one in any usual spelling is not passed on;
 * its caller gets a JSON-RPC error instead.
 */
#include "toolhostd/toolexec/pump.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/log.h"
#include "common/reflect.h"
#include "common/secret.h"
#include "toolhostd/toolexec/environ.h"
#include "toolhostd/toolexec/plan.h"

#define STEP 65536
#define ERROR_LINE_MAX 4096

static struct reflect *searches[ENVIRON_SECRETS_MAX];
static size_t nsearches;
static struct json_doc doc;

void
pump_setup(struct secret *const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		searches[nsearches] = reflect_new(list[i], false);
		if (searches[nsearches++] == NULL)
			fatalx("%s: no memory for the search", plan.name);
	}
	json_init(&doc);
}

static int
holds_secret(const uint8_t *p, size_t len)
{
	struct reflect_at at;
	size_t i;

	for (i = 0; i < nsearches; i++) {
		memset(&at, 0, sizeof(at));
		if (reflect_feed(searches[i], &at, p, len))
			return 1;
	}
	return 0;
}

static int
write_all(const void *p, size_t len)
{
	const char *at = p;
	ssize_t n;

	while (len > 0) {
		n = write(STDOUT_FILENO, at, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Instead of a line with a secret: an error for whoever waits for it. */
static int
withhold(const uint8_t *line, size_t len)
{
	const struct json_limits limits = {.size = plan.max_output, .nodes = 1u << 20};
	char text[256];
	int64_t id;
	int n;

	LOG_WARN("tool.secret_withheld", LS("server", plan.name), LU("bytes", len));
	if (json_parse(&doc, line, len, &limits) != JSON_OK ||
	    json_int64(&doc, json_get(&doc, json_root(&doc), "id"), &id) == -1)
		return 0;
	n = snprintf(text, sizeof(text),
	    "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"error\":{\"code\":-32000,\"message\":"
	    "\"The tool's answer contained one of its secrets and was withheld\"}}\n",
	    (long long)id);
	return write_all(text, (size_t)n);
}

/* Whole lines of the output; what is left stays. -1: nobody reads, or a line too long. */
static int
pass_lines(struct buf *b)
{
	const uint8_t *nl;
	size_t start = 0, len;
	int r = 0;

	while (r == 0 && (nl = memchr(b->p + start, '\n', b->len - start)) != NULL) {
		len = (size_t)(nl - (b->p + start));
		r = holds_secret(b->p + start, len) ? withhold(b->p + start, len)
						    : write_all(b->p + start, len + 1);
		start += len + 1;
	}
	memmove(b->p, b->p + start, b->len - start);
	b->len -= start;
	return b->len > plan.max_output ? -1 : r;
}

/* Error output, line by line into the log, cut at ERROR_LINE_MAX. */
static void
log_lines(struct buf *b, int end)
{
	const uint8_t *nl;
	size_t start = 0, len;

	while (start < b->len) {
		nl = memchr(b->p + start, '\n', b->len - start);
		if (nl == NULL && !end && b->len - start < ERROR_LINE_MAX)
			break;
		len = nl == NULL ? b->len - start : (size_t)(nl - (b->p + start));
		if (holds_secret(b->p + start, len))
			LOG_WARN("tool.stderr", LS("server", plan.name),
			    LS("line", "[REDACTED]"));
		else if (len > 0)
			LOG_INFO("tool.stderr", LS("server", plan.name),
			    LSN("line", b->p + start, len));
		start += len + (nl != NULL);
	}
	memmove(b->p, b->p + start, b->len - start);
	b->len -= start;
}

/* One read. 0: more may come, -1: this end is done. */
static int
fill(int fd, struct buf *b)
{
	ssize_t n;

	if (buf_reserve(b, STEP) == -1)
		return -1;
	n = read(fd, b->p + b->len, STEP);
	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		return -1;
	b->len += (size_t)n;
	return 0;
}

void
pump_run(int child_exit, int out, int err)
{
	struct pollfd p[3] = {{.fd = out, .events = POLLIN},
	    {.fd = err, .events = POLLIN}, {.fd = child_exit, .events = POLLIN}};
	struct buf output, errors;

	buf_init(&output);
	buf_init(&errors);
	while (p[0].fd >= 0 || p[1].fd >= 0 || p[2].fd >= 0) {
		if (poll(p, 3, p[2].fd >= 0 ? -1 : 200) <= 0) {
			if (p[2].fd < 0)
				break; /* a grandchild holds the pipes open: enough */
			continue;
		}
		if (p[0].fd >= 0 && p[0].revents != 0 &&
		    (fill(p[0].fd, &output) == -1 || pass_lines(&output) == -1)) {
			close(p[0].fd);
			p[0].fd = -1;
			close(STDOUT_FILENO);
		}
		if (p[1].fd >= 0 && p[1].revents != 0) {
			if (fill(p[1].fd, &errors) == -1)
				p[1].fd = -1;
			log_lines(&errors, p[1].fd == -1);
		}
		if (p[2].fd >= 0 && p[2].revents != 0)
			p[2].fd = -1;
	}
	buf_wipe_free(&output);
	buf_wipe_free(&errors);
}
