/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See out_file.h: written beside, renamed at the end.
 */
#include "aegis/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aegis/cli.h"

int
out_file_open(struct out_file *o, const char *path)
{
	int fd;

	*o = (struct out_file){stdout, path, NULL};
	if (path == NULL || strcmp(path, "-") == 0)
		return 0;
	if (asprintf(&o->temporary, "%s.XXXXXX", path) == -1)
		return -1;
	fd = mkostemp(o->temporary, O_CLOEXEC); /* mode 0600 */
	o->f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (o->f != NULL)
		return 0;
	cli_error(NULL, "%s: %s", path, strerror(errno));
	if (fd >= 0) {
		close(fd);
		unlink(o->temporary);
	}
	free(o->temporary);
	return -1;
}

int
out_file_close(struct out_file *o, bool good)
{
	bool bad = fflush(o->f) != 0 || ferror(o->f);

	if (o->temporary == NULL) {
		if (bad)
			cli_error(NULL, "standard output: %s", strerror(errno));
		return bad ? -1 : 0;
	}
	bad = fsync(fileno(o->f)) == -1 || bad;
	bad = fclose(o->f) != 0 || bad;
	if (good && !bad && rename(o->temporary, o->path) == 0) {
		fprintf(stderr, "✓ %s is written\n", o->path);
		free(o->temporary);
		return 0;
	}
	if (good)
		cli_error(NULL, "%s: %s", o->path, strerror(errno));
	unlink(o->temporary);
	free(o->temporary);
	return -1;
}
