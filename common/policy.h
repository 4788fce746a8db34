/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies: which methods and paths of which services an agent may use, how often, and
 * when. A policy comes as JSON from the administrator's files (YAML there), is checked
 * strictly and compiled once. The judge decides by it; master and command line compile it
 * too, for errors with a line, and to explain.
 */
#ifndef AEGIS_COMMON_POLICY_H
#define AEGIS_COMMON_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/json.h"
#include "common/rate.h"
#include "common/span.h"
#include "common/zone.h"

#define POLICY_NAME_MAX 64 /* octets of names of agents and services */
#define POLICY_RULES_MAX 256
#define POLICY_PATHS_MAX 64     /* of a rule */
#define POLICY_STATES_MAX 20000 /* of all patterns of a policy */
#define POLICY_JSON_MAX 49152   /* octets of a policy as JSON */
#define POLICY_KEY_SIZE 17      /* with its NUL */

enum policy_mode { POLICY_OFF, POLICY_DRY_RUN, POLICY_ENFORCE };

/* Why a rule does not apply, or no rule does. */
enum policy_violation {
	POLICY_NONE,
	POLICY_NO_POLICY, /* the agent has none */
	POLICY_NO_RULE,   /* for this service */
	POLICY_METHOD,
	POLICY_PATH,
	POLICY_TIME
};

struct policy_rule {
	char *service;
	unsigned methods; /* a bit each; 0: all */
	char **paths;     /* patterns as written; nfa beside each */
	struct nfa **nfa;
	size_t npaths; /* 0: all */
	bool has_rate;
	struct limit_rate rate;
	char rate_text[33];
	bool has_window;
	unsigned start, end; /* minutes of the day, both inside */
	char zone_name[ZONE_NAME_MAX + 1];
	const struct zone *zone;   /* NULL: UTC */
	char key[POLICY_KEY_SIZE]; /* names what it is about, whatever its limit */
	uint32_t node;             /* where it stands in the document */
	void *window;              /* the judge's, for its rate */
};

struct policy {
	char *agent;
	struct policy_rule *rules;
	size_t nrules;
};

/*
 * Compiles a value of a document. NULL with a text for the administrator in err that
 * names the member, such as `rules[0].paths[2]: ...`, and the node to blame in *at. Zones
 * are names yet: policy_link().
 */
struct policy *policy_compile(
    const struct json_doc *, uint32_t node, char *err, size_t err_size, uint32_t *at);
struct policy *policy_parse(struct span json, char *err, size_t err_size);
void policy_free(struct policy *);
/* Gives each rule its zone. -1: a name that find() does not know, in *missing. */
int policy_link(struct policy *, const struct zone *(*find)(const char *name, void *arg),
    void *arg, const char **missing);

struct target_readings;

struct policy_request {
	struct span service, method;
	const struct target_readings *path;
	int64_t unix_s;
	/* what upstreams might take instead of method or path; NULL: nothing */
	const char *method_override, *path_override;
};

/* Why this rule does not allow the request; POLICY_NONE: it does. */
enum policy_violation policy_rule_check(
    const struct policy_rule *, const struct policy_request *);
/*
 * The first rule that allows it, or NULL with why not: the first denial among the
 * service's rules, which is *by (NULL when there is none).
 */
const struct policy_rule *policy_decide(const struct policy *,
    const struct policy_request *, enum policy_violation *,
    const struct policy_rule **by);

/* "method", "path", "time_window", "no_matching_rule", "no_policy", "". */
const char *policy_violation_name(enum policy_violation);
/* A sentence for people about why this rule does not allow it; by may be NULL. */
void policy_explain(const struct policy *, const struct policy_rule *by,
    enum policy_violation, const struct policy_request *, char *out, size_t size);
/* "GET, POST", or "all" for 0. */
void policy_methods_text(unsigned methods, char *out, size_t size);
/* The methods that rules can name, by the place of their bit; NULL-terminated. */
extern const char *const policy_methods[];
/* off, dry-run, enforce. */
const char *policy_mode_name(enum policy_mode);

/* Names of header fields by which upstreams may be told another method or path; looks in
 * "name: value\r\n"... */
void policy_overrides(struct span headers, struct policy_request *);

#endif
