/* The route imap against an imap/ of the test's own: what is asked of it, and what becomes of each answer. */
#include "upload/target_imap.h"

#include "tests/unit/upload/imap_world.h"

static struct throttle *throttle;
static struct scope *scope;
static struct gate *gate;
static struct target *target;
static struct target_conf conf;
static struct folder_ref folder = {
	.path = (char[]){"F"}, .id = (char[]){"F"}, .generation = (char[]){"7"}, .mark = NULL};
static struct put_item items[MOST_MAILS];

static void begin(enum target_kind kind)
{
	static struct scope_limits limits = {.in_flight = 1};
	struct err e = ERR_INIT;
	conf = (struct target_conf){
		.kind = kind, .name = "t", .imap_host = "h", .mailbox = "a@b.example", .spool_dir = "/tmp"};
	if (kind == TARGET_EXCHANGE)
		conf.token = (struct token *)(void *)&a_connection;
	else
		conf.password = secret_new("pw", 2);
	throttle = throttle_new();
	scope = scope_open(throttle, NULL, "s", &limits);
	gate = gate_new(scope, NULL);
	gate_set_patience(gate, 0); /* a fence is an answer, not a wait */
	assert_int_equal(target_imap_ops.open(&target, &conf, gate, NULL, &e), 0);
}

static void add_mails(unsigned n, size_t size, unsigned flags)
{
	for (unsigned i = 0; i < n; i++) {
		struct mail *m = mail_new(i + 1);
		struct err e = ERR_INIT;
		char text[32];
		m->flags = flags;
		assert_int_equal(spool_new(&m->body, "/tmp", size, &e), 0);
		for (size_t at = 0; at < size; at += 16)
			assert_int_equal(
				spool_write(m->body, "0123456789abcdef", size - at < 16 ? size - at : 16, &e), 0);
		snprintf(text, sizeof(text), "<%u@x>", i);
		m->print = (struct fingerprint){.size = size,
			.message_id = strdup(text),
			.date = strdup(""),
			.from = strdup(""),
			.subject = strdup("")};
		m->print.sha256[0] = (uint8_t)i;
		m->print.sha256[1] = (uint8_t)(i >> 8);
		items[i] = (struct put_item){.mail = m};
	}
}

static void end(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct mail *m = (struct mail *)(uintptr_t)items[i].mail;
		mail_free(&m);
	}
	for (unsigned i = 0; i < world.n_stored; i++)
		fingerprint_done(&world.stored[i].print);
	if (target)
		target_imap_ops.close(&target);
	gate_free(&gate);
	scope_close(&scope);
	throttle_free(&throttle);
	struct secret *p = (struct secret *)(uintptr_t)conf.password;
	secret_free(&p);
	memset(&world, 0, sizeof(world));
	memset(items, 0, sizeof(items));
}

static int put(unsigned n, struct err *err)
{
	*err = ERR_INIT;
	return target_imap_ops.put(target, &folder, items, n, err);
}

static void expect(unsigned i, enum put_result result, enum err_kind kind)
{
	if (items[i].result != result || items[i].err.kind != kind)
		fail_msg(
			"item %u: %d %s (%s)", i, items[i].result, err_kind_name(items[i].err.kind), items[i].err.text);
}

static void test_groups(void **state)
{
	(void)state;
	struct err e;
	begin(TARGET_EXCHANGE);
	add_mails(200, 100, MAIL_SEEN);
	assert_int_equal(put(200, &e), 0);
	for (unsigned i = 0; i < 200; i++) {
		char id[32];
		expect(i, PUT_PLACED, ERR_NONE);
		snprintf(id, sizeof(id), "7:%u", 1000 + i);
		assert_string_equal(items[i].receipt.id, id);
		assert_string_equal(items[i].receipt.route, "imap");
	}
	assert_int_equal(world.calls, 4);
	assert_int_equal(world.largest_group, GROUP_ITEMS);
	assert_int_equal(world.stores, 0);
	end(200);
	begin(TARGET_EXCHANGE);
	add_mails(10, 1500000, 0);
	assert_int_equal(put(10, &e), 0);
	assert_int_equal(world.largest_bytes, 3000000);
	end(10);
	begin(TARGET_EXCHANGE);
	add_mails(2, GROUP_BYTES + 1, 0);
	assert_int_equal(put(2, &e), 0);
	assert_int_equal(world.calls, 2);
	assert_int_equal(put(0, &e), 0);
	end(2);
}

