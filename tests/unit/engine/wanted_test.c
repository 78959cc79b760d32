#include "engine/wanted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char names[][24] = {"INBOX", "Notes", "INBOX.Projekte", "INBOX.Projekte.2014", "Gesendet", "INBOX.Empty"};
static char paths[][24] = {"INBOX", "Notes_", "Projekte", "Projekte/2014", "Sent Items", "Empty"};
enum { FOLDERS = sizeof names / sizeof names[0], CONTAINER = 2, EMPTY = 5 };

/* The texts of all unmatched patterns, a line each; those of --exclude begin with "-". */
static const char *unmatched(const char *include, const char *exclude)
{
	static char out[4096];
	struct folder folders[FOLDERS] = {0};
	struct mapping mappings[FOLDERS] = {0};
	const struct folder_list list = {.v = folders, .n = FOLDERS};
	struct batch b = {0};
	size_t n = 0;
	for (size_t i = 0; i < FOLDERS; i++) {
		folders[i] =
			(struct folder){.name = names[i], .separator = '.', .can_select = i != CONTAINER && i != EMPTY};
		mappings[i].path = paths[i];
	}
	snprintf(b.include, sizeof b.include, "%s", include);
	snprintf(b.exclude, sizeof b.exclude, "%s", exclude);
	out[0] = '\0';
	for (struct unmatched u = {0}; wanted_unmatched(&b, &list, mappings, &u);)
		n += (size_t)snprintf(out + n, sizeof out - n, "%s%s\n", u.excludes ? "-" : "", u.text);
	return out;
}

static void test_matched(void **state)
{
	(void)state;
	assert_string_equal(unmatched("", ""), "");
	assert_string_equal(unmatched("*", "*"), "");
	assert_string_equal(unmatched("INBOX, Notes ,Projekte/*,Sent*", "Gesendet,INBOX.P*"), "");
	assert_string_equal(unmatched(" , ,", ",,"), "");
}

static void test_unmatched(void **state)
{
	(void)state;
	assert_string_equal(unmatched("Nots", ""), "no folder matches \"Nots\" of --include: nothing is moved for it; "
						   "names that look like it: \"Notes\"\n");
	assert_string_equal(unmatched("inbox", ""), "no folder matches \"inbox\" of --include: nothing is moved for "
						    "it; names that look like it: \"INBOX\", "
						    "\"INBOX.Projekte.2014\"\n");
	assert_string_equal(unmatched("2041/*,INBOX,Xylophon", "Sentt,Gesendet,?????????????????????????"),
		"no folder matches \"2041/*\" of --include: nothing is moved for it; names that look like it: "
		"\"INBOX.Projekte.2014\"\n"
		"no folder matches \"Xylophon\" of --include: nothing is moved for it; none has a name like it\n"
		"-no folder matches \"Sentt\" of --exclude; none has a name like it\n"
		"-no folder matches \"?????????????????????????\" of --exclude; none has a name like it\n");
}

/* Its children are what the person meant. */
static void test_only_a_container(void **state)
{
	(void)state;
	assert_string_equal(unmatched("Projekte", ""), "\"Projekte\" of --include matches only folders that hold "
						       "folders and no messages; \"INBOX.Projekte.*\" is "
						       "what is in it\n");
	assert_string_equal(
		unmatched("Projekte,Projekte/*", "INBOX.Projekte,*2014"), ""); /* another pattern has them */
	assert_string_equal(unmatched("INBOX.Empty,INBOX", "Empty"), "");      /* nothing is lost */
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_matched), cmocka_unit_test(test_unmatched),
		cmocka_unit_test(test_only_a_container)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
