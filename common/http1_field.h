/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What single fields mean for framing; between http1.c and http1_field.c only.
 */
#ifndef AEGIS_COMMON_HTTP1_FIELD_H
#define AEGIS_COMMON_HTTP1_FIELD_H

#include "common/http1.h"

struct http1_framing { /* collected while the fields go by */
	uint64_t length;
	bool has_length;
	bool chunked;
	bool close;
	bool keep_alive;
	bool conn_upgrade;
	bool has_upgrade;
	bool expect;
};

/* Take note of one field.  0 or a negative enum http1_err. */
int http1_field_note(
    struct http1_head *head, struct http1_framing *f, const struct http1_header *field);

/* After the last field: derive body, keep_alive and the rest. */
int http1_field_finish(struct http1_head *head, const struct http1_framing *f);

/* Classify and check head->target, given head->method.  RFC 9112 3.2. */
int http1_target_form(struct http1_head *head);

#endif