/* Refused messages: theirs alone; and a new session before the server's patience ends. */
static void test_refused(void **state)
{
	(void)state;
	struct err e;
	begin(TARGET_EXCHANGE);
	add_mails(300, 10, 0);
	world.kind_of[1] = ERR_TOO_BIG;
	for (unsigned uid = 70; uid <= 300; uid += 10)
		world.kind_of[uid] = ERR_MESSAGE;
	assert_int_equal(put(300, &e), 0);
	expect(0, PUT_REFUSED, ERR_TOO_BIG);
	for (unsigned i = 1; i < 300; i++)
		expect(i, world.kind_of[i + 1] ? PUT_REFUSED : PUT_PLACED, world.kind_of[i + 1]);
	assert_int_equal(world.opens, 4); /* 25 refused, at most eight in each session */
	end(300);
}

static void test_throttled(void **state)
{
	(void)state;
	struct err e;
	struct scope_view view;
	begin(TARGET_EXCHANGE);
	add_mails(100, 10, 0);
	world.kind_of[4] = ERR_THROTTLED;
	assert_int_equal(put(100, &e), 0);
	for (unsigned i = 0; i < 100; i++)
		expect(i, i < 3 ? PUT_PLACED : PUT_NOT_SENT, i < 3 ? ERR_NONE : ERR_THROTTLED);
	assert_int_equal(items[99].err.retry_after_ms, 60000);
	assert_int_equal(world.calls, 1);
	scope_look(scope, &view);
	assert_true(view.fenced);
	assert_true(view.fenced_ms > 55000 && view.fenced_ms <= 61000);
	assert_int_equal(view.in_flight, 0);
	assert_int_equal(put(1, &e), 0); /* and nothing leaves before the fence ends */
	expect(0, PUT_NOT_SENT, ERR_DEFERRED);
	assert_int_equal(world.calls, 1);
	end(100);
}

/* What concerns the folder or the mailbox is no message's failure. */
static void test_obstacles(void **state)
{
	(void)state;
	static const enum err_kind kinds[] = {ERR_QUOTA, ERR_FOLDER, ERR_RIGHTS, ERR_BUSY, ERR_MAILBOX};
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct err e;
		begin(TARGET_EXCHANGE);
		add_mails(80, 10, 0);
		world.kind_of[2] = kinds[k];
		assert_int_equal(put(80, &e), 0);
		expect(0, PUT_PLACED, ERR_NONE);
		for (unsigned i = 1; i < 80; i++)
			expect(i, PUT_NOT_SENT, kinds[k]);
		assert_int_equal(world.calls, 1);
		end(80);
	}
}

static void test_lost(void **state)
{
	(void)state;
	struct err e;
	unsigned flags;
	begin(TARGET_EXCHANGE);
	add_mails(100, 10, MAIL_FLAGGED);
	world.lost_at = 66;
	assert_int_equal(put(100, &e), -1);
	assert_int_equal(e.kind, ERR_LOST);
	assert_non_null(strstr(e.text, "a@b.example"));
	for (unsigned i = 0; i < 100; i++) {
		if (i < 65) /* placed, and the flag is still to be set */
			assert_int_equal(items[i].result, PUT_PLACED);
		else
			expect(i, i == 65 ? PUT_IN_DOUBT : PUT_NOT_SENT, ERR_LOST);
	}
	assert_int_equal(target_imap_ops.get_flags(target, &folder, "7:1000", &flags, &e), -1);
	assert_int_equal(e.kind, ERR_LOST);
	end(100);
}

static void test_flagged(void **state)
{
	(void)state;
	struct err e;
	begin(TARGET_EXCHANGE);
	add_mails(3, 10, MAIL_SEEN | MAIL_FLAGGED);
	((struct mail *)(uintptr_t)items[1].mail)->flags = MAIL_SEEN;
	assert_int_equal(put(3, &e), 0);
	assert_null(strstr(world.last_flags, "\\Flagged"));
	assert_non_null(strstr(world.last_flags, "\\Seen"));
	assert_int_equal(world.stores, 1);
	assert_string_equal(world.store_set, "1000,1002");
	for (unsigned i = 0; i < 3; i++)
		expect(i, PUT_PLACED, ERR_NONE);
	world.flag_does_not_stay = true;
	assert_int_equal(put(3, &e), 0);
	expect(0, PUT_PLACED, ERR_MESSAGE);
	expect(1, PUT_PLACED, ERR_NONE);
	world.store_fails = ERR_BUSY;
	assert_int_equal(put(3, &e), 0);
	assert_int_equal(items[0].result, PUT_PLACED);
	assert_int_not_equal(items[0].err.kind, ERR_NONE);
	expect(1, PUT_PLACED, ERR_NONE);
	end(3);
	begin(TARGET_IMAP);
	add_mails(1, 10, MAIL_FLAGGED);
	assert_int_equal(put(1, &e), 0);
	assert_non_null(strstr(world.last_flags, "\\Flagged"));
	assert_int_equal(world.stores, 0);
	end(1);
}

