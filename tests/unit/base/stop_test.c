#include "engine/base/stop.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 0) == 1;
}

static void assert_level(const struct stop *s, enum stop_level level)
{
	assert_int_equal(stop_level(s), level);
	assert_int_equal(is_readable(stop_fd(s, STOP_DRAIN)), level >= STOP_DRAIN);
	assert_int_equal(is_readable(stop_fd(s, STOP_NOW)), level >= STOP_NOW);
}

static void test_tree(void **state)
{
	(void)state;
	struct stop *run = stop_new(NULL), *batch = stop_new(run), *other = stop_new(run);
	struct stop *mailbox = stop_new(batch), *second = stop_new(batch);
	assert_level(mailbox, STOP_NONE);
	assert_false(stop_is_asked(mailbox));
	stop_request(batch, STOP_DRAIN);
	assert_level(run, STOP_NONE);
	assert_level(other, STOP_NONE);
	assert_level(batch, STOP_DRAIN);
	assert_level(mailbox, STOP_DRAIN);
	assert_level(second, STOP_DRAIN);
	stop_request(mailbox, STOP_NOW);
	assert_level(second, STOP_DRAIN);
	stop_request(mailbox, STOP_DRAIN); /* never back */
	assert_level(mailbox, STOP_NOW);
	struct stop *late = stop_new(mailbox);
	assert_level(late, STOP_NOW);
	stop_free(&late);
	stop_free(&second);
	stop_request(run, STOP_NOW);
	assert_level(other, STOP_NOW);
	assert_level(batch, STOP_NOW);
	assert_true(stop_is_now(batch));
	stop_free(&mailbox);
	stop_free(&batch);
	stop_free(&other);
	stop_free(&run);
	assert_null(run);
	stop_free(&run);
}

static void test_no_token(void **state)
{
	(void)state;
	assert_false(stop_is_asked(NULL));
	assert_false(stop_is_now(NULL));
	assert_int_equal(stop_fd(NULL, STOP_DRAIN), -1);
}

/* Children are born and die while the root is asked: none that is born afterwards misses it (and TSan
   watches). */
static void *breed(void *root)
{
	for (int i = 0; i < 2000; i++) {
		struct stop *s = stop_new(root), *t = stop_new(s);
		enum stop_level before = stop_level(root);
		stop_free(&t);
		t = stop_new(s);
		assert_true(stop_level(t) >= before);
		stop_free(&t);
		stop_free(&s);
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	struct stop *root = stop_new(NULL);
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, breed, root);
	stop_request(root, STOP_DRAIN);
	stop_request(root, STOP_NOW);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	stop_free(&root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_no_token),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
