#include "upload/header.h"

#include "upload/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What is plain is read without GMime, and must be read as GMime reads it: a key that changed would not be found again. */

#define ROUNDS 40000

static uint64_t seed = 5322;

static unsigned rnd(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* Words put together, now and then with a character that does not belong there. */
static void make(char *out, size_t size, const char *const *words, size_t n)
{
	size_t len = 0;
	out[0] = '\0';
	for (unsigned k = rnd(9); k > 0; k--) {
		const char *w = words[rnd((unsigned)n)];
		len += (size_t)snprintf(out + len, size - len, "%s", w);
		if (rnd(30) == 0)
			len += (size_t)snprintf(out + len, size - len, "%c", 1 + (char)rnd(126));
	}
}

#define MAKE(out, words) make(out, sizeof(out), words, sizeof(words) / sizeof(*(words)))

typedef int adder(struct buf *out, const char *raw, struct err *err);

static int text(struct buf *out, const char *raw, struct err *err)
{
	return header_add_text(out, raw, 60, err);
}
static int gmime_text(struct buf *out, const char *raw, struct err *err)
{
	return header_gmime_text(out, raw, 60, err);
}
static int from(struct buf *out, const char *raw, struct err *err)
{
	return header_add_addresses(out, raw, 1, err);
}
static int gmime_from(struct buf *out, const char *raw, struct err *err)
{
	return header_gmime_addresses(out, raw, 1, err);
}

static void compare(const char *raw, adder *plain, adder *gmime)
{
	struct err err = ERR_INIT;
	struct buf a, b;
	buf_init(&a, 16384);
	buf_init(&b, 16384);
	assert_int_equal(plain(&a, raw, &err), 0);
	assert_int_equal(gmime(&b, raw, &err), 0);
	if (a.len != b.len || (a.len && memcmp(a.data, b.data, a.len) != 0))
		fail_msg("\"%s\": plain \"%s\", GMime \"%s\"", raw, buf_str(&a), buf_str(&b));
	buf_done(&a);
	buf_done(&b);
}

static void test_text(void **state)
{
	(void)state;
	static const char *const words[] = {"word", " ", "  ", "\t", "\r\n ", "=", "?", "=?", "=?utf-8?q?a_b?=", "(x)",
		"\"q\"", "<", "Re:", "\xc3\xbc", "0123456789", ",", "\\"};
	char raw[2000];
	for (unsigned i = 0; i < ROUNDS; i++) {
		MAKE(raw, words);
		compare(raw, text, gmime_text);
	}
}

static void test_addresses(void **state)
{
	(void)state;
	static const char *const words[] = {"some", "One", " ", "  ", "\"One, Some\" ", "\"x\"", "<", ">",
		"a@b.example", "A.B@C-D.Example", "x+y_z@sub.domain.example", ",", ";", ":", ".", "@", "(c)", "\t",
		"=?utf-8?q?a_b?= ", "\xc3\xbc", "'", "<a.b@c>", "-", "7", "\\"};
	char raw[2000];
	for (unsigned i = 0; i < ROUNDS; i++) {
		MAKE(raw, words);
		compare(raw, from, gmime_from);
		/* mostly well-formed */
		static const char *const names[] = {"", "Some One ", "\"One, Some (x) <y>\" ", "One", "A 1 b ",
			"O'Neil ", "A. B ", " ", "a.b ", "\"a\\\\b\" ", "\"=?utf-8?q?a?=\" ", "Group: "};
		static const char *const addr[] = {"a@b", "<a@b>", "<A.B-c_d+e@F-g.H1>", "a.b@c.d", "<a..b@c>",
			"<.a@b>", "<a@b.>", "<a@b> ", "<a@b>,", "<a@b", "a@b>", "<a@-b>", "<a@b>,<c@d>",
			"<a@[1.2.3.4]>", "<1@2>", "<-@->", "<_@b>"};
		snprintf(raw, sizeof(raw), "%s%s", names[rnd(sizeof(names) / sizeof(*names))],
			addr[rnd(sizeof(addr) / sizeof(*addr))]);
		compare(raw, from, gmime_from);
	}
}

static void test_dates(void **state)
{
	(void)state;
	static const char *const days[] = {"", "Mon, ", "Sun, ", "mon, ", "Mon,", "Mon ", "Foo, ", "Monday, "};
	static const char *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "dec", "Foo"};
	static const char *const zones[] = {" +0000", " -0000", " +0200", " -1130", " +1400", " +1500", " GMT", "",
		" +0260", " +02", " EST", " +0200 (CEST)", " +0200 ", "+0200", " +00000", " 0200"};
	char raw[200];
	for (unsigned i = 0; i < ROUNDS; i++) {
		snprintf(raw, sizeof(raw), rnd(4) ? "%s%02u %s %u %02u:%02u:%02u%s" : "%s%u %s %u %u:%u:%02u%s",
			days[rnd(rnd(3) ? 3 : 8)], rnd(33), months[rnd(rnd(3) ? 12 : 14)],
			rnd(9) ? 1960 + rnd(150) : rnd(10000), rnd(rnd(9) ? 24 : 26), rnd(rnd(9) ? 60 : 62),
			rnd(rnd(9) ? 60 : 62), zones[rnd(rnd(3) ? 5 : 16)]);
		compare(raw, header_add_date, header_gmime_date);
	}
}

int main(void)
{
	upload_init();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text), cmocka_unit_test(test_addresses), cmocka_unit_test(test_dates)};
	return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}
