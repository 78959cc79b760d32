#include "engine/forecast.h"

#include "engine/base/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MB ((uint64_t)1000000)
#define GB ((uint64_t)1000000000)
#define H 3600

static struct schedule *schedule_of(const char *zone, const char *windows, const char *blackouts, const char *until)
{
	char copy[2][256];
	const char *list[2][16], *from[2] = {windows, blackouts};
	size_t n[2] = {0, 0};
	struct err err = ERR_INIT;
	for (int i = 0; i < 2; i++) {
		char *rest = NULL;
		snprintf(copy[i], sizeof copy[i], "%s", from[i]);
		for (char *w = strtok_r(copy[i], ";", &rest); w; w = strtok_r(NULL, ";", &rest))
			list[i][n[i]++] = w;
	}
	struct schedule_text t = SCHEDULE_TEXT_INIT;
	t.windows = list[0];
	t.n_windows = n[0];
	t.blackouts = list[1];
	t.n_blackouts = n[1];
	t.zone = zone;
	struct zone *z = NULL;
	assert_int_equal(zone_load(&z, zone, &err), 0);
	if (until && schedule_parse_moment(until, z, &t.until, &err))
		fail_msg("%s", err.text);
	zone_free(&z);
	struct schedule *s = NULL;
	if (schedule_parse(&s, &t, &err))
		fail_msg("%s", err.text);
	return s;
}

static int64_t moment(const char *zone, const char *text)
{
	struct zone *z = NULL;
	struct err err = ERR_INIT;
	int64_t at = 0;
	assert_int_equal(zone_load(&z, zone, &err), 0);
	assert_int_equal(schedule_parse_moment(text, z, &at, &err), 0);
	zone_free(&z);
	return at;
}

static struct forecast_limit limit(bool shared, enum forecast_unit unit, double per_s, const char *text)
{
	struct forecast_limit l = {.shared = shared, .by_share = true, .unit = unit, .per_s = per_s};
	snprintf(l.text, sizeof l.text, "%s", text);
	return l;
}

static void make(struct forecast *f, const struct forecast_conf *c, struct forecast_user *u, size_t n, int64_t now)
{
	struct err err = ERR_INIT;
	if (forecast_make(f, c, u, n, now, &err))
		fail_msg("%s", err.text);
}

#define NEAR(a, b) assert_true(llabs((long long)(a) - (long long)(b)) <= 2)

/* One mailbox, no windows: the slowest of its limits, plus what is beside the messages. */
struct alone {
	uint64_t bytes, messages;
	unsigned folders;
	double mailbox_bytes, mailbox_messages, shared_bytes;
	int64_t seconds;
	int bind;
};
static const struct alone alones[] = {
	{1 * GB, 1000, 0, 1e6, 4, 0, 1000, 0},        /* bytes bind */
	{1 * GB, 40000, 0, 1e6, 4, 0, 10000, 1},      /* messages bind */
	{1 * GB, 1000, 0, 1e6, 4, 0.5e6, 2000, 2},    /* what all share is less */
	{1 * GB, 1000, 100, 1e6, 4, 0, 1000 + 50, 0}, /* 100 folders of half a second */
	{0, 0, 10, 1e6, 4, 0, 5, BIND_OVERHEAD},      /* empty */
	{0, 400, 0, 1e6, 4, 0, 100, 1},               /* messages without a known size */
};

static void test_one_mailbox(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof alones / sizeof alones[0]; i++) {
		const struct alone *a = &alones[i];
		struct forecast_conf c = {.at_once = 2, .per_folder_s = 0.5};
		c.limits[c.n_limits++] = limit(false, UNIT_BYTES, a->mailbox_bytes, "bytes");
		c.limits[c.n_limits++] = limit(false, UNIT_MESSAGES, a->mailbox_messages, "messages");
		if (a->shared_bytes > 0)
			c.limits[c.n_limits++] = limit(true, UNIT_BYTES, a->shared_bytes, "shared");
		struct forecast_user u = {.bytes = a->bytes, .messages = a->messages, .folders = a->folders};
		struct forecast f;
		make(&f, &c, &u, 1, 1000000);
		if (llabs((long long)(u.ends_at - 1000000 - a->seconds)) > 2 || u.bind != a->bind || f.bind != a->bind)
			fail_msg("row %zu: %lld s bound by %d", i, (long long)(u.ends_at - 1000000), u.bind);
		assert_int_equal(f.ends_at, u.ends_at);
		assert_int_equal(u.begins_at, 1000000);
		assert_int_equal(f.unfinished, 0);
		assert_int_equal(f.n_nights, 1);
		assert_int_equal(f.nights[0].bytes, a->bytes);
		assert_int_equal(f.nights[0].messages, a->messages);
		forecast_done(&f);
	}
}

