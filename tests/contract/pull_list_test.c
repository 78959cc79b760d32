/* Listing a folder that changes meanwhile, or whose server numbers, repeats and refuses as it likes: nothing is passed over, and it
   ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/contract/pull_scene.h"

#include <signal.h>

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
			fake_say(f, "* %zu FETCH (UID %u INTERNALDATE NIL RFC822.SIZE NIL FLAGS NIL)\r\n", i + 1, uid);
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
	return cmocka_run_group_tests_name("pull list", tests, NULL, NULL);
}
