/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A main for fuzz targets without libFuzzer: runs every file of the target's corpus, and
 * every prefix and every one-octet change of the small ones. Fails when there is no
 * corpus.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL 512

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Exactly as large as the input, so that a sanitizer sees the first octet too many. */
static void
run(const uint8_t *p, size_t len)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);

	if (copy == NULL)
		abort();
	memcpy(copy, p, len);
	(void)LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static void
variations(uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		run(p, i);
		p[i] ^= 0x20;
		run(p, len);
		p[i] ^= 0xa0;
		run(p, len);
		p[i] ^= 0x80;
	}
}

static int
run_file(const char *path)
{
	static uint8_t octets[1 << 20];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (f == NULL)
		return -1;
	n = fread(octets, 1, sizeof(octets), f);
	fclose(f);
	run(octets, n);
	if (n <= SMALL)
		variations(octets, n);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *root = getenv("FUZZ_CORPUS"), *name = strrchr(argv[0], '/');
	struct dirent *e;
	char path[4096];
	int files = 0;
	DIR *d;

	(void)argc;
	name = name == NULL ? argv[0] : name + 1;
	if (strncmp(name, "fuzz_", 5) == 0)
		name += 5;
	if (root == NULL ||
	    snprintf(path, sizeof(path), "%s/%s", root, name) >= (int)sizeof(path)) {
		fprintf(stderr, "FUZZ_CORPUS is not set\n");
		return 1;
	}
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", root, name, e->d_name);
		if (run_file(path) == 0)
			files++;
	}
	if (d != NULL)
		closedir(d);
	printf("%s: %d files of corpus\n", name, files);
	return files == 0;
}
