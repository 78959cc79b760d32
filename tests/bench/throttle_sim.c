/* make bench-throttle: the real controller (throttle/admit and below) against the limit model of exosim, next to an oracle and to
   three simpler senders. Prints a table, writes an SVG plot. */
#include "tests/bench/throttle_fuzz.h"
#include "tests/bench/throttle_plot.h"
#include "tests/bench/throttle_real.h"
#include "tests/bench/throttle_world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AIM_SHARE 0.97
#define AIM_REFUSED 0.005
#define AIM_JAIN 0.99
#define AIM_BACK_S 180

static bool row_is_good(const struct outcome *ours, double share, double back)
{
	return share >= AIM_SHARE && ours->refused < AIM_REFUSED * ours->sent && ours->jain >= AIM_JAIN &&
	       !ours->exceeded && (isnan(back) || (back >= 0 && back <= AIM_BACK_S));
}

static bool print_row(const struct scenario *s, const struct outcome out[POLICIES])
{
	const struct outcome *ours = &out[POLICY_OURS], *oracle = &out[POLICY_ORACLE];
	printf("%-32s", s->name);
	for (int p = POLICY_OURS; p < POLICIES_SHOWN; p++)
		printf(" %6.1f %6.2f ", 100 * outcome_share(s, &out[p], oracle), 100 * out[p].refused / out[p].sent);
	printf(" %6.4f", ours->jain);
	double back = outcome_recovery(s, ours, oracle);
	if (isnan(back))
		printf("       -");
	else if (back < 0)
		printf("   never");
	else
		printf(" %5.0f s", back);
	bool good = row_is_good(ours, outcome_share(s, ours, oracle), back);
	printf(" %5.0f s  %s%s", ours->worst_s, good ? "ok" : "MISSED", ours->exceeded ? ", ceiling passed" : "");
	if (s->told)
		printf(" (told the limit: %.1f %%; told rarely: %.1f %%)",
			100 * outcome_share(s, &out[POLICY_TOLD], oracle),
			100 * outcome_share(s, &out[POLICY_TOLD_RARELY], oracle));
	printf("\n");
	fflush(stdout);
	return good;
}

static bool run_table(const char *only, unsigned seed, FILE *svg)
{
	bool all = true;
	plot_begin(svg, scenarios_count);
	printf("Share (%%) of what an oracle got taken after the first ten minutes, and refused share (%%) of all "
	       "requests. Seed %u.\n\n",
		seed);
	printf("%-32s %14s  %14s  %13s  %13s   %6s %7s %7s\n", "scenario", "nightferry", "fixed rate", "retry", "AIMD",
		"Jain", "back in", "pause");
	for (unsigned i = 0, panel = 0; i < scenarios_count; i++) {
		const struct scenario *s = &scenarios[i];
		struct outcome out[POLICIES];
		if (!strstr(s->name, only))
			continue;
		for (int p = 0; p < POLICIES; p++)
			if (p < POLICY_TOLD || s->told)
				world_run(s, (enum policy)p, seed, NULL, &out[p]);
		all = print_row(s, out) && all;
		plot_panel(svg, panel++, s, out);
		for (int p = 0; p < POLICIES; p++)
			if (p < POLICY_TOLD || s->told)
				outcome_done(&out[p]);
	}
	plot_end(svg);
	printf("\nAims: 97 %% of the oracle, under 0.5 %% refused, Jain's index over the mailboxes 0.99, back in 180 "
	       "s.\n"
	       "Back in: the longest time from a rise of the limit or the end of a fence until five minutes carry 95 "
	       "%% of the oracle's mean.\n"
	       "Pause: the longest without anything taken. Told: the same controller when somebody tells it the limit "
	       "every second, or (rarely)\nonly once for 200 requests, as often as it may be refused; "
	       "what it then gets more is what nobody can know who learns the limit from refusals only.\n");
	return all;
}

