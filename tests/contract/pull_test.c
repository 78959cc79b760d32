/* What a pull makes of a source that misbehaves: each damage has its own outcome, and nothing else suffers from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/clock.h"
#include "imap/pull.h"
#include "tests/contract/fake_imap.h"

#include <signal.h>

enum { MOST = 400 };

struct scene {
	struct fake fake;
	struct secret *secret;
	struct conn_conf conf;
	struct conn *conn;
	struct budget *budget;
	struct pull *pull;
	struct pull_conf pull_conf;
	struct folder_state state;
	struct err open_err;
	bool open;
	/* what came */
	struct pull_meta listed[4 * MOST];
	size_t n_listed;
	struct {
		uint32_t uid;
		enum err_kind kind;
		uint64_t size;
		char first;
		char server[64];
	} got[4 * MOST];
	size_t n_got;
	int list_rc, next_rc;
	struct err list_err, next_err;
};

static struct fake_message *numbered(size_t n, uint64_t size)
{
	struct fake_message *v = calloc(n, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i] = (struct fake_message){
			.uid = (uint32_t)(10 * (i + 1)), .announced = size, .size = size, .fill = 'x'};
	return v;
}

static struct scene *begin(struct fake_message *v, size_t n)
{
	struct scene *s = calloc(1, sizeof(*s));
	s->fake = (struct fake){.v = v, .n = n};
	s->secret = secret_new("pw", 2);
	s->budget = budget_new((uint64_t)8 << 20);
	s->pull_conf = (struct pull_conf){.spool_dir = "/tmp", .memory = s->budget, .set_messages = 10};
	return s;
}

static void open_folder(struct scene *s)
{
	struct err err = ERR_INIT;
	fake_start(&s->fake);
	s->conf = (struct conn_conf){.host = "127.0.0.1",
				     .port = s->fake.port,
				     .tls = TLS_NONE,
				     .user = "u",
				     .secret = s->secret,
				     .quirks = s->conf.quirks,
				     .silence_ms = 20000};
	if (conn_open(&s->conn, &s->conf, NULL, NULL, NULL, &err) < 0)
		fail_msg("sign-in: %s %s", err.text, err.server);
	s->open_err = ERR_INIT;
	s->open = pull_open(&s->pull, s->conn, "INBOX", &s->pull_conf, &s->state, &s->open_err) == 0;
}

static void list_all(struct scene *s, size_t cap)
{
	s->list_err = ERR_INIT;
	for (size_t n = 1; n > 0; s->n_listed += n) {
		if (s->n_listed + cap > 4 * MOST)
			fail_msg("the listing does not end");
		s->list_rc = pull_list(s->pull, s->listed + s->n_listed, cap, &n, &s->list_err);
		if (s->list_rc < 0)
			return;
	}
}

static void next_all(struct scene *s)
{
	struct err item = ERR_INIT;
	struct mail *m;
	s->next_err = ERR_INIT;
	for (;;) {
		s->next_rc = pull_next(s->pull, &m, &item, &s->next_err);
		if (s->next_rc < 0 || !m)
			return;
		assert_true(s->n_got < 4 * MOST);
		s->got[s->n_got].uid = m->uid;
		s->got[s->n_got].kind = item.kind;
		snprintf(s->got[s->n_got].server, sizeof(s->got[0].server), "%s", item.server);
		assert_true((item.kind == ERR_NONE) == (m->body != NULL));
		if (m->body) {
			size_t n;
			struct err err = ERR_INIT;
			s->got[s->n_got].size = m->print.size;
			assert_int_equal(spool_size(m->body), m->print.size);
			if (m->print.size > 0)
				assert_int_equal(spool_read(m->body, m->print.size - 1,
							    &s->got[s->n_got].first, 1, &n, &err),
						 0);
		}
		s->n_got++;
		pull_release(s->budget, &m);
	}
}

