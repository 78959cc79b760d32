/* Many threads at the real gate, while a person changes limits, closes and opens windows, stops some of them, and the server refuses.
   What must hold whatever the machine's speed: the tenant's ledgers, which are never changed, are never passed in any window; no more are
   in flight than the widest cap that was ever set; whoever is stopped comes back, everybody else gets through; no permit is lost. */
#include "throttle/gate.h"

#include "engine/base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define THREADS 12
#define LEAVES 4
#define ROUNDS 150
#define CAP_MOST 3

static const struct scope_limits tenant_limits = {
	.requests = 120, .requests_window_ms = 100, .bytes = 250000, .bytes_window_ms = 150};

struct count {
	int64_t at_ms;
	uint64_t bytes;
};

struct crowd {
	struct throttle *t;
	struct scope *tenant, *leaf[LEAVES];
	atomic_int inside[LEAVES], most[LEAVES];
	atomic_int working;
	pthread_mutex_t lock; /* of the log and of the stop tokens */
	struct count log[THREADS * ROUNDS];
	size_t logged;
	struct stop *stop[THREADS];
	atomic_uint stopped;
};

struct member {
	struct crowd *c;
	unsigned number, random;
};

static unsigned draw(unsigned *random, unsigned below)
{
	*random = *random * 1103515245 + 12345;
	return (*random >> 16) % below;
}

static void enter_count(struct crowd *c, size_t leaf)
{
	int in = atomic_fetch_add(&c->inside[leaf], 1) + 1, most = atomic_load(&c->most[leaf]);
	while (in > most && !atomic_compare_exchange_weak(&c->most[leaf], &most, in))
		continue;
}

/* What was not sent is not in the log. */
static enum verdict draw_verdict(struct member *m)
{
	unsigned what = draw(&m->random, 200);
	return what == 0 ? VERDICT_REFUSED : what == 1 ? VERDICT_FAILED : what == 2 ? VERDICT_UNUSED : VERDICT_OK;
}

static void leave(struct member *m, struct permit **p, enum verdict v, uint64_t bytes)
{
	/* not about an amount: that would be learned, and for longer than the test is to take */
	struct throttle_hint hint = {.dimension = DIM_NONE, .retry_after_ms = 1 + draw(&m->random, 5), .words = "busy"};
	gate_leave(p, v, v == VERDICT_REFUSED ? &hint : NULL, v == VERDICT_UNUSED ? 0 : bytes, 1);
}

/* The stop token that a thread of ours was stopped with is used up: it goes on with a new one. */
static struct gate *renew(struct member *m, struct gate *g)
{
	struct crowd *c = m->c;
	gate_free(&g);
	pthread_mutex_lock(&c->lock);
	stop_free(&c->stop[m->number]);
	c->stop[m->number] = stop_new(NULL);
	pthread_mutex_unlock(&c->lock);
	return gate_new(c->leaf[m->number % LEAVES], c->stop[m->number]);
}

static void *member_thread(void *arg)
{
	struct member *m = arg;
	struct crowd *c = m->c;
	size_t leaf = m->number % LEAVES;
	struct gate *g = renew(m, NULL);
	for (int done = 0; done < ROUNDS;) {
		struct permit *p;
		struct err err = ERR_INIT;
		struct demand d = {.bytes = draw(&m->random, 4000), .requests = 1};
		if (gate_enter(g, &d, &p, &err)) {
			atomic_fetch_add(&c->stopped, err.kind == ERR_STOPPED);
			g = renew(m, g);
			continue;
		}
		enter_count(c, leaf);
		enum verdict v = draw_verdict(m);
		pthread_mutex_lock(&c->lock);
		if (v != VERDICT_UNUSED)
			c->log[c->logged++] =
				(struct count){clock_mono_ms(), d.bytes}; /* between its start and its end */
		pthread_mutex_unlock(&c->lock);
		atomic_fetch_sub(&c->inside[leaf], 1);
		done++;
		leave(m, &p, v, d.bytes);
	}
	gate_free(&g);
	atomic_fetch_sub(&c->working, 1);
	return NULL;
}

