/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reload in two steps; see reload.h. First the new configuration takes the place of the
 * old one in memory and every child that lives by it gets its part and is asked whether
 * that can be used; when all said yes they are told that it counts, else all is put back.
 * A child that starts meanwhile gets what stands in memory, and after a refusal what is
 * in force. Master only; what children answer is text for the operator.
 */
#include "aegis/reload.h"

#include <stdio.h>
#include <string.h>

#include "aegis/child.h"
#include "aegis/config.h"
#include "aegis/confsend.h"
#include "aegis/policies.h"
#include "common/buf.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/proto.h"

#define CHECK_MS 5000
#define JSON_MAX 32000
#define DETAIL_MAX 1000

static struct config *running;
static struct config_flags flags;
static struct config *fresh; /* while a reload is under way */
static unsigned waiting;     /* answers, and one of our own while questions go out */
static bool refused, by_signal;
static uint64_t asked;                      /* the judge's question, 0: none */
static uint32_t newest;                     /* of the children when it began */
static uint32_t asker;                      /* its instance: another one did not ask */
static struct buf changed, restart, errors; /* texts, each with its NUL */

void
reload_setup(struct config *c, const struct config_flags *f)
{
	running = c;
	flags = *f;
}

static void
add(struct buf *list, const char *text)
{
	(void)buf_put(list, text, strlen(text) + 1);
}

static void
on_changed(const char *what, void *arg)
{
	(void)arg;
	add(&changed, what);
}

static void
on_restart(const char *what, void *arg)
{
	(void)arg;
	add(&restart, what);
}

static const char *
next_of(const struct buf *list, const char *at)
{
	const char *begin = (const char *)list->p;

	if (list->len == 0)
		return NULL;
	at = at == NULL ? begin : at + strlen(at) + 1;
	return at < begin + list->len ? at : NULL;
}

/* -- what came of it -- */

static void
put_list(struct jsonw *w, const struct buf *out, const char *name, const struct buf *list)
{
	const char *text = NULL;

	jsonw_key(w, name);
	jsonw_arr_open(w);
	while ((text = next_of(list, text)) != NULL)
		if (out->len + strlen(text) < JSON_MAX - 600)
			jsonw_str(w, text);
	jsonw_arr_close(w);
}

static void
answer(enum reload_code code)
{
	struct child *judge = child_find(asker);
	struct buf json;
	struct jsonw w;
	MSG_INIT(reload_result, m);

	if (asked == 0 || judge == NULL || judge->door == NULL)
		return;
	buf_init(&json);
	jsonw_init(&w, &json);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "result", code == RELOAD_DONE ? "applied" : "refused");
	put_list(&w, &json, "changed", &changed);
	put_list(&w, &json, "restart", &restart);
	put_list(&w, &json, "errors", &errors);
	jsonw_obj_close(&w);
	m.code = code;
	if (code == RELOAD_REFUSED)
		m.message = span_str("The configuration cannot be used; nothing has "
				     "changed. Correct it, then try again.");
	if (jsonw_done(&w) == 0 && json.len <= JSON_MAX)
		m.json = span_mem(json.p, json.len);
	(void)chan_answer(judge->door, asked, MSG_reload_result, &m);
	buf_free(&json);
}

static void
put_words(struct buf *out, const char *title, const struct buf *list)
{
	const char *text = NULL;
	bool first = true;

	while ((text = next_of(list, text)) != NULL) {
		if (out->len + strlen(title) + strlen(text) + 8 > DETAIL_MAX) {
			(void)buf_puts(out, " …");
			return;
		}
		(void)buf_printf(out, "%s%s%s",
		    !first             ? ", "
			: out->len > 0 ? "; "
				       : "",
		    first ? title : "", text);
		first = false;
	}
}

/* One line for the ledger, and one a matter for the log. */
static void
record(enum reload_code code)
{
	struct child *judge = child_of_role(ROLE_JUDGE);
	const char *text = NULL;
	struct buf words;
	MSG_INIT(reloaded, m);

	buf_init(&words);
	put_words(&words, "", &errors);
	put_words(&words, "changed: ", &changed);
	put_words(&words, "restart needed: ", &restart);
	m.code = code;
	m.signal = by_signal;
	m.detail = words.len > 0 ? span_mem(words.p, words.len) : span_str("unchanged");
	if (judge != NULL && judge->door != NULL)
		(void)chan_note(judge->door, MSG_reloaded, &m);
	if (code == RELOAD_DONE)
		LOG_INFO("reload", LSN("detail", m.detail.p, m.detail.len));
	while ((text = next_of(&errors, text)) != NULL)
		LOG_ERROR("reload.refused", LS("error", text));
	while (code == RELOAD_DONE && (text = next_of(&restart, text)) != NULL)
		LOG_WARN("reload.restart", LS("changed", text),
		    LS("effect", "counts after a restart"));
	buf_free(&words);
}

static bool
lives_by_it(const struct child *c)
{
	return c->role == ROLE_GATE || c->role == ROLE_API || c->role == ROLE_JUDGE ||
	    c->role == ROLE_VAULT;
}

static bool
concerns(const struct child *c)
{
	return lives_by_it(c) && c->state == CHILD_READY && c->door != NULL;
}

static void
on_put_back(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	const struct msg_conf_checked *m = msg;

	(void)c;
	(void)arg;
	if (status == CHAN_OK && m->code != 0)
		LOG_ERROR("reload.put_back", LSN("error", m->message.p, m->message.len));
}

void
reload_on_ready(struct child *c)
{
	MSG_INIT(conf_check, check);
	MSG_INIT(conf_apply, apply);

	if (!c->stale)
		return;
	c->stale = false;
	apply.commit = 1;
	if (confsend_again(c, running) == -1 ||
	    chan_ask(c->door, MSG_conf_check, &check, CHECK_MS, on_put_back, NULL) == 0 ||
	    chan_note(c->door, MSG_conf_apply, &apply) == -1)
		child_end(c, 0);
}

