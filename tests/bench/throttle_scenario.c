#include "tests/bench/throttle_scenario.h"

#include <stdio.h>

/* clang-format off */
const struct scenario scenarios[] = {
	{.name = "documented, 1 mailbox", .boxes = 1, .seconds = HOURS(3), .ceiling = 1, .real = 1},
	{.name = "documented, 50 mailboxes", .boxes = 50, .seconds = HOURS(2), .ceiling = 1, .real = 1},
	{.name = "small messages", .boxes = 1, .seconds = HOURS(3), .ceiling = 1, .real = 1, .mail = {MAIL_SMALL, 0, 0}},
	{.name = "limit 40 % lower", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 0.6},
	{.name = "40 % lower, small messages", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 0.6, .mail = {MAIL_SMALL, 0, 0}},
	{.name = "40 % lower, 50 mailboxes", .boxes = 50, .seconds = HOURS(2), .ceiling = 1, .real = 0.6},
	{.name = "3 times higher, ceiling raised", .boxes = 1, .seconds = HOURS(4), .ceiling = 4, .real = 3},
	{.name = "halves at 1 h, recovers at 3 h", .boxes = 1, .seconds = HOURS(4.5), .ceiling = 1, .real = 1, .change = {{3600, 0.5}, {10800, 1}}},
	{.name = "drops to a tenth for an hour", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 1, .change = {{3600, 0.1}, {7200, 1}}},
	{.name = "another takes a varying half", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 1, .other = {OTHER_SINE, 0.3, 0.7, 1200}, .told = true},
	{.name = "another comes and goes", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 1, .other = {OTHER_SQUARE, 0, 0.5, 2400}, .told = true},
	{.name = "40 % lower, no Retry-After", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 0.6, .retry = LIMIT_RETRY_MISSING},
	{.name = "40 % lower, Retry-After 0", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 0.6, .zero = true},
	{.name = "closed for an hour", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 0.6, .hour_at_s = 3600},
	{.name = "bursts of 503", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 1, .bursts = true},
	{.name = "latency rises with load", .boxes = 50, .seconds = HOURS(2), .ceiling = 1, .real = 1, .knee = 24},
	{.name = "sizes 2 KB to 25 MB", .boxes = 1, .seconds = HOURS(8), .ceiling = 1, .real = 1, .mail = {MAIL_WIDE, 0, 0}},
	{.name = "40 % lower, 2 KB to 25 MB", .boxes = 1, .seconds = HOURS(12), .ceiling = 1, .real = 0.6, .mail = {MAIL_WIDE, 0, 0}},
	{.name = "2 at once instead of 4", .boxes = 1, .seconds = HOURS(4), .ceiling = 1, .real = 1, .in_flight = 2},
	{.name = "IMAP texts, 5 minutes", .boxes = 1, .seconds = HOURS(8), .ceiling = 1, .real = 0.6, .retry = LIMIT_RETRY_FIXED, .retry_ms = 299961, .unnamed = true},
	{.name = "a tenth of answers lost", .boxes = 1, .seconds = HOURS(3), .ceiling = 1, .real = 1, .lost = 0.1},
};
/* clang-format on */
const unsigned scenarios_count = sizeof scenarios / sizeof *scenarios;

static struct limit_rules scaled(const struct scenario *s, double amount, double window)
{
	struct limit_rules r = limit_documented();
	double scale = s->scale > 0 ? s->scale : 1;
	r.requests = (uint64_t)((double)r.requests * amount * scale);
	r.bytes = (uint64_t)((double)r.bytes * amount * scale);
	r.requests_window_ms = (int64_t)((double)r.requests_window_ms * window * scale);
	r.bytes_window_ms = (int64_t)((double)r.bytes_window_ms * window * scale);
	return r;
}

struct limit_rules scenario_published(const struct scenario *s)
{
	return scaled(s, s->ceiling, 1);
}

struct limit_rules scenario_real(const struct scenario *s, double factor)
{
	double window = s->window > 0 ? s->window : 1;
	struct limit_rules r = scaled(s, s->real * factor * window, window);
	if (s->in_flight)
		r.in_flight = s->in_flight;
	r.retry = s->retry;
	r.refused_bytes_free = s->bytes_free;
	if (s->retry_ms)
		r.retry_ms = s->retry_ms;
	return r;
}
