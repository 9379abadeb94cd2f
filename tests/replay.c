/*
 * Replays what fuzzing found, without a fuzzer: every file of a folder goes once through
 * the harness that this is linked with. Prints TAP.
 */
#include "dns01/base.h"

#include <dirent.h>

#define INPUT_MAX (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool replay(const char *path, int number)
{
	struct buf input;
	struct err err;

	printf("# %s\n", path); /* first: a crash leaves it as the last line */
	fflush(stdout);
	if (file_read(path, INPUT_MAX, &input, &err)) {
		printf("not ok %d - %s\n", number, err.text);
		return false;
	}
	LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&input), input.len);
	buf_clear(&input);
	printf("ok %d - %s\n", number, path);
	return true;
}

int main(int argc, char **argv)
{
	struct dirent **entries = NULL;
	int count = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
	int done = 0;
	int failed = 0;

	if (count < 0) {
		fputs("usage: replay FOLDER (of inputs, which must be there)\n", stderr);
		return err_exit_status(ERR_USAGE);
	}
	for (int i = 0; i < count; i++) {
		char *path = path_join(argv[1], entries[i]->d_name);

		if (entries[i]->d_name[0] != '.') {
			failed += !replay(path, ++done);
		}
		free(path);
		free(entries[i]);
	}
	free(entries);
	printf("1..%d\n", done);
	return failed > 0;
}