/* Children that started since the reload began have what was refused. */
static void
put_back(void)
{
	struct child *c;

	TAILQ_FOREACH (c, &children, entry) {
		if (c->instance <= newest || c->role == ROLE_TOOLHOST ||
		    c->role == ROLE_TOOLEXEC || c->door == NULL ||
		    (c->state != CHILD_CONFIGURED && c->state != CHILD_READY))
			continue;
		c->stale = lives_by_it(c);
		if (!c->stale)
			child_end(c, 0); /* it cannot be told: it starts anew */
		else if (c->state == CHILD_READY)
			reload_on_ready(c);
	}
}

static void
tell_all(bool commit)
{
	struct child *c;

	TAILQ_FOREACH (c, &children, entry) {
		MSG_INIT(conf_apply, apply);
		MSG_INIT(conf_log, log);

		if (c->state != CHILD_READY || c->door == NULL)
			continue;
		apply.commit = commit;
		log.log_level = (uint8_t)running->log_level;
		log.log_format = (uint8_t)running->log_format;
		if (concerns(c))
			(void)chan_note(c->door, MSG_conf_apply, &apply);
		/* also when it is refused: who started meanwhile logs by that. toolexec
		 * reads its door no more */
		if (c->role != ROLE_TOOLEXEC)
			(void)chan_note(c->door, MSG_conf_log, &log);
	}
}

static void
finish(void)
{
	enum reload_code code = refused ? RELOAD_REFUSED : RELOAD_DONE;

	if (fresh != NULL && refused)
		reload_swap(running, fresh);
	if (fresh != NULL && !refused) {
		running->policies = fresh->policies;
		fresh->policies = NULL;
		policies_setup(running);
	}
	if (fresh != NULL)
		tell_all(!refused);
	if (fresh != NULL && refused)
		put_back();
	config_free(fresh);
	fresh = NULL;
	log_init(ROLE_MASTER, (enum log_format)running->log_format,
	    (enum log_level)running->log_level);
	record(code);
	answer(code);
	buf_free(&changed);
	buf_free(&restart);
	buf_free(&errors);
	asked = 0;
}

/* -- asking -- */

static void
refuse(const char *who, struct span why)
{
	char text[600];

	refused = true;
	snprintf(
	    text, sizeof(text), "%s: %.*s", who, (int)why.len, why.len > 0 ? why.p : "");
	add(&errors, text);
}

static void
one_less(void)
{
	if (--waiting == 0)
		finish();
}

static void
on_checked(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	const struct msg_conf_checked *m = msg;
	const struct role_info *who = arg;

	(void)c;
	if (status == CHAN_OK && m->code != 0)
		refuse(who->title, m->message);
	else if (status == CHAN_TIMEOUT || status == CHAN_ERROR)
		refuse(who->title, span_str("does not answer"));
	/* CHAN_GONE: it starts again with what is in memory */
	one_less();
}

static void
ask_children(void)
{
	struct child *c;

	TAILQ_FOREACH (c, &children, entry) {
		MSG_INIT(conf_check, m);
		const struct role_info *who = role_info(c->role);

		if (!concerns(c))
			continue;
		waiting++;
		if (confsend_again(c, running) == -1 ||
		    chan_ask(c->door, MSG_conf_check, &m, CHECK_MS, on_checked,
			(void *)(uintptr_t)who) == 0) {
			refuse(who->title, span_str("its part cannot be read or sent"));
			waiting--;
		}
	}
}

/* The problems of a file, a line each. */
static void
take_problems(const struct buf *text)
{
	const char *p = (const char *)text->p, *end = p + text->len, *line;
	char one[1024];

	for (; text->len > 0 && p < end; p = line + 1) {
		line = memchr(p, '\n', (size_t)(end - p));
		if (line == NULL)
			line = end;
		snprintf(one, sizeof(one), "%.*s", (int)(line - p), p);
		if (one[0] != '\0')
			add(&errors, one);
	}
	if (errors.len == 0)
		add(&errors, "the configuration cannot be read; the gate's log says why");
}

static void
begin(void)
{
	struct reload_diff diff = {on_changed, on_restart, NULL};
	struct config_flags f = flags;
	struct buf problems;
	struct child *c;

	TAILQ_FOREACH (c, &children, entry)
		if (c->instance > newest)
			newest = c->instance;
	buf_init(&changed);
	buf_init(&restart);
	buf_init(&errors);
	buf_init(&problems);
	refused = false;
	waiting = 1;
	f.serve = true;
	f.problems = &problems;
	fresh = config_load(&f);
	if (fresh == NULL) {
		refused = true;
		take_problems(&problems);
	} else {
		reload_compare(running, fresh, &diff);
		if (!policies_same(fresh))
			on_changed("policies", NULL);
		reload_swap(running, fresh);
		ask_children();
	}
	buf_free(&problems);
	one_less();
}

void
reload_by_signal(void)
{
	if (running == NULL || waiting > 0)
		return; /* the one under way reads the file, too */
	by_signal = true;
	begin();
}

int
reload_want(struct chan *c, uint64_t reqid, void *msg)
{
	MSG_INIT(reload_result, busy);

	(void)msg;
	if (running == NULL || waiting > 0) {
		busy.code = RELOAD_BUSY;
		busy.message =
		    span_str("The configuration is being read already; try again.");
		return chan_answer(c, reqid, MSG_reload_result, &busy);
	}
	by_signal = false;
	asked = reqid;
	asker = chan_peer_instance(c);
	begin();
	return 0;
}
