/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line's side of the admin socket. When no gate runs it starts judge and
 * vault for the one command, and stops them after it.
 */
#ifndef AEGIS_ADMIN_H
#define AEGIS_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/msg.h"
#include "common/role.h"

struct cli;
struct config;
struct sync;

enum admin_need {
	ADMIN_NEED_DATA, /* works without a gate: start a keymaster for it */
	ADMIN_NEED_GATE  /* makes sense with a running gate only */
};

/*
 * Connects to a socket of judge or vault and greets. The descriptor; -1 with errno:
 * ENOENT and ECONNREFUSED when nobody listens.
 */
int admin_connect(const char *path, enum role, struct sync *);
/* Says why that failed; the exit code. */
int admin_unreachable(const char *path, int err);

/*
 * Connects. 0, or an exit code after saying why. One connection a process; a second open
 * without a close is an error of ours.
 */
int admin_open(struct cli *, enum admin_need);
/* As admin_open, silent and without starting anything. 0 or -1. */
int admin_open_quietly(const struct config *);
/* Disconnects; stops what was started. */
void admin_close(void);

struct admin_answer {
	uint32_t code; /* enum admin_code */
	struct buf message, json;
};

/* Called for each row, JSON. */
typedef void (*admin_row_fn)(const void *json, size_t len, void *arg);

/*
 * Asks and waits. Descriptors in the message are taken. 0 with an answer (whatever its
 * code), or -1 after saying that the judge could not be reached. Free with
 * admin_answer_free.
 */
int admin_ask(enum msg_type, void *msg, admin_row_fn, void *arg, struct admin_answer *);
void admin_answer_free(struct admin_answer *);
/* The same where only the outcome and the rows count: 0, or an exit code after saying
 * why. */
int admin_ask_ok(enum msg_type, void *msg, admin_row_fn, void *arg);

/* A string member of the answer's JSON; false when it has none. */
bool admin_answer_text(
    const struct admin_answer *, const char *member, char *out, size_t size);
/* A token among them, for once; 0, or -1 after saying that there is none. */
int admin_answer_token(
    const struct admin_answer *, const char *member, char *out, size_t size);
/* The answer's JSON and a newline, {} when it is empty. */
void admin_print_json(const struct admin_answer *);
/* The message of a refusal, on standard error; returns the exit code. */
int admin_refused(const struct admin_answer *);

/*
 * Opens, asks, closes, and prints: on success the text (or, with --json, the JSON), else
 * the error. Returns the exit code. The usual shape of a command that changes something.
 */
int admin_command(struct cli *, enum msg_type, void *msg, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same on the connection that admin_open() made: asks, closes, prints. */
int admin_tell(struct cli *, enum msg_type, void *msg, const char *text);

/* Shows what was answered when all is well; the exit code. */
typedef int (*admin_show_fn)(struct cli *, const struct admin_answer *, const void *arg);
/* Opens, asks, closes; show may be NULL. Descriptors in the message are taken. The exit
 * code. */
int admin_do(struct cli *, enum admin_need, enum msg_type, void *msg, admin_show_fn,
    const void *arg);
/* The same, and the JSON is printed when show is NULL or with --json. */
int admin_show(struct cli *, enum admin_need, enum msg_type, void *msg, admin_show_fn,
    const void *arg);

struct column;
/* The same for a list: a table, or with --json an array. */
int admin_list(
    struct cli *, enum msg_type, void *msg, const struct column *, const char *empty);

#endif
