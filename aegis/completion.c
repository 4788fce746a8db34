/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis completion: scripts for shells, from the tables.
 */
#include <stdio.h>
#include <string.h>

#include "aegis/cli.h"
#include "aegis/cmd.h"
#include "common/proto.h"

/* Words that can follow "aegis": each group once, and plain commands. */
static void
print_first_words(const char *between)
{
	const struct command *c;
	const char *last = "";

	for (c = commands; c->name != NULL; c++) {
		if (c->group[0] != '\0' && strcmp(c->group, last) == 0)
			continue;
		printf("%s%s", c == commands ? "" : between,
		    c->group[0] ? c->group : c->name);
		last = c->group;
	}
}

static void
print_flag_words(const struct flag *f)
{
	for (; f != NULL && f->name != NULL; f++)
		printf(" --%s", f->name);
}

static void
print_group_words(const char *group)
{
	const struct command *c;

	for (c = commands; c->name != NULL; c++)
		if (strcmp(c->group, group) == 0)
			printf(" %s", c->name);
}

/* A case of the shell's case statement for each group and command. */
static void
print_cases(void)
{
	const struct command *c;
	const char *last = "";

	for (c = commands; c->name != NULL; c++) {
		if (c->group[0] != '\0' && strcmp(c->group, last) != 0) {
			printf("\t'%s') words='", c->group);
			print_group_words(c->group);
			printf("' ;;\n");
		}
		last = c->group;
		printf("\t'%s%s%s') words='", c->group, c->group[0] ? " " : "", c->name);
		print_flag_words(c->flags);
		print_flag_words(common_flags);
		printf("' ;;\n");
	}
}

static void
print_bash(void)
{
	printf("# aegis completion bash\n"
	       "_aegis() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} words= path=\n"
	       "\tlocal one=${COMP_WORDS[1]} two=${COMP_WORDS[2]}\n"
	       "\t[ \"$COMP_CWORD\" -ge 2 ] && path=$one\n"
	       "\t[ \"$COMP_CWORD\" -ge 3 ] && case $two in -*) ;; *) path=\"$one $two\" "
	       ";; esac\n"
	       "\tcase $path in\n"
	       "\t'') words='");
	print_first_words(" ");
	printf("' ;;\n");
	print_cases();
	printf("\t*) case $one in run) words= ;; esac ;;\n"
	       "\tesac\n"
	       "\tcase $cur in\n"
	       "\t-*|'') mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\") ;;\n"
	       "\t*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	       "\t\t[ ${#COMPREPLY[@]} -eq 0 ] && mapfile -t COMPREPLY < <(compgen -f -- "
	       "\"$cur\") ;;\n"
	       "\tesac\n"
	       "}\n"
	       "complete -F _aegis aegis\n");
}

static void
print_zsh(void)
{
	printf("#compdef aegis\n"
	       "_aegis() {\n"
	       "\tlocal words_at=\"$words[2]\" list=\n"
	       "\t(( CURRENT >= 4 )) && [[ $words[3] != -* ]] && words_at=\"$words[2] "
	       "$words[3]\"\n"
	       "\t(( CURRENT == 2 )) && words_at=\n"
	       "\tlocal path_=$words_at words=\n"
	       "\tcase $path_ in\n"
	       "\t'') words='");
	print_first_words(" ");
	printf("' ;;\n");
	print_cases();
	printf("\tesac\n"
	       "\tcompadd -- ${=words}\n"
	       "\t[[ $PREFIX == -* ]] || _files\n"
	       "}\n"
	       "compdef _aegis aegis\n");
}

/* A text between apostrophes. */
static void
print_fish_text(const char *s)
{
	putchar('\'');
	for (; *s != '\0'; s++) {
		if (*s == '\'' || *s == '\\')
			putchar('\\');
		putchar(*s);
	}
	putchar('\'');
}

static void
print_fish_flags(const struct command *c, const struct flag *f)
{
	for (; f != NULL && f->name != NULL; f++) {
		printf("complete -c aegis -n '__fish_seen_subcommand_from %s%s%s' -l %s",
		    c->group[0] ? c->group : c->name,
		    c->group[0] ? "; and __fish_seen_subcommand_from " : "",
		    c->group[0] ? c->name : "", f->name);
		if (f->letter != '\0')
			printf(" -s %c", f->letter);
		printf("%s -d ", f->kind == FLAG_SWITCH ? "" : " -r");
		print_fish_text(f->about);
		putchar('\n');
	}
}

static void
print_fish(void)
{
	const struct command *c;

	printf("# aegis completion fish\n");
	printf("complete -c aegis -n __fish_use_subcommand -f -a '");
	print_first_words(" ");
	printf("'\n");
	for (c = commands; c->name != NULL; c++) {
		if (c->group[0] != '\0') {
			printf("complete -c aegis -n '__fish_seen_subcommand_from %s' -f "
			       "-a %s -d ",
			    c->group, c->name);
			print_fish_text(c->about);
			putchar('\n');
		}
		print_fish_flags(c, c->flags);
		print_fish_flags(c, common_flags);
	}
}

int
cmd_completion(struct cli *cli)
{
	const char *shell = cli->nrest > 0 ? cli->rest[0] : "";

	if (strcmp(shell, "bash") == 0)
		print_bash();
	else if (strcmp(shell, "zsh") == 0)
		print_zsh();
	else if (strcmp(shell, "fish") == 0)
		print_fish();
	else {
		cli_error("source <(aegis completion bash)",
		    "name the shell: bash, zsh or fish");
		return ADMIN_USAGE;
	}
	return ADMIN_OK;
}