/* The person at another terminal. At the end everything is open. */
static void disturb(struct crowd *c)
{
	unsigned random = 7;
	while (atomic_load(&c->working)) {
		size_t leaf = draw(&random, LEAVES);
		unsigned what = draw(&random, 6);
		if (what < 3)
			scope_set_limits(c->leaf[leaf], &(struct scope_limits){.in_flight = 1 + draw(&random, CAP_MOST),
								.bytes = what ? 100000 + draw(&random, 100000) : 0,
								.bytes_window_ms = 50 + draw(&random, 200)});
		else if (what == 3)
			scope_set_share(c->leaf[leaf], draw(&random, 3) / 2.0);
		else if (what == 4)
			scope_fence(c->leaf[leaf], draw(&random, 10), "closed");
		pthread_mutex_lock(&c->lock);
		if (what == 5)
			stop_request(c->stop[draw(&random, THREADS)], STOP_DRAIN);
		pthread_mutex_unlock(&c->lock);
		clock_sleep_ms(1, -1);
		scope_set_share(c->leaf[leaf], 1);
	}
}

static int by_time(const void *a, const void *b)
{
	const struct count *x = a, *y = b;
	return x->at_ms < y->at_ms ? -1 : x->at_ms > y->at_ms;
}

static void check_windows(struct crowd *c)
{
	uint64_t bytes = 0, requests = 0;
	size_t bytes_first = 0, requests_first = 0;
	qsort(c->log, c->logged, sizeof *c->log, by_time);
	for (size_t i = 0; i < c->logged; i++) {
		bytes += c->log[i].bytes;
		requests++;
		while (c->log[i].at_ms - c->log[bytes_first].at_ms > (int64_t)tenant_limits.bytes_window_ms)
			bytes -= c->log[bytes_first++].bytes;
		for (; c->log[i].at_ms - c->log[requests_first].at_ms > (int64_t)tenant_limits.requests_window_ms;
			requests_first++)
			requests--;
		assert_true(bytes <= tenant_limits.bytes);
		assert_true(requests <= tenant_limits.requests);
	}
}

static void test_crowd_under_changes(void **state)
{
	(void)state;
	static struct crowd c;
	struct member m[THREADS];
	pthread_t th[THREADS];
	c.t = throttle_new();
	c.tenant = scope_open(c.t, NULL, "tenant", &tenant_limits);
	pthread_mutex_init(&c.lock, NULL);
	for (size_t i = 0; i < LEAVES; i++)
		c.leaf[i] = scope_open(c.t, c.tenant, (const char[]){(char)('a' + i), '\0'},
			&(struct scope_limits){.in_flight = CAP_MOST});
	atomic_store(&c.working, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		c.stop[i] = stop_new(NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		m[i] = (struct member){.c = &c, .number = i, .random = i + 1};
		pthread_create(&th[i], NULL, member_thread, &m[i]);
	}
	disturb(&c);
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(th[i], NULL);
		stop_free(&c.stop[i]);
	}
	assert_in_range(c.logged, THREADS * ROUNDS * 9 / 10, THREADS * ROUNDS);
	check_windows(&c);
	struct scope_view v;
	for (size_t i = 0; i < LEAVES; i++) {
		scope_look(c.leaf[i], &v);
		assert_int_equal(v.in_flight, 0);
		assert_int_equal(v.waiting, 0);
		assert_in_range(atomic_load(&c.most[i]), 1, CAP_MOST);
		scope_close(&c.leaf[i]);
	}
	scope_look(c.tenant, &v);
	assert_int_equal(v.in_flight, 0);
	assert_int_equal(v.waiting, 0);
	assert_true(atomic_load(&c.stopped) > 0);
	scope_close(&c.tenant);
	throttle_free(&c.t);
	pthread_mutex_destroy(&c.lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crowd_under_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
