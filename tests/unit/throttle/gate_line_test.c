#include "engine/base/clock.h"
#include "throttle/gate.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

struct rig {
	struct throttle *t;
	struct scope *box, *batch, *line[2];
	struct stop *stop;
	struct gate *g[2]; /* two mailboxes of a batch */
};

static void rig_up(struct rig *r, double batch, double own)
{
	r->t = throttle_new();
	r->stop = stop_new(NULL);
	r->box = scope_open(r->t, NULL, "box", NULL);
	r->batch = scope_open(r->t, NULL, "batch", &(struct scope_limits){.bytes_per_s = batch});
	for (int i = 0; i < 2; i++) {
		r->line[i] = scope_open(r->t, r->batch, i ? "b" : "a", &(struct scope_limits){.bytes_per_s = own});
		r->g[i] = gate_new(r->box, r->stop);
		assert_int_equal(gate_set_line(r->g[i], r->line[i]), 0);
	}
}

static void rig_down(struct rig *r)
{
	for (int i = 0; i < 2; i++) {
		gate_free(&r->g[i]);
		scope_close(&r->line[i]);
	}
	scope_close(&r->batch);
	scope_close(&r->box);
	stop_free(&r->stop);
	throttle_free(&r->t);
}

static int64_t cpu_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void test_pieces(void **state)
{
	(void)state;
	struct rig r;
	rig_up(&r, 200000, 0);
	assert_int_equal(gate_piece(r.g[0]), 20000);
	scope_set_limits(r.line[0], &(struct scope_limits){.bytes_per_s = 100000});
	assert_true(gate_line_rate(r.g[0]) == 100000); /* the narrowest counts */
	assert_true(gate_line_rate(r.g[1]) == 200000);
	scope_set_limits(r.line[0], &(struct scope_limits){.bytes_per_s = 1000});
	assert_int_equal(gate_piece(r.g[0]), 4096);
	scope_set_limits(r.batch, &(struct scope_limits){.bytes_per_s = 0});
	assert_true(gate_line_rate(r.g[1]) == 0);
	assert_int_equal(gate_piece(r.g[1]), 65536);
	assert_int_equal(gate_piece(NULL), 65536);
	gate_pace(NULL, 1000000);
	assert_false(gate_gives_up(NULL, 1000000));
	rig_down(&r);
}

static void *send_much(void *gate)
{
	for (int i = 0; i < 10; i++)
		gate_pace(gate, 100000);
	return NULL;
}

/* Two megabytes at one a second, of which one may go ahead. */
static void test_two_share_a_rate(void **state)
{
	(void)state;
	struct rig r;
	pthread_t th[2];
	struct scope_view v;
	rig_up(&r, 1000000, 0);
	int64_t begun = clock_mono_ms(), cpu = cpu_ms();
	for (int i = 0; i < 2; i++)
		pthread_create(&th[i], NULL, send_much, r.g[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(th[i], NULL);
	int64_t took = clock_mono_ms() - begun;
	assert_true(took >= 850);
	assert_true(cpu_ms() - cpu < took / 4);
	assert_true(gate_paced_ms(r.g[0]) >= 400 && gate_paced_ms(r.g[1]) >= 400); /* neither went before the other */
	scope_look(r.line[0], &v);
	assert_int_equal(v.in_flight, 0);
	rig_down(&r);
}

/* What gathered in a pause does not go at once. */
static void test_a_burst_is_spread(void **state)
{
	(void)state;
	struct rig r;
	rig_up(&r, 1000000, 0);
	int64_t begun = clock_mono_ms();
	for (int i = 0; i < 10; i++)
		gate_pace(r.g[0], 60000); /* all of it would be there */
	assert_true(clock_mono_ms() - begun >= 240);
	rig_down(&r);
}

static void test_small_ones_do_not_wait(void **state)
{
	(void)state;
	struct rig r;
	rig_up(&r, 1000, 0);
	gate_pace(r.g[0], 100000); /* a debt of a hundred seconds */
	int64_t begun = clock_mono_ms();
	for (int i = 0; i < 40; i++)
		gate_pace(r.g[1], 100);
	assert_true(clock_mono_ms() - begun < 5000);
	rig_down(&r);
}

static void *send_once(void *gate)
{
	gate_pace(gate, 10000);
	return NULL;
}

static void wait_for_waiter(struct scope *s)
{
	struct scope_view v;
	do {
		clock_sleep_ms(1, -1);
		scope_look(s, &v);
	} while (!v.waiting);
	assert_string_equal(v.binding_scope, "batch");
	assert_true(v.binding_own_rate);
}

static void test_a_higher_rate_and_a_stop_end_a_wait(void **state)
{
	(void)state;
	struct rig r;
	pthread_t th;
	rig_up(&r, 1000, 0);
	gate_pace(r.g[0], 10000000); /* hours */
	pthread_create(&th, NULL, send_once, r.g[1]);
	wait_for_waiter(r.line[1]);
	scope_set_limits(r.batch, &(struct scope_limits){.bytes_per_s = 1e12});
	pthread_join(th, NULL);
	scope_set_limits(r.batch, &(struct scope_limits){.bytes_per_s = 1000});
	gate_pace(r.g[0], 10000000);
	pthread_create(&th, NULL, send_once, r.g[1]);
	wait_for_waiter(r.line[1]);
	assert_false(gate_gives_up(r.g[1], 10000));
	stop_request(r.stop, STOP_DRAIN);
	pthread_join(th, NULL);
	gate_pace(r.g[1], 10000); /* at once */
	assert_true(gate_gives_up(r.g[1], 10000));
	assert_false(gate_gives_up(r.g[1], 900)); /* not worth cutting */
	scope_set_limits(r.batch, &(struct scope_limits){.bytes_per_s = 0});
	assert_false(gate_gives_up(r.g[1], 10000)); /* no rate, no waste of time */
	rig_down(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_two_share_a_rate),
		cmocka_unit_test(test_a_burst_is_spread),
		cmocka_unit_test(test_small_ones_do_not_wait),
		cmocka_unit_test(test_a_higher_rate_and_a_stop_end_a_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
