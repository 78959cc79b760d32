#include "upload/exosim/graph_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BOX "Alice@contoso.example"

static void test_there_and_back(void **state)
{
	struct graph_id id = {.is_message = true, .uidvalidity = 4000000000u, .uid = 7}, back;
	char text[GRAPH_ID_TEXT], other[GRAPH_ID_TEXT];

	(void)state;
	memset(id.guid, 0xa5, sizeof(id.guid));
	graph_id_format(text, BOX, &id);
	assert_true(graph_id_parse(&back, "alice@CONTOSO.example", text));
	assert_true(back.is_message && !back.is_immutable && back.uidvalidity == 4000000000u && back.uid == 7);
	assert_memory_equal(back.guid, id.guid, 16);
	graph_id_format(other, BOX, &id);
	assert_string_equal(text, other); /* nothing of it is random */
	id.is_immutable = true;
	graph_id_format(other, BOX, &id);
	assert_string_not_equal(text, other);
	assert_true(graph_id_parse(&back, BOX, other) && back.is_immutable && back.uid == 7);
	id.is_message = false;
	graph_id_format(other, BOX, &id);
	assert_true(graph_id_parse(&back, BOX, other) && !back.is_message && back.uid == 0);
}

static void test_what_is_none(void **state)
{
	struct graph_id id = {.is_message = true, .uid = 1}, back;
	char text[GRAPH_ID_TEXT], bad[2 * GRAPH_ID_TEXT];
	size_t n;

	(void)state;
	graph_id_format(text, BOX, &id);
	n = strlen(text);
	assert_false(graph_id_parse(&back, "bob@contoso.example", text));
	for (size_t i = 0; i < n; i++) { /* any letter changed */
		memcpy(bad, text, n + 1);
		bad[i] = bad[i] == 'Q' ? 'R' : 'Q';
		assert_false(graph_id_parse(&back, BOX, bad));
	}
	for (size_t i = 0; i < n; i++) { /* cut anywhere */
		memcpy(bad, text, i);
		bad[i] = '\0';
		assert_false(graph_id_parse(&back, BOX, bad));
	}
	snprintf(bad, sizeof(bad), "%s%s", text, text);
	assert_false(graph_id_parse(&back, BOX, bad));
	assert_false(graph_id_parse(&back, BOX, "inbox"));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void test_no_order(void **state)
{
	char text[64][GRAPH_ID_TEXT], sorted[64][GRAPH_ID_TEXT];
	size_t in_place = 0;

	(void)state;
	for (uint32_t i = 0; i < 64; i++)
		graph_id_format(text[i], BOX, &(struct graph_id){.is_message = true, .uidvalidity = 1, .uid = i + 1});
	memcpy(sorted, text, sizeof(text));
	qsort(sorted, 64, sizeof(*sorted), by_text);
	for (size_t i = 0; i < 64; i++)
		in_place += strcmp(text[i], sorted[i]) == 0;
	for (size_t i = 1; i < 64; i++)
		assert_string_not_equal(sorted[i - 1], sorted[i]);
	assert_true(in_place < 16);
}

static void test_users(void **state)
{
	char a[40], b[40];

	(void)state;
	graph_id_of_user(a, "x@contoso.example");
	graph_id_of_user(b, "X@CONTOSO.example");
	assert_string_equal(a, b);
	assert_int_equal(strlen(a), 36);
	graph_id_of_user(b, "y@contoso.example");
	assert_string_not_equal(a, b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_what_is_none), cmocka_unit_test(test_no_order), cmocka_unit_test(test_users)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
