#include "engine/budget_day.h"

#include "engine/base/clock.h"
#include "engine/night.h"
#include "engine/provider.h"
#include "throttle/daily_budget.h"

#include <string.h>

#define LINE_BYTES 128 /* of a message's metadata on the wire, about */

int budget_day_rule(struct store *s, const struct endpoint *e, struct day_rule *out, struct err *err)
{
	bool known;
	const struct provider *p = provider_find(e->provider);
	if (store_day_rule_get(s, e->id, out, &known, err))
		return -1;
	if (!known)
		out->of_host = p && p->day_of_host;
	return 0;
}

static const char *amount(uint64_t n, char *out, size_t size)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double v = (double)n;
	size_t u = 0;
	for (; v >= 1000 && u + 1 < sizeof units / sizeof units[0]; u++)
		v /= 1000;
	snprintf(out, size, "%.4g %s", v, units[u]);
	return out;
}

/* message: of one message, which may not fit although much is left; 0: of something else. */
static int fail_spent(const struct endpoint *e, const struct day_booking *b, const struct zone *z, int64_t now,
	int64_t until, uint64_t message, struct err *err)
{
	char local[CLOCK_TEXT], utc[CLOCK_TEXT], size[32], next[32], why[96] = "is spent";
	clock_format(zone_to_local(z, until), local, sizeof local);
	clock_format(until, utc, sizeof utc);
	amount(message, next, sizeof next);
	if (message > e->bytes_per_day)
		snprintf(why, sizeof why, "is less than the next message (%s), which goes alone on a new day", next);
	else if (message > e->bytes_per_day / 10)
		snprintf(why, sizeof why, "leaves too little for the next message (%s)", next);
	err_set(err, ERR_DEFERRED, "deferred until %.10s %.5s %s (%s): the daily budget of %s of %s%s at %s %s", local,
		local + 11, b->zone, utc, amount(e->bytes_per_day, size, sizeof size),
		b->mailbox[0] ? "mailbox " : "the host", b->mailbox, e->name, why);
	err_hint(err, "a new day brings a new budget; a larger one: nightferry endpoint set %s --daily-bytes", e->name);
	err->retry_after_ms = (until - now) * 1000;
	return -1;
}

enum what { WHAT_MANY, WHAT_LIST, WHAT_MESSAGE };

static int take(struct store *s, int64_t endpoint_id, const char *source_user, uint64_t bytes, enum what what,
	struct day_booking *out, struct err *err)
{
	struct endpoint e;
	struct day_rule rule;
	struct zone *z = NULL;
	int64_t until = 0, now = clock_wall_s();
	*out = (struct day_booking){.endpoint_id = endpoint_id};
	if (store_endpoint_by_id(s, endpoint_id, &e, err))
		return -1;
	if (!e.bytes_per_day)
		return 0;
	/* what goes beyond a fresh day's budget goes alone */
	if (what == WHAT_MANY && bytes > e.bytes_per_day - e.bytes_per_day / DAILY_BUDGET_FRESH)
		return err_set(err, ERR_DEFERRED, "more than a day's budget at once");
	if (budget_day_rule(s, &e, &rule, err))
		return -1;
	snprintf(out->zone, sizeof out->zone, "%s", rule.zone[0] ? rule.zone : "UTC");
	snprintf(out->mailbox, sizeof out->mailbox, "%s", rule.of_host ? "" : source_user);
	if (zone_load(&z, out->zone, err))
		return -1;
	out->limited = true;
	int64_t want = bytes < INT64_MAX ? (int64_t)bytes : INT64_MAX;
	int rc = want ? store_spent_take(s, e.id, out->mailbox, z, e.bytes_per_day, want, now, &until, err) : 0;
	if (!rc && until)
		rc = fail_spent(&e, out, z, now, until, what == WHAT_MESSAGE ? bytes : 0, err);
	else if (!rc)
		out->bytes = bytes;
	zone_free(&z);
	return rc;
}

int budget_day_take(struct store *s, int64_t endpoint_id, const char *source_user, uint64_t bytes, bool alone,
	struct day_booking *out, struct err *err)
{
	return take(s, endpoint_id, source_user, bytes, alone ? WHAT_LIST : WHAT_MANY, out, err);
}

/* How many of v are booked together. */
static size_t chunk(const struct pull_meta *v, size_t n, uint64_t *bytes)
{
	size_t k = 0;
	for (*bytes = 0; k < n && (k == 0 || *bytes + v[k].size <= BUDGET_DAY_CHUNK); k++)
		*bytes += v[k].size;
	return k;
}

int budget_day_take_some(struct store *s, int64_t endpoint_id, const char *source_user, const struct pull_meta *v,
	size_t n, size_t *k, struct day_booking *out, struct err *err)
{
	uint64_t bytes;
	*k = chunk(v, n, &bytes);
	/* What is left of a day is used up message by message. */
	while (take(s, endpoint_id, source_user, bytes, *k == 1 ? WHAT_MESSAGE : WHAT_MANY, out, err)) {
		if (err->kind != ERR_DEFERRED || *k == 1)
			return -1;
		err_clear(err);
		*k = chunk(v, *k / 2, &bytes);
	}
	if (!out->limited)
		*k = n;
	return 0;
}

int budget_day_settle(struct store *s, const struct day_booking *b, uint64_t real, struct err *err)
{
	struct zone *z = NULL;
	int64_t until, more = (int64_t)real - (int64_t)b->bytes;
	if (!b->limited || more == 0)
		return 0;
	if (zone_load(&z, b->zone, err))
		return -1;
	/* What was fetched beyond the booking is spent, whether it fits or not. */
	int rc = store_spent_take(s, b->endpoint_id, b->mailbox, z, 0, more, clock_wall_s(), &until, err);
	zone_free(&z);
	return rc;
}

int budget_day_list(struct store *s, int64_t endpoint_id, const char *source_user, struct conn *source, struct pull *p,
	uint64_t listed, struct pull_meta *out, size_t cap, size_t *n, struct err *err)
{
	struct day_booking booking;
	struct err late = ERR_INIT;
	uint64_t before, after, sent, exists = pull_exists(p), left = exists > listed ? exists - listed : 0;
	*n = 0;
	if (budget_day_take(s, endpoint_id, source_user, (left < cap ? left : cap) * LINE_BYTES, true, &booking, err))
		return -1;
	conn_counts(source, &before, &sent);
	int rc = pull_list(p, out, cap, n, err);
	conn_counts(source, &after, &sent);
	if (budget_day_settle(s, &booking, after - before, &late) && !rc) {
		*err = late;
		rc = -1;
	}
	return rc;
}
