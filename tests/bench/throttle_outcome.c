#include "tests/bench/throttle_world.h"

#include <math.h>
#include <stdlib.h>

#define SPAN_S 300

void outcome_done(struct outcome *o)
{
	free(o->per_second);
	free(o->requests_per_second);
	*o = (struct outcome){0};
}

bool outcome_by_requests(const struct scenario *s, const struct outcome *oracle)
{
	struct limit_rules r = scenario_real(s, 1);
	return oracle->requests / ((double)r.requests / (double)r.requests_window_ms) >
	       oracle->bytes / ((double)r.bytes / (double)r.bytes_window_ms);
}

double outcome_share(const struct scenario *s, const struct outcome *o, const struct outcome *oracle)
{
	return outcome_by_requests(s, oracle) ? o->requests / oracle->requests : o->bytes / oracle->bytes;
}

static double amount_of(const float *per_second, int64_t from, int64_t to)
{
	double sum = 0;
	for (int64_t t = from; t < to; t++)
		sum += per_second[t];
	return sum;
}

/* From `at`; the next event is at `end`. */
static double recovery_from(const float *ours, const float *oracle, int64_t at, int64_t end)
{
	if (at + 4 * SPAN_S > end)
		return 0; /* too short to tell */
	double aim = 0.95 * amount_of(oracle, at + 2 * SPAN_S, end) / (double)(end - at - 2 * SPAN_S) * SPAN_S;
	for (int64_t t = at; t + SPAN_S <= end; t++)
		if (amount_of(ours, t, t + SPAN_S) >= aim)
			return (double)(t - at);
	return -1;
}

double outcome_recovery(const struct scenario *s, const struct outcome *o, const struct outcome *oracle)
{
	bool by_requests = outcome_by_requests(s, oracle);
	const float *ours = by_requests ? o->requests_per_second : o->per_second;
	const float *best = by_requests ? oracle->requests_per_second : oracle->per_second;
	double was = 1, worst = NAN;
	if (s->other.shape || s->mail.kind == MAIL_WIDE)
		return NAN; /* five minutes are no measure there */
	for (int i = -1; i < SCENARIO_CHANGES; i++) {
		int64_t at = i < 0 ? s->hour_at_s + 3600 : s->change[i].at_s, end = s->seconds;
		bool rises = i < 0 ? s->hour_at_s > 0 : s->change[i].factor > was;
		if (i >= 0)
			was = s->change[i].factor;
		for (int k = 0; k < SCENARIO_CHANGES; k++)
			if (s->change[k].factor > 0 && s->change[k].at_s > at && s->change[k].at_s < end)
				end = s->change[k].at_s;
		if (s->hour_at_s > at && s->hour_at_s < end)
			end = s->hour_at_s;
		if (!rises || (i >= 0 && s->hour_at_s && at >= s->hour_at_s && at < s->hour_at_s + 3600))
			continue;
		double took = recovery_from(ours, best, at, end);
		if (took < 0)
			return -1;
		if (isnan(worst) || took > worst)
			worst = took;
	}
	return worst;
}
