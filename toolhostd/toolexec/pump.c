/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pump between a tool server and toolhost. It alone knows the server's secrets, so it
 * alone can keep them back: a line that holds one in any usual spelling is not passed on;
 * its caller gets a JSON-RPC error instead.
 */
#include "toolhostd/toolexec/pump.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/log.h"
#include "common/reflect.h"
#include "common/secret.h"
#include "toolhostd/toolexec/environ.h"
#include "toolhostd/toolexec/plan.h"

#define STEP 65536
#define ERROR_LINE_SHOWN 2048
#define ERROR_LINE_MAX \
	(ERROR_LINE_SHOWN + 262144) /* and the longest spelling of a secret */
#define LINES_BURST 200u
#define LINES_A_SECOND 20u
#define PART_MIN 12 /* a line of a secret that has several */
#define PARTS_MAX 128

static struct reflect *searches[ENVIRON_SECRETS_MAX];
static size_t nsearches;
static struct reflect *parts[PARTS_MAX]; /* lines of secrets that have several */
static size_t nparts;
static struct json_doc doc;

/* A key in PEM is written on many lines, none of which holds all of it. */
static int
add_parts(const void *p, size_t len, void *arg)
{
	const char *at = p, *end = at + len, *nl;
	struct secret *line;

	(void)arg;
	if (memchr(p, '\n', len) == NULL)
		return 0;
	for (; at < end && nparts < PARTS_MAX; at = nl + 1) {
		nl = memchr(at, '\n', (size_t)(end - at));
		if (nl == NULL)
			nl = end;
		if (nl - at < PART_MIN || strncmp(at, "-----", 5) == 0)
			continue;
		line = secret_new(at, (size_t)(nl - at));
		parts[nparts] = line == NULL ? NULL : reflect_new(line, false);
		secret_free(line);
		if (parts[nparts++] == NULL)
			return -1;
	}
	return 0;
}

void
pump_setup(struct secret *const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		searches[nsearches] = reflect_new(list[i], false);
		if (searches[nsearches++] == NULL ||
		    secret_use(list[i], add_parts, NULL) != 0)
			fatalx("%s: no memory for the search", plan.name);
	}
	json_init(&doc);
}

static bool
holds_any(struct reflect *const *list, size_t n, const uint8_t *p, size_t len)
{
	struct reflect_at at;
	size_t i;

	for (i = 0; i < n; i++) {
		memset(&at, 0, sizeof(at));
		if (reflect_feed(list[i], &at, p, len))
			return true;
	}
	return false;
}

static bool
holds_secret(const uint8_t *p, size_t len)
{
	return holds_any(searches, nsearches, p, len);
}

static bool
holds_part(const uint8_t *p, size_t len)
{
	return holds_any(parts, nparts, p, len);
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

/* -- error output -- */

static uint64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/*
 * A server may write as much as it likes; the log takes LINES_BURST lines at once and
 * LINES_A_SECOND after that, and is told how many it missed.
 */
static bool
may_log(size_t len)
{
	static unsigned tokens = LINES_BURST;
	static uint64_t filled_ms, dropped, octets;
	uint64_t now = now_ms(), new = (now - filled_ms) * LINES_A_SECOND / 1000;

	if (new > 0) {
		filled_ms = now;
		tokens =
		    new > LINES_BURST - tokens ? LINES_BURST : tokens + (unsigned)new;
	}
	if (tokens == 0) {
		dropped++;
		octets += len;
		return false;
	}
	tokens--;
	if (dropped > 0)
		LOG_WARN("tool.stderr_dropped", LS("server", plan.name),
		    LU("lines", dropped), LU("bytes", octets));
	dropped = octets = 0;
	return true;
}

static void
say_line(const uint8_t *p, size_t len)
{
	size_t shown = len > ERROR_LINE_SHOWN ? ERROR_LINE_SHOWN : len;

	if (len == 0 || !may_log(len))
		return;
	/* the whole line is searched, also what is not shown of it: a secret that begins
	 * before the cut ends behind it */
	if (holds_secret(p, len) || holds_part(p, len))
		LOG_WARN("tool.stderr", LS("server", plan.name),
		    LS("execution", plan.execution), LS("line", "[REDACTED]"));
	else
		LOG_INFO("tool.stderr", LS("server", plan.name),
		    LS("execution", plan.execution), LSN("line", p, shown));
}

/* Whole lines into the log; of one that does not end its beginning, and then nothing
 * until the next. */
static void
log_lines(struct buf *b, bool end)
{
	static bool skipping;
	const uint8_t *nl;
	size_t start = 0, len;

	while (start < b->len) {
		nl = memchr(b->p + start, '\n', b->len - start);
		if (nl == NULL && !end && b->len - start < ERROR_LINE_MAX && !skipping)
			break;
		len = nl == NULL ? b->len - start : (size_t)(nl - (b->p + start));
		if (!skipping)
			say_line(b->p + start, len);
		skipping = nl == NULL;
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

int
pump_run(int child_exit, int relay_exit, int out, int err)
{
	struct pollfd p[4] = {{.fd = out, .events = POLLIN},
	    {.fd = err, .events = POLLIN}, {.fd = child_exit, .events = POLLIN},
	    {.fd = relay_exit, .events = POLLIN}};
	int r = 0;
	struct buf output, errors;

	buf_init(&output);
	buf_init(&errors);
	while (p[0].fd >= 0 || p[1].fd >= 0 || p[2].fd >= 0) {
		if (poll(p, 4, p[2].fd >= 0 ? -1 : 200) <= 0) {
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
		if (p[3].revents != 0) {
			r = p[2].fd >= 0 ? -1 : 0;
			break;
		}
	}
	buf_wipe_free(&output);
	buf_wipe_free(&errors);
	return r;
}
