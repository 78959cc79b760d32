/* What a pull makes of bodies that a source serves badly: each damage has its own outcome, and nothing else suffers from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/contract/pull_scene.h"

#include <signal.h>

/* --- opening --- */

static void test_open_needs_uidvalidity(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"* 3 EXISTS\r\n", "* OK [UIDVALIDITY 7] x\r\n", "* 3 EXISTS\r\n* OK [UIDVALIDITY 0] x\r\n"};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct scene *s = begin(numbered(3, 100), 3);
		s->fake.select_lines = lines[i];
		open_folder(s);
		assert_false(s->open);
		assert_int_equal(s->open_err.kind, ERR_FOLDER);
		end(s);
	}
}

static void test_open_without_uidnext(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(3, 100), 3);
	s->fake.select_lines = "* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n";
	fetch_all(s);
	assert_int_equal(s->state.uidnext, 0);
	all_but(s, 0, ERR_NONE);
	end(s);
}

static bool refuse_examine(struct fake *f, const char *tag, const char *command)
{
	if (strncmp(command, "EXAMINE", 7) != 0)
		return false;
	fake_say(f, "%s NO Mailbox does not exist\r\n", tag);
	return true;
}

static void test_open_refused(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(1, 100), 1);
	s->fake.on_command = refuse_examine;
	open_folder(s);
	assert_false(s->open);
	assert_int_equal(s->open_err.kind, ERR_FOLDER);
	assert_string_equal(s->open_err.server, "Mailbox does not exist");
	end(s);
}

/* --- bodies --- */

static void test_plain(void **state)
{
	(void)state;
	static const uint64_t sizes[] = {0, 1, 100, 5000, 300 * 1024, 2 << 20};
	for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		struct scene *s = begin(numbered(25, sizes[k]), 25);
		fetch_all(s);
		all_but(s, 0, ERR_NONE);
		for (size_t i = 0; i < s->n_got; i++)
			assert_int_equal(s->got[i].size, sizes[k]);
		end(s);
	}
}

static void test_tiny_budget(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(40, 3000), 40);
	budget_free(&s->budget);
	s->budget = s->pull_conf.memory = budget_new(10000); /* not even a set */
	fetch_all(s);
	all_but(s, 0, ERR_NONE);
	end(s);
}

static bool nil_body(struct fake *f, size_t i, const char *items)
{
	if (!wants_body(items) || f->v[i].uid != f->special)
		return false;
	fake_say(f, "* %zu FETCH (UID %u BODY[] NIL)\r\n", i + 1, f->v[i].uid);
	return true;
}

static bool no_body(struct fake *f, size_t i, const char *items)
{
	if (!wants_body(items) || f->v[i].uid != f->special)
		return false;
	fake_say(f, "* %zu FETCH (UID %u FLAGS ())\r\n", i + 1, f->v[i].uid);
	return true;
}

static bool uid_behind(struct fake *f, size_t i, const char *items)
{
	if (!wants_body(items))
		return false;
	fake_say(f, "* %zu FETCH (BODY[] {%llu}\r\n", i + 1, (unsigned long long)f->v[i].size);
	fake_body(f, &f->v[i], 0, f->v[i].size);
	fake_say(f, " UID %u)\r\n", f->v[i].uid);
	return true;
}

static bool uid_never(struct fake *f, size_t i, const char *items)
{
	if (!wants_body(items))
		return false;
	fake_say(f, "* %zu FETCH (BODY[] {%llu}\r\n", i + 1, (unsigned long long)f->v[i].size);
	fake_body(f, &f->v[i], 0, f->v[i].size);
	fake_say(f, ")\r\n");
	return true;
}

static bool uid_contradicts(struct fake *f, size_t i, const char *items)
{
	if (!wants_body(items) || f->v[i].uid != f->special)
		return false;
	fake_say(f, "* %zu FETCH (UID %u BODY[] {5}\r\nwrong UID 999)\r\n", i + 1, f->v[i].uid);
	return true;
}

static bool unasked(struct fake *f, size_t i, const char *items)
{
	if (wants_body(items) && f->v[i].uid == f->special)
		fake_say(f, "* 99 FETCH (UID 99999 BODY[] {5}\r\nwrong)\r\n* 98 FETCH (FLAGS (\\Seen))\r\n* "
			    "77 EXISTS\r\n* OK x\r\n");
	return false;
}

static bool twice(struct fake *f, size_t i, const char *items)
{
	if (!wants_body(items))
		return false;
	fake_fetch_line(f, i, items);
	fake_say(f, "* %zu FETCH (UID %u BODY[] {5}\r\nwrong)\r\n", i + 1, f->v[i].uid);
	return true;
}

