/* The queue between puller and putters: how many takers may have a run at once, and what a look shows. */
#include "engine/parcel.h"

#include "engine/base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define TAKERS 4
#define PARCELS 200

static struct parcel_queue *queue;
static _Atomic int having, most, taken;

static void put(size_t n)
{
	struct err err = ERR_INIT;
	struct parcel *list = NULL;
	for (size_t i = 0; i < n; i++) {
		struct parcel *p = calloc(1, sizeof *p);
		p->mail = calloc(1, sizeof *p->mail);
		p->next = list;
		list = p;
	}
	assert_int_equal(parcel_queue_put(queue, &list, &err), 0);
}

static void *take(void *unused)
{
	struct parcel *run;
	bool busy = false;
	while ((run = parcel_queue_take(queue, 0, &busy, 1, 1 << 20))) {
		int now = atomic_fetch_add(&having, 1) + 1;
		int seen = atomic_load(&most);
		while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
			;
		clock_sleep_ms(1, -1);
		atomic_fetch_sub(&having, 1);
		atomic_fetch_add(&taken, 1);
		parcel_queue_done_with(queue, 1);
		free(run->mail);
		free(run);
	}
	return unused;
}

static void test_takers(void **unused)
{
	(void)unused;
	pthread_t threads[TAKERS];
	struct err err = ERR_INIT;
	queue = parcel_queue_new(1 << 20, NULL);
	parcel_queue_set_takers(queue, 1);
	for (int i = 0; i < TAKERS; i++)
		pthread_create(&threads[i], NULL, take, NULL);
	put(PARCELS);
	assert_int_equal(parcel_queue_drain(queue, &err), 0);
	assert_int_equal(atomic_load(&most), 1);
	parcel_queue_set_takers(queue, 3);
	put(PARCELS);
	assert_int_equal(parcel_queue_drain(queue, &err), 0);
	assert_true(atomic_load(&most) <= 3);
	parcel_queue_set_takers(queue, 1); /* down again: nothing is lost, and nobody is left asleep */
	put(PARCELS);
	assert_int_equal(parcel_queue_drain(queue, &err), 0);
	parcel_queue_close(queue);
	for (int i = 0; i < TAKERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&taken), 3 * PARCELS);
	parcel_queue_free(&queue);
}

static void test_look(void **unused)
{
	(void)unused;
	struct parcel_view v;
	bool busy = false;
	queue = parcel_queue_new(1 << 20, NULL);
	parcel_queue_look(queue, &v);
	assert_true(!v.full && !v.empty && v.bytes == 0 && v.cap == 1 << 20);
	put(2);
	parcel_queue_look(queue, &v);
	assert_true(v.bytes > 0);
	parcel_queue_close(queue);
	struct parcel *run = parcel_queue_take(queue, 0, &busy, 10, 1 << 20);
	assert_true(run && run->next && busy);
	for (struct parcel *next; run; run = next) {
		next = run->next;
		free(run->mail);
		free(run);
	}
	parcel_queue_done_with(queue, 2); /* before that it might come back for another route */
	assert_null(parcel_queue_take(queue, 0, &busy, 10, 1 << 20));
	assert_false(busy);
	parcel_queue_free(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_takers), cmocka_unit_test(test_look)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
