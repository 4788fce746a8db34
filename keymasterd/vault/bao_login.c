/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AppRole login and the life of the token; see bao_login.h. The secret id is the master's
 * to read, anew for each login, so that one which was rotated is used without a restart
 * and none is kept here. Runs in vault.
 */
#include "keymasterd/vault/bao_login.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/json.h"
#include "common/jsonw.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/proc.h"
#include "common/secret.h"
#include "keymasterd/vault/bao_json.h"
#include "keymasterd/vault/bao_wrap.h"
#include "keymasterd/vault/event.h"

#define ASK_MS 2000
#define TRY_MS 2000
#define TOKEN_MAX 4096
#define SECRET_ID_MAX 4096
#define AGAIN_MIN_MS 250
#define AGAIN_MAX_MS 1500 /* so that what was repaired counts soon */
#define STOP_MS 1000
#define DOUBT_MS 1000

static const struct bao_session_conf *conf;
static struct secret *token;
static enum { LOGIN_NONE, LOGIN_ASKING, LOGIN_UNWRAPS, LOGIN_SENT } state;
static bool checking, renewing, once_more;
static bool told; /* of the first login */
static unsigned failures;
static uint64_t expires_ms; /* of the token; UINT64_MAX: never */
static uint32_t full_ms;    /* the life it had when it was new */
static char trouble[400];
static struct event renew_timer, again_timer;

static void login(void);

const struct secret *
bao_login_token(void)
{
	return token;
}

unsigned
bao_login_full_s(void)
{
	return full_ms / 1000;
}

uint64_t
bao_login_left_s(void)
{
	uint64_t now = loop_now_ms();

	return token == NULL || expires_ms == UINT64_MAX || expires_ms <= now
	    ? 0
	    : (expires_ms - now) / 1000;
}

const char *
bao_login_trouble(void)
{
	return trouble[0] != '\0' ? trouble : NULL;
}

static void
after(struct event *e, uint32_t ms)
{
	const struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};

	evtimer_del(e);
	if (evtimer_add(e, &tv) == -1)
		LOG_ERROR("openbao.timer", LS("error", "no memory"));
}

static void
forget_token(void)
{
	secret_free(token);
	token = NULL;
	evtimer_del(&renew_timer);
}

/* -- what OpenBao says of a token: auth.lease_duration and the rest -- */

struct grant {
	struct secret *token; /* NULL in answers to a renewal we do not need it of */
	uint64_t ttl_ms;      /* 0: does not end */
	bool renewable;
};

static int
read_grant(struct span body, bool with_token, struct grant *g)
{
	struct json_doc doc;
	uint32_t auth;
	int64_t seconds;
	int r = -1;

	memset(g, 0, sizeof(*g));
	json_init(&doc);
	if (json_parse(&doc, body.p, body.len, NULL) != JSON_OK)
		goto out;
	auth = json_get(&doc, json_root(&doc), "auth");
	if (json_int64(&doc, json_get(&doc, auth, "lease_duration"), &seconds) == -1 ||
	    seconds < 0 || seconds > INT32_MAX ||
	    json_bool(&doc, json_get(&doc, auth, "renewable"), &g->renewable) == -1)
		goto out;
	g->ttl_ms = (uint64_t)seconds * 1000;
	if (with_token)
		g->token = bao_json_secret(
		    &doc, json_get(&doc, auth, "client_token"), TOKEN_MAX);
	r = with_token && secret_len(g->token) == 0 ? -1 : 0;
out:
	json_free(&doc);
	if (r == -1) {
		secret_free(g->token);
		g->token = NULL;
	}
	return r;
}

/* At two thirds of its life, or after the configured time when that is sooner. */
static void
plan_renewal(const struct grant *g)
{
	uint64_t at = g->ttl_ms / 3 * 2;

	expires_ms = g->ttl_ms == 0 ? UINT64_MAX : loop_now_ms() + g->ttl_ms;
	if (g->ttl_ms == 0 || at > conf->renew_ms)
		at = conf->renew_ms;
	if (at < 100)
		at = 100;
	/* earlier, never later: what was said is the latest */
	after(&renew_timer,
	    (uint32_t)(at - at / 10) + bao_jitter((uint32_t)(at / 10)) * 4 / 5);
}

/* -- login -- */

static void
login_failed(enum vault_code code, const char *why)
{
	uint32_t wait = AGAIN_MIN_MS << (failures < 6 ? failures : 6);

	state = LOGIN_NONE;
	failures++;
	if (strcmp(trouble, why) != 0 && code == VAULT_DENIED)
		event_tell(OPENBAO_REFUSED, why); /* once, not each time */
	snprintf(trouble, sizeof(trouble), "%s", why);
	LOG_ERROR("openbao.login", LS("error", why), LU("failures", failures));
	after(&again_timer, bao_jitter(wait < AGAIN_MAX_MS ? wait : AGAIN_MAX_MS));
	bao_session_failed(code, trouble);
}

