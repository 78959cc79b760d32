/* make bench-throttle: the real controller (throttle/admit and below) against the limit model of exosim, next to an oracle and to
   three simpler senders. Prints a table, writes an SVG plot. Options: --seed N, --only TEXT, --plot FILE, --check (fails when an
   aim is missed). */
#include "tests/bench/throttle_plot.h"
#include "tests/bench/throttle_world.h"

#include <stdlib.h>
#include <string.h>

#define HOURS(h) ((int64_t)((h)*3600))

static const struct scenario scenarios[] = {
	{.name = "documented, 1 mailbox", .boxes = 1, .seconds = HOURS(3), .ceiling = 1, .real = 1},
	{.name = "documented, 50 mailboxes", .boxes = 50, .seconds = HOURS(2), .ceiling = 1, .real = 1},
	{.name = "small messages", .boxes = 1, .seconds = HOURS(3), .ceiling = 1, .real = 1, .sizes = SIZES_SMALL},
	{.name = "limit 40 % lower", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 0.6},
	{.name = "40 % lower, small messages",
		.boxes = 1,
		.seconds = HOURS(4),
		.ceiling = 1,
		.real = 0.6,
		.sizes = SIZES_SMALL},
	{.name = "40 % lower, 50 mailboxes", .boxes = 50, .seconds = HOURS(2), .ceiling = 1, .real = 0.6},
	{.name = "3 times higher, ceiling raised", .boxes = 1, .seconds = HOURS(4), .ceiling = 4, .real = 3},
	{.name = "halves at 1 h, recovers at 3 h",
		.boxes = 1,
		.seconds = HOURS(4.5),
		.ceiling = 1,
		.real = 1,
		.change = {{3600, 0.5}, {10800, 1}},
		.event_s = 10800},
	{.name = "another takes a varying half",
		.boxes = 1,
		.seconds = HOURS(4),
		.ceiling = 1,
		.real = 1,
		.other_low = 0.3,
		.other_high = 0.7},
	{.name = "40 % lower, no Retry-After",
		.boxes = 1,
		.seconds = HOURS(4),
		.ceiling = 1,
		.real = 0.6,
		.retry = LIMIT_RETRY_MISSING},
	{.name = "40 % lower, Retry-After 0", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 0.6, .zero = true},
	{.name = "closed for an hour",
		.boxes = 1,
		.seconds = HOURS(4),
		.ceiling = 1,
		.real = 0.6,
		.hour_at_s = 3600,
		.event_s = 7200},
	{.name = "bursts of 503", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 1, .bursts = true},
	{.name = "latency rises with load", .boxes = 50, .seconds = HOURS(2), .ceiling = 1, .real = 1, .knee = 24},
	{.name = "sizes 2 KB to 25 MB", .boxes = 1, .seconds = HOURS(8), .ceiling = 1, .real = 1, .sizes = SIZES_WIDE},
	{.name = "40 % lower, 2 KB to 25 MB",
		.boxes = 1,
		.seconds = HOURS(12),
		.ceiling = 1,
		.real = 0.6,
		.sizes = SIZES_WIDE},
	{.name = "2 at once instead of 4", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 1, .in_flight = 2},
	{.name = "IMAP texts, 5 minutes",
		.boxes = 1,
		.seconds = HOURS(8),
		.ceiling = 1,
		.real = 0.6,
		.retry = LIMIT_RETRY_FIXED,
		.retry_ms = 299961,
		.imap_text = true},
};
#define SCENARIOS (sizeof scenarios / sizeof *scenarios)

/* By bytes, or by requests where these bind. */
static double amount(const struct scenario *s, const struct outcome *o)
{
	return s->sizes == SIZES_SMALL ? o->requests : o->bytes;
}

static bool print_row(const struct scenario *s, const struct outcome out[POLICIES])
{
	const struct outcome *ours = &out[POLICY_OURS];
	double best = amount(s, &out[POLICY_ORACLE]);
	printf("%-32s", s->name);
	for (int p = POLICY_OURS; p < POLICIES; p++)
		printf(" %6.1f %6.2f ", 100 * amount(s, &out[p]) / best, 100 * out[p].refused / out[p].sent);
	printf(" %6.4f", ours->jain);
	if (s->event_s)
		printf(" %5.0f s", ours->recovery_s);
	else
		printf("       -");
	bool good = amount(s, ours) >= 0.97 * best && ours->refused < 0.005 * ours->sent && ours->jain >= 0.99 &&
		    !ours->exceeded && (!s->event_s || (ours->recovery_s >= 0 && ours->recovery_s <= 180));
	printf(" %5.0f s  %s%s\n", ours->worst_s, good ? "ok" : "MISSED", ours->exceeded ? ", ceiling passed" : "");
	fflush(stdout);
	return good;
}

int main(int argc, char **argv)
{
	const char *plot = "build/throttle.svg", *only = "";
	unsigned seed = 1;
	bool check = false, all = true;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--seed") && i + 1 < argc)
			seed = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (!strcmp(argv[i], "--only") && i + 1 < argc)
			only = argv[++i];
		else if (!strcmp(argv[i], "--plot") && i + 1 < argc)
			plot = argv[++i];
		else if (!strcmp(argv[i], "--check"))
			check = true;
		else
			return fprintf(stderr, "usage: throttle [--seed N] [--only TEXT] [--plot FILE] [--check]\n"), 2;
	}
	FILE *svg = fopen(plot, "w");
	if (!svg)
		return perror(plot), 1;
	plot_begin(svg, SCENARIOS);
	printf("Share (%%) of what an oracle got taken after the first ten minutes, and refused share (%%) "
	       "of all requests. Seed %u.\n\n",
		seed);
	printf("%-32s %14s  %14s  %13s  %13s   %6s %7s %7s\n", "scenario", "nightferry", "fixed rate", "retry", "AIMD",
		"Jain", "back in", "pause");
	for (size_t i = 0, panel = 0; i < SCENARIOS; i++) {
		struct outcome out[POLICIES];
		if (!strstr(scenarios[i].name, only))
			continue;
		for (int p = 0; p < POLICIES; p++)
			world_run(&scenarios[i], (enum policy)p, seed, &out[p]);
		all = print_row(&scenarios[i], out) && all;
		plot_panel(svg, panel++, &scenarios[i], out);
		for (int p = 0; p < POLICIES; p++)
			outcome_done(&out[p]);
	}
	plot_end(svg);
	fclose(svg);
	printf("\nJain's index over the mailboxes; back in: from when on five minutes carry 95 %% of the new "
	       "limit; pause: the longest without anything taken"
	       " (all nightferry).\nThe plot is in %s.\n",
		plot);
	return check && !all;
}
