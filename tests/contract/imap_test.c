/* The contract of imap/: what is appended is listed and read back as it was, on every server we claim to speak with. */
#include "tests/contract/imap_scene.h"

static void test_many_small(void **state)
{
	struct server *s = server(state);
	enum { N = 300 };
	char folder[300];
	struct mail *sent[N], *got[N];
	struct append_item items[N];
	make_folder(s, "small", folder, sizeof(folder));
	for (unsigned i = 0; i < N; i++)
		sent[i] = make_numbered(i, i * 37 % 5000);
	append_all(s, folder, sent, "(\\Seen)", items, N);
	must_be_placed(items, N);
	assert_int_equal(pull_all(s, folder, got, N), N);
	qsort(got, N, sizeof(got[0]), compare_uid);
	for (size_t i = 0; i < N; i++) {
		same_octets(sent[i], got[i]);
		assert_int_equal(got[i]->announced, got[i]->print.size);
		assert_true(got[i]->flags & MAIL_SEEN);
		assert_true(got[i]->received.known);
		assert_int_equal(got[i]->received.at, 1057049557);
		if (items[i].uid)
			assert_int_equal(items[i].uid, got[i]->uid);
		pull_release(s->budget, &got[i]);
		mail_free(&sent[i]);
	}
}

static void test_flags_and_keywords(void **state)
{
	struct server *s = server(state);
	static const struct {
		const char *text;
		unsigned flags;
		const char *keywords;
	} cases[] = {
		{"()", 0, ""},
		{"(\\Flagged \\Answered)", MAIL_FLAGGED | MAIL_ANSWERED, ""},
		{"(\\Draft \\Seen)", MAIL_DRAFT | MAIL_SEEN, ""},
		{"(\\Seen Kunde)", MAIL_SEEN, "Kunde"},
	};
	enum { N = sizeof(cases) / sizeof(cases[0]) };
	char folder[300];
	struct mail *got[N];
	make_folder(s, "flags", folder, sizeof(folder));
	for (unsigned i = 0; i < N; i++) {
		struct mail *m = make_numbered(i, 10);
		struct append_item item;
		append_all(s, folder, &m, cases[i].text, &item, 1);
		must_be_placed(&item, 1);
		mail_free(&m);
	}
	assert_int_equal(pull_all(s, folder, got, N), N);
	qsort(got, N, sizeof(got[0]), compare_uid);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(got[i]->flags, cases[i].flags);
		assert_string_equal(got[i]->keywords, cases[i].keywords);
		pull_release(s->budget, &got[i]);
	}
}

/* Opening and reading must not set \Seen. */
static void test_nothing_changes(void **state)
{
	struct server *s = server(state);
	char folder[300];
	struct mail *m = make_numbered(1, 100), *got;
	struct append_item item;
	make_folder(s, "unseen", folder, sizeof(folder));
	append_all(s, folder, &m, "()", &item, 1);
	must_be_placed(&item, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pull_all(s, folder, &got, 1), 1);
		assert_false(got->flags & MAIL_SEEN);
		pull_release(s->budget, &got);
	}
	mail_free(&m);
}

static void test_dates(void **state)
{
	struct server *s = server(state);
	static const struct mail_date dates[] = {
		{.at = 86400, .zone_min = 0, .known = true},       /* Cyrus takes 0 for "none" */
		{.at = 951782400, .zone_min = 330, .known = true}, /* 29 Feb 2000, +0530 */
		{.at = 1700000000, .zone_min = -480, .known = true},
		{.known = false},
	};
	enum { N = sizeof(dates) / sizeof(dates[0]) };
	char folder[300];
	struct mail *sent[N], *got[N];
	struct append_item items[N];
	int64_t now = clock_wall_s();
	make_folder(s, "dates", folder, sizeof(folder));
	for (unsigned i = 0; i < N; i++) {
		sent[i] = make_numbered(i, 10);
		sent[i]->received = dates[i];
	}
	append_all(s, folder, sent, "()", items, N);
	must_be_placed(items, N);
	assert_int_equal(pull_all(s, folder, got, N), N);
	qsort(got, N, sizeof(got[0]), compare_uid);
	for (size_t i = 0; i < N; i++) {
		if (dates[i].known)
			assert_int_equal(got[i]->received.at, dates[i].at);
		else
			assert_true(got[i]->received.at > now - 60 && got[i]->received.at < now + 600);
		pull_release(s->budget, &got[i]);
		mail_free(&sent[i]);
	}
}

/* Octets that servers like to touch or to refuse (Dovecot makes bare line ends CR LF, Courier adds a missing last one). The session and
   the neighbours must not care, and a refusal is this message's error. */
