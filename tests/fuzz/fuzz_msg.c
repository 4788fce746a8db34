/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every message of proto/: what decodes must encode to the same octets again (there is
 * one way to write a message), and printing it must not fail.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t given[MSG_MAX], in[MSG_MAX], out[MSG_MAX];
	struct wire_w w = {.p = out, .cap = sizeof(out)};
	const struct msg_desc *d;
	const struct msg_field *f;
	int fds[WIRE_MAX_FDS];
	struct msg_head head;
	union msg_any msg;
	struct buf text;
	unsigned i;
	size_t n, k;

	if (len > sizeof(in) || len < MSG_HEADER)
		return 0;
	memcpy(given, data, len);
	given[0] = MSG_VERSION >> 8; /* so that seeds outlive a change of it */
	given[1] = MSG_VERSION & 0xff;
	memcpy(in, given, len);
	if (msg_head_decode(in, len, &head) == -1 || head.len != len - MSG_HEADER ||
	    (d = msg_desc_get(head.type)) == NULL)
		return 0;
	for (i = 0; i < head.nfds; i++)
		fds[i] = 1000 + (int)i; /* never used: taken back before the release */
	if (msg_decode(d, in + MSG_HEADER, len - MSG_HEADER, fds, head.nfds, &msg) == -1)
		return 0;
	buf_init(&text);
	msg_print(d, &msg, &text);
	buf_free(&text);
	/* a secret was wiped out of the input, so compare with what was given */
	if (msg_encode(&w, d, &msg, head.reqid, head.deadline_ms) == -1 || w.len != len ||
	    memcmp(out, given, len) != 0)
		abort();
	for (f = d->fields(&n), k = 0; k < n; k++)
		if (f[k].kind == FIELD_FD || f[k].kind == FIELD_OPTFD)
			memcpy(msg.octets + f[k].offset, &(int){-1}, sizeof(int));
	msg_release(d, &msg);
	return 0;
}