static void fetch_all(struct scene *s)
{
	struct err err = ERR_INIT;
	open_folder(s);
	assert_true(s->open);
	list_all(s, MOST);
	assert_int_equal(s->list_rc, 0);
	assert_int_equal(pull_want(s->pull, s->listed, s->n_listed, &err), 0);
	next_all(s);
}

/* The rest of the session still works, and everything reserved was given back. */
static void end(struct scene *s)
{
	pull_close(&s->pull);
	assert_int_equal(budget_used(s->budget), 0);
	conn_close(&s->conn);
	fake_stop(&s->fake);
	free(s->fake.v);
	secret_free(&s->secret);
	budget_free(&s->budget);
	free(s);
}

static void outcome(const struct scene *s, uint32_t uid, enum err_kind kind)
{
	size_t times = 0;
	for (size_t i = 0; i < s->n_got; i++) {
		if (s->got[i].uid != uid)
			continue;
		times++;
		if (s->got[i].kind != kind)
			fail_msg("uid %u: %s instead of %s", uid, err_kind_name(s->got[i].kind),
				 err_kind_name(kind));
	}
	if (times != 1)
		fail_msg("uid %u came %zu times", uid, times);
}

/* All but one are whole; the one has this kind. */
static void all_but(struct scene *s, uint32_t uid, enum err_kind kind)
{
	fake_sync(&s->fake);
	assert_int_equal(s->next_rc, 0);
	assert_int_equal(s->n_got, s->fake.n);
	for (size_t i = 0; i < s->fake.n; i++)
		outcome(s, s->fake.v[i].uid, s->fake.v[i].uid == uid ? kind : ERR_NONE);
}

static bool wants_body(const char *items)
{
	return strstr(items, "BODY") != NULL;
}

/* --- opening --- */

