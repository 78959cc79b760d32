#include "engine/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_add(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct buf b;
	buf_init(&b, 1000);
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_add(&b, "ab\0c", 4, &e), 0);
	assert_int_equal(b.len, 4);
	assert_int_equal(buf_printf(&b, &e, "%03d", 7), 0);
	assert_int_equal(buf_add_char(&b, '!', &e), 0);
	assert_memory_equal(b.data, "ab\0c007!", 9);
	buf_clear(&b);
	assert_string_equal(buf_str(&b), "");
	assert_int_equal(buf_add_str(&b, "again", &e), 0);
	char *taken = buf_take(&b);
	assert_string_equal(taken, "again");
	free(taken);
	assert_int_equal(b.len, 0);
	taken = buf_take(&b);
	assert_string_equal(taken, "");
	free(taken);
	buf_done(&b);
}

static void test_cap(void **state)
{
	(void)state;
	static const size_t caps[] = {0, 1, 63, 64, 65, 100};
	char data[200];
	memset(data, 'd', sizeof(data));
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		struct err e = ERR_INIT;
		struct buf b;
		buf_init(&b, caps[i]);
		assert_int_equal(buf_add(&b, data, caps[i], &e), 0);
		assert_int_equal(b.len, caps[i]);
		assert_int_equal(buf_add_char(&b, 'x', &e), -1);
		assert_int_equal(e.kind, ERR_MEMORY);
		assert_int_equal(buf_printf(&b, &e, "%s", "x"), -1);
		assert_int_equal(buf_add(&b, data, SIZE_MAX, &e), -1);
		assert_int_equal(b.len, caps[i]);
		assert_int_equal(buf_add(&b, NULL, 0, &e), 0);
		buf_done(&b);
	}
}

static void test_many_single_octets(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct buf b;
	buf_init(&b, 100000);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf_add_char(&b, (char)('a' + i % 26), &e), 0);
	assert_int_equal(buf_add_char(&b, 'x', &e), -1);
	assert_int_equal(strlen(buf_str(&b)), 100000);
	assert_int_equal(b.data[25], 'z');
	assert_true(b.room <= 100001);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_many_single_octets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
