/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to the gate and its answer, blocking. The bridge is an agent like any
 * other: it holds nothing but an agent's token, and what the gate refuses it cannot do.
 * Answers are read strictly, since an upstream wrote them. Any thread.
 */
#ifndef AEGIS_BRIDGE_GATE_H
#define AEGIS_BRIDGE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/http1.h"
#include "common/span.h"

#define GATE_BODY_MAX (4u * 1024 * 1024) /* of an answer */
#define GATE_HEAD_MAX 65536
#define GATE_TIME_MS 600000 /* a request, whatever the gate's own limits are */
#define GATE_ERROR_MAX 256

/* Where the gate is; http://host:port, or https with certificate authorities in ca ("":
 * the system's). 0; -1 with a text in err. Once, before any thread. */
int gate_init(const char *url, const char *ca, char err[GATE_ERROR_MAX]);

struct gate_answer {
	struct buf raw; /* the head's octets, which head points into */
	struct http1_head head;
	struct buf body; /* without its framing */
};

/*
 * Sends method, target and fields ("Name: value\r\n" each, without Host and framing) with
 * a body and reads the answer. 0; -1 with a text in err. Free the answer in both cases.
 */
int gate_request(struct span method, struct span target, struct span fields,
    struct span body, struct gate_answer *, char err[GATE_ERROR_MAX]);
void gate_answer_free(struct gate_answer *);

#endif