static void test_open_needs_uidvalidity(void **state)
{
	(void)state;
	static const char *const lines[] = {"* 3 EXISTS\r\n", "* OK [UIDVALIDITY 7] x\r\n",
					    "* 3 EXISTS\r\n* OK [UIDVALIDITY 0] x\r\n"};
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

static bool no_line(struct fake *f, size_t i, const char *items)
{
	return wants_body(items) && f->v[i].uid == f->special;
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
		{10, 200},         {200, 10},         {0, 5000},        {100, 400 * 1024},
		{300 * 1024, 100}, {4294967295u, 50}, {10, 250 * 1024},
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

static bool refuse_with(struct fake *f, const char *tag, const char *command, const char *answer)
{
	const char *set = strstr(command, "FETCH ");
	if (!strstr(command, "BODY") || !fake_set_has(set + 6, f->special, 0))
		return false;
	fake_say(f, "%s %s\r\n", tag, answer);
	return true;
}

static bool refuse_no(struct fake *f, const char *tag, const char *command)
{
	return refuse_with(f, tag, command, "NO [SERVERBUG] the disk has a hole");
}
static bool refuse_bad(struct fake *f, const char *tag, const char *command)
{
	return refuse_with(f, tag, command, "BAD internal error");
}
static bool refuse_busy(struct fake *f, const char *tag, const char *command)
{
	return refuse_with(f, tag, command, "NO [UNAVAILABLE] later");
}

static void test_refused_message(void **state)
{
	(void)state;
	bool (*const hooks[])(struct fake *, const char *, const char *) = {refuse_no, refuse_bad,
									    refuse_busy};
	for (size_t k = 0; k < 3; k++) {
		for (uint32_t uid = 10; uid <= 350; uid += 170) {
			struct scene *s = begin(numbered(35, 100), 35);
			s->fake.on_reply = hooks[k];
			s->fake.on_message = no_line;
			s->fake.special = uid;
			fetch_all(s);
			all_but(s, uid, ERR_MESSAGE);
			end(s);
		}
	}
	struct scene *s = begin(numbered(1, 100), 1); /* the only one */
	s->fake.on_reply = refuse_bad;
	s->fake.on_message = no_line;
	s->fake.special = 10;
	fetch_all(s);
	all_but(s, 10, ERR_MESSAGE);
	assert_string_equal(s->got[0].server, "internal error");
	end(s);
}

static bool busy_always(struct fake *f, const char *tag, const char *command)
{
	if (!strstr(command, "BODY"))
		return false;
	fake_say(f, "%s NO [UNAVAILABLE] come again\r\n", tag);
	return true;
}

static bool never(struct fake *f, size_t i, const char *items)
{
	(void)f;
	(void)i;
	return wants_body(items);
}

static void test_busy_server_is_no_items_failure(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(35, 100), 35);
	s->fake.on_reply = busy_always;
	s->fake.on_message = never;
	fetch_all(s);
	assert_int_equal(s->next_rc, -1);
	assert_int_equal(s->next_err.kind, ERR_BUSY);
	assert_int_equal(s->n_got, 0);
	end(s);
}

static bool throttle(struct fake *f, const char *tag, const char *command)
{
	if (!strstr(command, "BODY") || ++f->counter < 3)
		return false;
	fake_say(f, "%s NO Request is throttled. Suggested Backoff Time: 299961 milliseconds\r\n", tag);
	return true;
}

static void test_throttled(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(100, 100), 100);
	s->fake.on_reply = throttle;
	fetch_all(s);
	assert_int_equal(s->next_rc, -1);
	assert_int_equal(s->next_err.kind, ERR_THROTTLED);
	assert_int_equal(s->next_err.retry_after_ms, 299961);
	for (size_t i = 0; i < s->n_got; i++)
		assert_int_equal(s->got[i].kind, ERR_NONE);
	end(s);
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

/* --- listing --- */

static void listed_are(struct scene *s, size_t n)
{
	size_t found = 0;
	fake_sync(&s->fake);
	assert_int_equal(s->list_rc, 0);
	for (size_t i = 0; i < s->fake.n; i++) {
		for (size_t k = 0; k < s->n_listed; k++) {
			if (s->listed[k].uid == s->fake.v[i].uid) {
				found++;
				break;
			}
		}
	}
	assert_int_equal(found, n);
}

static void test_list_ranges(void **state)
{
	(void)state;
	for (size_t cap = 1; cap <= 100; cap += 3) {
		struct scene *s = begin(numbered(50, 100), 50);
		open_folder(s);
		list_all(s, cap);
		listed_are(s, 50);
		assert_int_equal(s->n_listed, 50);
		assert_int_equal(s->listed[0].size, 100);
		assert_int_equal(s->listed[0].flags, MAIL_SEEN);
		assert_string_equal(s->listed[7].keywords, "k80");
		assert_true(s->listed[0].received.known);
		assert_int_equal(s->listed[0].received.at, 1057049557);
		end(s);
	}
}

/* Before the second range is answered, messages in front of it are expunged. */
static bool expunge_some(struct fake *f, const char *tag, const char *command)
{
	(void)tag;
	if (strncmp(command, "FETCH ", 6) != 0 || ++f->counter != 3)
		return false;
	for (int i = 0; i < 7; i++) {
		memmove(f->v, f->v + 1, (f->n - 1) * sizeof(*f->v));
		f->n--;
		fake_say(f, "* 1 EXPUNGE\r\n");
	}
	return false;
}

static void test_list_expunged(void **state)
{
	(void)state;
	for (size_t cap = 2; cap < 60; cap += 5) {
		struct scene *s = begin(numbered(200, 100), 200);
		s->fake.on_command = expunge_some;
		open_folder(s);
		list_all(s, cap);
		fake_sync(&s->fake);
		listed_are(s, s->fake.n);
		end(s);
	}
}

/* The last message that was listed and all before it vanish, and others come. */
static bool expunge_and_deliver(struct fake *f, const char *tag, const char *command)
{
	(void)tag;
	if (strncmp(command, "FETCH ", 6) != 0 || ++f->counter != 2)
		return false;
	for (size_t i = 0; i < f->n; i++)
		f->v[i].uid += 1000000;
	fake_say(f, "* %zu EXISTS\r\n", f->n);
	return false;
}

static void test_list_all_new(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(100, 100), 100);
	s->fake.on_command = expunge_and_deliver;
	open_folder(s);
	list_all(s, 30);
	listed_are(s, 100);
	end(s);
}