/* Two at once of three: the third waits for its turn; all three share what the source gives. */
static void test_turns_and_fair_parts(void **state)
{
	(void)state;
	struct forecast_conf c = {.at_once = 2};
	c.limits[c.n_limits++] = limit(false, UNIT_BYTES, 1e6, "own");
	struct forecast_user u[3] = {{.bytes = 1 * GB}, {.bytes = 2 * GB}, {.bytes = 1 * GB}};
	struct forecast f;
	make(&f, &c, u, 3, 0);
	NEAR(u[0].ends_at, 1000);
	NEAR(u[1].ends_at, 2000);
	NEAR(u[2].begins_at, 1000);
	NEAR(u[2].ends_at, 2000);
	assert_int_equal(f.largest, 1);
	assert_true(fabs(f.waiting_part - 0.5) < 0.01);
	forecast_done(&f);

	/* 1.5 MB/s for both: 0.75 each; then the one that is left has 1 MB/s, its own limit */
	c.limits[c.n_limits++] = limit(true, UNIT_BYTES, 1.5e6, "host");
	make(&f, &c, u, 2, 0);
	NEAR(u[0].ends_at, 1333);
	NEAR(u[1].ends_at, 1333 + 1000);
	assert_int_equal(u[0].bind, 1);
	assert_string_equal(forecast_bind_text(&c, u[0].bind), "host");
	forecast_done(&f);

	/* one that is slow of itself leaves the rest to the other */
	c.limits[c.n_limits++] = limit(false, UNIT_MESSAGES, 1, "pace");
	u[0] = (struct forecast_user){.bytes = 100 * MB, .messages = 1000}; /* 0.1 MB/s */
	u[1] = (struct forecast_user){.bytes = 1 * GB, .messages = 10};
	make(&f, &c, u, 2, 0);
	NEAR(u[0].ends_at, 1000);
	NEAR(u[1].ends_at, 1000);
	assert_int_equal(u[0].bind, 2);
	assert_int_equal(u[1].bind, 0);
	forecast_done(&f);
}

/* Windows: each night its part, and the mailbox goes on where it stopped. */
static void test_windows(void **state)
{
	(void)state;
	struct schedule *s = schedule_of("Asia/Karachi", "Mon-Fri 20:00-06:00;Sat,Sun", "2026-11-25", NULL);
	struct forecast_conf c = {.at_once = 1, .schedule = s};
	c.limits[c.n_limits++] = limit(false, UNIT_BYTES, 1e6, "own");
	struct forecast_user u[2] = {{.bytes = 50 * GB}, {.bytes = 30 * GB}}; /* 10 h are 36 GB */
	struct forecast f;
	make(&f, &c, u, 2, moment("Asia/Karachi", "2026-11-23 12:00"));
	assert_int_equal(f.n_nights, 3); /* Monday, Tuesday; Wednesday is black; Thursday */
	assert_int_equal(f.nights[0].begins_at, moment("Asia/Karachi", "2026-11-23 20:00"));
	assert_int_equal(f.nights[0].ends_at, moment("Asia/Karachi", "2026-11-24 06:00"));
	NEAR(f.nights[0].bytes / MB, 36000);
	assert_int_equal(f.nights[0].finished, 0);
	assert_int_equal(f.nights[1].finished, 1);
	assert_int_equal(u[0].night, 1);
	NEAR(u[0].ends_at, moment("Asia/Karachi", "2026-11-24 20:00") + 14000);
	assert_int_equal(f.nights[2].begins_at, moment("Asia/Karachi", "2026-11-26 20:00"));
	assert_int_equal(u[1].night, 2);
	NEAR(f.ends_at, moment("Asia/Karachi", "2026-11-26 20:00") + 8000);
	NEAR(u[0].active_s, 50000);
	forecast_done(&f);

	/* a weekend is two rows */
	u[0].bytes = 200 * GB;
	make(&f, &c, u, 1, moment("Asia/Karachi", "2026-11-27 20:00"));
	assert_int_equal(f.nights[0].ends_at, moment("Asia/Karachi", "2026-11-28 00:00"));
	assert_int_equal(f.nights[1].ends_at, moment("Asia/Karachi", "2026-11-29 00:00"));
	assert_int_equal(f.nights[2].ends_at, moment("Asia/Karachi", "2026-11-30 00:00"));
	forecast_done(&f);
	schedule_free(&s);
}

