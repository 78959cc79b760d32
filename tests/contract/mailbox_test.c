/* The contract of a destination: ways to append, refusals, lists, flags, what is expunged meanwhile, probes that are removed; on every server. */
#include "tests/contract/imap_scene.h"

/* With and without LITERAL+, pipelined and not: the same result. */
static void test_ways_to_append(void **state)
{
	struct server *s = server(state);
	static const unsigned quirks[] = {
		QUIRK_NO_LITERAL_PLUS, QUIRK_NO_PIPELINE, QUIRK_NO_LITERAL_PLUS | QUIRK_NO_PIPELINE};
	for (size_t q = 0; q < sizeof(quirks) / sizeof(quirks[0]); q++) {
		struct server other = *s;
		struct err err = ERR_INIT;
		char folder[300], name[20];
		struct mail *sent[20], *got[20];
		struct append_item items[20];
		other.conf.quirks = quirks[q];
		must(conn_open(&other.conn, &other.conf, NULL, NULL, NULL, &err), &err, "sign-in");
		snprintf(name, sizeof(name), "way%zu", q);
		make_folder(&other, name, folder, sizeof(folder));
		for (unsigned i = 0; i < 20; i++)
			sent[i] = make_numbered(i, i * 1000);
		append_all(&other, folder, sent, "()", items, 20);
		must_be_placed(items, 20);
		assert_int_equal(pull_all(&other, folder, got, 20), 20);
		qsort(got, 20, sizeof(got[0]), compare_uid);
		for (size_t i = 0; i < 20; i++) {
			same_octets(sent[i], got[i]);
			pull_release(s->budget, &got[i]);
			mail_free(&sent[i]);
		}
		conn_close(&other.conn);
	}
}

static void test_refusals(void **state)
{
	struct server *s = server(state);
	struct pull *p;
	struct folder_state fs;
	struct err err = ERR_INIT;
	char raw[300];
	const struct pull_conf conf = {.spool_dir = spool_dir, .memory = s->budget};
	make_name(s, "never made", raw, sizeof(raw));
	assert_int_equal(pull_open(&p, s->conn, raw, &conf, &fs, &err), -1);
	assert_int_equal(err.kind, ERR_FOLDER);
	assert_null(p);
	struct mail *v[3] = {make_numbered(1, 10), make_numbered(2, 10), make_numbered(3, 10)};
	struct append_item items[3];
	append_all(s, raw, v, "()", items, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_true(items[i].result == APPEND_REFUSED || items[i].result == APPEND_NOT_SENT);
		assert_int_equal(items[i].err.kind, ERR_FOLDER);
		mail_free(&v[i]);
	}
	assert_false(conn_is_dead(s->conn));
	must(conn_noop(s->conn, &err), &err, "noop");
}

