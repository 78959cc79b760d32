/* Is a mailbox shut, and its place better given to another? Over real scopes: a fence of one route does not shut it while another is open. */
#include "engine/live.h"

#include "engine/limit.h"
#include "tests/unit/store/fixture.h"

#include "engine/base/clock.h"

#define HOUR_MS ((int64_t)3600 * 1000)

enum { IMAP, GRAPH }; /* places in limits.api */

static struct scratch f;
static struct throttle *throttle;
static struct limits limits;
static struct parcel_queue *queue;
static struct stop *stop;
static struct live live;

/* A putter that waits at the gate of its route. */
static void *wait_at(void *gate)
{
	struct permit *permit = NULL;
	struct demand d = {.bytes = 100, .requests = 1};
	struct err err = ERR_INIT;
	if (!gate_enter(gate, &d, &permit, &err))
		gate_leave(&permit, VERDICT_UNUSED, NULL, 0, 0);
	return NULL;
}

static void begin(void)
{
	struct scope_limits none = {0};
	struct user u = {.id = 1, .source_user = "u1"};
	throttle = throttle_new();
	stop = stop_new(NULL);
	memset(&limits, 0, sizeof limits);
	limits.source = scope_open(throttle, NULL, "source s", &none);
	limits.source_mailbox = scope_open(throttle, limits.source, "mailbox u1", &none);
	limits.target = scope_open(throttle, NULL, "target t", &none);
	limits.target_mailbox = scope_open(throttle, limits.target, "mailbox u1@b", &none);
	limits.api[IMAP] = scope_open(throttle, limits.target_mailbox, "imap", &none);
	limits.api[GRAPH] = scope_open(throttle, limits.target_mailbox, "graph", &none);
	for (int way = 0; way < LINE_WAYS; way++)
		for (int place = 0; place < LINE_PLACES; place++)
			limits.lines.at[way][place] =
				scope_open(throttle, place ? limits.lines.at[way][place - 1] : NULL, "line", &none);
	queue = parcel_queue_new(1000000, stop);
	live_begin(&live, f.s, &u);
	live_attach(&live, &limits, queue);
}

static void end(void)
{
	live_detach(&live);
	live_end(&live, f.s);
	parcel_queue_free(&queue);
	line_close(&limits.lines);
	for (int a = 0; a < LIMIT_APIS; a++)
		scope_close(&limits.api[a]);
	scope_close(&limits.target_mailbox);
	scope_close(&limits.target);
	scope_close(&limits.source_mailbox);
	scope_close(&limits.source);
	throttle_free(&throttle);
	stop_free(&stop);
}

static bool is_shut(void)
{
	live_look(&live, f.s, 1);
	return live.is_shut;
}

/* What a shut route's putter waits for, at its gate or asleep, until the look is over. */
static void look_while_one_waits(int fenced, bool at_gate, bool other_works, bool shut)
{
	struct gate *gate = gate_new(limits.api[fenced], stop), *other = gate_new(limits.api[!fenced], stop);
	struct permit *permit = NULL;
	struct demand d = {.bytes = 100, .requests = 1};
	struct err why = ERR_INIT;
	struct scope_view v = {0};
	pthread_t thread;
	scope_fence(limits.api[fenced], HOUR_MS, "Suggested Backoff Time");
	if (other_works)
		assert_int_equal(gate_enter(other, &d, &permit, &why), 0);
	if (at_gate) {
		assert_int_equal(pthread_create(&thread, NULL, wait_at, gate), 0);
		while (!v.waiting)
			scope_look(limits.api[fenced], &v);
	} else {
		err_set(&why, ERR_THROTTLED, "throttled");
		why.retry_after_ms = HOUR_MS;
		live_wait(&live, LIVE_TARGET, clock_mono_ms() + HOUR_MS + 1000, &why);
	}
	if (is_shut() != shut)
		fail_msg("fenced %d, at the gate %d, the other works %d: shut %d", fenced, at_gate, other_works, !shut);
	if (other_works)
		gate_leave(&permit, VERDICT_UNUSED, NULL, 0, 0);
	assert_true(is_shut()); /* nothing goes by the other now */
	if (at_gate) {
		stop_request(stop, STOP_DRAIN);
		pthread_join(thread, NULL);
	} else {
		live_woke(&live, LIVE_TARGET);
	}
	gate_free(&gate);
	gate_free(&other);
}

static void test_one_route_fenced(void **state)
{
	(void)state;
	for (int fenced = IMAP; fenced <= GRAPH; fenced++) {
		for (int at_gate = 0; at_gate < 2; at_gate++) {
			for (int other_works = 0; other_works < 2; other_works++) {
				begin();
				assert_false(is_shut());
				look_while_one_waits(fenced, at_gate, other_works, !other_works);
				end();
			}
		}
	}
}

/* Fenced, and nobody waits for it: the messages go by the other, or there are none. */
static void test_nobody_waits_for_the_fence(void **state)
{
	(void)state;
	for (int fenced = IMAP; fenced <= GRAPH; fenced++) {
		begin();
		scope_fence(limits.api[fenced], HOUR_MS, "Suggested Backoff Time");
		assert_false(is_shut());
		assert_true(live.row.fenced_until > 0);
		end();
	}
}

/* A fence of the whole target is about every mailbox: another would wait as well. */
static void test_a_fence_of_all(void **state)
{
	(void)state;
	begin();
	struct gate *gate = gate_new(limits.api[IMAP], stop);
	struct scope_view v = {0};
	pthread_t thread;
	scope_fence(limits.target, HOUR_MS, "maintenance");
	assert_int_equal(pthread_create(&thread, NULL, wait_at, gate), 0);
	while (!v.waiting)
		scope_look(limits.api[IMAP], &v);
	assert_false(is_shut());
	assert_true(live.row.fenced_until > 0);
	stop_request(stop, STOP_DRAIN);
	pthread_join(thread, NULL);
	gate_free(&gate);
	end();
}

static int set_up(void **unused)
{
	(void)unused;
	scratch_make(&f);
	scratch_open(&f);
	scratch_batch(&f, "b", 1, 1);
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	scratch_remove(&f);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_one_route_fenced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_waits_for_the_fence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_fence_of_all, set_up, tear_down)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