/* Ours only, with several seeds: the least and the mean. */
static bool run_seeds(const char *only, unsigned seed, unsigned seeds)
{
	bool all = true;
	printf("Share of the oracle (%%), refused (%%) and time until back (s) over %u seeds from %u: mean, worst.\n\n",
		seeds, seed);
	for (unsigned i = 0; i < scenarios_count; i++) {
		const struct scenario *s = &scenarios[i];
		double share = 0, least = 1, refused = 0, most = 0, late = 0;
		unsigned good = 0;
		for (unsigned k = 0; k < seeds && strstr(s->name, only); k++) {
			struct outcome oracle, ours;
			world_run(s, POLICY_ORACLE, seed + k, NULL, &oracle);
			world_run(s, POLICY_OURS, seed + k, NULL, &ours);
			double v = outcome_share(s, &ours, &oracle), r = ours.refused / ours.sent,
			       back = outcome_recovery(s, &ours, &oracle);
			good += row_is_good(&ours, v, back);
			share += v / seeds;
			refused += r / seeds;
			least = v < least ? v : least;
			most = r > most ? r : most;
			late = back > late ? back : back < 0 ? HUGE_VAL : late;
			outcome_done(&oracle);
			outcome_done(&ours);
		}
		if (!strstr(s->name, only))
			continue;
		all = all && good == seeds;
		printf("%-32s %6.1f %6.1f   %5.2f %5.2f   %5.0f   all aims met by %u of %u\n", s->name, 100 * share,
			100 * least, 100 * refused, 100 * most, late, good, seeds);
		fflush(stdout);
	}
	return all;
}

static int run_trace(const char *only, unsigned seed, uint64_t drawn)
{
	struct scenario s;
	struct outcome out;
	scenario_draw(&s, drawn);
	for (unsigned i = 0; !drawn && i < scenarios_count; i++)
		if (strstr(scenarios[i].name, only))
			s = scenarios[i];
	world_run(&s, POLICY_OURS, seed, stdout, &out);
	outcome_done(&out);
	return 0;
}

static const char usage[] =
	"usage: throttle [--seed N] [--only TEXT] [--plot FILE] [--check]\n"
	"       throttle --seeds N [--seed FIRST] [--only TEXT] [--check]   nightferry alone, N seeds each\n"
	"       throttle --fuzz N [--from SEED] [--list]   N random scenarios, the spread of the results and the "
	"worst; --list: each\n"
	"       throttle --trace [--only TEXT | --draw SEED]   what happens to the first mailbox\n"
	"       throttle --real [--seed N]   the scaled scenarios of throttle_real.py, as JSON\n";

struct settings {
	const char *plot, *only;
	unsigned seed, seeds;
	uint64_t fuzz, from, draw;
	bool check, trace, real, list;
};

static int parse(struct settings *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (!strcmp(name, "--check"))
			o->check = true;
		else if (!strcmp(name, "--trace"))
			o->trace = true;
		else if (!strcmp(name, "--real"))
			o->real = true;
		else if (!strcmp(name, "--list"))
			o->list = true;
		else if (!value)
			return -1;
		else if (!strcmp(name, "--seed"))
			o->seed = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (!strcmp(name, "--seeds"))
			o->seeds = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (!strcmp(name, "--only"))
			o->only = argv[++i];
		else if (!strcmp(name, "--plot"))
			o->plot = argv[++i];
		else if (!strcmp(name, "--fuzz"))
			o->fuzz = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(name, "--from"))
			o->from = strtoull(argv[++i], NULL, 10);
		else if (!strcmp(name, "--draw"))
			o->draw = strtoull(argv[++i], NULL, 10);
		else
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct settings o = {.plot = "build/throttle.svg", .only = "", .seed = 1, .from = 1};
	if (parse(&o, argc, argv))
		return fputs(usage, stderr), 2;
	if (o.real)
		return throttle_real(o.seed), 0;
	if (o.trace)
		return run_trace(o.only, o.seed, o.draw);
	if (o.fuzz || o.draw)
		return throttle_fuzz(o.draw ? o.draw : o.from, o.fuzz ? o.fuzz : 1, o.list);
	if (o.seeds)
		return !run_seeds(o.only, o.seed, o.seeds) && o.check;
	FILE *svg = fopen(o.plot, "w");
	if (!svg)
		return perror(o.plot), 1;
	bool all = run_table(o.only, o.seed, svg);
	fclose(svg);
	printf("The plot is in %s.\n", o.plot);
	return o.check && !all;
}
