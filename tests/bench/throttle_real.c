#include "tests/bench/throttle_real.h"

#include "tests/bench/throttle_world.h"

#include <math.h>
#include <stdio.h>

#define SCALE 0.1
#define LATENCY_MS 150 /* of a request without its octets; exosim is told to take so long */
#define IMAP_LATENCY_MS 10
#define IMAP_BACKOFF_MS 30000 /* whole seconds, as the simulation states them */
#define WARM_S 60
#define SECONDS 300
#define SEEDS 16   /* of the simulation: where milliseconds decide, one run says little */
#define SPARE 1.15 /* so much more mail than can be moved: nobody runs dry */
/* Messages are smaller, too: a window of a tenth would else hold too few of them to be like a whole one. */
/* clang-format off */
#define MAIL {MAIL_OTHER, 30000, 0.9}
#define COMMON .boxes = 1, .seconds = SECONDS, .ceiling = 1, .scale = SCALE, .warm_s = WARM_S, .latency_ms = LATENCY_MS
/* Nothing is published for IMAP, and a refusal names no limit. */
#define IMAP .boxes = 1, .seconds = SECONDS, .scale = SCALE, .warm_s = WARM_S, .latency_ms = IMAP_LATENCY_MS, .retry = LIMIT_RETRY_FIXED, .retry_ms = IMAP_BACKOFF_MS, .unnamed = true

static const struct scenario real[] = {
	{.name = "documented", COMMON, .real = 1, .mail = MAIL},
	{.name = "small messages", COMMON, .real = 1, .mail = {MAIL_SMALL, 0, 0}},
	{.name = "limit 40 % lower", COMMON, .real = 0.6, .mail = MAIL},
	{.name = "40 % lower, small messages", COMMON, .real = 0.6, .mail = {MAIL_SMALL, 0, 0}},
	{.name = "halves at 100 s, recovers at 200 s", COMMON, .real = 1, .mail = MAIL, .change = {{100, 0.5}, {200, 1}}},
	{.name = "2 at once instead of 4", COMMON, .real = 1, .mail = MAIL, .in_flight = 2},
	{.name = "IMAP texts, 30 s", IMAP, .real = 0.6, .mail = MAIL},
	{.name = "IMAP texts, 30 s, small messages", IMAP, .real = 0.6, .mail = {MAIL_SMALL, 0, 0}},
};
/* clang-format on */

/* By exosim's names. */
static void print_rules(const struct scenario *s, double factor)
{
	struct limit_rules r = scenario_real(s, factor);
	unsigned long long requests = r.requests, bytes = r.bytes;
	if (s->unnamed)
		printf("\"appends_max\": %llu, \"bytes_max\": %llu", requests, bytes);
	else
		printf("\"graph_requests\": %llu, \"graph_bytes\": %llu, \"graph_in_flight\": %u", requests, bytes,
			r.in_flight);
}

/* As world_run draws them for its first mailbox. */
static void print_sizes(const struct scenario *s, unsigned seed)
{
	struct limit_rules most = scenario_real(s, 1);
	double bytes = 0, requests = 0, seconds = s->seconds * SPARE * 1000;
	uint64_t random = random_start((uint64_t)seed * 1000003 + 1);
	printf("\"sizes\": [");
	while (bytes < seconds * (double)most.bytes / (double)most.bytes_window_ms &&
		requests < seconds * (double)most.requests / (double)most.requests_window_ms) {
		uint64_t n = mail_bytes(&s->mail, &random);
		printf("%s%llu", requests > 0 ? ", " : "", (unsigned long long)n);
		bytes += (double)n;
		requests++;
	}
	printf("]");
}

static void print_outcome(const char *name, const struct outcome *o)
{
	printf("\"%s\": {\"bytes\": %.0f, \"requests\": %.0f, \"refused\": %.0f, \"sent\": %.0f}, ", name, o->bytes,
		o->requests, o->refused, o->sent);
}

/* Between which shares of the oracle's the simulation ends up, as its chances fall. */
static void print_range(const struct scenario *s, unsigned seed)
{
	double least = INFINITY, most = 0;
	for (unsigned i = 0; i < SEEDS; i++) {
		struct outcome oracle, ours;
		world_run(s, POLICY_ORACLE, seed + i, NULL, &oracle);
		world_run(s, POLICY_OURS, seed + i, NULL, &ours);
		double share = outcome_share(s, &ours, &oracle);
		least = share < least ? share : least;
		most = share > most ? share : most;
		outcome_done(&oracle);
		outcome_done(&ours);
	}
	printf("\"seeds\": %d, \"range\": [%.4f, %.4f], ", SEEDS, least, most);
}

static void print_scenario(const struct scenario *s, unsigned seed)
{
	struct outcome oracle, ours;
	world_run(s, POLICY_ORACLE, seed, NULL, &oracle);
	world_run(s, POLICY_OURS, seed, NULL, &ours);
	printf("{\"name\": \"%s\", \"route\": \"%s\", \"seconds\": %lld, \"warm\": %lld, \"limits\": {", s->name,
		s->unnamed ? "imap" : "mime", (long long)s->seconds, (long long)s->warm_s);
	print_rules(s, 1);
	printf("}, \"changes\": [");
	for (int i = 0; i < SCENARIO_CHANGES && s->change[i].factor > 0; i++) {
		printf("%s{\"at\": %lld, ", i ? ", " : "", (long long)s->change[i].at_s);
		print_rules(s, s->change[i].factor);
		printf("}");
	}
	printf("], \"binding\": \"%s\", ", outcome_by_requests(s, &oracle) ? "requests" : "bytes");
	print_outcome("oracle", &oracle);
	print_outcome("ours", &ours);
	print_range(s, seed);
	print_sizes(s, seed);
	printf("}");
	outcome_done(&oracle);
	outcome_done(&ours);
}

void throttle_real(unsigned seed)
{
	struct limit_rules all = scenario_published(&real[0]);
	long long requests_ms = all.requests_window_ms, bytes_ms = all.bytes_window_ms;
	printf("{\"scale\": %g, \"latency_ms\": %d, \"switches\": {\"graph_requests_window\": %lld, "
	       "\"graph_bytes_window\": %lld, \"appends_window\": %lld, \"bytes_window\": %lld, \"backoff\": %d},\n"
	       "\"scenarios\": [",
		SCALE, LATENCY_MS, requests_ms, bytes_ms, requests_ms, bytes_ms, IMAP_BACKOFF_MS);
	for (unsigned i = 0; i < sizeof real / sizeof *real; i++) {
		printf("%s\n", i ? "," : "");
		print_scenario(&real[i], seed);
	}
	printf("]}\n");
}
