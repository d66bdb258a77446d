/* SPDX-License-Identifier: MIT */
/**
 * main() for a fuzz target without libFuzzer: runs the target once with each file of the named
 * folders, all as one test case. For `make check`.
 */
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool replay(const char *path)
{
	static uint8_t buf[1 << 20];
	FILE *file = fopen(path, "rbe");

	if (file == NULL) {
		perror(path);
		return false;
	}
	size_t size = fread(buf, 1, sizeof(buf), file);
	bool sound = ferror(file) == 0;
	(void)fclose(file);

	(void)printf("%s\n", path); /* the last line names the file that crashed the target */
	(void)fflush(stdout);

	/* An allocation of exactly its size, so that a sanitizer reports a read past the end. */
	uint8_t *input = malloc(size > 0 ? size : 1);
	if (input == NULL)
		return false;
	memcpy(input, buf, size);
	(void)LLVMFuzzerTestOneInput(input, size);
	free(input);
	return sound;
}

static bool replay_folder(const char *folder, unsigned *count)
{
	DIR *dir = opendir(folder);
	bool sound = true;

	if (dir == NULL) {
		perror(folder);
		return false;
	}
	for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
		char path[PATH_MAX];

		if (entry->d_name[0] == '.')
			continue;
		int len = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		sound = len > 0 && len < (int)sizeof(path) && replay(path) && sound;
		++*count;
	}
	(void)closedir(dir);
	return sound;
}

int main(int argc, char **argv)
{
	const char *result = getenv("TAP_FILE");
	unsigned count = 0;
	bool sound = true;

	for (int i = 1; i < argc; i++)
		sound = replay_folder(argv[i], &count) && sound;
	sound = sound && count > 0; /* a target without seeds tests nothing */

	FILE *file = result != NULL ? fopen(result, "we") : stdout;
	if (file == NULL)
		return EXIT_FAILURE;
	(void)fprintf(file, "%s 1 - %s: %u seeds\n1..1\n", sound ? "ok" : "not ok", argv[0], count);
	(void)fclose(file);
	return sound ? EXIT_SUCCESS : EXIT_FAILURE;
}
