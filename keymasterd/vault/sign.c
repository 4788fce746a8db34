/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens and checkpoints; see sign.h. Runs in vault on typed values from the judge, which
 * may be captured: what could mislead a reader of the signed octets is refused here.
 */
#include "keymasterd/vault/sign.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/hex.h"
#include "common/jsonw.h"
#include "common/rfc3339.h"

#define SIGNATURE_CHARS ((VAULT_SIGNATURE_LEN * 8 + 5) / 6)

void
sign_kid(const uint8_t *public_key, char kid[SIGN_KID_SIZE])
{
	uint8_t hash[32];

	if (EVP_Digest(public_key, VAULT_PUBLIC_LEN, hash, NULL, EVP_sha256(), NULL) != 1)
		memset(hash, 0, sizeof(hash));
	(void)hex_encode(hash, SIGN_KID_LEN / 2, kid, SIGN_KID_SIZE);
}

static void
claim(struct jsonw *w, const char *name, struct span value)
{
	jsonw_key(w, name);
	jsonw_strn(w, value.p, value.len);
}

/* A claim that is left out when there is nothing to say. */
static void
claim_if(struct jsonw *w, const char *name, struct span value)
{
	if (value.len > 0)
		claim(w, name, value);
}

/* RFC 7515 section 4, RFC 8037 section 3.1. */
static int
put_header(struct buf *out, const char *alg, const char *kid)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	jsonw_key_str(&w, "alg", alg);
	jsonw_key_str(&w, "kid", kid);
	jsonw_key_str(&w, "typ", "JWT");
	jsonw_obj_close(&w);
	return jsonw_done(&w);
}

static int
put_claims(struct buf *out, const struct msg_token_sign *m)
{
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	claim(&w, "sub", m->sub);
	claim(&w, "scp", m->scp);
	claim(&w, "wid", m->wid);
	claim_if(&w, "jti", m->jti);
	claim_if(&w, "exec_id", m->exec_id);
	claim_if(&w, "tenant_id", m->tenant);
	claim_if(&w, "iss", m->issuer);
	claim_if(&w, "aud", m->audience);
	jsonw_key(&w, "iat");
	jsonw_uint(&w, m->iat);
	jsonw_key(&w, "exp");
	jsonw_uint(&w, m->exp);
	claim_if(&w, "task_summary", m->task_summary);
	jsonw_obj_close(&w);
	return jsonw_done(&w);
}

static const char *
refuse_times(uint64_t iat, uint64_t exp, uint64_t now)
{
	if (exp <= iat)
		return "a token must end after it begins";
	if (exp - iat > SIGN_LIFETIME_MAX)
		return "a token may live a day at most";
	if (iat > now + SIGN_CLOCK_SLACK)
		return "a token may not begin in the future";
	return NULL;
}

static const char *
refuse_token(const struct msg_token_sign *m, uint64_t now)
{
	if (m->sub.len == 0 || m->scp.len == 0 || m->wid.len == 0)
		return "a token needs sub, scp and wid";
	if (span_eq(m->audience, SIGN_AUD_OPERATORS) ||
	    span_eq(m->audience, SIGN_AUD_NODES))
		return "this audience is not an agent's";
	return refuse_times(m->iat, m->exp, now);
}

/* What is signed: header and claims, RFC 7515 section 5.1. Claims are text we wrote. */
static const char *
put_input(const struct vault_provider *p, const struct buf *claims, struct buf *input)
{
	const uint8_t *pub = p->public_key(VAULT_KEY_TOKEN);
	const char *why = "the token could not be made";
	char kid[SIGN_KID_SIZE];
	struct buf header;

	if (pub == NULL)
		return "the key for tokens is not known yet";
	buf_init(&header);
	sign_kid(pub, kid);
	if (put_header(&header, "EdDSA", kid) == 0 &&
	    b64_put(B64_URL, input, header.p, header.len) == 0 &&
	    buf_putc(input, '.') == 0 &&
	    b64_put(B64_URL, input, claims->p, claims->len) == 0)
		why = input->len + 1 + SIGNATURE_CHARS > SIGN_TOKEN_MAX
		    ? "the token would be longer than 4096 characters"
		    : NULL;
	buf_free(&header);
	if (why != NULL)
		buf_reset(input);
	return why;
}

const char *
sign_token(const struct vault_provider *p, const struct msg_token_sign *m, uint64_t now,
    struct buf *input)
{
	const char *why = refuse_token(m, now);
	struct buf claims;

	if (why != NULL)
		return why;
	buf_init(&claims);
	why = put_claims(&claims, m) == -1 ? "the token could not be made"
					   : put_input(p, &claims, input);
	buf_free(&claims);
	return why;
}

int
sign_token_end(struct buf *token, const uint8_t *signature, size_t len)
{
	return buf_putc(token, '.') == 0 ? b64_put(B64_URL, token, signature, len) : -1;
}

void
sign_node_kid(const uint8_t modulus[VAULT_RSA_LEN], char kid[SIGN_KID_SIZE])
{
	uint8_t hash[32];

	if (EVP_Digest(modulus, VAULT_RSA_LEN, hash, NULL, EVP_sha256(), NULL) != 1)
		memset(hash, 0, sizeof(hash));
	(void)hex_encode(hash, SIGN_KID_LEN / 2, kid, SIGN_KID_SIZE);
}

