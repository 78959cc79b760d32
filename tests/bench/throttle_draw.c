/* Random scenarios: what is in the list is only a part of what a night may bring. */
#include "tests/bench/throttle_scenario.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static double draw_even(uint64_t *r, double low, double high) /* evenly by magnitude */
{
	return low * exp(random_share(r) * log(high / low));
}

static bool draw_chance(uint64_t *r, double share)
{
	return random_share(r) < share;
}

static void draw_mail(struct scenario *s, uint64_t *r)
{
	double which = random_share(r);
	s->mail.kind = which < 0.45 ? MAIL_75K : which < 0.55 ? MAIL_SMALL : which < 0.65 ? MAIL_WIDE : MAIL_OTHER;
	if (s->mail.kind == MAIL_OTHER)
		s->mail = (struct mail_mix){MAIL_OTHER, draw_even(r, 3000, 1e6), random_between(r, 0.1, 1.6)};
}

static void draw_changes(struct scenario *s, uint64_t *r)
{
	int64_t at = 900;
	for (unsigned i = 0; i < SCENARIO_CHANGES && at < s->seconds - 2400; i++) {
		at += (int64_t)draw_even(r, 600, 5400);
		s->change[i] = (struct change){at, i % 2 ? 1 : draw_even(r, 0.2, 1)};
	}
}

static void draw_refusals(struct scenario *s, uint64_t *r)
{
	double which = random_share(r);
	s->retry = which < 0.6 ? LIMIT_RETRY_FIT : which < 0.8 ? LIMIT_RETRY_FIXED : LIMIT_RETRY_MISSING;
	if (s->retry == LIMIT_RETRY_FIXED)
		s->retry_ms = (int64_t)draw_even(r, 1000, 300000);
	s->zero = draw_chance(r, 0.08);
	s->unnamed = s->retry == LIMIT_RETRY_FIXED && s->retry_ms > 30000 && draw_chance(r, 0.5);
	s->bytes_free = draw_chance(r, 0.25);
}

void scenario_draw(struct scenario *s, uint64_t seed)
{
	uint64_t r = random_start(seed + 77);
	*s = (struct scenario){.name = "drawn", .ceiling = 1, .real = 1};
	double boxes = random_share(&r);
	s->boxes = boxes < 0.75 ? 1 : boxes < 0.9 ? 2 + (unsigned)random_between(&r, 0, 6) : 20;
	s->seconds = HOURS(2) + (int64_t)random_between(&r, 0, 3.0 * 3600);
	if (draw_chance(&r, 0.25))
		s->ceiling = random_between(&r, 1.2, 5);
	if (draw_chance(&r, 0.7))
		s->real = s->ceiling * draw_even(&r, 0.15, 1.1);
	if (draw_chance(&r, 0.1))
		s->window = draw_chance(&r, 0.5) ? 0.2 : 2;
	draw_mail(s, &r);
	draw_refusals(s, &r);
	if (draw_chance(&r, 0.25))
		draw_changes(s, &r);
	else if (draw_chance(&r, 0.15))
		s->other = (struct other){OTHER_SINE + (enum other_shape)random_between(&r, 0, 2.99),
			random_between(&r, 0, 0.4), random_between(&r, 0.45, 0.8), (int64_t)draw_even(&r, 600, 7200)};
	if (draw_chance(&r, 0.15))
		s->in_flight = 1 + (unsigned)random_between(&r, 0, 5);
	if (draw_chance(&r, 0.08))
		s->hour_at_s = (int64_t)random_between(&r, 700, 3000);
	s->bursts = draw_chance(&r, 0.1);
	if (s->boxes > 1 && draw_chance(&r, 0.2))
		s->knee = 3 + (unsigned)random_between(&r, 0, s->boxes * 2.0);
	if (draw_chance(&r, 0.1))
		s->lost = draw_even(&r, 0.002, 0.1);
	s->latency_ms = draw_even(&r, 30, 1000);
}

static void __attribute__((format(printf, 3, 4))) put(char *out, size_t n, const char *format, ...)
{
	size_t used = strlen(out);
	va_list ap;
	va_start(ap, format);
	if (used < n)
		vsnprintf(out + used, n - used, format, ap);
	va_end(ap);
}

static void describe_mail(const struct mail_mix *m, char *out, size_t n)
{
	if (m->kind == MAIL_OTHER)
		put(out, n, ", mail %.0fK/%.1f", m->median / 1000, m->sigma);
	else
		put(out, n, ", mail %s", m->kind == MAIL_75K ? "75K" : m->kind == MAIL_SMALL ? "small" : "wide");
}

void scenario_describe(const struct scenario *s, char *out, size_t n)
{
	static const char *const shapes[] = {"", "sine", "square", "walk"};
	*out = '\0';
	put(out, n, "%u box%s, real %.2f of %.2f, %.0f ms", s->boxes, s->boxes > 1 ? "es" : "", s->real, s->ceiling,
		s->latency_ms > 0 ? s->latency_ms : 150);
	describe_mail(&s->mail, out, n);
	if (s->window > 0)
		put(out, n, ", windows x%.1f", s->window);
	for (unsigned i = 0; i < SCENARIO_CHANGES && s->change[i].factor > 0; i++)
		put(out, n, ", x%.2f at %.1f min", s->change[i].factor, (double)s->change[i].at_s / 60);
	if (s->other.shape)
		put(out, n, ", other %s %.2f-%.2f in %.0f min", shapes[s->other.shape], s->other.low, s->other.high,
			(double)s->other.period_s / 60);
	if (s->zero)
		put(out, n, ", Retry-After 0");
	else if (s->retry == LIMIT_RETRY_FIXED)
		put(out, n, ", Retry-After %.0f s", (double)s->retry_ms / 1000);
	else if (s->retry == LIMIT_RETRY_MISSING)
		put(out, n, ", no Retry-After");
	put(out, n, "%s%s%s", s->unnamed ? ", unnamed" : "", s->bytes_free ? ", refused bytes free" : "",
		s->bursts ? ", bursts of 503" : "");
	if (s->in_flight)
		put(out, n, ", %u at once", s->in_flight);
	if (s->hour_at_s)
		put(out, n, ", closed from %.0f min", (double)s->hour_at_s / 60);
	if (s->knee)
		put(out, n, ", knee %u", s->knee);
	if (s->lost > 0)
		put(out, n, ", %.1f %% lost", 100 * s->lost);
}
