/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of the command line. Judge only; the kernel says who is at the other end.
 */
#include "keymasterd/judge/admin.h"

#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/proto.h"
#include "common/secret.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/operator.h"
#include "keymasterd/judge/permit.h"
#include "keymasterd/judge/receipt.h"
#include "keymasterd/judge/turn.h"
#include "keymasterd/judge/user.h"

#define CONNECTIONS_MAX 16
#define ASKS_MAX 4
#define MESSAGE_MAX 1024

struct admin_conn {
	char peer[140];  /* "uid 0 pid 12", then " user NAME" */
	size_t peer_len; /* without the user */
	uint8_t token[STORE_HASH_LEN];
	int has_token;
};

static struct event *listener;
static unsigned connections;
static uint32_t serial;

static void
on_gone(struct chan *c, void *owner)
{
	credential_act_gone(c);
	ledger_act_gone(c);
	receipt_gone(c);
	operator_act_gone(c);
	key_act_gone(c);
	vault_act_gone(c);
	reload_act_gone(c);
	seal_gate_gone(c);
	admin_tool_forget(c);
	turn_forget(c);
	free(owner);
	connections--;
}

/* Has who sits there the right to ask this? The token is looked up each time: one that
 * was taken away is worth nothing from then on. */
static int
allow(struct chan *c, void *owner, unsigned type, uint64_t reqid, const void *msg)
{
	struct admin_conn *conn = owner;
	enum permission needs = permission_of(type);
	const struct msg_desc *d = msg_desc_get(type);
	char text[160], detail[240];
	const char *denied;
	struct user *who;

	if (type == MSG_user_login)
		return 0;
	if (type == MSG_ledger_read) {
		const struct msg_ledger_read *m = msg;

		if (m->exported)
			needs = PERM_LEDGER_EXPORT;
	}
	denied = user_denied(judge_conf.tenant, conn->has_token ? conn->token : NULL,
	    needs, &who, text, sizeof(text));
	conn->peer[conn->peer_len] = '\0';
	if (who != NULL)
		snprintf(conn->peer + conn->peer_len, sizeof(conn->peer) - conn->peer_len,
		    " user %s", who->row.name);
	if (denied == NULL)
		return 0;
	snprintf(detail, sizeof(detail), "%s: %s", d->name, denied);
	admin_ledger(
	    c, &(struct admin_act){.event = "admin.denied", .reason = span_str(detail)});
	admin_done(c, reqid, ADMIN_REFUSED, denied);
	return -1;
}

static int
hash_token(const void *p, size_t len, void *arg)
{
	judge_sha256(p, len, arg);
	return 0;
}

int
admin_user_login(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_user_login *m = msg;
	struct admin_conn *conn = chan_owner(c);
	struct user *who;

	(void)secret_use(m->token, hash_token, conn->token);
	conn->has_token = 1;
	if (users_any(judge_conf.tenant) &&
	    (who = user_by_hash(judge_conf.tenant, conn->token)) == NULL) {
		admin_ledger(c,
		    &(struct admin_act){.event = "admin.denied",
			.reason = span_str("user_login: token not recognized")});
		return admin_refuse(c, reqid, "Invalid API key. Token not recognized.");
	}
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

static void
open_connection(int fd)
{
	struct chan_conf conf = {.own_role = ROLE_JUDGE,
	    .peer_role = ROLE_ADMIN,
	    .permits = permit_judge_admin,
	    .on_gone = on_gone,
	    .allow = allow,
	    .max_open = ASKS_MAX};
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct admin_conn *conn;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1 ||
	    (cred.uid != 0 && cred.uid != judge_conf.admin_uid)) {
		LOG_WARN("admin.refused", LU("uid", cred.uid));
		close(fd);
		return;
	}
	if (connections >= CONNECTIONS_MAX || (conn = calloc(1, sizeof(*conn))) == NULL) {
		LOG_WARN("admin.busy", LU("connections", connections));
		close(fd);
		return;
	}
	snprintf(
	    conn->peer, sizeof(conn->peer), "uid %u pid %d", cred.uid, (int)cred.pid);
	conn->peer_len = strlen(conn->peer);
	conf.owner = conn;
	conf.peer_instance = ++serial;
	connections++;
	if (chan_new(loop_base(), fd, &conf) == NULL) {
		connections--;
		free(conn);
	}
}

static void
on_connection(evutil_socket_t fd, short what, void *arg)
{
	int one;

	(void)what;
	(void)arg;
	one = accept4((int)fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (one >= 0)
		open_connection(one);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		LOG_ERROR("admin.accept", LE("error", errno));
}

/* Vault did not come: what can be asked without it can be asked now. */
static void
open_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	admin_open();
}

void
admin_listen(int kind, int fd)
{
	static const struct timeval patience = {.tv_sec = 3};
	static struct event *late;

	if (kind != LISTEN_ADMIN || listener != NULL) {
		close(fd);
		return;
	}
	evutil_make_socket_nonblocking(fd);
	listener = event_new(loop_base(), fd, EV_READ | EV_PERSIST, on_connection, NULL);
	late = event_new(loop_base(), -1, 0, open_late, NULL);
	if (listener == NULL || late == NULL || event_add(late, &patience) == -1)
		LOG_ERROR("admin.listen", LS("error", "out of memory"));
	if (judge_keys.credentials > 0 || judge_keys.token_kid[0] != '\0')
		admin_open();
}

void
admin_open(void)
{
	if (listener != NULL && event_add(listener, NULL) == -1)
		LOG_ERROR("admin.listen", LS("error", "out of memory"));
}

unsigned
admin_count(void)
{
	return connections;
}

struct span
admin_peer(struct chan *c)
{
	const struct admin_conn *conn = chan_owner(c);

	return conn != NULL ? span_str(conn->peer) : (struct span){NULL, 0};
}

void
admin_done(struct chan *c, uint64_t reqid, uint32_t code, const char *message)
{
	turn_admin_done(c, reqid, code, message, (struct span){"", 0});
}

int
admin_refuse(struct chan *c, uint64_t reqid, const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	admin_done(c, reqid, ADMIN_REFUSED, text);
	return 0;
}

void
admin_result(struct chan *c, uint64_t reqid, const struct buf *json)
{
	turn_admin_done(c, reqid, ADMIN_OK, "", span_mem(json->p, json->len));
}

int
admin_row(struct chan *c, uint64_t reqid, const struct buf *json)
{
	MSG_INIT(admin_row, m);

	m.json = span_mem(json->p, json->len);
	return chan_note_for(c, reqid, MSG_admin_row, &m);
}

void
admin_ledger(struct chan *c, const struct admin_act *act)
{
	struct ledger_row row = {.kind = LEDGER_ADMIN,
	    .event = span_str(act->event),
	    .agent = act->agent,
	    .service = act->service,
	    .credential = act->credential,
	    .context = act->context,
	    .session = act->session,
	    .exec = act->exec,
	    .reason = act->reason,
	    .detail = act->detail,
	    .peer = admin_peer(c)};

	(void)ledger_append(&row, NULL);
}

int
admin_record(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_admin_record *m = msg;
	char event[65];

	if (m->act.len == 0 || span_copy(m->act, event, sizeof(event)) == -1)
		return -1;
	admin_ledger(c,
	    &(struct admin_act){.event = event,
		.detail = m->detail.len > 0 ? m->detail : (struct span){NULL, 0}});
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}
