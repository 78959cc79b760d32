#include "tests/bench/throttle_fuzz.h"

#include "tests/bench/throttle_world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WORST 12

struct result {
	uint64_t seed;
	double share, refused, jain, back;
	bool exceeded;
};

static struct result draw_one(uint64_t seed)
{
	struct scenario s;
	struct outcome ours, oracle;
	scenario_draw(&s, seed);
	world_run(&s, POLICY_ORACLE, (unsigned)seed, NULL, &oracle);
	world_run(&s, POLICY_OURS, (unsigned)seed, NULL, &ours);
	struct result r = {seed, outcome_share(&s, &ours, &oracle), ours.refused / ours.sent, ours.jain,
		outcome_recovery(&s, &ours, &oracle), ours.exceeded};
	if (oracle.jain < r.jain + 0.005 && oracle.jain < 0.995) /* uneven by the sizes drawn, not by us */
		r.jain = 1;
	outcome_done(&oracle);
	outcome_done(&ours);
	return r;
}

static int by_share(const void *a, const void *b)
{
	const struct result *x = a, *y = b;
	return x->share < y->share ? -1 : x->share > y->share;
}

static int by_refused(const void *a, const void *b)
{
	const struct result *x = a, *y = b;
	return x->refused > y->refused ? -1 : x->refused < y->refused;
}

static void print_results(const struct result *r, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		struct scenario s;
		char words[300];
		scenario_draw(&s, r[i].seed);
		scenario_describe(&s, words, sizeof words);
		printf("%8llu  %6.1f %6.2f %7.4f %6.0f  %s\n", (unsigned long long)r[i].seed, 100 * r[i].share,
			100 * r[i].refused, r[i].jain, isnan(r[i].back) ? 0 : r[i].back, words);
	}
}

int throttle_fuzz(uint64_t from, uint64_t n, bool list)
{
	struct result *r = calloc((size_t)n, sizeof *r);
	double mean = 0, refused = 0;
	uint64_t low = 0, often = 0, late = 0, events = 0, unfair = 0, exceeded = 0;
	if (!r)
		return 1;
	for (uint64_t i = 0; i < n; i++) {
		r[i] = draw_one(from + i);
		mean += r[i].share / (double)n;
		refused += r[i].refused / (double)n;
		low += r[i].share < 0.97;
		often += r[i].refused >= 0.005;
		events += !isnan(r[i].back);
		late += !isnan(r[i].back) && (r[i].back < 0 || r[i].back > 180);
		unfair += r[i].jain < 0.99;
		exceeded += r[i].exceeded;
	}
	if (list) {
		print_results(r, n);
		free(r);
		return exceeded > 0;
	}
	qsort(r, (size_t)n, sizeof *r, by_share);
	printf("%llu random scenarios from seed %llu: share of the oracle (%%): mean %.1f, median %.1f, a quarter "
	       "below %.1f, a tenth below "
	       "%.1f, least %.1f\n",
		(unsigned long long)n, (unsigned long long)from, 100 * mean, 100 * r[n / 2].share, 100 * r[n / 4].share,
		100 * r[n / 10].share, 100 * r[0].share);
	printf("below 97 %%: %llu; 0.5 %% refused or more: %llu (mean %.2f %%); later than 180 s: %llu of %llu; Jain "
	       "below 0.99: %llu; ceiling "
	       "passed: %llu\n\nthe worst by share\n    seed   share refused   Jain   back  scenario\n",
		(unsigned long long)low, (unsigned long long)often, 100 * refused, (unsigned long long)late,
		(unsigned long long)events, (unsigned long long)unfair, (unsigned long long)exceeded);
	print_results(r, n < WORST ? n : WORST);
	qsort(r, (size_t)n, sizeof *r, by_refused);
	printf("the worst by refusals\n");
	print_results(r, n < WORST ? n : WORST);
	free(r);
	return exceeded > 0;
}
