#include "throttle/schedule.h"

#include "engine/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct schedule *make(const char *zone, const char *windows, const char *blackouts)
{
	static char copy[2][1024];
	const char *list[2][64];
	size_t n[2] = {0, 0};
	const char *from[2] = {windows, blackouts};
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
	struct schedule *s;
	if (schedule_parse(&s, &t, &err))
		return NULL;
	return s;
}

static int64_t moment(const char *zone, const char *text)
{
	struct zone *z;
	struct err err = ERR_INIT;
	int64_t at;
	assert_int_equal(zone_load(&z, zone, &err), 0);
	assert_int_equal(schedule_parse_moment(text, z, &at, &err), 0);
	zone_free(&z);
	return at;
}

struct row {
	const char *zone, *windows, *blackouts, *at;
	int percent;
	const char *next; /* next change; NULL: never */
};

/* 2026-11-23 is a Monday. */
static const struct row rows[] = {
	{"Asia/Karachi", "Mon-Fri 20:00-06:00;Sat,Sun", "", "2026-11-23 19:59", 0, "2026-11-23 20:00"},
	{"Asia/Karachi", "Mon-Fri 20:00-06:00;Sat,Sun", "", "2026-11-23 20:00", 100, "2026-11-24 06:00"},
	{"Asia/Karachi", "Mon-Fri 20:00-06:00;Sat,Sun", "", "2026-11-23 05:59", 0,
		"2026-11-23 20:00"}, /* Sunday's ended at midnight */
	{"Asia/Karachi", "Mon-Fri 20:00-06:00;Sat,Sun", "", "2026-11-27 21:00", 100,
		"2026-11-30 00:00"}, /* Friday into the weekend */
	{"Asia/Karachi", "Fri 20:00-06:00", "", "2026-11-28 03:00", 100, "2026-11-28 06:00"}, /* belongs to Friday */
	{"Asia/Karachi", "Fri 20:00-06:00", "2026-11-27", "2026-11-28 03:00", 0, "2026-12-04 20:00"},
	{"Asia/Karachi", "Fri 20:00-06:00", "2026-11-28", "2026-11-28 03:00", 100, "2026-11-28 06:00"},
	{"UTC", "daily 08:00-18:00 25%;daily 18:00-08:00", "", "2026-11-23 12:00", 25, "2026-11-23 18:00"},
	{"UTC", "daily 08:00-18:00 25%;daily 18:00-08:00", "", "2026-11-23 18:00", 100, "2026-11-24 08:00"},
	{"UTC", "daily 25%;Mon 10:00-12:00 50%", "", "2026-11-23 11:00", 50, "2026-11-23 12:00"},
	{"UTC", "10:00-10:00", "", "2026-11-23 09:00", 100, NULL}, /* a whole day from ten to ten */
	{"UTC", "", "", "2026-11-23 09:00", 100, NULL},
	{"UTC", "", "2026-12-24..2026-12-26", "2026-11-23 09:00", 100, "2026-12-24"},
	{"UTC", "", "2026-12-24..2027-06-30", "2026-12-25 09:00", 0, "2027-07-01"},
	{"UTC", "Fri-Mon 00:00-24:00", "", "2026-11-23 23:59", 100, "2026-11-24"},
	{"Europe/Berlin", "daily 02:15-02:45", "", "2026-03-29 01:00", 0, "2026-03-30 02:15"}, /* skipped that night */
	{"Europe/Berlin", "Sat 22:00-02:30", "", "2026-03-28 23:00", 100, "2026-03-29 03:00"},
	{"Europe/Berlin", "Sat 22:00-06:00", "", "2026-10-24 23:00", 100, "2026-10-25 06:00"},
	{"America/New_York", "monday 9:00-17:00", "", "2026-11-23 09:00", 100, "2026-11-23 17:00"},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *r = &rows[i];
		struct schedule *s = make(r->zone, r->windows, r->blackouts);
		assert_non_null(s);
		int64_t at = moment(r->zone, r->at);
		int percent = (int)(schedule_is_open(s, at) * 100 + 0.5);
		int64_t next = schedule_next_change(s, at), want = r->next ? moment(r->zone, r->next) : SCHEDULE_NEVER;
		if (percent != r->percent || next != want)
			fail_msg(
				"row %zu: %d %%, next %lld; wanted %lld", i, percent, (long long)next, (long long)want);
		schedule_free(&s);
	}
}

