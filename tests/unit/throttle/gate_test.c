#include "throttle/gate.h"

#include "engine/base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static int64_t cpu_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

struct rig {
	struct throttle *t;
	struct scope *tenant, *box;
	struct stop *stop;
	struct gate *g;
};

static void rig_up(struct rig *r, const struct scope_limits *tenant, const struct scope_limits *box)
{
	r->t = throttle_new();
	r->tenant = scope_open(r->t, NULL, "tenant", tenant);
	r->box = scope_open(r->t, r->tenant, "box", box);
	r->stop = stop_new(NULL);
	r->g = gate_new(r->box, r->stop);
	assert_non_null(r->g);
}

static void rig_down(struct rig *r)
{
	gate_free(&r->g);
	scope_close(&r->box);
	scope_close(&r->tenant);
	stop_free(&r->stop);
	throttle_free(&r->t);
}

static const struct demand one = {.bytes = 1000, .requests = 1};

static void test_enter_and_leave(void **state)
{
	(void)state;
	struct rig r;
	struct permit *p[2], *q;
	struct err err = ERR_INIT;
	int64_t wait;
	rig_up(&r, NULL, &(struct scope_limits){.in_flight = 2});
	assert_int_equal(gate_enter(r.g, &one, &p[0], &err), 0);
	assert_int_equal(gate_enter(r.g, &one, &p[1], &err), 0);
	assert_false(gate_try(r.g, &one, &q, &wait));
	assert_true(wait == INT64_MAX);
	struct scope_view v;
	scope_look(r.tenant, &v);
	assert_int_equal(v.in_flight, 2);
	gate_leave(&p[0], VERDICT_OK, NULL, 1000, 10);
	assert_null(p[0]);
	assert_true(gate_try(r.g, &one, &q, &wait));
	gate_leave(&q, VERDICT_UNUSED, NULL, 0, 0);
	gate_leave(&p[1], VERDICT_LOST, NULL, 500, 0);
	scope_look(r.tenant, &v);
	assert_int_equal(v.in_flight, 0);
	rig_down(&r);
}

static void test_fence_and_patience(void **state)
{
	(void)state;
	struct rig r;
	struct permit *p;
	struct err err = ERR_INIT;
	rig_up(&r, NULL, NULL);
	assert_int_equal(gate_enter(r.g, &one, &p, &err), 0);
	struct throttle_hint hint = {
		.dimension = DIM_NONE, .retry_after_ms = 300000, .words = "Request is throttled\r\nx"};
	gate_leave(&p, VERDICT_REFUSED, &hint, 0, 5);
	struct scope_view v;
	scope_look(r.box, &v);
	assert_true(v.fenced && v.fenced_ms > 200000 && v.fenced_ms <= 300000);
	assert_string_equal(v.reason, "Request is throttled??x");
	scope_look(r.tenant, &v);
	assert_false(v.fenced); /* only the one that it is about */
	gate_set_patience(r.g, 60000);
	assert_int_equal(gate_enter(r.g, &one, &p, &err), -1);
	assert_int_equal(err.kind, ERR_DEFERRED);
	assert_in_range(err.retry_after_ms, 200000, 300000);
	assert_null(p);
	rig_down(&r);
}

static void test_hint_names_an_ancestor(void **state)
{
	(void)state;
	struct rig r;
	struct permit *p;
	struct err err = ERR_INIT;
	struct scope_view v;
	rig_up(&r, NULL, NULL);
	assert_int_equal(gate_enter(r.g, &one, &p, &err), 0);
	gate_leave(&p, VERDICT_REFUSED, &(struct throttle_hint){.scope_name = "tenant", .retry_after_ms = 5000}, 0, 5);
	scope_look(r.box, &v);
	assert_false(v.fenced);
	scope_look(r.tenant, &v);
	assert_true(v.fenced);
	rig_down(&r);
}

struct waiting {
	struct gate *g;
	struct demand d;
	struct err err;
	int rc;
	atomic_int done;
	int64_t waited_ms;
};

static void *wait_thread(void *arg)
{
	struct waiting *w = arg;
	struct permit *p;
	int64_t from = clock_mono_ms();
	w->err = ERR_INIT;
	w->rc = gate_enter(w->g, &w->d, &p, &w->err);
	w->waited_ms = clock_mono_ms() - from;
	gate_leave(&p, VERDICT_OK, NULL, w->d.bytes, 1);
	atomic_store(&w->done, 1);
	return NULL;
}

