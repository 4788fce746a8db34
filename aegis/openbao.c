/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secret id for vault's logins; see openbao.h. The file is opened anew each time, so
 * that a rotated one is used, and it is read by vault, not here.
 */
#include "aegis/openbao.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aegis/config.h"
#include "common/chan.h"
#include "common/secret.h"

static const struct config *config;

void
openbao_setup(const struct config *c)
{
	config = c;
}

static int
write_secret(const void *p, size_t len, void *arg)
{
	return write(*(int *)arg, p, len) == (ssize_t)len ? 0 : -1;
}

static int
descriptor(char *why, size_t size)
{
	struct stat st;
	int fd;

	if (config->openbao_secret != NULL) {
		fd = memfd_create("secret-id", MFD_CLOEXEC);
		if (fd == -1 ||
		    secret_use(config->openbao_secret, write_secret, &fd) == 0)
			return fd;
		close(fd);
		return -1;
	}
	if (config->openbao_secret_file == NULL) {
		snprintf(why, size, "none is configured");
		return -1;
	}
	/* not to wait for the other end of a pipe */
	fd = open(config->openbao_secret_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	snprintf(why, size, "%.100s: %s", config->openbao_secret_file,
	    fd >= 0 ? "not a file" : strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

int
openbao_secret_id(struct chan *c, uint64_t reqid, void *msg)
{
	char why[160] = "";
	MSG_INIT(secret_id, a);

	(void)msg;
	if (config == NULL || config->vault_provider != CONFIG_OPENBAO)
		return -1; /* this vault has no business there */
	a.fd = descriptor(why, sizeof(why));
	a.message = span_str(why);
	(void)chan_answer(c, reqid, MSG_secret_id, &a);
	return 0;
}
