#include "upload/exosim/graph_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A message that is read, received in 2020, with a Message-ID and no subject. */
static struct filter_value value(const void *row, enum message_property p)
{
	(void)row;
	switch ((unsigned)p) {
	case MP_MESSAGE_ID:
		return (struct filter_value){.text = "<a'b@x>"};
	case MP_RECEIVED:
		return (struct filter_value){.number = 1577836800000000};
	case MP_READ:
		return (struct filter_value){.number = 1};
	default:
		return (struct filter_value){0};
	}
}

static void test_matching(void **state)
{
	static const struct {
		const char *filter;
		bool match;
	} rows[] = {{"internetMessageId eq '<a''b@x>'", true}, {"internetMessageId eq '<A''b@x>'", false},
		{"internetMessageId ne 'x'", true}, {"subject eq 'x'", false}, {"subject ne 'x'", true},
		{"receivedDateTime ge 2020-01-01T00:00:00Z", true},
		{"receivedDateTime gt 2020-01-01T00:00:00.000Z", false},
		{"receivedDateTime le 2020-01-01T01:00:00+01:00", true}, {"receivedDateTime lt 2020-01-01", false},
		{"receivedDateTime lt 2020-01-01T00:00:00.000001Z", true}, {"isRead eq true", true},
		{"isRead ne true", false}, {"not isRead eq true", false}, {"not (isRead eq false)", true},
		{"isRead eq false or isRead eq true and isDraft eq false", true},
		{"(isRead eq false or isRead eq true) and isDraft eq true", false},
		{"isDraft eq false and ( isRead eq true )", true}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct filter f = {.n = 0};
		char unknown[32];

		if (filter_parse(&f, rows[i].filter, unknown, sizeof(unknown)) != FILTER_GOOD ||
			filter_matches(&f, false, value, NULL) != rows[i].match)
			fail_msg("%s", rows[i].filter);
		filter_done(&f);
	}
}

static void test_faults(void **state)
{
	static const struct {
		const char *filter;
		enum filter_fault fault;
	} rows[] = {{"", FILTER_SYNTAX}, {"isRead", FILTER_SYNTAX}, {"isRead eq", FILTER_TYPE},
		{"isRead eq 'true'", FILTER_TYPE}, {"isRead gt true", FILTER_TYPE}, {"isread eq true", FILTER_PROPERTY},
		{"internetMessageId eq <x>", FILTER_TYPE}, {"internetMessageId eq 'x", FILTER_TYPE},
		{"internetMessageId eq 'x''", FILTER_TYPE}, {"internetMessageId EQ 'x'", FILTER_SYNTAX},
		{"internetMessageId eq 'x' and", FILTER_SYNTAX},
		{"internetMessageId eq 'x' isRead eq true", FILTER_SYNTAX}, {"(isRead eq true", FILTER_SYNTAX},
		{"isRead eq true)", FILTER_SYNTAX}, {"receivedDateTime ge '2020-01-01T00:00:00Z'", FILTER_TYPE},
		{"receivedDateTime ge 2020-13-01T00:00:00Z", FILTER_TYPE},
		{"receivedDateTime ge 2020-02-30", FILTER_TYPE},
		{"receivedDateTime ge 2020-01-01T00:00:00", FILTER_TYPE}, {"contains(subject,'x')", FILTER_PROPERTY},
		{"body eq 'x'", FILTER_TYPE}, {"categories eq 'x'", FILTER_TYPE}};
	char deep[400] = "", unknown[8];
	struct filter f = {.n = 0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (filter_parse(&f, rows[i].filter, unknown, sizeof(unknown)) != rows[i].fault || f.n != 0)
			fail_msg("%s", rows[i].filter);
	assert_int_equal(filter_parse(&f, "longer_than_room eq 1", unknown, sizeof(unknown)), FILTER_PROPERTY);
	assert_string_equal(unknown, "longer_");
	memset(deep, '(', 300);
	assert_int_equal(filter_parse(&f, deep, unknown, sizeof(unknown)), FILTER_SYNTAX);
}

static void test_too_many_nodes(void **state)
{
	struct filter f = {.n = 0};
	char text[2000] = "isRead eq true", unknown[8];

	(void)state;
	for (int i = 0; i < 60; i++) {
		size_t n = strlen(text);

		snprintf(text + n, sizeof(text) - n, " and isRead eq true");
	}
	assert_int_equal(filter_parse(&f, text, unknown, sizeof(unknown)), FILTER_SYNTAX);
}

/* What the backend's search is narrowed by holds for every match. */
static void test_message_id(void **state)
{
	static const struct {
		const char *filter, *id;
	} rows[] = {{"internetMessageId eq 'x' and isRead eq true", "x"},
		{"isRead eq true and internetMessageId eq 'y'", "y"},
		{"internetMessageId eq 'x' or isRead eq true", NULL}, {"not internetMessageId eq 'x'", NULL},
		{"internetMessageId ne 'x'", NULL}, {"isRead eq true", NULL}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct filter f = {.n = 0};
		char unknown[8];
		const char *id;

		assert_int_equal(filter_parse(&f, rows[i].filter, unknown, sizeof(unknown)), FILTER_GOOD);
		id = filter_message_id(&f);
		if (!id != !rows[i].id || (id && strcmp(id, rows[i].id) != 0))
			fail_msg("%s", rows[i].filter);
		filter_done(&f);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_matching), cmocka_unit_test(test_faults),
		cmocka_unit_test(test_too_many_nodes), cmocka_unit_test(test_message_id)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