static void wait_for_waiter(struct scope *s, unsigned n)
{
	struct scope_view v;
	do
		scope_look(s, &v);
	while (v.waiting < n);
}

/* The wait ends at once, and while it lasts no CPU is used. */
static void test_stop_ends_a_wait(void **state)
{
	(void)state;
	struct rig r;
	pthread_t th;
	rig_up(&r, NULL, NULL);
	scope_fence(r.tenant, 3600000, "closed");
	struct waiting w = {.g = r.g, .d = one};
	pthread_create(&th, NULL, wait_thread, &w);
	wait_for_waiter(r.box, 1);
	int64_t before = cpu_us();
	clock_sleep_ms(100, -1);
	assert_in_range(cpu_us() - before, 0, 20000); /* of 100,000 */
	int64_t asked = clock_mono_ms();
	stop_request(r.stop, STOP_DRAIN);
	pthread_join(th, NULL);
	assert_in_range(clock_mono_ms() - asked, 0, 60000); /* the fence lasts an hour */
	assert_int_equal(w.rc, -1);
	assert_int_equal(w.err.kind, ERR_STOPPED);
	rig_down(&r);
}

static void test_leave_wakes_the_next(void **state)
{
	(void)state;
	struct rig r;
	struct permit *p;
	struct err err = ERR_INIT;
	pthread_t th;
	rig_up(&r, &(struct scope_limits){.in_flight = 1}, NULL);
	assert_int_equal(gate_enter(r.g, &one, &p, &err), 0);
	struct scope *other = scope_open(r.t, r.tenant, "other", NULL);
	struct waiting w = {.g = gate_new(other, r.stop), .d = one};
	pthread_create(&th, NULL, wait_thread, &w);
	wait_for_waiter(r.tenant, 1);
	struct scope_view v;
	scope_look(r.tenant, &v);
	assert_int_equal(v.binding, DIM_IN_FLIGHT);
	assert_string_equal(v.binding_scope, "tenant");
	assert_false(atomic_load(&w.done));
	gate_leave(&p, VERDICT_OK, NULL, 1000, 1);
	pthread_join(th, NULL);
	assert_int_equal(w.rc, 0);
	gate_free(&w.g);
	scope_close(&other);
	rig_down(&r);
}

static void test_limits_and_time_wake(void **state)
{
	(void)state;
	struct rig r;
	struct permit *p;
	struct err err = ERR_INIT;
	pthread_t th;
	struct scope_limits narrow = {.bytes = 1000, .bytes_window_ms = 3600000};
	rig_up(&r, NULL, &narrow);
	assert_int_equal(gate_enter(r.g, &one, &p, &err), 0);
	gate_leave(&p, VERDICT_OK, NULL, 1000, 1);
	struct waiting w = {.g = r.g, .d = one};
	pthread_create(&th, NULL, wait_thread, &w);
	wait_for_waiter(r.box, 1);
	struct scope_view v;
	scope_look(r.box, &v);
	assert_int_equal(v.binding, DIM_BYTES);
	scope_set_limits(r.box, &(struct scope_limits){.bytes = 1000000, .bytes_window_ms = 3600000});
	pthread_join(th, NULL); /* a higher limit lets it in at once */
	assert_int_equal(w.rc, 0);
	scope_set_limits(r.box, &(struct scope_limits){.requests_per_s = 20});
	for (int i = 0; i < 22; i++) {
		assert_int_equal(gate_enter(r.g, &one, &p, &err), 0);
		gate_leave(&p, VERDICT_OK, NULL, 1000, 1);
	}
	w = (struct waiting){.g = r.g, .d = one};
	pthread_create(&th, NULL, wait_thread, &w);
	pthread_join(th, NULL); /* the bucket is empty: time alone lets it in */
	assert_int_equal(w.rc, 0);
	scope_set_share(r.box, 0);
	w = (struct waiting){.g = r.g, .d = one};
	pthread_create(&th, NULL, wait_thread, &w);
	wait_for_waiter(r.box, 1);
	assert_false(atomic_load(&w.done));
	scope_set_share(r.box, 1);
	pthread_join(th, NULL);
	assert_int_equal(w.rc, 0);
	rig_down(&r);
}

/* A scope that was closed and is opened again still knows what it sent and its fence. */
static void test_reopened_scope_remembers(void **state)
{
	(void)state;
	struct rig r;
	struct scope_view v;
	rig_up(&r, NULL, NULL);
	scope_fence(r.box, 60000, "wait");
	gate_free(&r.g);
	scope_close(&r.box);
	r.box = scope_open(r.t, r.tenant, "box", NULL);
	scope_look(r.box, &v);
	assert_true(v.fenced);
	rig_down(&r);
}