static bool two_bodies(struct fake *f, size_t i, const char *items)
{
	if (!wants_body(items))
		return false;
	fake_say(f, "* %zu FETCH (UID %u BODY[HEADER] {6}\r\nheader BODY[] {%llu}\r\n", i + 1, f->v[i].uid,
		(unsigned long long)f->v[i].size);
	fake_body(f, &f->v[i], 0, f->v[i].size);
	fake_say(f, " BODY[] {5}\r\nwrong BODY[TEXT] \"wrong\" RFC822 \"wrong\")\r\n");
	return true;
}

static bool quoted_body(struct fake *f, size_t i, const char *items)
{
	if (!wants_body(items))
		return false;
	fake_say(f, "* %zu FETCH (UID %u BODY[] \"0123456789\")\r\n", i + 1, f->v[i].uid);
	return true;
}

static bool empty_quoted(struct fake *f, size_t i, const char *items)
{
	if (!wants_body(items))
		return false;
	fake_say(f, "* %zu FETCH (UID %u BODY[] \"\")\r\n", i + 1, f->v[i].uid);
	return true;
}

static void test_lines(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		bool (*hook)(struct fake *, size_t, const char *);
		enum err_kind kind;
		int size;
	} cases[] = {
		{"NIL", nil_body, ERR_MESSAGE, -1},
		{"no line", no_line, ERR_GONE, -1},
		{"no body", no_body, ERR_MESSAGE, -1},
		{"UID behind the body", uid_behind, ERR_NONE, 100},
		{"UID never", uid_never, ERR_NONE, 100},
		{"UID contradicts", uid_contradicts, ERR_GONE, -1},
		{"unasked", unasked, ERR_NONE, 100},
		{"twice", twice, ERR_NONE, 100},
		{"two bodies", two_bodies, ERR_NONE, 100},
		{"quoted", quoted_body, ERR_NONE, 10},
		{"empty quoted", empty_quoted, ERR_NONE, 0},
	};
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		struct scene *s = begin(numbered(35, 100), 35);
		print_message("%s\n", cases[k].what);
		s->fake.on_message = cases[k].hook;
		s->fake.special = 170;
		fetch_all(s);
		all_but(s, 170, cases[k].kind);
		for (size_t i = 0; i < s->n_got; i++)
			if (s->got[i].kind == ERR_NONE && cases[k].size >= 0)
				assert_int_equal(s->got[i].size, cases[k].size);
		end(s);
	}
}

static void test_sizes_lie(void **state)
{
	(void)state;
	static const struct {
		uint64_t announced, size;
	} cases[] = {
		{10, 200},
		{200, 10},
		{0, 5000},
		{100, 400 * 1024},
		{300 * 1024, 100},
		{4294967295u, 50},
		{10, 250 * 1024},
	};
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		struct scene *s = begin(numbered(12, 100), 12);
		for (size_t i = 0; i < 12; i++) {
			s->fake.v[i].announced = cases[k].announced;
			s->fake.v[i].size = cases[k].size;
		}
		fetch_all(s);
		all_but(s, 0, ERR_NONE);
		for (size_t i = 0; i < s->n_got; i++)
			assert_int_equal(s->got[i].size, cases[k].size);
		end(s);
	}
}

static bool cut(struct fake *f, size_t i, const char *items)
{
	if (!wants_body(items) || f->v[i].uid != f->special)
		return false;
	fake_say(f, "* %zu FETCH (UID %u BODY[] {%llu}\r\nhalf of", i + 1, f->v[i].uid,
		(unsigned long long)f->v[i].size);
	fake_hang_up(f);
	return true;
}

static void test_cut_in_mid_literal(void **state)
{
	(void)state;
	static const uint64_t sizes[] = {100, 400 * 1024};
	for (size_t k = 0; k < 2; k++) {
		struct scene *s = begin(numbered(40, sizes[k]), 40);
		s->fake.on_message = cut;
		s->fake.special = 170;
		fetch_all(s);
		assert_int_equal(s->next_rc, -1);
		assert_int_equal(s->next_err.kind, ERR_LOST);
		assert_true(conn_is_dead(s->conn));
		for (size_t i = 0; i < s->n_got; i++) {
			assert_int_equal(s->got[i].kind, ERR_NONE);
			assert_true(s->got[i].uid < 170);
		}
		end(s);
	}
}

