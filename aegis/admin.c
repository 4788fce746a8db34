/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin socket, and a keymaster of one's own when nobody listens on it.
 *
 * DATA/cli.lock keeps commands apart that run at the same time: who talks to the judge
 * holds it shared; who starts or stops a keymaster holds it alone, so nobody is talking
 * then.
 */
#include "aegis/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "aegis/cli.h"
#include "aegis/config.h"
#include "aegis/layout.h"
#include "aegis/master.h"
#include "aegis/listing.h"
#include "aegis/out.h"
#include "aegis/sealed.h"
#include "common/json.h"
#include "common/log.h"
#include "common/proto.h"
#include "common/secret.h"
#include "common/sync.h"

#define HELLO_MS 5000
#define ANSWER_MS 60000
#define USER_TOKEN_MAX 128

static struct sync door;
static int door_fd = -1;
static int lock_fd = -1;
static pid_t keymaster = -1;

/* Says who is asking, when AEGIS_USER_TOKEN does. 0, or -1 after saying why not. */
static int
login(void)
{
	const char *token = getenv("AEGIS_USER_TOKEN");
	struct admin_answer a = {0};
	int r;
	MSG_INIT(user_login, m);

	if (token == NULL || token[0] == '\0')
		return 0;
	if (strlen(token) > USER_TOKEN_MAX) {
		cli_error("Set it to the key that \"aegis user add\" showed.",
		    "AEGIS_USER_TOKEN is no user's key");
		return -1;
	}
	m.token = secret_new(token, strlen(token));
	if (m.token == NULL) {
		cli_error(NULL, "no memory for AEGIS_USER_TOKEN");
		return -1;
	}
	r = admin_ask(MSG_user_login, &m, NULL, NULL, &a);
	if (r == 0 && a.code != ADMIN_OK) {
		(void)admin_refused(&a);
		r = -1;
	}
	admin_answer_free(&a);
	secret_free(m.token);
	return r;
}