#define CROWD 12
#define ROUNDS 400
struct member {
	struct gate *g;
	unsigned seed;
	atomic_int *inside, *most;
	int64_t sent;
};

static void *crowd_thread(void *arg)
{
	struct member *m = arg;
	struct err err = ERR_INIT;
	unsigned seed = m->seed;
	for (int i = 0; i < ROUNDS; i++) {
		struct permit *p;
		seed = seed * 1103515245 + 12345;
		struct demand d = {.bytes = (seed >> 16) % 5000, .requests = 1};
		if (gate_enter(m->g, &d, &p, &err))
			return NULL;
		int in = atomic_fetch_add(m->inside, 1) + 1, most = atomic_load(m->most);
		while (in > most && !atomic_compare_exchange_weak(m->most, &most, in))
			continue;
		atomic_fetch_sub(m->inside, 1);
		m->sent++;
		gate_leave(&p, (seed >> 8) % 7 ? VERDICT_OK : VERDICT_LOST, NULL, d.bytes / 2, 1);
	}
	return NULL;
}

/* Many threads on a few leaves below a narrow scope: no permit is lost, the cap holds, everybody gets through. */
static void test_crowd(void **state)
{
	(void)state;
	struct rig r;
	pthread_t th[CROWD];
	struct member m[CROWD];
	struct scope *leaf[CROWD];
	atomic_int inside = 0, most = 0;
	rig_up(&r, &(struct scope_limits){.in_flight = 3}, NULL);
	for (int i = 0; i < CROWD; i++) {
		char name[8] = {'m', (char)('a' + i / 3)};
		leaf[i] = scope_open(r.t, r.tenant, name, &(struct scope_limits){.in_flight = 2});
		m[i] = (struct member){
			.g = gate_new(leaf[i], r.stop), .seed = (unsigned)i, .inside = &inside, .most = &most};
	}
	for (int i = 0; i < CROWD; i++)
		pthread_create(&th[i], NULL, crowd_thread, &m[i]);
	for (int i = 0; i < CROWD; i++)
		pthread_join(th[i], NULL);
	struct scope_view v;
	scope_look(r.tenant, &v);
	assert_int_equal(v.in_flight, 0);
	assert_int_equal(v.waiting, 0);
	assert_in_range(atomic_load(&most), 1, 3);
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(m[i].sent, ROUNDS);
		gate_free(&m[i].g);
		scope_close(&leaf[i]);
	}
	rig_down(&r);
}

/* 10,000 permits a second may cost 2 % of a core: 2 us each. */
static void test_hot_path_is_cheap(void **state)
{
	(void)state;
	struct rig r;
	struct err err = ERR_INIT;
	rig_up(&r, &(struct scope_limits){.requests = 100000000, .requests_window_ms = 60000, .in_flight = 100},
		&(struct scope_limits){.bytes = (uint64_t)1 << 50,
			.bytes_window_ms = 300000,
			.requests = 100000000,
			.requests_window_ms = 600000,
			.in_flight = 4});
	int64_t before = cpu_us();
	const int n = 100000;
	for (int i = 0; i < n; i++) {
		struct permit *p;
		assert_int_equal(gate_enter(r.g, &one, &p, &err), 0);
		gate_leave(&p, VERDICT_OK, NULL, 1000, 10);
	}
	double us = (double)(cpu_us() - before) / n;
	printf("a permit costs %.2f us\n", us);
#if defined(__SANITIZE_THREAD__)
	us /= 20;
#endif
	assert_true(us < 10); /* far above what it is, for slow machines and sanitizers */
	rig_down(&r);
}

