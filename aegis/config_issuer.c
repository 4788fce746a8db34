/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose tokens are believed beside our own: operators of an identity provider, and
 * issuers of security tokens. Their key sets are files of the administrator; they are
 * read here, with the configuration, so that no daemon has to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aegis/config_int.h"
#include "aegis/keys.h"
#include "aegis/yaml.h"

#define ISSUERS_MAX 16

static void
read_keys(struct loading *l, struct config_issuer *i, const char *key, bool rsa_only)
{
	const char *why = NULL;
	size_t len, n, kept = 0;
	char *text = config_read_file(i->jwks_file, JWKS_FILE_MAX, &len);

	if (text == NULL) {
		problem_add(&l->problems, l->c->file, 0, 0, key,
		    "found %s (%s), expected a file with a JSON Web Key Set",
		    i->jwks_file, strerror(errno));
		return;
	}
	if (jwks_read(&i->keys, text, len, &why) == -1)
		problem_add(&l->problems, l->c->file, 0, 0, key,
		    "found %s, which is no JSON Web Key Set: %s", i->jwks_file, why);
	free(text);
	if (why != NULL)
		return;
	for (n = 0; n < i->keys.n; n++)
		if (!rsa_only || i->keys.keys[n].alg == JWT_RS256)
			i->keys.keys[kept++] = i->keys.keys[n];
	i->keys.n = kept;
	if (kept == 0)
		problem_add(&l->problems, l->c->file, 0, 0, key,
		    "found no usable key in %s, expected at least one of type RSA%s",
		    i->jwks_file, rsa_only ? "" : " or Ed25519");
}

static void
read_operators(struct loading *l)
{
	struct config *c = l->c;

	if (c->operators.jwks_file == NULL)
		return;
	if (c->operators.issuer == NULL)
		problem_add(&l->problems, c->file, 0, 0, "operators.issuer",
		    "found none, expected the issuer (iss) of the tokens that "
		    "operators.jwks_file verifies");
	else if (strcmp(c->operators.issuer, c->seal_issuer) == 0)
		problem_add(&l->problems, c->file, 0, 0, "operators.issuer",
		    "found the issuer of our own tokens (seal.issuer), expected another");
	read_keys(l, &c->operators, "operators.jwks_file", true);
}

static void
on_key(const struct config_key *k, const struct yaml_node *n, void *arg)
{
	(void)k;
	(void)n;
	(void)arg;
}

static void
read_issuer(struct loading *l, const struct yaml_node *map, size_t index)
{
	struct config *c = l->c;
	struct config_issuer *it = &c->issuers[c->nissuers++];
	const struct config_key *k;
	char prefix[64], err[320];
	size_t i;

	memset(it, 0, sizeof(*it));
	snprintf(prefix, sizeof(prefix), "seal.issuers[%zu].", index);
	for (k = issuer_keys; k->path != NULL; k++)
		if (k->fallback != NULL)
			(void)key_set_text(k, it, k->fallback, NULL, err, sizeof(err));
	keys_read_map(
	    issuer_keys, it, map, c->base_dir, prefix, &l->problems, on_key, NULL);
	if (map->kind != YAML_MAP)
		return;
	if (it->issuer == NULL || it->jwks_file == NULL) {
		problem_add(&l->problems, NULL, map->line, map->column, prefix,
		    "found no %s, expected issuer and jwks_file",
		    it->issuer == NULL ? "issuer" : "jwks_file");
		return;
	}
	for (i = 0; i + 1 < c->nissuers; i++)
		if (c->issuers[i].issuer != NULL &&
		    strcmp(c->issuers[i].issuer, it->issuer) == 0)
			break;
	if (i + 1 < c->nissuers || strcmp(it->issuer, c->seal_issuer) == 0)
		problem_add(&l->problems, NULL, map->line, map->column, prefix,
		    "found the issuer \"%s\" again, expected each once and none to be "
		    "seal.issuer",
		    it->issuer);
	/* or an agent's token were an operator's, if only it says so */
	if (c->operators.jwks_file != NULL && c->operators.issuer != NULL &&
	    strcmp(it->issuer, c->operators.issuer) == 0 &&
	    strcmp(it->audience != NULL ? it->audience : c->seal_audience,
		c->operators.audience) == 0)
		problem_add(&l->problems, NULL, map->line, map->column, prefix,
		    "found issuer and audience of operators, expected another audience");
	read_keys(l, it, prefix, false);
}

void
config_read_issuers(struct loading *l)
{
	const struct yaml_node *n;
	char what[80];
	size_t i = 0;

	if (l->c->seal_audience != NULL &&
	    (strcmp(l->c->seal_audience, CONFIG_AUD_OPERATORS) == 0 ||
		strcmp(l->c->seal_audience, CONFIG_AUD_NODES) == 0))
		problem_add(&l->problems, l->c->file, 0, 0, "seal.audience",
		    "found \"%s\", which is kept for other tokens: expected another",
		    l->c->seal_audience);
	read_operators(l);
	if (l->issuers == NULL)
		return;
	if (l->issuers->kind != YAML_LIST || l->issuers->count > ISSUERS_MAX) {
		problem_add(&l->problems, NULL, l->issuers->line, l->issuers->column,
		    "seal.issuers", "found %s, expected a list of at most %d",
		    ytree_describe(l->issuers, what, sizeof(what)), ISSUERS_MAX);
		return;
	}
	l->c->issuers = calloc(l->issuers->count + 1u, sizeof(*l->c->issuers));
	for (n = l->issuers->child; n != NULL && l->c->issuers != NULL; n = n->next)
		read_issuer(l, n, i++);
}

void
config_free_issuers(struct config *c)
{
	const struct config_key *k;
	size_t i;

	jwks_free(&c->operators.keys);
	for (i = 0; i < c->nissuers; i++) {
		for (k = issuer_keys; k->path != NULL; k++)
			key_clear(k, &c->issuers[i]);
		jwks_free(&c->issuers[i].keys);
	}
	free(c->issuers);
}