const char *
sign_node(const struct msg_node_sign *m, const uint8_t modulus[VAULT_RSA_LEN],
    uint64_t now, struct buf *input)
{
	const char *why = refuse_times(m->iat, m->exp, now);
	char kid[SIGN_KID_SIZE];
	struct buf part;
	struct jsonw w;

	if (m->node.len == 0 || m->issuer.len == 0 ||
	    (!span_eq(m->role, "worker") && !span_eq(m->role, "controller")))
		return "a token of a node needs node, issuer and role";
	if (why == NULL && m->exp - m->iat > SIGN_NODE_LIFETIME_MAX)
		why = "a token of a node may live an hour at most";
	if (why != NULL)
		return why;
	buf_init(&part);
	why = "the token could not be made";
	sign_node_kid(modulus, kid);
	if (put_header(&part, "RS256", kid) == -1 ||
	    b64_put(B64_URL, input, part.p, part.len) == -1 || buf_putc(input, '.') == -1)
		goto out;
	buf_reset(&part);
	jsonw_init(&w, &part);
	jsonw_obj_open(&w);
	claim(&w, "sub", m->node);
	claim(&w, "nid", m->node);
	claim(&w, "role", m->role);
	claim(&w, "iss", m->issuer);
	jsonw_key_str(&w, "aud", SIGN_AUD_NODES);
	jsonw_key(&w, "iat");
	jsonw_uint(&w, m->iat);
	jsonw_key(&w, "exp");
	jsonw_uint(&w, m->exp);
	jsonw_obj_close(&w);
	if (jsonw_done(&w) == 0 && b64_put(B64_URL, input, part.p, part.len) == 0)
		why = NULL;
out:
	buf_free(&part);
	return why;
}

static const char *
refuse_operator(const struct msg_operator_sign *m, uint64_t now)
{
	if (m->sub.len == 0 || m->tenant.len == 0 || m->issuer.len == 0)
		return "a token of an operator needs sub, tenant and issuer";
	if (m->role < OPERATOR_READONLY || m->role > OPERATOR_ADMIN)
		return "there is no such role";
	return refuse_times(m->iat, m->exp, now);
}

static int
put_operator_claims(struct buf *out, const struct msg_operator_sign *m)
{
	static const char *const roles[] = {"", "readonly", "operator", "admin"};
	struct jsonw w;

	jsonw_init(&w, out);
	jsonw_obj_open(&w);
	claim(&w, "sub", m->sub);
	claim(&w, "tenant_id", m->tenant);
	jsonw_key_str(&w, "aegis_role", roles[m->role]);
	claim_if(&w, "jti", m->jti);
	claim(&w, "iss", m->issuer);
	jsonw_key_str(&w, "aud", SIGN_AUD_OPERATORS);
	jsonw_key(&w, "iat");
	jsonw_uint(&w, m->iat);
	jsonw_key(&w, "exp");
	jsonw_uint(&w, m->exp);
	jsonw_obj_close(&w);
	return jsonw_done(&w);
}

const char *
sign_operator(const struct vault_provider *p, const struct msg_operator_sign *m,
    uint64_t now, struct buf *input)
{
	const char *why = refuse_operator(m, now);
	struct buf claims;

	if (why != NULL)
		return why;
	buf_init(&claims);
	why = put_operator_claims(&claims, m) == -1 ? "the token could not be made"
						    : put_input(p, &claims, input);
	buf_free(&claims);
	return why;
}

/* The last checkpoint of this process's life. */
static struct {
	char chain[65];
	uint64_t seq;
	uint8_t head[32], root[32];
} last;

static const char *
refuse_checkpoint(const struct msg_checkpoint_sign *m, const char *chain)
{
	static const uint8_t none[32];
	int64_t sec;

	if (memcmp(m->root, none, sizeof(none)) == 0)
		return "no root";
	/* the text is made of lines */
	if (chain[0] == '\0' ||
	    strspn(chain,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") !=
		m->chain.len)
		return "not the name of a chain";
	if (rfc3339_parse(m->time.p, m->time.len, &sec, NULL) == -1)
		return "not a time";
	if (last.chain[0] == '\0')
		return NULL;
	if (strcmp(last.chain, chain) != 0)
		return "another chain than before";
	if (m->seq < last.seq)
		return "the ledger has become shorter";
	if (m->seq == last.seq &&
	    (memcmp(m->head, last.head, sizeof(last.head)) != 0 ||
		memcmp(m->root, last.root, sizeof(last.root)) != 0))
		return "another head for the same row";
	return NULL;
}

/* The octets to sign; 0 when they do not fit. */
static size_t
checkpoint_text(
    const struct msg_checkpoint_sign *m, const char *chain, char *out, size_t size)
{
	char head[65], root[65];
	int n;

	(void)hex_encode(m->head, sizeof(m->head), head, sizeof(head));
	(void)hex_encode(m->root, sizeof(m->root), root, sizeof(root));
	n = snprintf(out, size, "aegis-checkpoint-2\n%s\n%" PRIu64 "\n%s\n%s\n%.*s\n",
	    chain, m->seq, head, root, (int)m->time.len, m->time.p);
	return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

const char *
sign_checkpoint(const struct msg_checkpoint_sign *m, struct buf *text)
{
	char chain[65], lines[SIGN_CHECKPOINT_MAX];
	const char *why;
	size_t n;

	if (span_copy(m->chain, chain, sizeof(chain)) == -1)
		return "not the name of a chain";
	why = refuse_checkpoint(m, chain);
	if (why != NULL)
		return why;
	n = checkpoint_text(m, chain, lines, sizeof(lines));
	if (n == 0 || buf_put(text, lines, n) == -1)
		return "the checkpoint could not be made";
	/* from here on nothing else is signed for this row, whenever the key answers */
	memcpy(last.chain, chain, sizeof(last.chain));
	last.seq = m->seq;
	memcpy(last.head, m->head, sizeof(last.head));
	memcpy(last.root, m->root, sizeof(last.root));
	return NULL;
}