/* Who asks why a mailbox is slow gets the scope, the reason in the server's words, and how long. */
static void test_view_tells_why(void **state)
{
	(void)state;
	struct rig r;
	struct scope_view v;
	pthread_t th;
	rig_up(&r, NULL, NULL);
	scope_fence(r.tenant, 3600000, "Server busy");
	struct waiting w = {.g = r.g, .d = one};
	pthread_create(&th, NULL, wait_thread, &w);
	wait_for_waiter(r.box, 1);
	scope_look(r.box, &v);
	assert_false(v.fenced); /* not itself */
	assert_string_equal(v.binding_scope, "tenant");
	assert_string_equal(v.binding_reason, "Server busy");
	assert_true(v.binding_fenced_ms > 0 && v.binding_fenced_ms <= 3600000 && v.binding_wait_ms > 0);
	stop_request(r.stop, STOP_DRAIN);
	pthread_join(th, NULL);
	rig_down(&r);
	rig_up(&r, NULL, NULL);
	scope_set_share(r.box, 0);
	w = (struct waiting){.g = r.g, .d = one};
	pthread_create(&th, NULL, wait_thread, &w);
	wait_for_waiter(r.box, 1);
	scope_look(r.box, &v);
	assert_true(v.binding_closed && v.binding_wait_ms == -1);
	scope_set_share(r.box, 1);
	pthread_join(th, NULL);
	assert_int_equal(w.rc, 0);
	scope_set_limits(r.box, &(struct scope_limits){.bytes_per_s = 1});
	struct permit *p;
	struct err err = ERR_INIT;
	assert_int_equal(gate_enter(r.g, &(struct demand){.bytes = 1 << 20, .requests = 1}, &p, &err), 0);
	gate_leave(&p, VERDICT_OK, NULL, 1 << 20, 1);
	w = (struct waiting){.g = r.g, .d = one};
	pthread_create(&th, NULL, wait_thread, &w);
	wait_for_waiter(r.box, 1);
	scope_look(r.box, &v);
	assert_int_equal(v.binding, DIM_BYTES);
	assert_true(v.binding_own_rate && !v.binding_learned);
	int64_t wait_ms;
	assert_true(gate_try(r.g, &(struct demand){.bytes = 0, .requests = 1}, &p, &wait_ms) ==
		    false); /* behind the first */
	stop_request(r.stop, STOP_DRAIN);
	pthread_join(th, NULL);
	assert_true(gate_try(r.g, &(struct demand){.bytes = 0, .requests = 1}, &p, &wait_ms)); /* needs no bytes */
	gate_leave(&p, VERDICT_OK, NULL, 0, 1);
	rig_down(&r);
}

/* A gate keeps its scope: who closes it takes it from nobody who waits. */
static void test_closed_under_a_waiter(void **state)
{
	(void)state;
	struct rig r;
	pthread_t th;
	rig_up(&r, NULL, NULL);
	scope_fence(r.tenant, 3600000, "closed");
	struct waiting w = {.g = r.g, .d = one};
	pthread_create(&th, NULL, wait_thread, &w);
	wait_for_waiter(r.tenant, 1);
	scope_close(&r.box);
	stop_request(r.stop, STOP_DRAIN);
	pthread_join(th, NULL);
	assert_int_equal(w.err.kind, ERR_STOPPED);
	rig_down(&r);
}

/* An hour for a limit on a window of a minute cannot be meant; when it is refused again after that, it is. */
static void test_a_lying_hour(void **state)
{
	(void)state;
	struct rig r;
	struct scope_view v;
	struct permit *p;
	struct err err = ERR_INIT;
	const struct throttle_hint hour = {
		.dimension = DIM_BYTES, .retry_after_ms = 3600000, .words = "Retry-After: 3600"};
	rig_up(&r, NULL, &(struct scope_limits){.bytes = 1000000, .bytes_window_ms = 60000});
	assert_int_equal(gate_enter(r.g, &one, &p, &err), 0);
	gate_leave(&p, VERDICT_REFUSED, &hour, 1000, 1);
	scope_look(r.box, &v);
	assert_true(v.fenced_ms <= 60000);
	rig_down(&r);
	rig_up(&r, NULL, NULL);
	struct throttle_hint unnamed = hour;
	unnamed.dimension = DIM_NONE;
	assert_int_equal(gate_enter(r.g, &one, &p, &err), 0);
	gate_leave(&p, VERDICT_REFUSED, &unnamed, 1000, 1);
	scope_look(r.box, &v);
	assert_true(v.fenced_ms > 1800000); /* an outage may well take an hour */
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enter_and_leave),
		cmocka_unit_test(test_fence_and_patience),
		cmocka_unit_test(test_hint_names_an_ancestor),
		cmocka_unit_test(test_view_tells_why),
		cmocka_unit_test(test_closed_under_a_waiter),
		cmocka_unit_test(test_a_lying_hour),
		cmocka_unit_test(test_stop_ends_a_wait),
		cmocka_unit_test(test_leave_wakes_the_next),
		cmocka_unit_test(test_limits_and_time_wake),
		cmocka_unit_test(test_reopened_scope_remembers),
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_hot_path_is_cheap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
