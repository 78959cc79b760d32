/* Proofs of routes: kept, asked for, doubted; and what an older state file knew. */
#include "tests/unit/store/fixture.h"

#include <sqlite3.h>

static struct scratch f;

static int set_up(void **unused)
{
	(void)unused;
	scratch_make(&f);
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	scratch_remove(&f);
	return 0;
}

static int64_t target_made(const char *name, enum target_kind kind)
{
	struct err err = ERR_INIT;
	struct target_row t = {.kind = kind, .tenant = "contoso", .settle_after_ms = -1, .max_mailboxes = 100};
	snprintf(t.name, sizeof(t.name), "%s", name);
	snprintf(t.graph_url, sizeof(t.graph_url), "https://graph.example");
	OK(store_target_save(f.s, &t, &err));
	struct target_row back;
	OK(store_target_by_id(f.s, t.id, &back, &err));
	assert_string_equal(back.graph_url, "https://graph.example");
	return t.id;
}

static bool usable(int64_t target_id, const char *route, uint64_t *most)
{
	struct err err = ERR_INIT;
	bool yes;
	OK(store_proof_usable(f.s, target_id, route, &yes, most, &err));
	return yes;
}

static struct proof proof_of(int64_t target_id, const char *route, bool passed)
{
	struct proof p = {.target_id = target_id, .at = 1000, .passed = passed, .largest = 3000, .date_kept = true};
	snprintf(p.route, sizeof(p.route), "%s", route);
	snprintf(p.mailbox, sizeof(p.mailbox), "pilot@contoso.example");
	snprintf(p.text, sizeof(p.text), "found");
	return p;
}

static void test_what_carries_mail(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	uint64_t most;
	scratch_open(&f);
	int64_t cloud = target_made("cloud", TARGET_EXCHANGE), other = target_made("other", TARGET_IMAP);
	assert_true(usable(other, "imap", &most)); /* any IMAP host: no proof is asked for */
	assert_int_equal(most, 0);
	assert_false(usable(cloud, "imap", &most));
	struct proof p = proof_of(cloud, "imap", false);
	OK(store_proof_save(f.s, &p, &err));
	assert_false(usable(cloud, "imap", &most));
	p.passed = true;
	OK(store_proof_save(f.s, &p, &err)); /* replaces */
	assert_true(usable(cloud, "imap", &most));
	assert_int_equal(most, 0); /* all sizes that were tried went through */
	p.refused = 4000;
	OK(store_proof_save(f.s, &p, &err));
	assert_true(usable(cloud, "imap", &most));
	assert_int_equal(most, 0); /* the pilot's limit is not another mailbox's */
	assert_false(usable(cloud, "mime", &most));
	p = proof_of(cloud, "mime", true);
	OK(store_proof_save(f.s, &p, &err));
	assert_true(usable(cloud, "mime", &most));
	assert_int_equal(most, 0); /* small probe messages alone say nothing of sizes */
	p.largest = 3000000;
	OK(store_proof_save(f.s, &p, &err));
	assert_true(usable(cloud, "mime", &most));
	assert_int_equal(most, 3000000); /* not more than was seen */
	bool yes;
	FAILS(store_proof_usable(f.s, 999, "imap", &yes, &most, &err), ERR_NOT_FOUND);
	OK(store_proof_drop(f.s, cloud, &err));
	assert_false(usable(cloud, "mime", &most));
	p = proof_of(cloud, "mime", true);
	OK(store_proof_save(f.s, &p, &err));
	OK(store_target_delete(f.s, cloud, &err)); /* its proofs go with it */
	struct proof *v;
	size_t n;
	OK(store_proof_list(f.s, cloud, &v, &n, &err));
	assert_int_equal(n, 0);
	free(v);
	p.target_id = 999;
	err = ERR_INIT;
	assert_int_equal(store_proof_save(f.s, &p, &err), -1);
}

static void test_doubts(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct proof *v;
	size_t n;
	uint64_t most;
	scratch_open(&f);
	int64_t cloud = target_made("cloud", TARGET_EXCHANGE);
	OK(store_proof_suspect(f.s, cloud, "imap", "no such proof: nothing happens", 5, &err));
	struct proof p = proof_of(cloud, "imap", true);
	OK(store_proof_save(f.s, &p, &err));
	p = proof_of(cloud, "mime", false);
	OK(store_proof_save(f.s, &p, &err));
	OK(store_proof_suspect(f.s, cloud, "imap", "first", 6, &err));
	OK(store_proof_suspect(f.s, cloud, "imap", "second", 7, &err));
	OK(store_proof_suspect(f.s, cloud, "mime", "it failed anyway", 7, &err));
	OK(store_proof_list(f.s, cloud, &v, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(v[0].route, "imap");
	assert_int_equal(v[0].suspect_at, 6);
	assert_string_equal(v[0].suspect_text, "first");
	assert_string_equal(v[0].mailbox, "pilot@contoso.example");
	assert_true(v[0].date_kept && !v[0].flags_kept);
	assert_int_equal(v[1].suspect_at, 0);
	assert_true(usable(cloud, "imap", &most)); /* a suspicion does not end a night */
	v[0].at = 8;
	v[0].suspect_at = 0;
	v[0].suspect_text[0] = 0;
	OK(store_proof_save(f.s, &v[0], &err));
	free(v);
	OK(store_proof_list(f.s, cloud, &v, &n, &err));
	assert_int_equal(v[0].suspect_at, 0);
	assert_string_equal(v[0].suspect_text, "");
	free(v);
}

/* A target that passed the test of schema 1 need not be tested again before its batches go on. */
static void test_older_state(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct target_row t;
	char dir[96], text[65536];
	sqlite3 *db;
	uint64_t most;
	FILE *in = fopen("tests/unit/store/version_1.sql", "r");
	assert_non_null(in);
	size_t got = fread(text, 1, sizeof(text) - 1, in);
	text[got] = 0;
	fclose(in);
	snprintf(dir, sizeof(dir), "%s/state", f.dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(sqlite3_open(f.state, &db), SQLITE_OK);
	char *why = NULL;
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
	sqlite3_close(db);
	scratch_open(&f);
	OK(store_target_get(f.s, "cloud", &t, &err));
	assert_string_equal(t.graph_url, "");
	assert_true(usable(t.id, "imap", &most));
	assert_false(usable(t.id, "mime", &most));
	struct proof *v;
	size_t n;
	OK(store_proof_list(f.s, t.id, &v, &n, &err));
	assert_int_equal(n, 1);
	assert_int_equal(v[0].at, 1700000000);
	assert_true(v[0].date_kept);
	free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_carries_mail, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_doubts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_older_state, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
