/* When a batch may run, and the words for it. */
#include "engine/night.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define WED_2030_PK 1799854200 /* 2027-01-13T15:30:00Z, a Wednesday */

static struct schedule *schedule_of(const struct night *n)
{
	struct err err = ERR_INIT;
	struct schedule *s;
	if (night_schedule(n, &s, &err))
		fail_msg("%s", err.text);
	return s;
}

static void test_always(void **unused)
{
	(void)unused;
	struct night n = {.zone = "Asia/Karachi"};
	struct night_now now;
	struct schedule *s = schedule_of(&n);
	assert_null(s);
	night_look(&n, s, 5, &now);
	assert_true(now.share == 1 && !now.over);
	assert_int_equal(now.open_at, 0);
	assert_int_equal(night_closes_at(s, 5), INT64_MAX);
}

static void test_windows(void **unused)
{
	(void)unused;
	struct night n = {.windows = "daily 20:00-22:00\ndaily 22:00-23:00 25%", .zone = "Asia/Karachi"};
	struct night_now now;
	struct err why = ERR_INIT;
	char at[NIGHT_MOMENT];
	struct schedule *s = schedule_of(&n);
	night_look(&n, s, WED_2030_PK, &now);
	assert_true(now.share == 1);
	int64_t closes = night_closes_at(s, WED_2030_PK);
	assert_int_equal(closes, WED_2030_PK + 9000); /* the change of the share at 22:00 is no closing */
	assert_string_equal(night_moment(s, n.zone, closes, at, sizeof at), "2027-01-13 23:00 Asia/Karachi (18:00Z)");
	night_look(&n, s, WED_2030_PK + 6000, &now);
	assert_true(now.share == 0.25);
	night_look(&n, s, closes, &now);
	assert_true(now.share == 0);
	assert_int_equal(now.open_at, WED_2030_PK - 1800 + 86400);
	night_reason(&n, s, &now, &why);
	assert_int_equal(why.kind, ERR_DEFERRED);
	assert_string_equal(why.text, "deferred until 2027-01-14 20:00 Asia/Karachi (15:00Z): outside of its windows");
	assert_int_equal(why.retry_after_ms, -1);
	schedule_free(&s);
}

/* A quarter by day, all by night: the share changes for ever, and it never closes. This ended after minutes, in the year 36812. */
static void test_never_closed(void **unused)
{
	(void)unused;
	struct night n = {.windows = "daily 25%\ndaily 20:00-06:00", .zone = "Asia/Karachi"};
	struct schedule *s = schedule_of(&n);
	assert_int_equal(night_closes_at(s, WED_2030_PK), INT64_MAX);
	schedule_free(&s);
	snprintf(n.blackouts, sizeof n.blackouts, "2027-12-25");
	s = schedule_of(&n); /* the window of the evening before runs on until six in the morning */
	assert_int_equal(night_closes_at(s, WED_2030_PK), WED_2030_PK + 345 * 86400 + (9 * 60 + 30) * 60);
	schedule_free(&s);
}

static void test_moments_of_another_day(void **unused)
{
	(void)unused;
	struct night n = {.windows = "daily 02:00-03:00", .zone = "Asia/Karachi"};
	char at[NIGHT_MOMENT];
	struct schedule *s = schedule_of(&n);
	assert_string_equal(night_moment(s, n.zone, WED_2030_PK + 5 * 3600, at, sizeof at),
		"2027-01-14 01:30 Asia/Karachi (2027-01-13T20:30Z)");
	assert_string_equal(night_moment(NULL, "", WED_2030_PK, at, sizeof at), "2027-01-13T15:30:00Z");
	schedule_free(&s);
}

static void test_bounds(void **unused)
{
	(void)unused;
	struct night n = {.start_after = 1000, .until = 2000};
	struct night_now now;
	struct err why = ERR_INIT;
	struct schedule *s = schedule_of(&n);
	night_look(&n, s, 999, &now);
	assert_true(now.share == 0 && !now.over);
	assert_int_equal(now.open_at, 1000);
	night_look(&n, s, 1000, &now);
	assert_true(now.share == 1);
	assert_int_equal(night_closes_at(s, 1000), 2000);
	night_look(&n, s, 2000, &now);
	assert_true(now.share == 0 && now.over);
	assert_int_equal(now.open_at, INT64_MAX);
	night_reason(&n, s, &now, &why);
	assert_non_null(strstr(why.text, "its deadline, 1970-01-01T00:33:20Z, has passed"));
	schedule_free(&s);
	n = (struct night){.windows = "Mon 01:00-02:00", .zone = "UTC", .until = WED_2030_PK + 3600};
	s = schedule_of(&n);
	night_look(&n, s, WED_2030_PK, &now); /* no Monday before the deadline */
	assert_true(!now.over);
	assert_int_equal(now.open_at, INT64_MAX);
	night_reason(&n, s, &now, &why);
	assert_non_null(strstr(why.text, "no window opens again before its deadline"));
	schedule_free(&s);
}

static void test_refused(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct schedule *s;
	struct night n = {.windows = "daily 20:00-22:00"};
	assert_int_equal(night_schedule(&n, &s, &err), -1);
	assert_null(s);
	n = (struct night){.windows = "daily\nMun 20:00-22:00", .zone = "UTC"};
	assert_int_equal(night_schedule(&n, &s, &err), -1);
	assert_non_null(strstr(err.text, "Mun"));
	memset(n.windows, 0, sizeof n.windows);
	for (size_t i = 0; i < 2 * (SCHEDULE_WINDOWS + 1); i += 2)
		memcpy(n.windows + i * 3, "daily\n", 6);
	assert_int_equal(night_schedule(&n, &s, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_always), cmocka_unit_test(test_windows),
		cmocka_unit_test(test_never_closed), cmocka_unit_test(test_moments_of_another_day),
		cmocka_unit_test(test_bounds), cmocka_unit_test(test_refused)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
