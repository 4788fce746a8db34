/* SPDX-License-Identifier: Apache-2.0 */
/* See progress.h. */
#include "aegis/progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "common/loop.h"

#define FIRST_MS 1000
#define AGAIN_MS 200

static uint64_t due_ms;
static bool shown;

static void
put_number(uint64_t n)
{
	if (n >= 1000) {
		put_number(n / 1000);
		fprintf(stderr, ",%03u", (unsigned)(n % 1000));
	} else {
		fprintf(stderr, "%u", (unsigned)n);
	}
}

void
progress(uint64_t done, const char *unit)
{
	uint64_t now = loop_boot_ms();

	if (due_ms == 0)
		due_ms = now + FIRST_MS;
	if (now < due_ms || !isatty(STDERR_FILENO))
		return;
	due_ms = now + AGAIN_MS;
	shown = true;
	fputs("\r  ", stderr);
	put_number(done);
	fprintf(stderr, " %s ...", unit);
	fflush(stderr);
}

void
progress_end(void)
{
	if (shown)
		fputs("\r\033[K", stderr);
	shown = false;
	due_ms = 0;
}
