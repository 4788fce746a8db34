/* SPDX-License-Identifier: Apache-2.0 */
/* What all acts of the command line have in common, and who may do which. Judge only. */
#include "keymasterd/judge/admin.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "common/admin_door.h"
#include "common/buf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/proto.h"
#include "common/secret.h"
#include "keymasterd/judge/act.h"
#include "keymasterd/judge/hook.h"
#include "keymasterd/judge/hook_test.h"
#include "keymasterd/judge/judge.h"
#include "keymasterd/judge/ledger.h"
#include "keymasterd/judge/operator.h"
#include "keymasterd/judge/permit.h"
#include "keymasterd/judge/policies.h"
#include "keymasterd/judge/receipt.h"
#include "keymasterd/judge/sealed.h"
#include "keymasterd/judge/turn.h"
#include "keymasterd/judge/user.h"

#define MESSAGE_MAX 1024

/* Of a connection. */
struct login {
	uint8_t token[STORE_HASH_LEN];
	int has_token;
};

static void
on_gone(struct chan *c)
{
	act_gone(c);
	ledger_act_gone(c);
	receipt_gone(c);
	seal_gate_gone(c);
	admin_tool_forget(c);
	policies_forget(c);
	hook_test_gone(c);
	turn_forget(c);
}

/* Has who sits there the right to ask this? The token is looked up each time: one that
 * was taken away is worth nothing from then on. */
static int
allow(struct chan *c, void *owner, unsigned type, uint64_t reqid, const void *msg)
{
	const struct login *login = admin_door_extra(c);
	enum permission needs = permission_of(type);
	const struct msg_desc *d = msg_desc_get(type);
	char text[160], detail[240];
	const char *denied;
	struct user *who;

	(void)owner;
	if (type == MSG_user_login)
		return 0;
	if (type == MSG_permission_ask) {
		const struct msg_permission_ask *m = msg;

		/* what has no such name nobody has */
		if (permission_named(m->permission) != PERMISSION_NONE)
			needs = permission_named(m->permission);
	}
	if (type == MSG_ledger_read) {
		const struct msg_ledger_read *m = msg;

		if (m->exported || m->lines)
			needs = PERM_LEDGER_EXPORT;
	}
	denied = user_denied(judge_conf.tenant, login->has_token ? login->token : NULL,
	    needs, &who, text, sizeof(text));
	admin_door_user(c, who != NULL ? who->row.name : NULL);
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

/* allow() has let it through: the asker has that permission. */
int
admin_permission_ask(struct chan *c, uint64_t reqid, void *msg)
{
	(void)msg;
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

int
admin_user_login(struct chan *c, uint64_t reqid, void *msg)
{
	const struct msg_user_login *m = msg;
	struct login *login = admin_door_extra(c);
	struct user *who;

	(void)secret_use(m->token, hash_token, login->token);
	login->has_token = 1;
	if (users_any(judge_conf.tenant) &&
	    (who = user_by_hash(judge_conf.tenant, login->token)) == NULL) {
		admin_ledger(c,
		    &(struct admin_act){.event = "admin.denied",
			.reason = span_str("user_login: token not recognized")});
		admin_done(
		    c, reqid, ADMIN_REFUSED, "Invalid API key. Token not recognized.");
		return 0;
	}
	admin_done(c, reqid, ADMIN_OK, "");
	return 0;
}

void
admin_serves(void)
{
	static bool told;
	MSG_INIT(serving, m);

	admin_door_open();
	if (!told && proc_master() != NULL)
		(void)chan_note(proc_master(), MSG_serving, &m);
	told = true;
}

/* Vault did not come: what can be asked without it can be asked now. */
static void
open_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	admin_serves();
}

void
admin_listen(int kind, int fd)
{
	static const struct timeval patience = {.tv_sec = 3};
	static struct event *late;
	const struct admin_door_conf conf = {.own_role = ROLE_JUDGE,
	    .uid = judge_conf.admin_uid,
	    .permits = permit_judge_admin,
	    .extra = sizeof(struct login),
	    .allow = allow,
	    .on_gone = on_gone};

	if (kind != LISTEN_ADMIN) {
		close(fd);
		return;
	}
	if (admin_door_listen(fd, &conf) == -1)
		return;
	late = event_new(loop_base(), -1, 0, open_late, NULL);
	if (late == NULL || event_add(late, &patience) == -1)
		LOG_ERROR("admin.listen", LS("error", "out of memory"));
	if (vault_sealed || judge_keys.credentials > 0 || judge_keys.token_kid[0] != '\0')
		admin_serves();
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
	admin_ledger(
	    c, &(struct admin_act){.event = "admin.refused", .reason = span_str(text)});
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
	    .peer = admin_door_peer(c)};

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
