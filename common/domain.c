/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allow-list patterns of credentials; see host.h.  The judge matches with it
 * when it decides, the egressd worker again before it connects.
 */
#include <string.h>

#include "common/host.h"
#include "common/span.h"

/* Suffixes under which strangers can register names; see domain_pattern_check(). */
static const char *const public_suffixes[] = {
    /* registries */
    "ac.uk", "co.uk", "gov.uk", "ltd.uk", "me.uk", "net.uk", "org.uk", "com.au", "net.au",
    "org.au", "co.nz", "net.nz", "org.nz", "co.jp", "ne.jp", "or.jp", "co.kr", "or.kr",
    "co.in", "net.in", "org.in", "co.id", "co.il", "co.th", "co.za", "com.ar", "com.br",
    "net.br", "org.br", "com.cn", "net.cn", "org.cn", "com.co", "com.eg", "com.hk",
    "com.mx", "com.my", "com.ng", "com.ph", "com.pk", "com.pl", "com.sa", "com.sg",
    "com.tr", "com.tw", "com.ua", "com.vn",
    /* hosting under customer-chosen names */
    "amazonaws.com", "appspot.com", "azurewebsites.net", "blogspot.com", "cloudapp.net",
    "cloudfront.net", "deno.dev", "firebaseapp.com", "fly.dev", "github.io", "gitlab.io",
    "herokuapp.com", "myshopify.com", "netlify.app", "ngrok.io", "ngrok-free.app",
    "onrender.com", "pages.dev", "r2.dev", "repl.co", "run.app", "s3.amazonaws.com",
    "surge.sh", "trycloudflare.com", "vercel.app", "web.app", "workers.dev"};

struct pattern {
	bool wild; /* host is the suffix behind "*." */
	int kind;
	uint16_t port; /* 0 if none */
	char host[HOST_MAX];
};

/* 0 or a negative enum host_kind. */
static int
pattern_parse(const char *text, struct pattern *p)
{
	size_t len = strlen(text);

	p->wild = len > 2 && text[0] == '*' && text[1] == '.';
	if (p->wild) {
		text += 2;
		len -= 2;
	}
	p->kind = host_normalise(text, len, p->host, &p->port);
	if (p->kind < 0)
		return p->kind;
	return p->wild && p->kind != HOST_NAME ? HOST_ERR_SYNTAX : 0;
}

bool
domain_match(const char *pattern, const char *host, uint16_t port)
{
	char canonical[HOST_MAX];
	struct pattern p;
	size_t hostlen, suffixlen;
	uint16_t none;
	int kind;

	if (pattern_parse(pattern, &p) < 0)
		return false;
	kind = host_normalise(host, strlen(host), canonical, &none);
	if (kind < 0 || none != 0)
		return false;
	if ((p.port != 0 ? p.port : HOST_DEFAULT_PORT) !=
	    (port != 0 ? port : HOST_DEFAULT_PORT))
		return false;
	if (!p.wild)
		return strcmp(p.host, canonical) == 0;
	hostlen = strlen(canonical);
	suffixlen = strlen(p.host);
	return kind == HOST_NAME && hostlen > suffixlen + 1 &&
	    canonical[hostlen - suffixlen - 1] == '.' &&
	    strcmp(canonical + hostlen - suffixlen, p.host) == 0;
}

int
domain_pattern_check(const char *pattern)
{
	struct pattern p;
	int r;

	if (strcmp(pattern, "*") == 0 || strncmp(pattern, "*:", 2) == 0)
		return HOST_ERR_WIDE;
	if ((r = pattern_parse(pattern, &p)) < 0)
		return r;
	if (p.kind != HOST_NAME)
		return 0;
	if (strchr(p.host, '.') == NULL) {
		if (p.wild)
			return HOST_ERR_WIDE;
		return strcmp(p.host, "localhost") == 0 ? 0 : HOST_ERR_BARE;
	}
	for (size_t i = 0;
	     p.wild && i < sizeof(public_suffixes) / sizeof(*public_suffixes); i++)
		if (strcmp(p.host, public_suffixes[i]) == 0)
			return HOST_ERR_WIDE;
	return 0;
}
