#include "engine/base/budget.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

static void test_alone(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct budget *b = budget_new(100);
	assert_int_equal(budget_reserve(b, 60, NULL, &e), 0);
	assert_true(budget_try(b, 40));
	assert_false(budget_try(b, 1));
	budget_release(b, 40);
	budget_correct(b, 60, 150); /* more than announced: overdrawn, not refused */
	assert_int_equal(budget_used(b), 150);
	assert_false(budget_try(b, 0));
	budget_release(b, 150);
	assert_int_equal(budget_used(b), 0);
	assert_true(budget_try(b, 5000)); /* larger than all, with nothing else held */
	assert_false(budget_try(b, 1));
	budget_release(b, 5000);
	struct stop *stop = stop_new(NULL);
	stop_request(stop, STOP_DRAIN);
	assert_int_equal(budget_reserve(b, 1, stop, &e), -1);
	assert_int_equal(e.kind, ERR_STOPPED);
	assert_int_equal(budget_used(b), 0);
	stop_free(&stop);
	budget_free(&b);
	budget_free(&b);
}

struct taker {
	struct budget *budget;
	struct stop *stop;
	uint64_t bytes;
	atomic_int *order; /* counts grants */
	int granted_as;    /* 0: refused */
	atomic_bool done;
};

static void *take(void *arg)
{
	struct taker *t = arg;
	struct err e = ERR_INIT;
	if (budget_reserve(t->budget, t->bytes, t->stop, &e) == 0)
		t->granted_as = atomic_fetch_add(t->order, 1) + 1;
	atomic_store(&t->done, true);
	return NULL;
}

/* A small request that fits does not overtake a large one that came first. */
static void test_first_come_first_served(void **state)
{
	(void)state;
	atomic_int order = 0;
	struct budget *b = budget_new(100);
	assert_true(budget_try(b, 50));
	struct taker large = {.budget = b, .bytes = 80, .order = &order};
	pthread_t thread;
	pthread_create(&thread, NULL, take, &large);
	while (budget_try(b, 10)) { /* until the large one stands in the queue */
		budget_release(b, 10);
		sched_yield();
	}
	assert_int_equal(budget_used(b), 50);
	budget_release(b, 50);
	pthread_join(thread, NULL);
	assert_int_equal(large.granted_as, 1);
	assert_int_equal(budget_used(b), 80);
	budget_release(b, 80);
	budget_free(&b);
}

static void test_stop_wakes(void **state)
{
	(void)state;
	atomic_int order = 0;
	struct budget *b = budget_new(100);
	struct stop *stop = stop_new(NULL);
	assert_true(budget_try(b, 90));
	struct taker first = {.budget = b, .bytes = 80, .order = &order, .stop = stop};
	struct taker second = {.budget = b, .bytes = 10, .order = &order};
	pthread_t threads[2];
	pthread_create(&threads[0], NULL, take, &first);
	while (budget_try(b, 10)) {
		budget_release(b, 10);
		sched_yield();
	}
	pthread_create(&threads[1], NULL, take, &second);
	stop_request(stop, STOP_DRAIN); /* only the first hears it; then the second fits */
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(first.granted_as, 0);
	assert_int_equal(second.granted_as, 1);
	assert_int_equal(budget_used(b), 100);
	stop_free(&stop);
	budget_free(&b);
}

static void test_within_a_common_one(void **state)
{
	(void)state;
	struct budget *common = budget_new(50), *a = budget_new_within(100, common),
		      *b = budget_new_within(100, common);
	assert_true(budget_try(a, 130));
	assert_int_equal(budget_used(common), 30);
	assert_false(budget_try(a, 21));
	assert_true(budget_try(a, 20));  /* all that is left of the common one */
	assert_true(budget_try(b, 100)); /* its own is nobody else's */
	assert_false(budget_try(b, 1));
	budget_correct(a, 20, 10);
	assert_int_equal(budget_used(common), 40);
	assert_true(budget_try(b, 10));
	budget_correct(b, 10, 25); /* overdrawn: it has turned out larger */
	assert_int_equal(budget_used(common), 65);
	budget_release(a, 140);
	budget_release(b, 25);
	assert_int_equal(budget_used(common), 0);
	assert_int_equal(budget_used(b), 100);
	budget_free(&a);
	budget_free(&b);
	budget_free(&common);
}

struct churner {
	struct budget *budget;
	unsigned seed;
	uint64_t most;
	atomic_uint_fast64_t *held;
};

static void *churn(void *arg)
{
	struct churner *c = arg;
	struct err e = ERR_INIT;
	for (int i = 0; i < 3000; i++) {
		c->seed = c->seed * 1103515245 + 12345;
		uint64_t bytes = c->seed >> 16 & 63;
		assert_int_equal(budget_reserve(c->budget, bytes, NULL, &e), 0);
		assert_true(atomic_fetch_add(c->held, bytes) + bytes <= c->most);
		atomic_fetch_sub(c->held, bytes);
		budget_release(c->budget, bytes);
	}
	return NULL;
}

static void test_never_more_than_the_total(void **state)
{
	(void)state;
	atomic_uint_fast64_t held = 0;
	struct budget *b = budget_new(100);
	struct churner churners[4];
	pthread_t threads[4];
	for (unsigned i = 0; i < 4; i++) {
		churners[i] = (struct churner){.budget = b, .seed = i, .most = 100, .held = &held};
		pthread_create(&threads[i], NULL, churn, &churners[i]);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(budget_used(b), 0);
	budget_free(&b);
}

/* Four threads, two to a mailbox: each waits for its own mailbox's, and together they never hold more than all that is there. */
static void test_never_more_than_all_together(void **state)
{
	(void)state;
	atomic_uint_fast64_t held = 0;
	struct budget *common = budget_new(60),
		      *within[2] = {budget_new_within(20, common), budget_new_within(20, common)};
	struct churner churners[4];
	pthread_t threads[4];
	for (unsigned i = 0; i < 4; i++) {
		churners[i] = (struct churner){.budget = within[i / 2],
			.seed = i,
			.most = 100 + 2 * 43,
			/* one of up to 63 alone may pass its 20 */ .held = &held};
		pthread_create(&threads[i], NULL, churn, &churners[i]);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(budget_used(common), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(budget_used(within[i]), 0);
		budget_free(&within[i]);
	}
	budget_free(&common);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_first_come_first_served),
		cmocka_unit_test(test_stop_wakes),
		cmocka_unit_test(test_within_a_common_one),
		cmocka_unit_test(test_never_more_than_the_total),
		cmocka_unit_test(test_never_more_than_all_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
