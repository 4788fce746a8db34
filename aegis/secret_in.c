/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the secret of `vault add` and `vault rotate` comes from: a flag, a file, standard
 * input, or a question at the terminal. It leaves as a memfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "aegis/cli.h"
#include "common/secret.h"

#define SECRET_MAX 32768 /* octets, as the vault takes */

static struct secret *
read_all(int fd, const char *name)
{
	char *text = malloc(SECRET_MAX + 2);
	struct secret *s = NULL;
	size_t n = 0;
	ssize_t got = -1;

	while (text != NULL && n < SECRET_MAX + 2 &&
	    (got = read(fd, text + n, SECRET_MAX + 2 - n)) != 0) {
		if (got == -1 && errno != EINTR)
			break;
		n += got > 0 ? (size_t)got : 0;
	}
	if (got == -1 && text != NULL)
		cli_error(NULL, "%s: %s", name, strerror(errno));
	else if (text != NULL) {
		if (n > 0 && text[n - 1] == '\n')
			n--;
		if (n > SECRET_MAX)
			cli_error(NULL, "the secret has more than %d octets", SECRET_MAX);
		else
			s = secret_new(text, n);
	}
	if (text != NULL)
		explicit_bzero(text, SECRET_MAX + 2);
	free(text);
	return s;
}

struct secret *
cli_secret_ask(const char *prompt)
{
	struct termios old, quiet;
	char line[8192];
	struct secret *s = NULL;
	sigset_t block, before;
	FILE *tty = fopen("/dev/tty", "r+e");
	size_t n;

	if (tty == NULL || tcgetattr(fileno(tty), &old) == -1) {
		if (tty != NULL)
			fclose(tty);
		return NULL;
	}
	setvbuf(tty, NULL, _IONBF, 0);
	/* a key that interrupts must not leave the terminal without echo */
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTSTP);
	sigprocmask(SIG_BLOCK, &block, &before);
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
	(void)dprintf(fileno(tty), "%s", prompt);
	if (fgets(line, sizeof(line), tty) != NULL) {
		n = strcspn(line, "\n");
		if (line[n] == '\n')
			s = secret_new(line, n);
	}
	explicit_bzero(line, sizeof(line));
	tcsetattr(fileno(tty), TCSAFLUSH, &old);
	(void)dprintf(fileno(tty), "\n");
	sigprocmask(SIG_SETMASK, &before, NULL);
	fclose(tty);
	return s;
}

static struct secret *
from_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct secret *s;

	if (fd == -1) {
		cli_error(NULL, "%s: %s", path, strerror(errno));
		return NULL;
	}
	s = read_all(fd, path);
	close(fd);
	return s;
}

static struct secret *
from_anywhere(struct cli *cli)
{
	struct secret *s = cli->secret;
	const char *file = cli_text(cli, "secret-file");
	bool stdin_wanted = cli->secret_stdin || cli_given(cli, "secret-stdin");

	if ((s != NULL) + (file != NULL) + stdin_wanted > 1) {
		cli_error(
		    NULL, "more than one of --secret, --secret-file, --secret-stdin");
		return NULL;
	}
	cli->secret = NULL;
	if (s != NULL)
		return s;
	if (file != NULL)
		return from_file(file);
	if (stdin_wanted)
		return read_all(STDIN_FILENO, "standard input");
	if (isatty(STDIN_FILENO))
		return cli_secret_ask("Secret: ");
	cli_error("Write it to standard input with --secret-stdin, or name a file with "
		  "--secret-file.",
	    "the secret is missing");
	return NULL;
}

static int
write_out(const void *p, size_t len, void *arg)
{
	return write(*(int *)arg, p, len) == (ssize_t)len ? 0 : -1;
}

bool
cli_secret_given(const struct cli *cli)
{
	return cli->secret != NULL || cli->secret_stdin;
}

struct secret *
cli_secret(struct cli *cli)
{
	(void)secret_init(2u * 1024 * 1024);
	return from_anywhere(cli);
}

int
cli_secret_fd(struct cli *cli)
{
	struct secret *s;
	int fd = -1;

	(void)secret_init(2u * 1024 * 1024);
	s = from_anywhere(cli);
	if (s == NULL)
		return -1;
	if (secret_len(s) == 0) {
		cli_error(NULL, "the secret is empty");
		goto out;
	}
	fd = memfd_create("secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1 || secret_use(s, write_out, &fd) != 0 ||
	    lseek(fd, 0, SEEK_SET) == -1 ||
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == -1) {
		cli_error(NULL, "the secret cannot be handed over: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
out:
	secret_free(s);
	return fd;
}
