#include "throttle/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Whose limit was it, when the server names none? */

struct play {
	struct meter meter;
	int64_t now_ms;
};

static void play_start(struct play *p, uint64_t requests, uint64_t bytes)
{
	struct scope_limits l = {
		.requests = requests, .requests_window_ms = 60000, .bytes = bytes, .bytes_window_ms = 60000};
	p->now_ms = 1000;
	p->meter = (struct meter){0};
	meter_init(&p->meter, p->now_ms, &l);
}

/* One request, whether or not it may. */
static void play_send(struct play *p, uint64_t bytes, int64_t refused_for_ms)
{
	struct demand d = {.bytes = bytes, .requests = 1};
	struct meter_booking b;
	struct throttle_hint hint = {.dimension = DIM_NONE, .retry_after_ms = refused_for_ms, .words = "later"};
	bool refused = refused_for_ms >= 0;
	meter_start(&p->meter, p->now_ms, &d, &b);
	struct meter_end end = {.verdict = refused ? VERDICT_REFUSED : VERDICT_OK,
		.hint = refused ? &hint : NULL,
		.bytes_sent = bytes,
		.started_ms = p->now_ms};
	p->now_ms += 10;
	meter_stop(&p->meter, p->now_ms, &d, &b, &end);
}

static void play_many(struct play *p, unsigned n, uint64_t bytes)
{
	for (unsigned i = 0; i < n; i++)
		play_send(p, bytes, -1);
}

static bool learned(const struct play *p, enum meter_kind k)
{
	return amount_is_learned(&p->meter.amount[k]);
}

/* As many requests each time, and ever other amounts of octets. */
static void test_what_was_as_much_before(void **state)
{
	(void)state;
	struct play p;
	play_start(&p, 0, 0);
	for (int i = 0; i < 2; i++) {
		assert_false(learned(&p, METER_REQUESTS));
		play_many(&p, 200, i ? 900 : 500);
		play_send(&p, 500, 10000);
		p.now_ms += 70000;
	}
	assert_true(learned(&p, METER_REQUESTS));
	assert_false(learned(&p, METER_BYTES));
	assert_int_equal(p.meter.flight.level, 1);
}

/* Both are as much as before: each is held where it was, so whichever it is is not passed again. */
static void test_what_cannot_be_told_apart(void **state)
{
	(void)state;
	struct play p;
	play_start(&p, 0, 0);
	for (int i = 0; i < 2; i++) {
		play_many(&p, 200, 500);
		play_send(&p, 500, 10000);
		p.now_ms += 70000;
	}
	assert_true(learned(&p, METER_REQUESTS));
	assert_true(learned(&p, METER_BYTES));
}

/* Nothing went between: as much in use is no wonder then. Nor do short pauses tell anything. */
static void test_an_outage_teaches_nothing(void **state)
{
	(void)state;
	for (int quick = 0; quick < 2; quick++) {
		struct play p;
		play_start(&p, 0, 0);
		for (int i = 0; i < 3; i++) {
			play_many(&p, i && !quick ? 1 : 200, 500);
			play_send(&p, 500, quick ? 2000 : 10000);
			p.now_ms += quick ? 70000 : 11000;
		}
		assert_false(learned(&p, METER_REQUESTS));
		assert_false(learned(&p, METER_BYTES));
	}
}

/* The same message again and again, each time alone in its window: nothing was taken between, so that it is as much is no wonder. */
static void test_refused_in_a_row_teaches_nothing(void **state)
{
	(void)state;
	struct play p;
	play_start(&p, 0, 0);
	for (int i = 0; i < 4; i++) {
		play_send(&p, 500, 10000);
		p.now_ms += 70000;
	}
	assert_false(learned(&p, METER_REQUESTS));
	assert_false(learned(&p, METER_BYTES));
}

/* A limit that is known and reached explains it; the other amount need not be suspected, even if it is the same by chance. */
static void test_a_known_limit_first(void **state)
{
	(void)state;
	struct play p;
	struct scope_learned l = {.requests = 200};
	play_start(&p, 1000, 1000000);
	meter_set_learned(&p.meter, p.now_ms, &l, 0);
	for (int i = 0; i < 2; i++) {
		play_many(&p, 199, 500);
		play_send(&p, 500, 40000);
		p.now_ms += 70000;
	}
	assert_true(learned(&p, METER_REQUESTS));
	assert_false(learned(&p, METER_BYTES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_as_much_before),
		cmocka_unit_test(test_what_cannot_be_told_apart),
		cmocka_unit_test(test_an_outage_teaches_nothing),
		cmocka_unit_test(test_refused_in_a_row_teaches_nothing),
		cmocka_unit_test(test_a_known_limit_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