static void test_stub(void **state)
{
	(void)state;
	static const char stub[] =
		"From: Microsoft Exchange\r\nSubject: Retrieval using the IMAP4 protocol failed for the "
		"following message: 12\r\n\r\n"
		"The server couldn't retrieve the following message:\r\n\r\nSubject: \"x\"\r\n";
	static const char plain[] = "Subject: x\r\n\r\n\r\nThe server couldn't retrieve the following "
				    "message:\r\n\r\nSubject: \"x\"\r\n";
	static const char talk[] = "Subject: FW: Retrieval\r\n\r\nHi,\r\nThe server couldn't retrieve the "
				   "following message:\r\nwhat is it?\r\n";
	static const struct {
		const char *text;
		enum err_kind kind;
	} cases[] = {{stub, ERR_MESSAGE}, {plain, ERR_MESSAGE}, {talk, ERR_NONE}};
	for (size_t k = 0; k < 3; k++) {
		struct scene *s = begin(numbered(5, 100), 5);
		s->fake.v[2].text = cases[k].text;
		s->fake.v[2].size = strlen(cases[k].text);
		fetch_all(s);
		all_but(s, s->fake.v[2].uid, cases[k].kind);
		end(s);
	}
}

static void test_disk(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(5, 400 * 1024), 5);
	s->pull_conf.spool_dir = "/nonexistent/dir";
	fetch_all(s);
	assert_int_equal(s->next_rc, -1);
	assert_int_equal(s->next_err.kind, ERR_DISK);
	end(s);
}

static bool ignores_pieces(struct fake *f, size_t i, const char *items)
{
	if (!wants_body(items))
		return false;
	fake_fetch_line(f, i, "BODY.PEEK[]");
	return true;
}

static bool whole_pieces(struct fake *f, size_t i, const char *items)
{
	(void)f;
	(void)i;
	(void)items;
	return false;
}

static void test_pieces(void **state)
{
	(void)state;
	const uint64_t mib = 1 << 20;
	static bool (*const as_asked)(struct fake *, size_t, const char *) = whole_pieces;
	const struct {
		uint64_t announced, size;
		bool (*hook)(struct fake *, size_t, const char *);
		enum err_kind kind;
	} cases[] = {
		{49 * mib, 49 * mib, as_asked, ERR_NONE},
		{56 * mib, 56 * mib, as_asked, ERR_NONE},               /* ends at a piece's end */
		{49 * mib, 49 * mib + 8 * mib + 1, as_asked, ERR_NONE}, /* more than announced */
		{100 * mib, 5, as_asked, ERR_NONE},
		{100 * mib, 0, as_asked, ERR_NONE},
		{49 * mib, 20 * mib, ignores_pieces, ERR_NONE},
		{100 * mib, 100, nil_body, ERR_MESSAGE},
		{100 * mib, 100, no_line, ERR_GONE},
	};
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		struct scene *s = begin(numbered(9, 100), 9);
		s->fake.v[4].announced = cases[k].announced;
		s->fake.v[4].size = cases[k].size;
		s->fake.on_message = cases[k].hook;
		s->fake.special = s->fake.v[4].uid;
		fetch_all(s);
		all_but(s, s->fake.v[4].uid, cases[k].kind);
		for (size_t i = 0; i < s->n_got; i++)
			if (s->got[i].uid == s->fake.v[4].uid && cases[k].kind == ERR_NONE)
				assert_int_equal(s->got[i].size, cases[k].size);
		end(s);
	}
}

static void test_stopped(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(MOST, 100), MOST);
	struct stop *stop = stop_new(NULL);
	struct err err = ERR_INIT, item = ERR_INIT;
	struct mail *m;
	s->pull_conf.stop = stop;
	s->pull_conf.set_messages = 3;
	open_folder(s);
	list_all(s, MOST);
	assert_int_equal(pull_want(s->pull, s->listed, s->n_listed, &err), 0);
	assert_int_equal(pull_next(s->pull, &m, &item, &err), 0);
	pull_release(s->budget, &m);
	stop_request(stop, STOP_DRAIN);
	next_all(s); /* what is in flight still comes */
	assert_int_equal(s->next_rc, -1);
	assert_int_equal(s->next_err.kind, ERR_STOPPED);
	end(s);
	stop_free(&stop);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	conn_init();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_needs_uidvalidity),
		cmocka_unit_test(test_open_without_uidnext),
		cmocka_unit_test(test_open_refused),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_tiny_budget),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_sizes_lie),
		cmocka_unit_test(test_cut_in_mid_literal),
		cmocka_unit_test(test_stub),
		cmocka_unit_test(test_disk),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_stopped),
	};
	return cmocka_run_group_tests_name("pull", tests, NULL, NULL);
}
