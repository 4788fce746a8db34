/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line as a table: it gives parsing, help and completion. Runs as whoever
 * typed the command.
 */
#ifndef AEGIS_CLI_H
#define AEGIS_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct secret;

#define CLI_FLAGS_MAX 32
#define CLI_SECRETS_MAX 255

enum flag_kind {
	FLAG_SWITCH,
	FLAG_TEXT,
	FLAG_NUMBER, /* digits, up to 2^32 - 2 */
	FLAG_SECRET, /* text that is taken out of argv at once; "-" is standard input */
	FLAG_SECRETS /* the same, as often as one likes, and never standard input */
};

struct flag {
	const char *name; /* without "--"; NULL ends a list */
	char letter;      /* short form, or '\0' */
	enum flag_kind kind;
	bool required;
	const char *value; /* "NAME", for help */
	const char *about;
};

struct cli;

struct command {
	const char *group; /* "vault", or "" */
	const char *name;
	const char *args;  /* of what is not a flag: "", "[FILE]", "COMMAND..." */
	unsigned max_args; /* UINT_MAX: any; COMMAND... needs "--" or is the first plain
			      word */
	const char *about;
	const struct flag *flags; /* beside the common ones; may be NULL */
	int (*run)(struct cli *);
};

extern const struct command commands[]; /* ends with name NULL */
extern const struct flag common_flags[];

struct cli {
	const struct command *command;
	const char
	    *values[CLI_FLAGS_MAX]; /* by place in command->flags, then common_flags */
	struct secret *secret;      /* of a FLAG_SECRET */
	bool secret_stdin;          /* --secret - */
	struct secret *secrets[CLI_SECRETS_MAX]; /* of a FLAG_SECRETS */
	unsigned nsecrets;
	char **rest;
	unsigned nrest;
	bool json;
	struct config *config; /* once cli_config() was called */
};

/* Parses argv and runs the command. Returns the exit code. */
int cli_main(int argc, char **argv);

/* Was the flag given? Its text, or NULL; its number, or the fallback. */
bool cli_given(const struct cli *, const char *flag);
const char *cli_text(const struct cli *, const char *flag);
uint32_t cli_number(const struct cli *, const char *flag, uint32_t fallback);
/* The text or "" for messages. */
const char *cli_text_or(const struct cli *, const char *flag, const char *fallback);

/* Loads the configuration with the common flags; NULL after saying why. */
struct config *cli_config(struct cli *);
/* The flags that the configuration is read with by `gate`. */
struct config_flags;
void cli_config_flags(const struct cli *, struct config_flags *);
/* The same for `gate`, with its own flags. */
struct config *cli_config_serve(struct cli *);

/*
 * The secret of --secret, --secret-file, --secret-stdin or of a question at the terminal,
 * as a memfd with exactly its octets, position 0. -1 after saying why.
 */
int cli_secret_fd(struct cli *);

/* The same as a secret, for what the command line uses itself. NULL after saying why. */
struct secret *cli_secret(struct cli *);
/* Was one given, in whichever way? */
bool cli_secret_given(const struct cli *);

/* One line, typed at the terminal without echo; empty when that ends. NULL: there is no
 * terminal. */
struct secret *cli_secret_ask(const char *prompt);
/* That a secret was on the command line. */
void cli_warn_secret(void);

/* "✗ what", then "  next" when it is not NULL, on standard error. */
void cli_error(const char *next, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* "✓ what" on standard output. */
void cli_ok(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Help for everything, a group or a command. */
void help_all(bool to_stderr);
void help_group(const char *group, bool to_stderr);
void help_command(const struct command *, bool to_stderr);

#endif