static void
login_away(const struct bao_answer *a)
{
	bao_circuit_bad(a);
	if (!bao_circuit_open())
		after(&again_timer, bao_jitter(AGAIN_MIN_MS));
}

static void
on_login(const struct bao_answer *a, void *arg)
{
	struct grant g;

	(void)arg;
	state = LOGIN_NONE;
	if (a->outcome != BAO_ANSWERED || a->status >= 500 || a->status == 429) {
		login_away(a);
		return;
	}
	bao_circuit_good();
	if (a->status != 200) {
		login_failed(VAULT_DENIED,
		    a->status == 404 || a->status == 403
			? "OpenBao refuses the login: check secrets.openbao.auth.mount, "
			  "the namespace, and the AppRole's limits"
			: "OpenBao refuses the AppRole login: role id or secret id is "
			  "wrong, "
			  "used up or expired: put a new one where "
			  "secrets.openbao.auth.secret_id says");
		return;
	}
	if (read_grant(a->body, true, &g) == -1) {
		login_failed(VAULT_DENIED, "OpenBao's answer to the login has no token");
		return;
	}
	forget_token();
	token = g.token;
	full_ms = g.ttl_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)g.ttl_ms;
	failures = 0;
	evtimer_del(&again_timer);
	plan_renewal(&g);
	if (!told || trouble[0] != '\0') {
		trouble[0] = '\0';
		told = true;
		event_tell(OPENBAO_LOGIN, "logged in");
	}
	LOG_INFO(
	    "openbao.login", LU("ttl_s", g.ttl_ms / 1000), LB("renewable", g.renewable));
	bao_session_ready();
}

static int
put_secret_id(const void *p, size_t len, void *arg)
{
	const char *s = p;

	while (len > 0 && strchr(" \t\r\n", s[len - 1]) != NULL)
		len--;
	jsonw_strn(arg, s, len);
	return 0;
}

static void
send_login(const struct secret *secret_id)
{
	struct bao_request r = {
	    .method = "POST", .ns = conf->ns, .timeout_ms = TRY_MS, .once = 1};
	char path[200];
	struct jsonw w;
	struct buf body;

	buf_init(&body);
	jsonw_init(&w, &body);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "role_id", conf->role_id);
	jsonw_key(&w, "secret_id");
	(void)secret_use(secret_id, put_secret_id, &w);
	jsonw_obj_close(&w);
	snprintf(path, sizeof(path), "/v1/auth/%s/login", conf->mount);
	r.path = path;
	r.body = span_mem(body.p, body.len);
	state = LOGIN_SENT;
	if (jsonw_done(&w) == 0)
		bao_http_send(&r, on_login, NULL);
	else
		login_failed(VAULT_DENIED, "the secret id is not text");
	buf_wipe_free(&body);
}

/* OpenBao was asked for what is wrapped. */
static void
on_id(const struct secret *id, enum vault_code code, const char *why,
    const struct bao_answer *away)
{
	state = LOGIN_NONE;
	if (id != NULL)
		send_login(id);
	else if (away != NULL)
		login_away(away);
	else
		login_failed(code, why);
}

static void
on_secret_id(struct chan *c, enum chan_status status, void *msg, void *arg)
{
	struct msg_secret_id *m = msg;
	struct secret *id = NULL;
	char why[200];

	(void)c;
	(void)arg;
	state = LOGIN_NONE;
	if (status != CHAN_OK) {
		login_failed(VAULT_AWAY, "the master does not give the secret id");
		return;
	}
	if (m->fd >= 0)
		id = secret_new_take_fd(m->fd, SECRET_ID_MAX);
	m->fd = -1;
	if (secret_len(id) == 0) {
		snprintf(why, sizeof(why), "there is no secret id for OpenBao: %.*s",
		    (int)m->message.len, m->message.len > 0 ? m->message.p : "");
		login_failed(VAULT_DENIED, why);
	} else if (conf->wrapped) {
		state = LOGIN_UNWRAPS;
		bao_wrap_get(conf, id, on_id);
	} else {
		send_login(id);
	}
	secret_free(id);
}

static void
login(void)
{
	MSG_INIT(secret_id_want, m);

	if (state != LOGIN_NONE || proc_master() == NULL)
		return;
	state = LOGIN_ASKING;
	if (chan_ask(proc_master(), MSG_secret_id_want, &m, ASK_MS, on_secret_id, NULL) ==
	    0)
		login_failed(VAULT_AWAY, "the master cannot be asked for the secret id");
}

