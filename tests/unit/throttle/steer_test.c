#include "throttle/steer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MOST 16
#define MINUTE 60000
#define HOUR (60 * MINUTE)

/* Senders that always have something: as many in flight as is let in. */
struct play {
	struct steer steer;
	uint64_t random;
	unsigned in_flight;
	int64_t end_ms[MOST], begun_ms[MOST];
	double sum; /* of what was let in, each 100 ms of the second half */
	unsigned least, looks;
};

static double chance(struct play *p) /* 0 to 1 */
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return (double)(p->random >> 11) / 9007199254740992.0;
}

typedef double (*latency_fn)(struct play *p, int64_t now_ms, unsigned in_flight);

static unsigned let_in(const struct play *p)
{
	unsigned n = steer_limit(&p->steer);
	return n < MOST ? n : MOST;
}

static void play_begin(struct play *p, unsigned i, int64_t now_ms, latency_fn latency)
{
	double ms = latency(p, now_ms, ++p->in_flight);
	p->begun_ms[i] = now_ms;
	p->end_ms[i] = now_ms + (ms < 1 ? 1 : (int64_t)ms);
}

static void play(struct play *p, uint64_t seed, int64_t ms, latency_fn latency)
{
	*p = (struct play){.random = seed * 0x9e3779b97f4a7c15u + 1, .least = MOST};
	steer_init(&p->steer);
	for (int64_t now = 0; now < ms; now++) {
		for (unsigned i = 0; i < MOST; i++) {
			if (p->end_ms[i] && p->end_ms[i] <= now) {
				steer_taken(&p->steer, now, MOST, p->in_flight, 1000, (unsigned)(now - p->begun_ms[i]));
				p->end_ms[i] = 0;
				p->in_flight--;
			}
			if (!p->end_ms[i] && p->in_flight < let_in(p))
				play_begin(p, i, now, latency);
		}
		if (now < ms / 2 || now % 100)
			continue;
		unsigned n = let_in(p);
		p->sum += n;
		p->looks++;
		p->least = n < p->least ? n : p->least;
	}
}

static double noisy(struct play *p, int64_t now_ms, unsigned in_flight)
{
	(void)now_ms;
	(void)in_flight;
	return 60 - 120 * log(1 - chance(p) * 0.999); /* 180 ms on average, now and then a second */
}

static double busy_machine(struct play *p, int64_t now_ms, unsigned in_flight)
{
	double slow = now_ms < 10 * MINUTE ? 1 : now_ms / (2 * MINUTE) % 2 ? 8 : 3;
	(void)in_flight;
	return slow * (90 + 20 * chance(p));
}

static double steps(struct play *p, int64_t now_ms, unsigned in_flight)
{
	(void)in_flight;
	return (now_ms < 10 * MINUTE ? 100 : 600) * (0.95 + 0.1 * chance(p));
}

static double loaded(struct play *p, int64_t now_ms, unsigned in_flight)
{
	(void)now_ms;
	double load = in_flight / 5.0; /* served without delay up to 5 at once */
	return (load > 1 ? load * load : 1) * (95 + 10 * chance(p));
}

static double loaded_for_a_while(struct play *p, int64_t now_ms, unsigned in_flight)
{
	return now_ms < HOUR / 4 ? loaded(p, now_ms, in_flight) : 95 + 10 * chance(p);
}

/* What is not our doing does not hold us down: not noise, not a machine that is busy with something else, not a server that became slow. */
static void test_latency_of_other_causes(void **state)
{
	(void)state;
	static const latency_fn causes[] = {noisy, busy_machine, steps};
	for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
		for (uint64_t seed = 1; seed <= 3; seed++) {
			struct play p;
			play(&p, seed, HOUR, causes[i]);
			assert_true(p.sum / p.looks > 0.75 * MOST && p.least >= MOST / 2);
		}
	}
}

/* Latency that grows with what is in flight does, and only as far as it must; when it no longer does, all are let in again. */
static void test_latency_of_our_load(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct play p;
		play(&p, seed, HOUR, loaded);
		assert_true(p.sum / p.looks > 3.5 && p.sum / p.looks < 9);
		play(&p, seed, HOUR, loaded_for_a_while);
		assert_true(p.least == MOST);
	}
}

/* A little too slow, which is when it begins: so many fewer that it can be told from chance. */
static void test_a_step_down_can_be_seen(void **state)
{
	(void)state;
	struct steer s;
	steer_init(&s);
	for (int i = 0; i < 100; i++)
		steer_taken(&s, i * 10, 200, 100, 1000, 100);
	for (int i = 100; i < 2000 && steer_limit(&s) == UINT32_MAX; i++)
		steer_taken(&s, i * 10, 200, 100, 1000, 173);
	assert_in_range(steer_limit(&s), 70, 94);
}

static void test_one_is_let_in_always(void **state)
{
	(void)state;
	struct steer s;
	steer_init(&s);
	assert_true(steer_limit(&s) == UINT32_MAX);
	for (int i = 0; i < 20000; i++) {
		unsigned n = i < 100 ? 1 : 4; /* one at first: it tells what is possible */
		n = steer_limit(&s) < n ? steer_limit(&s) : n;
		steer_taken(&s, i * 100, 4, n, 1000, n * n * n * 100);
		assert_true(steer_limit(&s) >= 1);
	}
	assert_in_range(steer_limit(&s), 1, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_latency_of_other_causes),
		cmocka_unit_test(test_latency_of_our_load),
		cmocka_unit_test(test_a_step_down_can_be_seen),
		cmocka_unit_test(test_one_is_let_in_always),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