static void test_long_keywords(void **state)
{
	(void)state;
	struct err e;
	char *words = calloc(1, 2100);
	begin(TARGET_IMAP);
	add_mails(1, 10, MAIL_SEEN);
	for (int i = 0; i < 400; i++)
		snprintf(words + (size_t)5 * (size_t)i, 6, "k%03d ", i);
	struct mail *m = (struct mail *)(uintptr_t)items[0].mail;
	free(m->keywords);
	m->keywords = words;
	assert_int_equal(put(1, &e), 0);
	expect(0, PUT_PLACED, ERR_NONE);
	assert_string_equal(world.last_flags, "(\\Seen)");
	end(1);
}

static struct mail *mail_at(unsigned i)
{
	return (struct mail *)(uintptr_t)items[i].mail;
}

static void expect_ids(unsigned n, const char *const *ids)
{
	for (unsigned i = 0; i < n; i++) {
		expect(i, PUT_PLACED, ERR_NONE);
		if (strcmp(items[i].receipt.id, ids[i]) != 0)
			fail_msg("item %u: %s instead of %s", i, items[i].receipt.id, ids[i]);
	}
}

/* No APPENDUID: what is new in the folder tells where each message went, unless somebody else delivers the same. */
static void test_no_appenduid(void **state)
{
	(void)state;
	static const char *const ids[] = {"7:1000", "7:1001", "7:1002", "7:1003", "7:1004", "7:1005"};
	static const char *const later[] = {"7:1006", "7:1007", "7:1008", "7:1009", "7:1010", "7:1011"};
	static char mark[] = "1000";
	static const char *const foreign[] = {"", "7:1014"};
	for (int announced = 0; announced < 2; announced++) {
		for (int recodes = 0; recodes < 2; recodes++) {
			struct err e;
			begin(TARGET_EXCHANGE);
			world.no_uidplus = !announced;
			world.no_appenduid = true;
			world.recodes = recodes;
			add_mails(6, 10, MAIL_FLAGGED);
			fingerprint_done(
				&mail_at(3)
					 ->print); /* 3 is 2 again; 5 has 4's header and another body; 1 has no Message-ID */
			assert_int_equal(fingerprint_copy(&mail_at(3)->print, &mail_at(2)->print, &e), 0);
			free(mail_at(5)->print.message_id);
			mail_at(5)->print.message_id = strdup(mail_at(4)->print.message_id);
			assert_int_equal(spool_write(mail_at(5)->body, "\r\n\r\nbody", 8, &e), 0);
			mail_at(5)->print.size += 8;
			mail_at(1)->print.message_id[0] = '\0';
			folder.mark = mark;
			assert_int_equal(put(6, &e), 0);
			expect_ids(6, ids);
			assert_int_equal(world.reads, 2); /* of 4 and 5 */
			assert_string_equal(world.store_set, "1000,1001,1002,1003,1004,1005");
			assert_int_equal(put(6, &e), 0);
			expect_ids(6, later);
			/* the same message came from elsewhere while we sent it: which one is ours? */
			world.twice = 1;
			mail_at(0)->flags = mail_at(1)->flags = 0;
			assert_int_equal(put(2, &e), 0);
			expect_ids(2, foreign);
			folder.mark = NULL;
			end(6);
		}
	}
	struct err e;
	begin(TARGET_IMAP);
	world.no_uidplus = true;
	add_mails(3, 10, 0);
	world.lost_at = 3; /* a dead session is asked nothing */
	assert_int_equal(put(3, &e), -1);
	expect(0, PUT_PLACED, ERR_NONE);
	assert_string_equal(items[0].receipt.id, "");
	expect(2, PUT_IN_DOUBT, ERR_LOST);
	end(3);
}

