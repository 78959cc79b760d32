#include "engine/command/bind.h"

#include "engine/base/clock.h"
#include "engine/command/cli.h"

static void print_amounts(const struct live_row *r)
{
	char rate[32], limit[32];
	printf("    %s/s", cli_bytes(r->bytes_per_s, rate, sizeof rate));
	if (r->limit_per_s)
		printf(" of %s/s (%llu%%)", cli_bytes(r->limit_per_s, limit, sizeof limit),
			(unsigned long long)(r->bytes_per_s * 100 / r->limit_per_s));
	printf(", %u", r->requests);
	if (r->requests_limit)
		printf(" of %u", r->requests_limit);
	printf(" requests a minute, %u", r->in_flight);
	if (r->in_flight_limit)
		printf(" of %u", r->in_flight_limit);
	puts(" at once");
}

void bind_print(const struct live_row *r)
{
	char at[CLOCK_TEXT];
	if (!r->at)
		return;
	print_amounts(r);
	if (r->binding != BIND_NOTHING)
		printf("    held back by %s%s%s\n", binding_name(r->binding), r->detail[0] ? ": " : "", r->detail);
	else if (r->detail[0])
		printf("    %s\n", r->detail);
	if (r->fenced_until)
		printf("    fenced until %s: \"%s\"\n", clock_format(r->fenced_until, at, sizeof at), r->fence_words);
}

json_t *bind_json(const struct live_row *r)
{
	return json_pack("{s:I,s:I,s:I,s:i,s:i,s:i,s:i,s:s,s:s,s:I,s:s,s:I,s:i,s:i}", "at", (json_int_t)r->at,
		"bytes_per_s", (json_int_t)r->bytes_per_s, "limit_bytes_per_s", (json_int_t)r->limit_per_s,
		"requests_per_min", (int)r->requests, "limit_requests_per_min", (int)r->requests_limit, "in_flight",
		(int)r->in_flight, "limit_in_flight", (int)r->in_flight_limit, "binds", binding_name(r->binding), "why",
		r->detail, "fenced_until", (json_int_t)r->fenced_until, "fence_words", r->fence_words, "fenced_ms",
		(json_int_t)r->fenced_ms, "refused_requests", (int)r->refused, "deferrals", (int)r->deferrals);
}

const char *bind_history(const struct live_row *r, char *out, size_t size)
{
	out[0] = 0;
	size_t len = 0;
	if (r->refused || r->fenced_ms)
		len = (size_t)snprintf(out, size, "throttled: %u %s refused, %llu s fenced%s", r->refused,
			r->refused == 1 ? "request" : "requests", (unsigned long long)(r->fenced_ms + 500) / 1000,
			r->deferrals ? "; " : "");
	if (r->deferrals && len < size)
		snprintf(out + len, size - len, "deferred %u %s by windows, budgets, long fences or for want of room",
			r->deferrals, r->deferrals == 1 ? "time" : "times");
	return out;
}
