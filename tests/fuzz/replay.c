/* Runs a fuzzer over files, with any compiler and without libFuzzer: `make fuzz-replay`. Prints how many files it went through. */
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

#define MOST_BYTES (16u << 20)

static int replay(const char *path)
{
	struct stat st;
	uint8_t *data = NULL;
	size_t len = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0 || st.st_size > (off_t)MOST_BYTES)
		goto fail;
	data = malloc(st.st_size ? (size_t)st.st_size
				 : 1); /* exactly as large as the input, so that a sanitizer sees a byte too far */
	if (data == NULL)
		goto fail;
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, data + len, (size_t)st.st_size - len);
		if (n <= 0)
			goto fail;
		len += (size_t)n;
	}
	close(fd);
	LLVMFuzzerTestOneInput(data, len);
	free(data);
	return 0;
fail:
	fprintf(stderr, "%s: cannot be read\n", path);
	if (fd >= 0)
		close(fd);
	free(data);
	return -1;
}

int main(int argc, char **argv)
{
	int bad = 0;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		bad |= replay(argv[i]);
	printf("%d inputs\n", argc);
	return bad ? 1 : 0;
}
