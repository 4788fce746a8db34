/* SPDX-License-Identifier: Apache-2.0 */
/* gated for agents has no feeds, and so no library that reads their frames. */
#include "gated/feed.h"
#include "gated/refuse.h"

void
feed_begin(struct req *r, const struct http1_head *h)
{
	(void)h;
	refuse(r, REFUSAL_NOT_FOUND, 404, "there are no feeds here");
}

void
feed_open(struct req *r)
{
	refuse_alone(r, 503);
}

void
feed_input(struct req *r, const char *p, size_t len)
{
	(void)r;
	(void)p;
	(void)len;
}

void
feed_alive(struct req *r)
{
	(void)r;
}

void
feed_close(struct req *r)
{
	(void)r;
}

void
feed_tell_gone(const uint8_t id[REQUEST_ID_LEN])
{
	(void)id;
}

int
feed_end(struct chan *c, uint64_t reqid, void *msg)
{
	(void)c;
	(void)reqid;
	(void)msg;
	return -1;
}

int
feed_row(struct chan *c, uint64_t reqid, void *msg)
{
	(void)c;
	(void)reqid;
	(void)msg;
	return -1;
}
