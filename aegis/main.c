/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aegis: the command line, and with `aegis gate` the master. Runs as root or as the
 * developer who typed it.
 */
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>

#include "aegis/cli.h"
#include "common/log.h"
#include "common/proto.h"

int
main(int argc, char **argv)
{
	umask(066); /* others may pass through a directory, and read nothing */
	log_init(ROLE_ADMIN, LOG_FORMAT_LOGFMT, LOG_LEVEL_WARN);
	if (sodium_init() == -1) {
		fprintf(stderr, "aegis: libsodium cannot be used\n");
		return ADMIN_FAILED;
	}
	return cli_main(argc, argv);
}
