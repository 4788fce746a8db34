/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: bodies that ask for a session, of attestation and of the sessions API.
 * What is read keeps what the session's row and the token's claims rely on; what is
 * refused says why.
 */
#include <stdlib.h>
#include <string.h>

#include "common/context.h"
#include "keymasterd/judge/attest_body.h"
#include "keymasterd/judge/context_table.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/seal_error.h"
#include "keymasterd/judge/session_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

struct judge_conf judge_conf;
struct store *judge_store;
int judge_stopping;
struct judge_keys judge_keys;

#define NOW 1772366400 /* 2026-03-01T12:00:00Z */

/* No octet of a claim or of a row that ends a line elsewhere, and an end in its room. */
static void
check_text(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	must(len < size);
	for (size_t i = 0; i < len; i++)
		must((unsigned char)text[i] >= 0x20 || strchr("\r\n\t", text[i]) != NULL);
}

static void
check_attest(struct span body)
{
	static struct mint m;
	const char *why = NULL;
	unsigned code;

	memset(&m, 0, sizeof m);
	code = attest_body_read(body, &m, &why);
	check_text(m.wid, sizeof m.wid);
	check_text(m.row.context, sizeof m.row.context);
	must((code == 0) == (why == NULL));
	must(m.row.context[0] == '\0' || context_name_ok(span_str(m.row.context)));
	if (code != 0) {
		must(code == SEAL_ATTEST || code == SEAL_SCOPE);
		return;
	}
	check_text(m.task, sizeof m.task);
	must(m.row.context[0] != '\0');
}

static void
check_session(struct span body)
{
	static struct mint m;
	static struct buf token;
	uint64_t expires_s = 1;
	const char *why;

	memset(&m, 0, sizeof m);
	why = session_body_read(body, "t", NOW, &m, &expires_s, &token);
	if (why != NULL)
		return;
	must(expires_s == 0 || (expires_s > NOW && expires_s <= NOW + 86400));
	must(m.row.exec_id[0] != '\0' && m.row.sub[0] != '\0');
	check_text(m.row.exec_id, sizeof m.row.exec_id);
	check_text(m.row.sub, sizeof m.row.sub);
	check_text(m.row.context, sizeof m.row.context);
	check_text(m.wid, sizeof m.wid);
	check_text(m.task, sizeof m.task);
	must(strnlen(m.row.patterns, sizeof m.row.patterns) < sizeof m.row.patterns);
	must(m.row.patterns[0] == '\0' || session_patterns_ok(m.row.patterns));
	must(m.row.tenant[0] == '\0' && m.row.id[0] == '\0' && !m.attested);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_attest(span_mem(data, size));
	check_session(span_mem(data, size));
	return 0;
}