static void test_mailbox(void **state)
{
	struct server *s = server(state);
	enum { N = 50 };
	char folder[300], set[20];
	struct mail *sent[N];
	struct append_item items[N];
	struct mailbox_entry entries[N];
	struct err err = ERR_INIT;
	uint32_t validity, next, exists, uids[N], from = 0;
	size_t n, total = 0;
	unsigned flags;
	make_folder(s, "mailbox", folder, sizeof(folder));
	must(mailbox_select(s->conn, folder, &validity, &next, &exists, &err), &err, "select");
	assert_int_equal(exists, 0);
	must(mailbox_list(s->conn, 0, entries, N, &n, &err), &err, "list of nothing");
	assert_int_equal(n, 0);
	for (unsigned i = 0; i < N; i++)
		sent[i] = make_numbered(i, 20);
	append_all(s, folder, sent, "()", items, N);
	must_be_placed(items, N);
	must(mailbox_select(s->conn, folder, &validity, &next, &exists, &err), &err, "select");
	assert_int_equal(exists, N);
	for (;;) {
		must(mailbox_list(s->conn, from, entries, 7, &n, &err), &err, "list");
		if (n == 0)
			break;
		for (size_t i = 0; i < n; i++) {
			assert_true(entries[i].uid >= from);
			assert_string_equal(entries[i].print.message_id, sent[total]->print.message_id);
			assert_string_equal(entries[i].print.subject, sent[total]->print.subject);
			assert_string_equal(entries[i].print.from, sent[total]->print.from);
			assert_string_equal(entries[i].print.date, sent[total]->print.date);
			assert_int_equal(entries[i].size, sent[total]->print.size);
			uids[total++] = entries[i].uid;
			from = entries[i].uid + 1;
			fingerprint_done(&entries[i].print);
		}
	}
	assert_int_equal(total, N);
	uint32_t found[N];
	must(mailbox_uids(s->conn, uids[3], uids[40], found, N, &n, &err), &err, "uids");
	assert_int_equal(n, 38);
	assert_memory_equal(found, uids + 3, 38 * sizeof(uids[0]));
	snprintf(set, sizeof(set), "%lu:%lu", (unsigned long)uids[0], (unsigned long)uids[9]);
	must(mailbox_store(s->conn, set, true, "(\\Flagged)", &err), &err, "store");
	must(mailbox_flags(s->conn, uids[5], &flags, &err), &err, "flags");
	assert_int_equal(flags & MAIL_FLAGGED, MAIL_FLAGGED);
	must(mailbox_store(s->conn, set, false, "(\\Flagged)", &err), &err, "store");
	must(mailbox_flags(s->conn, uids[5], &flags, &err), &err, "flags");
	assert_int_equal(flags & MAIL_FLAGGED, 0);
	assert_int_equal(mailbox_flags(s->conn, uids[N - 1] + 1000, &flags, &err), -1);
	assert_int_equal(err.kind, ERR_GONE);
	struct spool *body;
	assert_int_equal(mailbox_read(s->conn, uids[N - 1] + 1000, spool_dir, &body, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_GONE);
	assert_null(body);
	for (unsigned i = 0; i < N; i++)
		mail_free(&sent[i]);
}

/* Messages that vanish between listing and fetching are GONE, one by one; those that vanish while we list cost nobody else. */
static void test_expunged_meanwhile(void **state)
{
	struct server *s = server(state);
	enum { N = 60 };
	char folder[300], set[40];
	struct mail *sent[N], *m;
	struct append_item items[N];
	struct pull_meta meta[N];
	struct err err = ERR_INIT, item = ERR_INIT;
	struct server other = *s;
	struct pull *p;
	struct folder_state fs;
	uint32_t validity, next, exists;
	size_t n, listed = 0, gone = 0, whole = 0;
	const struct pull_conf conf = {.spool_dir = spool_dir, .memory = s->budget, .set_messages = 10};
	if (!conn_has_capability(s->conn, "UIDPLUS"))
		skip();
	make_folder(s, "expunged", folder, sizeof(folder));
	for (unsigned i = 0; i < N; i++)
		sent[i] = make_numbered(i, 20);
	append_all(s, folder, sent, "()", items, N);
	must_be_placed(items, N);
	must(conn_open(&other.conn, &other.conf, NULL, NULL, NULL, &err), &err, "sign-in");
	must(pull_open(&p, s->conn, folder, &conf, &fs, &err), &err, "examine");
	for (bool expunged = false;; expunged = true) {
		must(pull_list(p, meta + listed, 20, &n, &err), &err, "list");
		if (n == 0)
			break;
		listed += n;
		if (expunged)
			continue;
		/* the first ten go while we are at the first range */
		must(mailbox_select(other.conn, folder, &validity, &next, &exists, &err), &err, "select");
		snprintf(set, sizeof(set), "%lu:%lu", (unsigned long)meta[0].uid, (unsigned long)meta[9].uid);
		must(mailbox_store(other.conn, set, true, "(\\Deleted)", &err), &err, "store");
		for (size_t i = 0; i < 10; i++)
			must(mailbox_remove_probe(other.conn, folder, meta[i].uid, &err), &err, "expunge");
		must(conn_noop(s->conn, &err), &err, "noop");
	}
	assert_in_range(listed, N, N + 20);
	must(pull_want(p, meta, listed, &err), &err, "want");
	for (;;) {
		must(pull_next(p, &m, &item, &err), &err, "next");
		if (!m)
			break;
		if (item.kind == ERR_NONE)
			whole++;
		else
			gone += item.kind == ERR_GONE || item.kind == ERR_MESSAGE;
		pull_release(s->budget, &m);
	}
	assert_int_equal(gone, 10);
	assert_int_equal(whole, listed - 10);
	pull_close(&p);
	conn_close(&other.conn);
	for (unsigned i = 0; i < N; i++)
		mail_free(&sent[i]);
}

static void test_probe_is_removed(void **state)
{
	struct server *s = server(state);
	char folder[300];
	struct mail *m = make_numbered(1, 20);
	struct append_item item;
	struct err err = ERR_INIT;
	struct folder_list l;
	uint32_t validity, next, exists;
	struct mailbox_entry entry;
	size_t n;
	make_folder(s, "probe", folder, sizeof(folder));
	append_all(s, folder, &m, "(\\Seen)", &item, 1);
	must_be_placed(&item, 1);
	must(mailbox_select(s->conn, folder, &validity, &next, &exists, &err), &err, "select");
	must(mailbox_list(s->conn, 1, &entry, 1, &n, &err), &err, "list");
	assert_int_equal(n, 1);
	fingerprint_done(&entry.print);
	must(mailbox_remove_probe(s->conn, folder, 0, &err), &err, "not yet: it is not empty");
	must(mailbox_remove_probe(s->conn, folder, entry.uid, &err), &err, "remove");
	must(mailbox_remove_probe(s->conn, folder, 0, &err), &err, "remove the folder");
	must(mailbox_remove_probe(s->conn, folder, 0, &err), &err, "remove what is not there");
	must(folder_list(s->conn, NULL, &l, NULL, &err), &err, "list");
	assert_null(find_raw(&l, folder));
	folder_list_done(&l);
	mail_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways_to_append),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_mailbox),
		cmocka_unit_test(test_expunged_meanwhile),
		cmocka_unit_test(test_probe_is_removed),
	};
	return cmocka_run_group_tests_name("mailbox contract", tests, setup, teardown);
}
