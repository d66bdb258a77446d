/* SPDX-License-Identifier: MIT */
/** main() for a fuzz target without libFuzzer: runs each file named once. For `make check`. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
	static uint8_t buf[1 << 20];

	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rbe");

		if (file == NULL) {
			perror(argv[i]);
			return EXIT_FAILURE;
		}
		size_t size = fread(buf, 1, sizeof(buf), file);
		(void)fclose(file);
		(void)LLVMFuzzerTestOneInput(buf, size);
	}
	(void)printf("%s: %d inputs\n", argv[0], argc - 1);
	return EXIT_SUCCESS;
}
