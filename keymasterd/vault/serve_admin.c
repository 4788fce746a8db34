/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line brings secrets, and what is to be sealed with them, to vault itself;
 * whether it is sealed the judge says (serve_judge.c). Runs in vault. Who is at the other
 * end may administer all; common/admin_door.c sees to that.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/admin_door.h"
#include "common/log.h"
#include "common/proto.h"
#include "common/reference.h"
#include "common/secret.h"
#include "keymasterd/vault/board_offer.h"
#include "keymasterd/vault/conf.h"
#include "keymasterd/vault/offer.h"
#include "keymasterd/vault/pending.h"
#include "keymasterd/vault/permit.h"
#include "keymasterd/vault/serve.h"

static void
on_gone(struct chan *c)
{
	offer_forget(c);
	board_offer_forget(c);
	pending_forget(c);
	serve_split_forget(c);
}

void
serve_admin_listen(int kind, int fd)
{
	const struct admin_door_conf conf = {.own_role = ROLE_VAULT,
	    .uid = vault_conf.admin_uid,
	    .permits = permit_vault_admin,
	    .on_gone = on_gone};

	if (kind != LISTEN_VAULT)
		close(fd);
	else if (admin_door_listen(fd, &conf) == 0)
		admin_door_open();
}

/*
 * All of the descriptor, which is closed. A pipe must be complete: vault waits for
 * nobody. NULL with *why.
 */
static struct secret *
read_secret(int fd, enum vault_code *code, const char **why)
{
	struct secret *s;
	struct stat st;

	*code = VAULT_REFUSED;
	if (fstat(fd, &st) == -1 || !(S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode))) {
		close(fd);
		*why = "a secret comes in a memfd, a regular file or a pipe";
		return NULL;
	}
	if (S_ISFIFO(st.st_mode))
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	s = secret_new_take_fd(fd, CREDENTIAL_SECRET_MAX);
	if (s == NULL) {
		*code = errno == EMSGSIZE ? VAULT_TOO_LARGE : VAULT_REFUSED;
		*why = errno == EMSGSIZE ? NULL : "the secret could not be read";
		return NULL;
	}
	if (secret_len(s) == 0) {
		secret_free(s);
		*why = "the secret is empty";
		return NULL;
	}
	*code = VAULT_OK;
	return s;
}

/* The judge checks what an operator typed; this is what vault itself relies on. */
static const char *
refuse_offer(const struct msg_secret_offer *m)
{
	struct reference ref;

	if (m->tenant.len == 0 || m->name.len == 0)
		return "a credential needs a tenant and a name";
	if ((m->add || (m->set & CREDENTIAL_UPSTREAM)) && !span_eq(m->scheme, "https") &&
	    !span_eq(m->scheme, "http"))
		return "the scheme must be https or http";
	if (m->port > UINT16_MAX)
		return "the port is out of range";
	if (m->allow_private > 1 || m->add > 1)
		return "a flag is neither 0 nor 1";
	if (m->grace_s > 0 && (m->secret < 0 || m->add))
		return "a grace period is for a secret that replaces another";
	if (m->secret_ref.len > 0)
		return m->secret >= 0 ? "a secret and where it is are two things"
				      : reference_parse(m->secret_ref, &ref);
	if (m->secret < 0 && m->add)
		return "a new credential needs a secret";
	return NULL;
}

int
serve_secret_offer(struct chan *c, uint64_t reqid, void *msg)
{
	struct msg_secret_offer *m = msg;
	const struct credential meta = CREDENTIAL_OF(m);
	const char *why = refuse_offer(m);
	enum vault_code code = why == NULL ? VAULT_OK : VAULT_REFUSED;
	const struct offer *o = NULL;
	struct secret *s = NULL;
	struct span peer = admin_door_peer(c);
	int has_secret = m->secret >= 0;
	MSG_INIT(secret_offered, a);

	if (code == VAULT_OK && has_secret) {
		s = read_secret(m->secret, &code, &why);
		m->secret = -1;
	}
	if (code == VAULT_OK && meta.reference) {
		s = secret_new(m->secret_ref.p, m->secret_ref.len);
		code = s != NULL ? VAULT_OK : VAULT_IO;
	}
	if (code == VAULT_OK) {
		o = offer_keep(c, &meta, m->add, m->set, s);
		code = o != NULL ? VAULT_OK : VAULT_IO;
	}
	if (o != NULL)
		memcpy(a.offer, offer_id(o), sizeof(a.offer));
	else
		secret_free(s);
	LOG_INFO("vault.offer", LSN("tenant", m->tenant.p, m->tenant.len),
	    LSN("credential", m->name.p, m->name.len), LB("secret", has_secret),
	    LSN("peer", peer.p, peer.len), LU("code", code));
	a.code = code;
	a.message = span_str(why != NULL ? why : serve_text(code));
	return chan_answer(c, reqid, MSG_secret_offered, &a);
}