static bool grow(struct fake *f, const char *tag, const char *command)
{
	(void)tag;
	if (strncmp(command, "FETCH ", 6) == 0 && f->counter < 50) {
		f->v[f->n].uid = f->v[f->n - 1].uid + 5;
		f->n++;
		f->counter++;
		fake_say(f, "* %zu EXISTS\r\n", f->n);
	}
	return false;
}

static void test_list_growing(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(100, 100), 40);
	s->fake.on_command = grow;
	open_folder(s);
	list_all(s, 10);
	fake_sync(&s->fake);
	listed_are(s, s->fake.n);
	assert_true(s->fake.n > 40);
	end(s);
}

static bool odd_line(struct fake *f, size_t i, const char *items)
{
	const uint32_t uid = f->v[i].uid;
	switch (f->counter) {
	case 0: /* UID 0 */
		if (uid == f->special && strstr(items, "SIZE")) {
			fake_say(f, "* %zu FETCH (UID 0 RFC822.SIZE 5)\r\n", i + 1);
			return true;
		}
		return false;
	case 1: /* no UID, then with it */
		if (uid == f->special && strstr(items, "SIZE")) {
			fake_say(f, "* %zu FETCH (RFC822.SIZE 5)\r\n", i + 1);
			return true;
		}
		return false;
	case 2: /* no date, no size */
		if (uid == f->special) {
			fake_say(f, "* %zu FETCH (UID %u INTERNALDATE NIL RFC822.SIZE NIL FLAGS NIL)\r\n",
				 i + 1, uid);
			return true;
		}
		return false;
	case 3: /* each line three times, and others nobody asked for */
		fake_fetch_line(f, i, items);
		fake_fetch_line(f, i, items);
		fake_say(f,
			 "* 4000000000 FETCH (UID 4000000000 RFC822.SIZE 1 FLAGS ())\r\n* %zu FETCH (FLAGS "
			 "(\\Deleted))\r\n",
			 i + 1);
		fake_fetch_line(f, i, items);
		return true;
	case 4: /* a second UID for a message */
		fake_fetch_line(f, i, items);
		fake_say(f, "* %zu FETCH (UID %u RFC822.SIZE 1)\r\n", i + 1, uid + 1);
		return true;
	default: /* no answer at all for one */
		return uid == f->special && strstr(items, "SIZE");
	}
}

static void test_list_odd_lines(void **state)
{
	(void)state;
	for (int k = 0; k <= 5; k++) {
		struct scene *s = begin(numbered(60, 100), 60);
		s->fake.on_message = odd_line;
		s->fake.counter = k;
		s->fake.special = 330;
		open_folder(s);
		list_all(s, 25);
		listed_are(s, 60);
		assert_int_equal(s->n_listed, 60);
		for (size_t i = 0; i < 60; i++)
			if (s->listed[i].uid == 330 && (k == 0 || k == 2 || k == 5))
				assert_false(s->listed[i].received.known);
		end(s);
	}
}

static void test_list_wrong_order(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(60, 100), 60);
	for (size_t i = 0; i < 60; i++)
		s->fake.v[i].uid = (uint32_t)(i * 37 % 61 * 1000 + 1); /* no order at all */
	open_folder(s);
	list_all(s, 25);
	/* "*" is not the highest here: what is above it cannot be known, what is below is all there */
	assert_true(s->list_rc == 0 || s->list_err.kind == ERR_PROTOCOL);
	end(s);
}

static void test_list_same_uid(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(60, 100), 60);
	s->fake.v[20].uid = s->fake.v[19].uid;
	s->fake.v[41].uid = s->fake.v[40].uid;
	open_folder(s);
	list_all(s, 25);
	listed_are(s, 60);
	end(s);
}