static void test_sign_in(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	world.refuse_opens = 1;
	begin(TARGET_EXCHANGE); /* the first token is refused, a fresh one is taken */
	assert_int_equal(world.opens, 2);
	assert_int_equal(world.tokens, 2);
	assert_string_equal(world.refused_token, "token-1");
	target_imap_ops.close(&target);
	world.refuse_opens = 2;
	assert_int_equal(target_imap_ops.open(&target, &conf, gate, NULL, &e), -1);
	assert_null(target);
	assert_int_equal(e.kind, ERR_CREDENTIALS);
	assert_non_null(strstr(e.hint, "Get-CASMailbox"));
	assert_non_null(strstr(e.hint, "target setup"));
	assert_non_null(strstr(e.hint, "a@b.example"));
	assert_int_equal(world.opens, 4);
	end(0);
	begin(TARGET_IMAP); /* a password is tried once */
	target_imap_ops.close(&target);
	world.refuse_opens = 1;
	assert_int_equal(target_imap_ops.open(&target, &conf, gate, NULL, &e), -1);
	assert_int_equal(world.opens, 2);
	end(0);
}

static void expect_folder(const char *path, const char *id, unsigned created)
{
	struct folder_ref f;
	struct err e = ERR_INIT;
	if (target_imap_ops.folder(target, path, &f, &e))
		fail_msg("%s: %s", path, e.text);
	assert_string_equal(f.id, id);
	assert_string_equal(f.path, path);
	assert_string_equal(f.generation, "7");
	assert_int_equal(world.n_created, created);
	folder_ref_done(&f);
}

static void test_folders(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct folder_ref f;
	static const char *exchange[][2] = {
		{"INBOX", "INBOX"}, {"Sent Items", "Sent Items"}, {"INBOX/Sub", "INBOX/Sub"}, {NULL, NULL}};
	world.listed = exchange;
	world.separator = '/';
	begin(TARGET_EXCHANGE);
	expect_folder("sent items", "Sent Items", 0);
	expect_folder("Inbox/SUB", "INBOX/Sub", 0);
	expect_folder("SENT ITEMS/\xc3\xbc/b", "Sent Items/&APw-/b", 2);
	expect_folder("sent items/\xc3\xbc", "Sent Items/&APw-", 2);
	assert_string_equal(world.created[0], "Sent Items/&APw-");
	assert_string_equal(world.created[1], "Sent Items/&APw-/b");
	assert_int_equal(target_imap_ops.folder(target, "a//b", &f, &e), -1);
	assert_int_equal(e.kind, ERR_FOLDER);
	world.refuse_create = "Files";
	assert_int_equal(target_imap_ops.folder(target, "Files", &f, &e), -1);
	assert_int_equal(e.kind, ERR_FOLDER);
	end(0);
	static const char *fresh[][2] = {{"INBOX", "INBOX"}, {NULL, NULL}};
	world.listed = fresh; /* Courier: nothing tells that all folders live below INBOX until one is refused */
	world.separator = '.';
	world.refuse_create = "Work";
	begin(TARGET_IMAP);
	expect_folder("Work", "INBOX.Work", 1);
	expect_folder("Work/a", "INBOX.Work.a", 2);
	expect_folder("Other", "INBOX.Other", 3);
	assert_int_equal(target_imap_ops.folder(target, "a.b", &f, &e), -1);
	assert_int_equal(e.kind, ERR_FOLDER);
	end(0);
	static const char *below[][2] = {{"INBOX", "INBOX"}, {"INBOX.Sent", "Sent"}, {NULL, NULL}};
	world.listed = below;
	world.separator = '.';
	begin(TARGET_IMAP);
	struct map_rules rules = {0};
	assert_int_equal(target_imap_ops.rules(target, &rules, &e), 0);
	assert_int_equal(rules.separator, '.');
	assert_false(rules.exchange);
	expect_folder("Sent", "INBOX.Sent", 0);
	expect_folder("Work", "INBOX.Work", 1);
	end(0);
}

static void test_ids(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	uint32_t uid;
	static const char *const bad[] = {
		"", ":", "7", "7:", ":5", "x:5", "7:5x", "7:-5", "4294967296:1", "7:4294967296", "7:5 "};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(target_imap_parse_id(&folder, bad[i], &uid, &e), -1);
		assert_int_equal(e.kind, ERR_INTERNAL);
	}
	assert_int_equal(target_imap_parse_id(&folder, "8:5", &uid, &e), -1);
	assert_int_equal(e.kind, ERR_CHANGED);
	assert_int_equal(target_imap_parse_id(&folder, "7:4294967295", &uid, &e), 0);
	assert_true(uid == UINT32_MAX);
}

int main(void)
{
	upload_init();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_throttled),
		cmocka_unit_test(test_obstacles),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_flagged),
		cmocka_unit_test(test_long_keywords),
		cmocka_unit_test(test_no_appenduid),
		cmocka_unit_test(test_sign_in),
		cmocka_unit_test(test_folders),
		cmocka_unit_test(test_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