static void test_share_and_deadline(void **state)
{
	(void)state;
	struct schedule *s = schedule_of("UTC", "daily 08:00-18:00 25%;daily 18:00-08:00", "", "2026-11-24 12:00");
	struct forecast_conf c = {.at_once = 4, .schedule = s};
	c.limits[c.n_limits++] = limit(false, UNIT_BYTES, 1e6, "own");
	struct forecast_user u[2] = {{.bytes = 9 * GB}, {.bytes = 900 * GB}};
	struct forecast f;
	make(&f, &c, u, 2, moment("UTC", "2026-11-23 08:00"));
	NEAR(u[0].ends_at, moment("UTC", "2026-11-23 18:00")); /* ten hours at a quarter */
	assert_int_equal(u[1].ends_at, FORECAST_NEVER);
	assert_int_equal(f.ends_at, FORECAST_NEVER);
	assert_int_equal(f.unfinished, 1);
	assert_int_equal(f.n_nights, 3);
	assert_true(fabs(f.nights[0].share - 0.25) < 1e-9 && fabs(f.nights[1].share - 1) < 1e-9);
	assert_int_equal(f.nights[2].ends_at, moment("UTC", "2026-11-24 12:00"));
	NEAR(f.nights[1].bytes / MB, 14 * 3600);
	forecast_done(&f);
	/* what a person did not set is not divided: here the pace of messages */
	c.limits[c.n_limits] = limit(false, UNIT_MESSAGES, 1, "pace");
	c.limits[c.n_limits++].by_share = false;
	u[0] = (struct forecast_user){.bytes = MB, .messages = 3600};
	make(&f, &c, u, 1, moment("UTC", "2026-11-23 08:00"));
	NEAR(u[0].ends_at, moment("UTC", "2026-11-23 09:00"));
	forecast_done(&f);
	schedule_free(&s);
}

/* 2026-10-25 the clocks of Berlin go back at 03:00: that night has an hour more; 2026-03-29 one less. */
static void test_summer_time(void **state)
{
	(void)state;
	static const struct {
		const char *evening;
		int hours;
	} rows[] = {{"2026-10-24 12:00", 11}, {"2026-10-25 12:00", 10}, {"2026-03-28 12:00", 9}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct schedule *s = schedule_of("Europe/Berlin", "daily 20:00-06:00", "", NULL);
		struct forecast_conf c = {.at_once = 1, .schedule = s};
		c.limits[c.n_limits++] = limit(false, UNIT_BYTES, 1e6, "own");
		struct forecast_user u = {.bytes = 500 * GB};
		struct forecast f;
		make(&f, &c, &u, 1, moment("Europe/Berlin", rows[i].evening));
		NEAR(f.nights[0].bytes / MB, rows[i].hours * 3600);
		forecast_done(&f);
		schedule_free(&s);
	}
}

/* 2,500 MB a day of each mailbox: parked until midnight there, and others go on meanwhile. */
static void test_daily_budgets(void **state)
{
	(void)state;
	struct zone *z = NULL;
	struct err err = ERR_INIT;
	assert_int_equal(zone_load(&z, "America/Los_Angeles", &err), 0);
	struct forecast_conf c = {.at_once = 1, .mailbox_bytes_per_day = 2500 * MB, .budget_zone = z};
	c.limits[c.n_limits++] = limit(false, UNIT_BYTES, 1e6, "own");
	struct forecast_user u[3] = {{.bytes = 6 * GB}, {.bytes = 1 * GB}, {.bytes = 2 * GB, .spent_today = 2000 * MB}};
	int64_t noon = moment("America/Los_Angeles", "2026-11-23 12:00"), day = 86400, midnight = noon + 12 * H;
	struct forecast f;
	make(&f, &c, u, 3, noon);
	NEAR(u[1].begins_at, noon + 2500); /* the first is parked */
	NEAR(u[1].ends_at, noon + 3500);
	NEAR(u[2].begins_at, noon + 3500); /* 500 MB are left to it today */
	NEAR(u[2].ends_at, midnight + 2500 + 1500);
	NEAR(u[0].ends_at, midnight + day + 1000);
	assert_int_equal(u[0].bind, BIND_MAILBOX_BUDGET);
	assert_int_equal(f.bind, BIND_MAILBOX_BUDGET);
	assert_int_equal(f.unfinished, 0);
	forecast_done(&f);

	/* a budget of the host stops all */
	c.mailbox_bytes_per_day = 0;
	c.host_bytes_per_day = 4 * GB;
	c.host_spent_today = 3 * GB;
	c.at_once = 3;
	u[2].spent_today = 0;
	make(&f, &c, u, 3, noon); /* 9 GB: 1, 4, 4 */
	NEAR(f.ends_at,
		midnight + day + 4000); /* 1 GB on the first day, 4 GB on the second: 4 GB of the first are left */
	assert_int_equal(f.bind, BIND_HOST_BUDGET);
	assert_int_equal(f.unfinished, 0);
	forecast_done(&f);
	zone_free(&z);
}

