#include "engine/base/lock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/lock_test.XXXXXX";
static char path[64];

static void test_one_at_a_time(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct lock *l, *second;
	int pid = 99;
	assert_int_equal(lock_is_held(path, &pid), 0);
	assert_int_equal(lock_take(&l, path, &e), 0);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(lock_take(&second, path, &e), -1); /* even in the same process */
	assert_null(second);
	assert_int_equal(e.kind, ERR_CONFLICT);
	char number[32];
	snprintf(number, sizeof(number), "process %d", (int)getpid());
	assert_non_null(strstr(e.text, number));
	assert_int_equal(lock_is_held(path, &pid), 1);
	assert_int_equal(pid, getpid());
	lock_free(&l);
	assert_null(l);
	lock_free(&l);
	assert_int_equal(lock_is_held(path, &pid), 0);
	assert_int_equal(lock_take(&l, path, &e), 0);
	lock_free(&l);
}

/* A killed holder leaves nothing behind that is in the way. */
static void test_dies_with_its_process(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct lock *l;
	int fds[2], pid;
	assert_int_equal(pipe(fds), 0);
	pid_t child = fork();
	if (child == 0) {
		char c = lock_take(&l, path, &e) == 0 ? 'y' : 'n';
		if (write(fds[1], &c, 1) == 1)
			pause();
		_exit(1);
	}
	char c = 0;
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	assert_int_equal(lock_is_held(path, &pid), 1);
	assert_int_equal(pid, child);
	assert_int_equal(lock_take(&l, path, &e), -1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_int_equal(lock_is_held(path, &pid), 0);
	assert_int_equal(lock_take(&l, path, &e), 0);
	lock_free(&l);
	close(fds[0]);
	close(fds[1]);
}

static void test_errors(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct lock *l;
	assert_int_equal(lock_take(&l, "/nonexistent/x.lock", &e), -1);
	assert_int_equal(e.kind, ERR_DISK);
}

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/state.lock", dir);
	return 0;
}

static int drop_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_dies_with_its_process),
		cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
