#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "imap/folder_parts.h"

#include <stdlib.h>
#include <string.h>

/* One line of LIST: flags separated by blanks, without backslash. */
struct line {
	const char *flags;
	char separator;
	const char *name;
};

static void add_line(clist *lines, const struct line *line)
{
	clist *flags = clist_new();
	int type = MAILIMAP_MBX_LIST_FLAGS_NO_SFLAG, special = 0;
	char *copy = strdup(line->flags), *rest = copy;
	for (char *word; (word = strtok_r(rest, " ", &rest));) {
		if (strcmp(word, "Noselect") == 0) {
			type = MAILIMAP_MBX_LIST_FLAGS_SFLAG;
			special = MAILIMAP_MBX_LIST_SFLAG_NOSELECT;
		} else {
			clist_append(
				flags, mailimap_mbx_list_oflag_new(MAILIMAP_MBX_LIST_OFLAG_FLAG_EXT, strdup(word)));
		}
	}
	free(copy);
	clist_append(lines, mailimap_mailbox_list_new(mailimap_mbx_list_flags_new(type, flags, special),
				    line->separator, strdup(line->name)));
}

static int build(const struct line *v, size_t n, const char *root, struct namespaces *spaces, struct folder_list *out,
	unsigned *odd, struct err *err)
{
	clist *lines = clist_new();
	struct namespaces guessed = {0};
	*odd = 0;
	for (size_t i = 0; i < n; i++)
		add_line(lines, &v[i]);
	if (!spaces) {
		assert_int_equal(folder_guess_prefix(lines, &guessed, err), 0);
		spaces = &guessed;
	}
	int rc = folder_build(lines, root, spaces, out, odd, err);
	folder_namespaces_done(&guessed);
	mailimap_list_result_free(lines);
	return rc;
}

static void check_parts(const struct folder *f, const char *expected)
{
	char text[500] = "";
	size_t len = 0;
	for (size_t i = 0; i < f->n_parts; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? "|" : "", f->parts[i]);
	assert_string_equal(text, expected);
}

static void test_prefix(void **state)
{
	(void)state;
	static const struct line courier[] = {
		{"", '.', "INBOX"},
		{"", '.', "INBOX.Sent"},
		{"", '.', "INBOX.a.b"},
		{"", '.', "INBOX.M&APw-ller"},
	};
	static const char *const names[] = {"INBOX", "M\xc3\xbcller", "Sent", "a|b"};
	struct folder_list l;
	struct err err = ERR_INIT;
	unsigned odd;
	assert_int_equal(build(courier, 4, NULL, NULL, &l, &odd, &err), 0);
	assert_int_equal(l.n, 4);
	assert_int_equal(odd, 0);
	for (size_t i = 0; i < 4; i++)
		check_parts(&l.v[i], names[i]);
	assert_int_equal(l.v[0].role, ROLE_INBOX);
	assert_int_equal(l.v[2].role, ROLE_SENT);
	assert_string_equal(l.v[1].raw, "INBOX.M&APw-ller");
	assert_string_equal(l.v[1].name, "INBOX.M\xc3\xbcller");
	folder_list_done(&l);
	/* one folder beside INBOX: its children are children */
	static const struct line mixed[] = {{"", '/', "INBOX"}, {"", '/', "INBOX/x"}, {"", '/', "y"}};
	assert_int_equal(build(mixed, 3, NULL, NULL, &l, &odd, &err), 0);
	check_parts(&l.v[1], "INBOX|x");
	check_parts(&l.v[2], "y");
	assert_int_equal(l.v[1].role, ROLE_NONE);
	folder_list_done(&l);
}

