#include "upload/exosim/graph_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_options(void **state)
{
	static const struct {
		const char *name, *value;
		enum query_fault fault;
		const char *detail;
	} rows[] = {{"$top", "1000", QUERY_GOOD, ""}, {"$top", "1001", QUERY_VALUE, "$top"},
		{"$top", "0", QUERY_VALUE, "$top"}, {"$top", "", QUERY_VALUE, "$top"},
		{"$top", NULL, QUERY_VALUE, "$top"}, {"$top", "-1", QUERY_VALUE, "$top"},
		{"$top", "12345678901234567890", QUERY_VALUE, "$top"}, {"$skip", "0", QUERY_GOOD, ""},
		{"$count", "true", QUERY_GOOD, ""}, {"$count", "True", QUERY_VALUE, "$count"},
		{"$select", "id,subject, isRead", QUERY_GOOD, ""}, {"$select", "id,Subject", QUERY_PROPERTY, "Subject"},
		{"$select", "id,,subject", QUERY_PROPERTY, ""}, {"$orderby", "receivedDateTime", QUERY_GOOD, ""},
		{"$orderby", "receivedDateTime desc", QUERY_GOOD, ""},
		{"$orderby", "receivedDateTime down", QUERY_VALUE, "$orderby"},
		{"$orderby", "isRead", QUERY_VALUE, "$orderby"}, {"$orderby", "when", QUERY_PROPERTY, "when"},
		{"$filter", "isRead eq true", QUERY_GOOD, ""}, {"$filter", "isRead eq", QUERY_FILTER, "$filter"},
		{"$filter", "x eq 1", QUERY_PROPERTY, "x"}, {"$search", "x", QUERY_OPTION, "$search"},
		{"$expand", "attachments", QUERY_OPTION, "$expand"}, {"other", "x", QUERY_GOOD, ""},
		{"$skiptoken", "ZXhvc2ltIHNraXAgMw", QUERY_GOOD, ""}, {"$skiptoken", "3", QUERY_VALUE, "$skiptoken"},
		{"$skiptoken", "ZXhvc2ltIHNraXAg", QUERY_VALUE, "$skiptoken"},
		{"includeHiddenFolders", "1", QUERY_VALUE, "includeHiddenFolders"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct graph_query q = {.is_message = true};
		bool good = graph_query_take(&q, rows[i].name, rows[i].value);

		if (good != (rows[i].fault == QUERY_GOOD) || q.fault != rows[i].fault ||
			strcmp(q.detail, rows[i].detail) != 0)
			fail_msg("%s=%s", rows[i].name, rows[i].value ? rows[i].value : "(none)");
		graph_query_done(&q);
	}
}

static void test_a_token_is_what_it_was_made_from(void **state)
{
	struct graph_query q = {.is_message = true};
	char *token = graph_query_token(4000000000u);

	(void)state;
	assert_null(strstr(token, "4000000000"));
	assert_true(graph_query_take(&q, "$skiptoken", token));
	assert_int_equal(q.skip, 4000000000u);
	free(token);
	graph_query_done(&q);
}

static void test_needs(void **state)
{
	(void)state;
	assert_int_equal(message_properties_need((uint64_t)1 << MP_ID | (uint64_t)1 << MP_READ), 0);
	assert_int_equal(message_properties_need((uint64_t)1 << MP_ID | (uint64_t)1 << MP_SUBJECT), 1);
	assert_int_equal(message_properties_need(MP_DEFAULT), 2);
	assert_int_equal(MP_DEFAULT >> MP_HEADERS & 1, 0);
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		int64_t us;
	} rows[] = {{"1970-01-01T00:00:00Z", 0}, {"1970-01-01T00:00:01.5Z", 1500000}, {"1970-01-01T01:00:00+01:00", 0},
		{"1969-12-31T23:59:59.999999Z", -1}, {"2026-12-31", 1798675200000000},
		{"2026-12-31T00:00Z", 1798675200000000}, {"1970-01-01T00:00:00.1234567Z", 123456}};
	static const char *const bad[] = {"", "1970", "1970-01-01T", "1970-1-1T00:00:00Z", "1970-01-01 00:00:00Z",
		"1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:00", "1970-01-01T00:00:00z",
		"1970-01-01T00:00:00+15:00", "1970-01-01T00:00:00ZZ", "1970-02-29T00:00:00Z", "1970-00-01T00:00:00Z",
		"1970-01-01T00:00:00+0100"};
	int64_t us;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!graph_time_parse(rows[i].text, strlen(rows[i].text), &us) || us != rows[i].us)
			fail_msg("%s", rows[i].text);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (graph_time_parse(bad[i], strlen(bad[i]), &us))
			fail_msg("%s", bad[i]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_options),
		cmocka_unit_test(test_a_token_is_what_it_was_made_from), cmocka_unit_test(test_needs),
		cmocka_unit_test(test_times)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
