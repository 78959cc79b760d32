#include "engine/base/secret.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/secret_test.XXXXXX";

static void fill(const char *bytes, size_t n, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	fchmod(fd, mode);
	close(fd);
}

static void test_values(void **state)
{
	(void)state;
	struct secret *a = secret_new("pass\0word", 9), *b = secret_copy(a), *c = secret_new("pass\0worx", 9);
	struct secret *d = secret_new("pass", 4), *none = secret_new("", 0);
	assert_int_equal(secret_len(b), 9);
	assert_memory_equal(secret_bytes(b), "pass\0word", 10);
	assert_true(secret_equal(a, b));
	assert_false(secret_equal(a, c));
	assert_false(secret_equal(a, d));
	assert_false(secret_equal(none, d));
	assert_true(secret_equal(none, none));
	assert_string_equal(secret_bytes(none), "");
	secret_free(&a);
	assert_null(a);
	secret_free(&a);
	secret_free(&b);
	secret_free(&c);
	secret_free(&d);
	secret_free(&none);
	char room[] = "gone";
	secret_wipe(room, sizeof(room));
	assert_memory_equal(room, "\0\0\0\0", 5);
}

static void test_files(void **state)
{
	(void)state;
	static char big[64 * 1024 + 2];
	memset(big, 'b', sizeof(big));
	static const struct {
		const char *in;
		size_t n;
		mode_t mode;
		const char *out; /* NULL: refused */
		size_t len;
	} cases[] = {
		{"geheim\n", 7, 0600, "geheim", 6},
		{"geheim\r\n", 8, 0400, "geheim", 6},
		{"geheim\n\n", 8, 0600, "geheim\n", 7},
		{" blanks stay ", 13, 0600, " blanks stay ", 13},
		{"readable", 8, 0644, NULL, 0},
		{"group", 5, 0640, NULL, 0},
		{"\n", 1, 0600, NULL, 0},
		{"", 0, 0600, NULL, 0},
		{big, 64 * 1024, 0600, big, 64 * 1024},
		{big, 64 * 1024 + 1, 0600, NULL, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = ERR_INIT;
		struct secret *s;
		chmod(path, 0600);
		fill(cases[i].in, cases[i].n, cases[i].mode);
		int rc = secret_read_file(&s, path, &e);
		if (!cases[i].out) {
			assert_int_equal(rc, -1);
			assert_int_equal(e.kind, ERR_USAGE);
			assert_null(s);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_int_equal(secret_len(s), cases[i].len);
		assert_memory_equal(secret_bytes(s), cases[i].out, cases[i].len);
		secret_free(&s);
	}
	struct err e = ERR_INIT;
	struct secret *s;
	assert_int_equal(secret_read_file(&s, "/nonexistent", &e), -1);
	assert_int_equal(secret_read_file(&s, "/tmp", &e), -1);
	assert_int_equal(e.kind, ERR_USAGE);
}

/* The first line only: the second is there for the next reader. */
static void test_standard_input(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct secret *s;
	int fds[2], was = dup(STDIN_FILENO);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "one\ntwo", 7), 7);
	close(fds[1]);
	dup2(fds[0], STDIN_FILENO);
	close(fds[0]);
	assert_int_equal(secret_read_file(&s, "-", &e), 0);
	assert_string_equal(secret_bytes(s), "one");
	secret_free(&s);
	assert_int_equal(secret_read_file(&s, "-", &e), 0);
	assert_string_equal(secret_bytes(s), "two");
	secret_free(&s);
	assert_int_equal(secret_read_file(&s, "-", &e), -1);
	dup2(was, STDIN_FILENO);
	close(was);
}

static int make_file(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int drop_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_standard_input),
	};
	return cmocka_run_group_tests(tests, make_file, drop_file);
}
