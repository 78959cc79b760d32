#include "upload/exosim/folder.h"

#include "engine/base/utf8.h"
#include "imap/fold.h"
#include "imap/name.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_keys(void **state)
{
	static const struct {
		const char *in;
		bool trim;
		const char *key; /* NULL: no name */
	} rows[] = {{"INBOX", true, "inbox"}, {"Sent Items", true, "sent items"}, {"&AMQ-pfel", true, "\xc3\xa4pfel"},
		{"&AOQ-PFEL", true, "\xc3\xa4pfel"}, {" a / b ", true, "a/b"}, {" a", false, " a"},
		{"a//b", true, NULL}, {"/a", true, NULL}, {"a/", true, NULL}, {"", true, NULL}, {"   ", true, NULL},
		{"a/ /b", true, NULL}, {"Stra&AN8-e", true, "strasse"}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *key = folder_key(rows[i].in, rows[i].trim);

		if (!rows[i].key != !key || (key && strcmp(key, rows[i].key) != 0))
			fail_msg("'%s': '%s'", rows[i].in, key ? key : "NULL");
		free(key);
	}
}

/* What exosim holds for the same name is one for the map of folders too: else its CREATE says that a folder exists which nobody finds. */
static void test_compares_no_wider_than_the_map(void **state)
{
	static const struct {
		uint32_t first, last;
	} letters[] = {{0xa0, 0x22f}, {0x250, 0x2af}, {0x386, 0x3ce}, {0x400, 0x587}, {0x10d0, 0x10ff},
		{0x1c90, 0x1cbf}, {0x1e00, 0x1fff}, {0x2100, 0x2131}, {0x2160, 0x217f}, {0x24b6, 0x24e9},
		{0x2c80, 0x2ce3}, {0xfb00, 0xfb17}, {0xff21, 0xff5a}};

	(void)state;
	for (size_t i = 0; i < sizeof(letters) / sizeof(*letters); i++) {
		for (uint32_t c = letters[i].first; c <= letters[i].last; c++) {
			char name[16] = "xS";
			struct err err = ERR_INIT;
			char *encoded;

			name[2 + utf8_encode(c, name + 2)] = 's';
			assert_int_equal(name_encode(name, &encoded, &err), 0);
			char *key = folder_key(encoded, false), *ours = fold_name(name), *theirs = fold_name(key);
			if (strcmp(ours, theirs) != 0)
				fail_msg("U+%04X: \"%s\" and \"%s\"", c, ours, theirs);
			free(theirs);
			free(ours);
			free(key);
			free(encoded);
		}
	}
}

static void test_find_and_spell(void **state)
{
	static char n0[] = "INBOX", n1[] = "Projects", n2[] = "Projects/Alpha", n3[] = "zebra";
	char *names[] = {n0, n1, n2, n3};
	struct folders *f = folders_new();
	char *raw;

	(void)state;
	assert_false(folders_are_known(f));
	folders_replace(f, names, 4);
	assert_true(folders_are_known(f));
	raw = folders_find(f, "projects/alpha");
	assert_string_equal(raw, "Projects/Alpha");
	free(raw);
	assert_null(folders_find(f, "projects/beta"));
	raw = folders_spell_new(f, "PROJECTS/ALPHA/New/x");
	assert_string_equal(raw, "Projects/Alpha/New/x");
	free(raw);
	raw = folders_spell_new(f, "Other/x");
	assert_string_equal(raw, "Other/x");
	free(raw);
	folders_forget(f);
	assert_false(folders_are_known(f));
	folders_free(&f);
}

static void test_lag(void **state)
{
	struct folders *f = folders_new();
	struct folder_lag lag;

	(void)state;
	folders_hide(f, "inbox", 7, 100, 0); /* nothing is hidden: no lag begins */
	assert_false(folders_lag(f, "inbox", 100, &lag));
	folders_hide(f, "inbox", 8, 100, 200);
	folders_hide(f, "inbox", 9, 150, 0); /* behind a hidden one */
	assert_true(folders_lag(f, "inbox", 199, &lag));
	assert_int_equal(lag.uid, 8);
	assert_int_equal(lag.count, 2);
	assert_false(folders_lag(f, "other", 199, &lag));
	assert_false(folders_lag(f, "inbox", 200, &lag));
	folders_free(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test(test_keys),
		cmocka_unit_test(test_compares_no_wider_than_the_map), cmocka_unit_test(test_find_and_spell),
		cmocka_unit_test(test_lag)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