static void test_namespaces(void **state)
{
	(void)state;
	struct namespace v[] = {
		{.prefix = strdup("INBOX."), .separator = '.'},
		{.prefix = strdup("user."), .separator = '.', .is_shared = true},
		{.prefix = strdup(""), .separator = '.', .is_shared = true},
	};
	struct namespaces spaces = {v, 3};
	static const struct {
		const char *raw, *parts;
		bool shared;
	} cases[] = {
		{"INBOX", "INBOX", false},
		{"INBOX.a", "a", false},
		{"inbox.b.c", "b|c", false},
		{"user.bob.x", "user|bob|x", true},
		{"user", "user", true},
		{"public", "public", true},
		{"INBOXES", "INBOXES", true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct line line = {"", '.', cases[i].raw};
		struct folder_list l;
		struct err err = ERR_INIT;
		unsigned odd;
		assert_int_equal(build(&line, 1, NULL, &spaces, &l, &odd, &err), 0);
		assert_int_equal(l.n, 1);
		check_parts(&l.v[0], cases[i].parts);
		assert_int_equal(l.v[0].is_shared, cases[i].shared);
		folder_list_done(&l);
	}
	for (size_t i = 0; i < 3; i++)
		free(v[i].prefix);
}

static void test_attributes(void **state)
{
	(void)state;
	static const struct {
		struct line line;
		enum folder_role role;
		bool by_attribute, can_select, is_mail;
	} cases[] = {
		{{"Sent HasNoChildren", '/', "Objets envoy&AOk-s"}, ROLE_SENT, true, true, true},
		{{"HasNoChildren", '/', "Sent Items"}, ROLE_SENT, false, true, true},
		{{"HasNoChildren", '/', "a/Sent Items"}, ROLE_NONE, false, true, true},
		{{"Noselect", '/', "x"}, ROLE_NONE, false, false, true},
		{{"NonExistent HasChildren", '/', "x"}, ROLE_NONE, false, false, true},
		{{"Junk", '/', "x/y"}, ROLE_JUNK, true, true, true},
		{{"All", '/', "[Gmail]/All Mail"}, ROLE_ALL, true, true, true},
		{{"", '/', "Calendar"}, ROLE_NONE, false, true, false},
		{{"", '/', "Contacts/Work"}, ROLE_NONE, false, true, false},
		{{"", '/', "Projects/Notes"}, ROLE_NONE, false, true, true},
		{{"", '/', "inbox"}, ROLE_INBOX, false, true, true},
		{{"", 0, "a/b"}, ROLE_NONE, false, true, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct folder_list l;
		struct err err = ERR_INIT;
		struct namespaces none = {0};
		unsigned odd;
		assert_int_equal(build(&cases[i].line, 1, NULL, &none, &l, &odd, &err), 0);
		assert_int_equal(l.n, 1);
		assert_int_equal(l.v[0].role, cases[i].role);
		assert_int_equal(l.v[0].role_by_attribute, cases[i].by_attribute);
		assert_int_equal(l.v[0].can_select, cases[i].can_select);
		assert_int_equal(l.v[0].is_mail, cases[i].is_mail);
		folder_list_done(&l);
	}
}

static void test_odd_names(void **state)
{
	(void)state;
	static const struct line lines[] = {
		{"", '/', "INBOX"},
		{"", '/', "Inbox"},
		{"", '/', "x"},
		{"Noselect", '/', "x"},
		{"", '/', "x"},
		{"", '/', ""},
		{"", '/', "a\r\nb"},
		{"", '/', "//"},
		{"", '/', "a//b/"},
		{"", '/', "&AC8-x/y"},
		{"", '/', "\xe4"},
	};
	struct folder_list l;
	struct err err = ERR_INIT;
	struct namespaces none = {0};
	unsigned odd;
	assert_int_equal(build(lines, sizeof(lines) / sizeof(lines[0]), NULL, &none, &l, &odd, &err), 0);
	assert_int_equal(odd, 6); /* Inbox, x, x, "", the line end, "//" */
	assert_int_equal(l.n, 5);
	check_parts(&l.v[0], "INBOX");
	check_parts(&l.v[1], "/x|y"); /* an encoded separator is part of the name */
	check_parts(&l.v[2], "a|b");
	check_parts(&l.v[3], "x");
	assert_true(l.v[3].can_select);
	check_parts(&l.v[4], "\xc3\xa4");
	assert_string_equal(l.v[4].raw, "\xe4");
	folder_list_done(&l);
}

static void test_root(void **state)
{
	(void)state;
	static const struct line lines[] = {
		{"", '/', "users/terry"},
		{"", '/', "users/terry/INBOX"},
		{"", '/', "users/terry/Sent"},
		{"", '/', "users/terryx"},
		{"", '/', "other"},
	};
	struct folder_list l;
	struct err err = ERR_INIT;
	struct namespaces none = {0};
	unsigned odd;
	assert_int_equal(build(lines + 1, 4, "users/terry", &none, &l, &odd, &err), 0);
	assert_int_equal(l.n, 2);
	check_parts(&l.v[0], "INBOX");
	assert_int_equal(l.v[0].role, ROLE_INBOX);
	check_parts(&l.v[1], "Sent");
	folder_list_done(&l);
	assert_int_equal(build(lines, 1, "users/terry", &none, &l, &odd, &err), 0);
	assert_int_equal(l.n, 1); /* the root holds mail itself */
	check_parts(&l.v[0], "INBOX");
	assert_int_equal(l.v[0].role, ROLE_INBOX);
	folder_list_done(&l);
}

static void test_caps(void **state)
{
	(void)state;
	struct line *v = calloc(50001, sizeof(*v));
	char(*names)[16] = calloc(50001, sizeof(*names));
	struct folder_list l;
	struct err err = ERR_INIT;
	struct namespaces none = {0};
	unsigned odd;
	for (size_t i = 0; i < 50001; i++) {
		snprintf(names[i], sizeof(names[i]), "f%zu", i);
		v[i] = (struct line){"", '/', names[i]};
	}
	assert_int_equal(build(v, 50000, NULL, &none, &l, &odd, &err), 0);
	assert_int_equal(l.n, 50000);
	folder_list_done(&l);
	assert_int_equal(build(v, 50001, NULL, &none, &l, &odd, &err), -1);
	assert_int_equal(err.kind, ERR_MEMORY);
	char deep[5000];
	memset(deep, '/', sizeof(deep) - 1);
	for (size_t i = 0; i < sizeof(deep) - 1; i += 2)
		deep[i] = 'a';
	deep[sizeof(deep) - 1] = '\0';
	v[0].name = deep;
	assert_int_equal(build(v, 2, NULL, &none, &l, &odd, &err), 0);
	assert_int_equal(odd, 1);
	assert_int_equal(l.n, 1);
	folder_list_done(&l);
	free(v);
	free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_odd_names),
		cmocka_unit_test(test_root),
		cmocka_unit_test(test_caps),
	};
	return cmocka_run_group_tests_name("folder", tests, NULL, NULL);
}