/* Fifty thousand mailboxes and one that is a thousand times larger: quick, nothing lost, the giant named. */
static void test_fifty_thousand(void **state)
{
	(void)state;
	size_t n = 50000;
	struct forecast_user *u = calloc(n, sizeof *u);
	uint64_t bytes = 0, moved = 0, messages = 0, messages_moved = 0;
	unsigned finished = 0;
	for (size_t i = 0; i < n; i++) {
		u[i].bytes = (i * 7919 % 1000 + 1) * MB;
		u[i].messages = u[i].bytes / 75000;
		u[i].folders = 10;
		if (i == 40000)
			u[i].bytes = 1000 * GB;
		bytes += u[i].bytes;
		messages += u[i].messages;
	}
	struct schedule *s = schedule_of("Asia/Karachi", "Mon-Fri 20:00-06:00;Sat,Sun", "", NULL);
	struct forecast_conf c = {.at_once = 100,
		.per_mailbox_s = 5,
		.per_folder_s = 0.3,
		.mailbox_bytes_per_day = 2500 * MB,
		.schedule = s};
	c.limits[c.n_limits++] = limit(false, UNIT_BYTES, 1e6, "own");
	c.limits[c.n_limits++] = limit(false, UNIT_MESSAGES, 8, "pace");
	c.limits[c.n_limits++] = limit(true, UNIT_BYTES, 50e6, "line");
	struct forecast f;
	make(&f, &c, u, n, moment("Asia/Karachi", "2026-11-23 12:00"));
	for (size_t i = 0; i < f.n_nights; i++) {
		moved += f.nights[i].bytes;
		messages_moved += f.nights[i].messages;
		finished += f.nights[i].finished;
		assert_true(f.nights[i].at_work <= 100);
		/* never more than the line in the time that the night has */
		double night_s = (double)(f.nights[i].ends_at - f.nights[i].begins_at);
		assert_true((double)f.nights[i].bytes <= 50e6 * night_s * 1.0001 + 1e6);
	}
	assert_int_equal(f.largest, 40000);
	assert_int_equal(f.last, 40000);
	assert_int_equal(u[40000].bind, BIND_MAILBOX_BUDGET); /* 400 days */
	assert_true(u[40000].ends_at - u[40000].begins_at > (int64_t)399 * 86400);
	assert_int_equal(f.unfinished, 0);
	assert_int_equal(finished, n);
	assert_true(fabs((double)moved / (double)bytes - 1) < 1e-6);
	assert_true(fabs((double)messages_moved / (double)messages - 1) < 1e-3);
	forecast_done(&f);
	schedule_free(&s);
	free(u);
}

static void test_odd_values(void **state)
{
	(void)state;
	struct forecast_conf c = {.at_once = 0};
	struct forecast f;
	make(&f, &c, NULL, 0, 500);
	assert_int_equal(f.ends_at, 500);
	assert_int_equal(f.largest, 0);
	forecast_done(&f);
	struct forecast_user u = {.bytes = UINT64_MAX, .messages = UINT64_MAX}; /* no limit at all: at once */
	make(&f, &c, &u, 1, -5000);
	assert_int_equal(f.unfinished, 0);
	forecast_done(&f);
	c.limits[c.n_limits++] = limit(false, UNIT_BYTES, 1, "a byte a second"); /* beyond what is looked at */
	make(&f, &c, &u, 1, 0);
	assert_int_equal(f.unfinished, 1);
	assert_int_equal(f.n_nights, FORECAST_NIGHTS);
	forecast_done(&f);
	c.mailbox_bytes_per_day = 1;
	c.host_bytes_per_day = 1;
	make(&f, &c, &u, 1, 0);
	assert_int_equal(f.unfinished, 1);
	forecast_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_mailbox),
		cmocka_unit_test(test_turns_and_fair_parts),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_share_and_deadline),
		cmocka_unit_test(test_summer_time),
		cmocka_unit_test(test_daily_budgets),
		cmocka_unit_test(test_fifty_thousand),
		cmocka_unit_test(test_odd_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