static void test_what_is_refused(void **state)
{
	(void)state;
	static const char *const windows[] = {"Mo 10:00-11:00", "Mon 10-11", "Mon 25:00-26:00", "Mon 10:60-11:00",
		"Mon-", "10:00-11:00 0%", "10:00-11:00 101%", "10:00-11:00 Mon", "Mon Tue", "24:00-06:00", " ",
		"Mon 10:00-11:00-12:00", "Mon,", "20:00-06:00 50", "1%1%"};
	for (size_t i = 0; i < sizeof windows / sizeof *windows; i++)
		if (make("UTC", windows[i], ""))
			fail_msg("“%s” was taken", windows[i]);
	assert_null(make(NULL, "daily", ""));
	assert_null(make("UTC", "daily", "2026-02-30"));
	assert_null(make("UTC", "daily", "2026-03-02..2026-03-01"));
	assert_null(make("UTC", "daily", "26-03-02"));
	struct err err = ERR_INIT;
	int64_t at;
	assert_int_equal(schedule_parse_moment("2026-11-23 20:00", NULL, &at, &err), -1);
	assert_int_equal(schedule_parse_moment("2026-11-23T20:00:30Z", NULL, &at, &err), 0);
	char text[CLOCK_TEXT];
	assert_string_equal(clock_format(at, text, sizeof text), "2026-11-23T20:00:30Z");
}

static void test_bounds(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct schedule *s;
	struct schedule_text t = SCHEDULE_TEXT_INIT;
	const char *w = "daily 20:00-06:00";
	t.windows = &w;
	t.n_windows = 1;
	t.zone = "UTC";
	t.start_after = moment("UTC", "2027-11-23 22:00");
	t.until = moment("UTC", "2027-11-25 02:00");
	assert_int_equal(schedule_parse(&s, &t, &err), 0);
	int64_t now = moment("UTC", "2026-11-23 21:00");
	assert_true(schedule_is_open(s, now) == 0);
	assert_int_equal(schedule_next_opening(s, now), t.start_after);
	assert_int_equal(schedule_next_change(s, t.start_after), moment("UTC", "2027-11-24 06:00"));
	assert_int_equal(schedule_next_change(s, moment("UTC", "2027-11-24 22:00")), t.until);
	assert_true(schedule_next_change(s, t.until) == SCHEDULE_NEVER);
	assert_true(schedule_next_opening(s, t.until) == SCHEDULE_NEVER);
	schedule_free(&s);
}

/* Random schedules, random moments, also from a clock that jumps: between two changes the share is the same, at the change it is another. */
static void test_random_schedules(void **state)
{
	(void)state;
	static const char *const zones[] = {
		"UTC", "Asia/Karachi", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"};
	static const char *const days[] = {"Mon-Fri", "Sat,Sun", "daily", "Fri-Mon", "Wed", "Tue,Thu-Sat"};
	srand(3);
	for (int round = 0; round < 300; round++) {
		char text[512] = "";
		size_t n = 0;
		for (int k = 1 + rand() % 4; k > 0; k--)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s %02d:%02d-%02d:%02d %d%%;",
				days[rand() % 6], rand() % 24, rand() % 4 * 15, rand() % 24, rand() % 60,
				1 + rand() % 100);
		struct schedule *s = make(zones[rand() % 6], text, rand() % 2 ? "2026-12-24..2026-12-26" : "");
		assert_non_null(s);
		int64_t at = 1790000000 + rand() % 31536000;
		for (int k = 0; k < 12; k++) {
			double now = schedule_is_open(s, at);
			int64_t next = schedule_next_change(s, at);
			if (next == SCHEDULE_NEVER)
				break;
			assert_true(next > at);
			assert_true(schedule_is_open(s, next) != now);
			assert_true(schedule_is_open(s, next - 1) == now);
			for (int j = 0; j < 30; j++)
				assert_true(schedule_is_open(s, at + (int64_t)((double)rand() / RAND_MAX *
									       (double)(next - at - 1))) == now);
			at = rand() % 3 ? next : 1790000000 + rand() % 31536000;
		}
		schedule_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_random_schedules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