/* UIDs far apart: by UID it must not take four thousand million steps. */
static void test_list_sparse_by_uid(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(60, 100), 60);
	for (uint32_t i = 0; i < 60; i++)
		s->fake.v[i].uid = 1 + i * 70000000u;
	s->fake.v[30].uid = s->fake.v[29].uid; /* makes it go by UID */
	open_folder(s);
	list_all(s, 25);
	listed_are(s, 60);
	assert_in_range(s->fake.fetches, 1, 200);
	end(s);
}

static bool refuse_range(struct fake *f, const char *tag, const char *command)
{
	const char *set = strstr(command, "FETCH ") + 6;
	if (!strstr(command, "SIZE") || !fake_set_has(set, f->special, f->n))
		return false;
	fake_say(f, "%s NO cannot read number %u\r\n", tag, f->special);
	return true;
}

static void test_list_refused_line(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(60, 100), 60);
	s->fake.on_reply = refuse_range;
	s->fake.special = 33;
	open_folder(s);
	list_all(s, 60);
	listed_are(s, 60); /* that one without size and date */
	end(s);
}

static bool refuse_all(struct fake *f, const char *tag, const char *command)
{
	if (strncmp(command, "FETCH", 5) != 0)
		return false;
	fake_say(f, "%s NO never\r\n", tag);
	return true;
}

static void test_list_refused(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(300, 100), 300);
	s->fake.on_command = refuse_all;
	open_folder(s);
	list_all(s, 60);
	assert_int_equal(s->list_rc, -1);
	assert_int_equal(s->list_err.kind, ERR_FOLDER);
	end(s);
}

static bool flood(struct fake *f, const char *tag, const char *command)
{
	(void)tag;
	if (strncmp(command, "FETCH", 5) != 0)
		return false;
	for (long i = 0; i < 30000000 && !ferror(f->out); i++)
		fake_say(f, "* 1 FETCH (UID 1 RFC822.SIZE 1 FLAGS ())\r\n");
	return true;
}

static void test_list_flood(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(30, 100), 30);
	s->fake.on_command = flood;
	open_folder(s);
	list_all(s, 60);
	assert_int_equal(s->list_rc, -1);
	assert_int_equal(s->list_err.kind, ERR_PROTOCOL);
	end(s);
}

static bool always_moves(struct fake *f, size_t i, const char *items)
{
	fake_say(f, "* %zu FETCH (UID %u RFC822.SIZE 5)\r\n", i + 1, (uint32_t)(++f->counter + 1000));
	(void)items;
	return true;
}

static void test_list_ends_always(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(300, 100), 300);
	s->fake.on_message = always_moves;
	open_folder(s);
	size_t n = 1;
	int rc = 0;
	for (int i = 0; i < 100000 && n > 0 && rc == 0; i++)
		rc = pull_list(s->pull, s->listed, 20, &n, &s->list_err);
	assert_true(rc < 0 || n == 0);
	end(s);
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
		cmocka_unit_test(test_refused_message),
		cmocka_unit_test(test_busy_server_is_no_items_failure),
		cmocka_unit_test(test_throttled),
		cmocka_unit_test(test_cut_in_mid_literal),
		cmocka_unit_test(test_stub),
		cmocka_unit_test(test_disk),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_list_ranges),
		cmocka_unit_test(test_list_expunged),
		cmocka_unit_test(test_list_all_new),
		cmocka_unit_test(test_list_growing),
		cmocka_unit_test(test_list_odd_lines),
		cmocka_unit_test(test_list_wrong_order),
		cmocka_unit_test(test_list_same_uid),
		cmocka_unit_test(test_list_sparse_by_uid),
		cmocka_unit_test(test_list_refused_line),
		cmocka_unit_test(test_list_refused),
		cmocka_unit_test(test_list_flood),
		cmocka_unit_test(test_list_ends_always),
	};
	return cmocka_run_group_tests_name("pull", tests, NULL, NULL);
}
