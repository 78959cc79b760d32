#include "throttle/window_guess.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define PUBLISHED_MS 300000
#define SECONDS 7200

/* A server with a sliding window, second by second, and a sender that goes now fast, now slowly, and waits a while after a refusal. */
struct play {
	struct window_guess guess;
	int64_t window_s;
	uint64_t sent[SECONDS];
	int64_t open_s;
	unsigned refusals;
};

static uint64_t play_used(const struct play *p, int64_t s)
{
	uint64_t sum = 0;
	for (int64_t k = s - p->window_s + 1; k <= s; k++)
		sum += k >= 0 ? p->sent[k] : 0;
	return sum;
}

static void play_second(struct play *p, int64_t s, uint64_t n, uint64_t limit, int64_t pause_s)
{
	int64_t now = s * 1000;
	if (s < p->open_s)
		return;
	bool refused = play_used(p, s) + n > limit;
	p->sent[s] += n;
	guess_book(&p->guess, now + 100, now, n);
	if (!refused)
		return;
	p->refusals++;
	p->open_s = s + pause_s;
	guess_refused(&p->guess, now + 100, now, p->open_s * 1000, 0, (double)n);
}

static uint64_t pace(int64_t s)
{
	return s / 97 % 3 == 0 ? 5 : s / 97 % 3 == 1 ? 60 : 25;
}

static void test_finds_the_length(void **state)
{
	(void)state;
	static const int64_t windows_s[] = {60, 120, 300, 450, 600};
	for (size_t i = 0; i < sizeof windows_s / sizeof *windows_s; i++) {
		struct play p = {.window_s = windows_s[i]};
		guess_init(&p.guess, 0, PUBLISHED_MS);
		for (int64_t s = 0; s < SECONDS; s++)
			play_second(&p, s, pace(s), (uint64_t)windows_s[i] * 20, 1 + rand() % 20);
		assert_true(p.refusals > 10);
		assert_int_equal(p.guess.best_ms, windows_s[i] * 1000);
	}
}

/* A limit that moves, slowly or at once, is no other window. */
static void test_a_limit_that_moves(void **state)
{
	(void)state;
	struct play p = {.window_s = 300};
	guess_init(&p.guess, 0, PUBLISHED_MS);
	for (int64_t s = 0; s < SECONDS; s++) {
		int64_t wave = s % 1800 < 900 ? s % 900 : 900 - s % 900;
		uint64_t limit = s < SECONDS / 2 ? 3000 + (uint64_t)wave * 3 : s / 1200 % 2 ? 2000 : 6000;
		play_second(&p, s, 12 + (uint64_t)(s % 7), limit, 1 + s % 20);
		assert_int_equal(p.guess.best_ms, PUBLISHED_MS);
	}
	assert_true(p.refusals > 10);
}

/* An empty window takes anything, so who is refused in one has the length wrong: twice is enough. */
static void test_refused_in_an_empty_window(void **state)
{
	(void)state;
	static const struct {
		uint64_t before, n; /* next to nothing; or all that is in it, however large */
	} cases[] = {{0, 100}, {150, 100}, {0, 5000}};
	for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
		struct window_guess g = {0};
		bool longer = false;
		guess_init(&g, 0, PUBLISHED_MS);
		for (int64_t s = 0; s < 300; s++)
			guess_book(&g, s * 1000 + 100, s * 1000, 100);
		assert_false(guess_refused(&g, 300100, 300000, 600000, 0, 100));
		for (int64_t at = 602000; at <= 611000; at += 9000) {
			guess_book(&g, at + 50, at, cases[c].before + cases[c].n);
			longer = guess_refused(&g, at + 100, at, at + 8000, 0, (double)cases[c].n) || longer;
		}
		assert_true(longer);
		assert_true(g.best_ms > PUBLISHED_MS);
	}
}

/* Only one of those that were in flight together tells something, and what was refused is no proof that it was taken. */
static void test_the_same_event_counts_once(void **state)
{
	(void)state;
	struct window_guess g = {0};
	guess_init(&g, 0, PUBLISHED_MS);
	for (int64_t s = 0; s < 100; s++)
		guess_book(&g, s * 1000 + 100, s * 1000, 10);
	guess_refused(&g, 100000, 99900, 130000, 30, 1);
	struct window_guess once = g;
	for (int i = 0; i < 5; i++)
		assert_false(guess_refused(&g, 100100 + i, 99900, 130000, 30, 1));
	assert_memory_equal(g.wrong, once.wrong, sizeof g.wrong);
	assert_memory_equal(g.refused, once.refused, sizeof g.refused);
}

static void test_fill_keeps_what_was_sent(void **state)
{
	(void)state;
	struct window_guess g = {0};
	struct window_ledger l = {0};
	guess_init(&g, 0, PUBLISHED_MS);
	for (int64_t s = 0; s < 1000; s++)
		guess_book(&g, s * 1000 + 100, s * 1000, 10);
	g.best_ms = 600000;
	guess_fill(&g, 1000000, 7, &l);
	assert_int_equal(l.window_ms, 600000);
	assert_in_range(ledger_used(&l, 1000000), 5990, 6040); /* the ledgers' slots: late rather than early */
	assert_in_range(ledger_used(&l, 1300000), 2990, 3040);
	assert_int_equal(ledger_used(&l, 1610000), 7);
}

/* What was long on its way counts from its start, unlike in the ledger. */
static void test_what_is_there_for_sure(void **state)
{
	(void)state;
	struct window_guess g = {0};
	guess_init(&g, 0, PUBLISHED_MS);
	guess_book(&g, 50000, 10000, 70);
	guess_book(&g, 60000, 59000, 30);
	assert_true(guess_since(&g, 60000) == 100);
	assert_true(guess_since(&g, PUBLISHED_MS + 8000) == 100);
	assert_true(guess_since(&g, PUBLISHED_MS + 12000) == 30);
	assert_true(guess_since(&g, PUBLISHED_MS + 61000) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_the_length),
		cmocka_unit_test(test_a_limit_that_moves),
		cmocka_unit_test(test_refused_in_an_empty_window),
		cmocka_unit_test(test_the_same_event_counts_once),
		cmocka_unit_test(test_fill_keeps_what_was_sent),
		cmocka_unit_test(test_what_is_there_for_sure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
