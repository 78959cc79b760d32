#include "engine/base/spool.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/spool_test.XXXXXX";

static unsigned char octet_at(uint64_t i)
{
	return (unsigned char)(i * 2654435761u >> 13);
}

/* Writes size octets in pieces of step, then reads them back in every way that has an edge. */
static void round_trip(uint64_t expected, size_t size, size_t step)
{
	struct err e = ERR_INIT;
	struct spool *s;
	unsigned char *all = malloc(size + 1);
	for (size_t i = 0; i < size; i++)
		all[i] = octet_at(i);
	assert_int_equal(spool_new(&s, dir, expected, &e), 0);
	for (size_t at = 0; at < size; at += step)
		assert_int_equal(spool_write(s, all + at, size - at < step ? size - at : step, &e), 0);
	assert_int_equal(spool_size(s), size);
	bool in_memory = expected <= SPOOL_MEMORY_BYTES && size <= SPOOL_MEMORY_BYTES;
	assert_int_equal(spool_memory(s) != NULL, in_memory);
	if (in_memory && size > 0)
		assert_memory_equal(spool_memory(s), all, size);
	unsigned char *back = malloc(size + 10);
	static const size_t offsets[] = {0, 1, 65535, 65536, 65537, 262144};
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		size_t got = 99, want = offsets[i] < size ? size - offsets[i] : 0;
		assert_int_equal(spool_read(s, offsets[i], back, size + 10, &got, &e), 0);
		assert_int_equal(got, want);
		if (want > 0)
			assert_memory_equal(back, all + offsets[i], want);
	}
	size_t got;
	assert_int_equal(spool_read(s, size, back, 5, &got, &e), 0);
	assert_int_equal(got, 0);
	assert_int_equal(spool_read(s, UINT64_MAX, back, 5, &got, &e), 0);
	assert_int_equal(got, 0);
	free(all);
	free(back);
	spool_free(&s);
	assert_null(s);
	spool_free(&s);
}

static void test_round_trips(void **state)
{
	(void)state;
	static const uint64_t expected[] = {0, 10, SPOOL_MEMORY_BYTES, SPOOL_MEMORY_BYTES + 1};
	static const size_t sizes[] = {0, 1, 10, 11, 65536, 70000, 262144, 262145, 700001};
	static const size_t steps[] = {777, 65535, 65536, 65537, 1000000};
	for (size_t x = 0; x < 4; x++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++)
				round_trip(expected[x], sizes[i], steps[k]);
		}
		round_trip(expected[x], 5000, 1);
	}
}

static void test_no_name_is_left(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct spool *s;
	assert_int_equal(spool_new(&s, dir, 1000000, &e), 0);
	assert_int_equal(spool_write(s, "x", 1, &e), 0);
	DIR *d = opendir(dir);
	int n = 0;
	while (readdir(d))
		n++;
	closedir(d);
	assert_int_equal(n, 2); /* . and .. */
	spool_free(&s);
}

/* A file that is used again shows nothing of the message before. */
static void test_a_kept_file(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct spool *s;
	char octets[1000] = "long", back[1000];
	size_t got;
	assert_int_equal(spool_new(&s, dir, 1000000, &e), 0);
	for (int i = 0; i < 300; i++)
		assert_int_equal(spool_write(s, octets, sizeof(octets), &e), 0);
	spool_free(&s);
	assert_int_equal(spool_new(&s, dir, 1000000, &e), 0);
	assert_int_equal(spool_read(s, 0, back, sizeof(back), &got, &e), 0);
	assert_int_equal(got, 0);
	assert_int_equal(spool_write(s, "short", 5, &e), 0);
	assert_int_equal(spool_size(s), 5);
	assert_int_equal(spool_read(s, 0, back, sizeof(back), &got, &e), 0);
	assert_int_equal(got, 5);
	assert_memory_equal(back, "short", 5);
	spool_free(&s);
}

static void test_errors(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct spool *s;
	assert_int_equal(spool_new(&s, "/nonexistent/folder", 1000000, &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
	assert_null(s);
	struct rlimit was, small = {100000, 100000};
	getrlimit(RLIMIT_FSIZE, &was);
	small.rlim_max = was.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(spool_new(&s, dir, 1000000, &e), 0);
	char *block = calloc(1, 150000);
	int rc = spool_write(s, block, 150000, &e);
	setrlimit(RLIMIT_FSIZE, &was);
	assert_int_equal(rc, -1);
	assert_int_equal(e.kind, ERR_DISK);
	assert_string_not_equal(e.hint, "");
	free(block);
	spool_free(&s);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_no_name_is_left),
		cmocka_unit_test(test_a_kept_file),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
