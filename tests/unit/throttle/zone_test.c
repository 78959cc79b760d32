#include "throttle/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* The C library's answer, by its TZ variable: what ours must be equal to. */
static int libc_offset(int64_t at)
{
	time_t t = (time_t)at;
	struct tm utc, local;
	char text[8] = "";
	gmtime_r(&t, &utc);
	localtime_r(&t, &local);
	strftime(text, sizeof text, "%z", &local);
	int v = (int)strtol(text, NULL, 10);
	return (v / 100 * 60 + v % 100) * 60;
}

static void test_same_as_libc(void **state)
{
	(void)state;
	static const char *const names[] = {"UTC", "Asia/Karachi", "Europe/Berlin", "America/New_York",
		"Australia/Lord_Howe", "Africa/Casablanca", "America/Sao_Paulo", "Pacific/Apia", "Asia/Tehran",
		"Europe/Dublin", "Pacific/Chatham", "America/Nuuk", "Asia/Gaza", "Antarctica/Troll", "EST5EDT",
		"Etc/GMT+9"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct zone *z;
		struct err err = ERR_INIT;
		setenv("TZ", names[i], 1);
		tzset();
		assert_int_equal(zone_load(&z, names[i], &err), 0);
		srand(7);
		int64_t at = 0; /* from 1970: whole-minute offsets only, as %z shows them (Liberia apart) */
		for (int k = 0; k < 20000; k++, at += 3600 * (rand() % 240) + rand() % 3600) {
			int want = libc_offset(at);
			if (zone_offset(z, at) != want)
				fail_msg("%s at %lld: %d, not %d", names[i], (long long)at, zone_offset(z, at), want);
		}
		zone_free(&z);
	}
	unsetenv("TZ");
}

static void test_gap_and_overlap(void **state)
{
	(void)state;
	struct zone *z;
	struct err err = ERR_INIT;
	assert_int_equal(zone_load(&z, "Europe/Berlin", &err), 0);
	/* 2026-03-29 02:00 becomes 03:00 at 01:00 UTC */
	int64_t jump = 1774746000;
	assert_int_equal(zone_offset(z, jump - 1), 3600);
	assert_int_equal(zone_offset(z, jump), 7200);
	assert_int_equal(zone_to_utc(z, jump + 3600 + 1800), jump); /* 02:30 is skipped */
	/* 2026-10-25 03:00 becomes 02:00 at 01:00 UTC: 02:30 comes twice */
	int64_t back = 1792890000;
	assert_int_equal(zone_offset(z, back - 1), 7200);
	assert_int_equal(zone_offset(z, back), 3600);
	assert_int_equal(zone_to_utc(z, back + 3600 + 1800), back - 1800);
	for (int64_t at = jump - 100000; at < jump + 100000; at += 777)
		assert_int_equal(zone_to_utc(z, zone_to_local(z, at)), at);
	zone_free(&z);
	/* a whole day is missing: 30 December 2011 in Samoa */
	assert_int_equal(zone_load(&z, "Pacific/Apia", &err), 0);
	int64_t skip = 1325239200;
	assert_int_equal(zone_offset(z, skip - 1), -36000);
	assert_int_equal(zone_offset(z, skip), 50400);
	assert_int_equal(zone_to_utc(z, 1325203200 + 12 * 3600), skip); /* noon of that day */
	zone_free(&z);
}

static void test_bad_names(void **state)
{
	(void)state;
	static const char *const names[] = {"", "/etc/passwd", "../../../etc/passwd", "Asia/../../x", "Nowhere/Land",
		"Europe", "Asia/Karachi ", ".hidden", "tzdata.zi", "a\nb"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct zone *z;
		struct err err = ERR_INIT;
		assert_int_equal(zone_load(&z, names[i], &err), -1);
		assert_int_equal(err.kind, ERR_USAGE);
		assert_null(z);
	}
}

/* Damaged files: refused or harmless, never worse. */
static void test_damage(void **state)
{
	(void)state;
	static unsigned char good[65536], bad[65536];
	FILE *f = fopen(ZONE_FOLDER "/America/New_York", "rb");
	assert_non_null(f);
	size_t n = fread(good, 1, sizeof good, f);
	fclose(f);
	struct err err = ERR_INIT;
	struct zone *z;
	srand(11);
	for (int i = 0; i < 20000; i++) {
		size_t len = i % 3 ? n : (size_t)rand() % n;
		memcpy(bad, good, len);
		for (int k = rand() % 8; k > 0 && len; k--)
			bad[(size_t)rand() % (k % 2 ? len : len < 60 ? len : 60)] = (unsigned char)rand();
		if (zone_parse(&z, bad, len, &err) == 0) {
			for (int64_t at = -5000000000; at < 9000000000; at += 777777777)
				(void)zone_to_utc(z, zone_to_local(z, at));
			zone_free(&z);
		}
	}
	static const char *const footers[] = {"\nEST5EDT,M3.2.0,M11.1.0\n", "\nEST5EDT,M13.2.0,M11.1.0\n", "\n<\n",
		"\nAAA\n", "\nAAA5B\n", "\nAAA5BBB,J366,J0\n", "\nAAA5BBB,365/167,0/-167\n", "\nAAA999999999999\n",
		"\n", "\nAAA5BBB\n"};
	static const int ok[] = {1, 0, 0, 0, 0, 0, 1, 0, 1, 0};
	unsigned char head[44] = "TZif2", type[6] = {0};
	head[39] = 1; /* one type */
	for (size_t i = 0; i < sizeof footers / sizeof *footers; i++) {
		size_t at = 0, flen = strlen(footers[i]);
		for (int twice = 0; twice < 2; twice++) {
			memcpy(bad + at, head, 44);
			memcpy(bad + at + 44, type, 6);
			at += 50;
		}
		memcpy(bad + at, footers[i], flen);
		assert_int_equal(zone_parse(&z, bad, at + flen, &err), ok[i] ? 0 : -1);
		if (z)
			(void)zone_offset(z, 1800000000);
		zone_free(&z);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_libc),
		cmocka_unit_test(test_gap_and_overlap),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
