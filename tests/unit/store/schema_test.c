/* A state file of the first published schema is brought up to today's, with what is in it. */
#include "tests/unit/store/fixture.h"
#include "tests/unit/store/schema_1.h"

#include <sqlite3.h>
#include <sys/stat.h>

static void make_old(const char *path)
{
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	static const char *const texts[] = {schema_1,
		"INSERT INTO endpoint (name, host, port, tls, ca_file, any_certificate, auth, admin_user, "
		"login_template, "
		"provider, max_mailboxes, max_connections, bytes_per_s, bytes_per_day, quirks, silence_ms, retry_ms, "
		"test_user, "
		"tested_at, test_passed, test_skipped, test_text, created_at) VALUES ('src', 'imap.example.pk', 993, "
		"0, '', 0, 0, "
		"'', '', '', 20, 20, 0, 0, 0, 0, 0, 'u', 0, 1, 0, '', 5);",
		"INSERT INTO target (name, kind, tenant, client_id, cloud, login_url, imap_host, imap_port, imap_tls, "
		"ca_file, "
		"any_certificate, auth, login_template, routes, max_message_bytes, settle_after_ms, bytes_per_s, "
		"max_mailboxes, "
		"test_user, tested_at, test_passed, test_skipped, test_text, created_at) VALUES ('cloud', 0, 't', 'c', "
		"'', '', '', "
		"993, 0, '', 0, 0, '', 'imap', 0, -1, 0, 50, 'p', 0, 1, 0, '', 5);",
		"INSERT INTO batch (name, endpoint_id, target_id, pilot, without_pilot, state, max_mailboxes, uploads, "
		"bytes_per_s, "
		"existing, copy_deleted, date_from_header, folders_in, folders_out, skips_acknowledged, verdict, "
		"created_at, "
		"started_at, ended_at) VALUES ('wave', 1, 1, 0, 0, 0, 2, 1, 0, 0, 0, 0, '', '', 0, '', 5, 0, 0);",
		"INSERT INTO user (batch_id, line, source_user, user_root, address, address_key, state) VALUES "
		"(1, 1, 'ann', '', 'ann@x.example', 'ann@x.example', 8); INSERT INTO work (user_id, copied) VALUES (1, "
		"77);",
		"PRAGMA application_id = 1313236594; PRAGMA user_version = 1; PRAGMA journal_mode = WAL"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (sqlite3_exec(db, texts[i], NULL, NULL, NULL) != SQLITE_OK)
			fail_msg("%zu: %s", i, sqlite3_errmsg(db));
	}
	sqlite3_close(db);
}

static void test_the_first_published_schema_is_brought_up(void **state)
{
	(void)state;
	struct scratch f;
	struct err err = ERR_INIT;
	scratch_make(&f);
	char folder[96];
	snprintf(folder, sizeof(folder), "%s/state", f.dir);
	assert_int_equal(mkdir(folder, 0700), 0);
	make_old(f.state);
	scratch_open(&f);
	struct batch b;
	struct endpoint e;
	struct target_row t;
	struct user *v = NULL;
	size_t n = 0;
	OK(store_batch_get(f.s, "wave", &b, &err));
	OK(store_endpoint_by_id(f.s, b.endpoint_id, &e, &err));
	OK(store_target_by_id(f.s, b.target_id, &t, &err));
	OK(store_user_list(f.s, b.id, &v, &n, &err));
	assert_int_equal(n, 1);
	assert_string_equal(v[0].source_user, "ann");
	assert_int_equal(v[0].counts.copied, 77);
	free(v);
	/* and all that came later works on it */
	OK(store_endpoint_save(f.s, &e, &err));
	OK(store_target_save(f.s, &t, &err));
	OK(store_batch_save(f.s, &b, &err));
	int64_t other = scratch_batch(&f, "next", 2, 2);
	assert_true(other > b.id);
	scratch_remove(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_first_published_schema_is_brought_up)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