void
bao_login_wanted(void)
{
	/* while one that failed has to wait its time, those who come are told why */
	if (token == NULL && trouble[0] != '\0' && evtimer_pending(&again_timer, NULL))
		bao_session_failed(VAULT_DENIED, trouble);
	else if (token == NULL && !bao_circuit_open())
		login();
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (token == NULL && !bao_circuit_open())
		login();
}

/* -- is the token good? -- */

static void
on_checked(const struct bao_answer *a, void *arg)
{
	(void)arg;
	checking = false;
	if (a->outcome != BAO_ANSWERED || a->status >= 500 || a->status == 429) {
		bao_circuit_bad(a);
		return; /* those who wait have their own time */
	}
	bao_circuit_good();
	if (a->status == 200 && once_more) {
		bao_login_check();
		return;
	}
	if (a->status == 200) {
		bao_session_ready(); /* it is: they are refused for what they ask */
		return;
	}
	LOG_WARN("openbao.token", LS("effect", "revoked or ended: logging in again"));
	forget_token();
	login();
}

void
bao_login_check(void)
{
	struct bao_request r = {.method = "GET",
	    .path = "/v1/auth/token/lookup-self",
	    .ns = conf->ns,
	    .token = token,
	    .timeout_ms = TRY_MS};

	once_more = checking; /* its answer may be older than what is doubted */
	if (checking)
		return;
	if (token == NULL) {
		login();
		return;
	}
	checking = true;
	bao_http_send(&r, on_checked, NULL);
}

void
bao_login_doubt(void)
{
	static uint64_t last_ms;

	if (token == NULL || loop_now_ms() < last_ms + DOUBT_MS)
		return;
	last_ms = loop_now_ms();
	bao_login_check();
}

/* -- renewal -- */

static void
on_renewed(const struct bao_answer *a, void *arg)
{
	uint64_t now = loop_now_ms();
	struct grant g;

	(void)arg;
	renewing = false;
	if (token == NULL)
		return;
	if (a->outcome != BAO_ANSWERED || a->status >= 500 || a->status == 429) {
		bao_circuit_bad(a);
		if (now >= expires_ms)
			forget_token(); /* the next one who needs it logs in */
		else
			after(&renew_timer, bao_jitter(1000));
		return;
	}
	bao_circuit_good();
	/* near max TTL what is granted gets shorter: a new token in good time instead */
	if (a->status != 200 || read_grant(a->body, false, &g) == -1 || !g.renewable ||
	    (full_ms != 0 && g.ttl_ms < full_ms / 2)) {
		LOG_INFO(
		    "openbao.renew", LI("status", a->status), LS("next", "a new login"));
		if (a->status != 200)
			forget_token();
		login();
		return;
	}
	LOG_INFO("openbao.renew", LU("ttl_s", g.ttl_ms / 1000));
	plan_renewal(&g);
}

static void
on_renew(evutil_socket_t fd, short what, void *arg)
{
	struct bao_request r = {.method = "POST",
	    .path = "/v1/auth/token/renew-self",
	    .ns = conf->ns,
	    .token = token,
	    .body = span_str("{}"),
	    .timeout_ms = TRY_MS};

	(void)fd;
	(void)what;
	(void)arg;
	if (token == NULL || renewing)
		return;
	renewing = true;
	bao_http_send(&r, on_renewed, NULL);
}

void
bao_login_setup(const struct bao_session_conf *c)
{
	conf = c;
}

void
bao_login_start(void)
{
	(void)evtimer_assign(&renew_timer, loop_base(), on_renew, NULL);
	(void)evtimer_assign(&again_timer, loop_base(), on_again, NULL);
	after(&again_timer, 1); /* the master's door comes with the loop */
}

void
bao_login_close(void)
{
	forget_token();
}

/* -- the end -- */

static void (*stopped)(void);

static void
on_stopped(const struct bao_answer *a, void *arg)
{
	(void)arg;
	LOG_INFO(
	    "openbao.revoke", LB("done", a->outcome == BAO_ANSWERED && a->status == 204));
	stopped();
}

void
bao_login_stop(void (*done)(void))
{
	struct bao_request r = {.method = "POST",
	    .path = "/v1/auth/token/revoke-self",
	    .ns = conf->ns,
	    .token = token,
	    .body = span_str("{}"),
	    .timeout_ms = STOP_MS,
	    .once = 1};

	stopped = done;
	evtimer_del(&renew_timer);
	evtimer_del(&again_timer);
	if (token == NULL || bao_circuit_open())
		done();
	else
		bao_http_send(&r, on_stopped, NULL);
}

void
bao_login_again(bool other)
{
	failures = 0;
	if (other && token != NULL && state == LOGIN_NONE)
		login(); /* calls go on with the old one until there is a new one */
	else if (token == NULL && !bao_circuit_open())
		login();
}