int
admin_connect(const char *path, enum role role, struct sync *s)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, saved;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    sync_hello(s, fd, ROLE_ADMIN, role, HELLO_MS) == -1) {
		saved = errno;
		sync_done(s);
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static int
connect_to(const char *path)
{
	door_fd = admin_connect(path, ROLE_JUDGE, &door);
	return door_fd == -1 ? -1 : 0;
}

static bool
nobody_listens(int err)
{
	return err == ENOENT || err == ECONNREFUSED;
}

int
admin_unreachable(const char *path, int err)
{
	if (err == EPROTO)
		cli_error("Restart the gate so that both are of the same version.",
		    "the gate at %s is of another version than this program", path);
	else if (err == EACCES || err == EPERM || err == ECONNRESET)
		cli_error(
		    "Run this command as the user who started the gate, or as root.",
		    "the gate at %s does not serve this user", path);
	else
		cli_error(
		    NULL, "the gate at %s cannot be reached: %s", path, strerror(err));
	return ADMIN_UNREACHABLE;
}

static void
open_lock(const struct config *c)
{
	char path[1100];

	snprintf(path, sizeof(path), "%s/cli.lock", c->data_dir);
	lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void
lock(int how)
{
	if (lock_fd >= 0)
		while (flock(lock_fd, how) == -1 && errno == EINTR)
			;
}

static int
start_keymaster(struct config *c)
{
	char path[1100];

	snprintf(path, sizeof(path), "%s/vault", c->data_dir);
	if (access(path, F_OK) == -1 && errno == ENOENT) {
		layout_absent(c);
		return ADMIN_FAILED;
	}
	if (c->master_key == NULL && !sealed_would_be(c)) {
		cli_error("export AEGIS_MASTER_KEY=<key>, or use \"aegis init "
			  "--write-secrets\".",
		    "AEGIS_MASTER_KEY is not set");
		return ADMIN_FAILED;
	}
	c->log_level = LOG_LEVEL_ERROR; /* the answer is what people want to see */
	c->log_format = LOG_FORMAT_PLAIN;
	keymaster = master_start_background(c, MASTER_KEYMASTER);
	if (keymaster == -1)
		cli_error("The reason is above.", "the vault in %s cannot be opened",
		    c->data_dir);
	return keymaster == -1 ? ADMIN_FAILED : 0;
}

static int
open_data(struct config *c)
{
	int r = 0;

	open_lock(c);
	lock(LOCK_SH);
	if (connect_to(c->admin_socket) == 0)
		return 0;
	if (!nobody_listens(errno))
		return admin_unreachable(c->admin_socket, errno);
	lock(LOCK_EX);
	if (connect_to(c->admin_socket) == -1) {
		if (!nobody_listens(errno))
			return admin_unreachable(c->admin_socket, errno);
		r = start_keymaster(c);
		if (r == 0 && connect_to(c->admin_socket) == -1)
			r = admin_unreachable(c->admin_socket, errno);
	}
	if (r == 0)
		lock(LOCK_SH);
	return r;
}

static int
open_gate(struct config *c)
{
	if (connect_to(c->admin_socket) == 0)
		return 0;
	if (!nobody_listens(errno))
		return admin_unreachable(c->admin_socket, errno);
	cli_error(
	    "Start it with \"aegis gate\".", "no gate is running on %s", c->data_dir);
	return ADMIN_UNREACHABLE;
}

int
admin_open(struct cli *cli, enum admin_need need)
{
	struct config *c = cli_config(cli);
	int r;

	if (c == NULL)
		return ADMIN_FAILED;
	r = need == ADMIN_NEED_DATA ? open_data(c) : open_gate(c);
	if (r == 0 && login() == -1)
		r = ADMIN_REFUSED;
	if (r != 0)
		admin_close();
	return r;
}

int
admin_open_quietly(const struct config *c)
{
	return connect_to(c->admin_socket);
}

void
admin_close(void)
{
	if (door_fd >= 0) {
		sync_done(&door);
		close(door_fd);
		door_fd = -1;
	}
	if (keymaster > 0) {
		lock(LOCK_EX); /* others may be using it as well */
		master_stop_background(keymaster);
		keymaster = -1;
	}
	if (lock_fd >= 0)
		close(lock_fd);
	lock_fd = -1;
}

struct rows {
	admin_row_fn fn;
	void *arg;
};

static void
on_note(const struct msg_desc *d, void *msg, void *arg)
{
	const struct msg_admin_row *row = msg;
	const struct rows *rows = arg;

	if (d->type == MSG_admin_row && rows->fn != NULL)
		rows->fn(row->json.p, row->json.len, rows->arg);
}

int
admin_ask(
    enum msg_type type, void *msg, admin_row_fn fn, void *arg, struct admin_answer *a)
{
	struct rows rows = {fn, arg};
	const struct msg_admin_done *done;
	const struct msg_error *error;

	memset(a, 0, sizeof(*a));
	if (sync_ask(&door, type, msg, ANSWER_MS, on_note, &rows) == -1) {
		cli_error(errno == EMSGSIZE ? "Shorten the arguments." : NULL,
		    errno == EMSGSIZE ? "an argument is too long or not UTF-8"
				      : "the judge did not answer: %s",
		    strerror(errno));
		return -1;
	}
	if (door.desc->type == MSG_error) {
		error = (const void *)&door.msg;
		a->code = ADMIN_FAILED;
		return buf_put(&a->message, error->message.p, error->message.len);
	}
	done = (const void *)&door.msg;
	a->code = done->code;
	if (buf_put(&a->message, done->message.p, done->message.len) == -1 ||
	    buf_put(&a->json, done->json.p, done->json.len) == -1)
		return -1;
	return 0;
}

void
admin_answer_free(struct admin_answer *a)
{
	buf_wipe_free(&a->message);
	buf_wipe_free(&a->json); /* may hold a token */
}

int
admin_ask_ok(enum msg_type type, void *msg, admin_row_fn row, void *arg)
{
	struct admin_answer a = {0};
	int r = ADMIN_OK;

	if (admin_ask(type, msg, row, arg, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	admin_answer_free(&a);
	return r;
}

bool
admin_answer_text(
    const struct admin_answer *a, const char *member, char *out, size_t size)
{
	struct json_doc d;
	bool found;

	json_init(&d);
	found = json_parse(&d, a->json.p, a->json.len, NULL) == JSON_OK &&
	    json_str_copy(&d, json_get(&d, 0, member), out, size, NULL) == 0;
	json_free(&d);
	return found;
}

int
admin_answer_token(
    const struct admin_answer *a, const char *member, char *out, size_t size)
{
	if (admin_answer_text(a, member, out, size))
		return 0;
	cli_error(NULL, "the judge answered without a token");
	return -1;
}

int
admin_refused(const struct admin_answer *a)
{
	struct buf text;

	buf_init(&text);
	out_clean(&text, a->message.p, a->message.len);
	cli_error(NULL, "%.*s", (int)text.len, text.len > 0 ? (char *)text.p : "refused");
	buf_free(&text);
	return a->code <= ADMIN_UNREACHABLE && a->code != 0 ? (int)a->code : ADMIN_FAILED;
}

void
admin_print_json(const struct admin_answer *a)
{
	if (a->json.len > 0)
		printf("%.*s\n", (int)a->json.len, (const char *)a->json.p);
	else
		printf("{}\n");
}

int
admin_tell(struct cli *cli, enum msg_type type, void *msg, const char *text)
{
	struct admin_answer a = {0};
	int r = 0;

	if (admin_ask(type, msg, NULL, NULL, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if (cli->json)
		admin_print_json(&a);
	else
		cli_ok("%s", text);
	admin_answer_free(&a);
	admin_close();
	return r;
}

int
admin_do(struct cli *cli, enum admin_need need, enum msg_type type, void *msg,
    admin_show_fn show, const void *arg)
{
	struct admin_answer a = {0};
	int r = admin_open(cli, need);

	if (r != 0) {
		msg_release(msg_desc_get(type), msg);
		return r;
	}
	if (admin_ask(type, msg, NULL, NULL, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if (show != NULL)
		r = show(cli, &a, arg);
	admin_answer_free(&a);
	admin_close();
	return r;
}

static int
show_json(struct cli *cli, const struct admin_answer *a, const void *arg)
{
	(void)cli;
	(void)arg;
	admin_print_json(a);
	return ADMIN_OK;
}

int
admin_show(struct cli *cli, enum admin_need need, enum msg_type type, void *msg,
    admin_show_fn show, const void *arg)
{
	return admin_do(
	    cli, need, type, msg, cli->json || show == NULL ? show_json : show, arg);
}

int
admin_command(struct cli *cli, enum msg_type type, void *msg, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int r = admin_open(cli, ADMIN_NEED_DATA);

	if (r != 0) {
		msg_release(msg_desc_get(type), msg);
		return r;
	}
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return admin_tell(cli, type, msg, text);
}

static void
on_row(const void *json, size_t len, void *arg)
{
	listing_add(arg, json, len);
}

int
admin_list(struct cli *cli, enum msg_type type, void *msg, const struct column *columns,
    const char *empty)
{
	struct listing l;
	struct admin_answer a = {0};
	int r = admin_open(cli, ADMIN_NEED_DATA);

	if (r != 0)
		return r;
	if (listing_begin(&l, cli->json, columns) == -1)
		r = ADMIN_FAILED;
	else if (admin_ask(type, msg, on_row, &l, &a) == -1)
		r = ADMIN_UNREACHABLE;
	else if (a.code != ADMIN_OK)
		r = admin_refused(&a);
	else if (l.failed) {
		cli_error(NULL, "the judge's answer cannot be read");
		r = ADMIN_FAILED;
	} else
		listing_print(&l, empty);
	listing_end(&l);
	admin_answer_free(&a);
	admin_close();
	return r;
}