static void test_odd_octets(void **state)
{
	struct server *s = server(state);
	static const char bare[] = "Subject: bare\nX: y\n\nline\nline\rline\r\n";
	static const char nul[] = "Subject: nul\r\n\r\na\0b\r\n";
	static const char eight[] = "Subject: \xe4\xf6\xfc\r\n\r\n\xff\xfe\x80\r\n";
	static const char no_end[] = "Subject: no end\r\n\r\nno line end here";
	static const char header_only[] = "Subject: header only\r\n";
	static const struct {
		const char *what, *octets;
		size_t n;
		bool must_keep;
	} cases[] = {
		{"empty", "", 0, false},
		{"one", "a", 1, false},
		{"bare", bare, sizeof(bare) - 1, false},
		{"nul", nul, sizeof(nul) - 1, false},
		{"eight", eight, sizeof(eight) - 1, true},
		{"no end", no_end, sizeof(no_end) - 1, false},
		{"header", header_only, sizeof(header_only) - 1, true},
	};
	enum { N = sizeof(cases) / sizeof(cases[0]) };
	char folder[300];
	make_folder(s, "odd", folder, sizeof(folder));
	for (size_t i = 0; i < N; i++) {
		struct mail *v[3] = {
			make_numbered(1, 50), make_mail(cases[i].octets, cases[i].n), make_numbered(2, 50)};
		struct append_item items[3];
		char name[300];
		struct mail *got[3];
		snprintf(name, sizeof(name), "%zu", i);
		make_folder(s, name, folder, sizeof(folder));
		append_all(s, folder, v, "()", items, 3);
		must_be_placed(&items[0], 1);
		must_be_placed(&items[2], 1);
		size_t n = pull_all(s, folder, got, 3);
		qsort(got, n, sizeof(got[0]), compare_uid);
		same_octets(v[0], got[0]);
		same_octets(v[2], got[n - 1]);
		if (items[1].result == APPEND_PLACED) {
			assert_int_equal(n, 3);
			if (cases[i].must_keep)
				same_octets(v[1], got[1]);
		} else {
			print_message("%s: refused: %s\n", cases[i].what, items[1].err.server);
			assert_int_equal(n, 2);
			assert_int_equal(items[1].result, APPEND_REFUSED);
			assert_int_equal(items[1].err.kind, ERR_MESSAGE);
		}
		for (size_t k = 0; k < n; k++)
			pull_release(s->budget, &got[k]);
		for (size_t k = 0; k < 3; k++)
			mail_free(&v[k]);
	}
}

static void test_large(void **state)
{
	struct server *s = server(state);
	static const size_t sizes[] = {(size_t)8 << 20, ((size_t)8 << 20) + 12345, 300 * 1024, 256 * 1024, 100};
	enum { N = sizeof(sizes) / sizeof(sizes[0]) };
	char folder[300];
	struct mail *sent[N], *got[N];
	struct append_item items[N];
	make_folder(s, "large", folder, sizeof(folder));
	for (unsigned i = 0; i < N; i++)
		sent[i] = make_numbered(i, sizes[i]);
	append_all(s, folder, sent, "()", items, N);
	must_be_placed(items, N);
	assert_int_equal(pull_all(s, folder, got, N), N);
	qsort(got, N, sizeof(got[0]), compare_uid);
	for (size_t i = 0; i < N; i++) {
		struct spool *body;
		struct fingerprint print = {0};
		struct err err = ERR_INIT;
		uint32_t validity, next, exists;
		same_octets(sent[i], got[i]);
		must(mailbox_select(s->conn, folder, &validity, &next, &exists, &err), &err, "select");
		must(mailbox_read(s->conn, got[i]->uid, spool_dir, &body, &print, &err), &err, "read");
		assert_memory_equal(print.sha256, sent[i]->print.sha256, 32);
		fingerprint_done(&print);
		spool_free(&body);
		pull_release(s->budget, &got[i]);
		mail_free(&sent[i]);
	}
}

static void test_folders(void **state)
{
	struct server *s = server(state);
	static const char *const names[] = {"plain", "M\xc3\xbcller & S\xc3\xb6hne",
		"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "with blank", "pl+us,comma"};
	struct folder_list l;
	struct err err = ERR_INIT;
	unsigned odd = 0;
	char raw[300], child[400], expected[300];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		make_folder(s, names[i], raw, sizeof(raw));
		must(mailbox_create(s->conn, raw, &err), &err, "create again");
	}
	must(folder_list(s->conn, NULL, &l, &odd, &err), &err, "list");
	assert_int_equal(odd, 0);
	assert_int_equal(l.v[0].role, ROLE_INBOX);
	assert_string_equal(l.v[0].raw, "INBOX");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		make_name(s, names[i], raw, sizeof(raw));
		const struct folder *f = find_raw(&l, raw);
		assert_non_null(f);
		assert_int_equal(f->n_parts, 1);
		snprintf(expected, sizeof(expected), "%s-%s", s->run, names[i]);
		assert_string_equal(f->parts[0], expected);
		assert_true(f->can_select && f->is_mail && !f->is_shared);
	}
	folder_list_done(&l);
	if (!s->separator)
		return;
	make_name(s, "plain", raw, sizeof(raw));
	snprintf(child, sizeof(child), "%s%cchild%cgrandchild", raw, s->separator, s->separator);
	must(mailbox_create(s->conn, child, &err), &err, "create nested");
	must(folder_list(s->conn, NULL, &l, &odd, &err), &err, "list");
	const struct folder *f = find_raw(&l, child);
	assert_non_null(f);
	assert_int_equal(f->n_parts, 3);
	assert_string_equal(f->parts[2], "grandchild");
	folder_list_done(&l);
	/* UserRoot: what is below it, without it */
	must(folder_list(s->conn, raw, &l, &odd, &err), &err, "list below a root");
	f = find_raw(&l, child);
	assert_non_null(f);
	assert_int_equal(f->n_parts, 2);
	assert_string_equal(f->parts[0], "child");
	folder_list_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_small),
		cmocka_unit_test(test_flags_and_keywords),
		cmocka_unit_test(test_nothing_changes),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_odd_octets),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_folders),
	};
	return cmocka_run_group_tests_name("imap contract", tests, setup, teardown);
}
