/* The crash protocol's rows: intents, receipts, counts. */
#include "tests/unit/store/item_scene.h"

static void test_life_of_an_item(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct item i = an_item(1, ITEM_INTENDED), *v, full;
	size_t n;
	OK(store_intend(f.s, u.id, u.lease_epoch, &i, 1, &err));
	OK(store_in_doubt(f.s, u.id, d.id, &v, &n, &err));
	assert_int_equal(n, 1);
	assert_string_equal(v[0].print.message_id, "<m@x>");
	assert_string_equal(v[0].print.subject, "\xff raw");
	assert_string_equal(v[0].receipt.route, "imap");
	assert_int_equal(v[0].received.at, -4999);
	assert_int_equal(v[0].received.zone_min, 300);
	assert_int_equal(v[0].print.sha256[0], 1);
	assert_int_equal(v[0].key[0], 1);
	assert_true(v[0].at > 0);
	item_done(&v[0]);
	free(v);
	OK(store_intend(f.s, u.id, u.lease_epoch, &i, 1, &err)); /* again: the same */
	struct user_counts c = counts();
	assert_true(c.in_doubt == 1 && c.copied == 0 && c.found == 1);

	i = an_item(1, ITEM_PLACED);
	OK(store_placed(f.s, u.id, u.lease_epoch, &i, 1, &err));
	c = counts();
	assert_true(c.in_doubt == 0 && c.copied == 1 && c.copied_bytes == 1001);
	assert_int_equal(state_of(g.id, 1), ITEM_PLACED);
	i.state = ITEM_DONE;
	i.flags_written = MAIL_SEEN;
	OK(store_placed(f.s, u.id, u.lease_epoch, &i, 1, &err));
	OK(store_placed(f.s, u.id, u.lease_epoch, &i, 1, &err));
	c = counts();
	assert_true(c.copied == 1 && c.copied_bytes == 1001);
	OK(store_items_full(f.s, g.id, 0, &full, 1, &n, &err));
	assert_int_equal(full.state, ITEM_DONE);
	assert_int_equal(full.flags_written, MAIL_SEEN);
	assert_string_equal(full.receipt.id, "77:1");
	assert_null(full.print.message_id); /* dropped */
	assert_int_equal(full.print.sha256[0], 1);
	item_done(&full);
	OK(store_flags(f.s, u.id, u.lease_epoch, g.id, 1, MAIL_FLAGGED, MAIL_FLAGGED | MAIL_SEEN, &err));
	OK(store_flush(f.s, &err));
	OK(store_items_full(f.s, g.id, 0, &full, 1, &n, &err));
	assert_int_equal(full.flags_written, MAIL_FLAGGED | MAIL_SEEN);
	assert_int_equal(full.flags_source, MAIL_FLAGGED);
	item_done(&full);

	/* done is done */
	i = an_item(1, ITEM_INTENDED);
	FAILS(store_intend(f.s, u.id, u.lease_epoch, &i, 1, &err), ERR_CONFLICT);
	i.state = ITEM_GONE;
	OK(store_set_aside(f.s, u.id, u.lease_epoch, &i, 1, &err));
	assert_int_equal(state_of(g.id, 1), ITEM_DONE);
	OK(store_withdraw(f.s, u.id, u.lease_epoch, g.id, &(uint32_t){1}, 1, &err));
	assert_int_equal(state_of(g.id, 1), ITEM_DONE);
	c = counts();
	assert_true(c.copied == 1 && c.gone == 0 && c.in_doubt == 0);
	OK(store_in_doubt(f.s, u.id, d.id, &v, &n, &err));
	assert_int_equal(n, 0);
	free(v);
}

static void test_set_aside_and_withdraw(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct item v[4] = {an_item(1, ITEM_SKIPPED), an_item(2, ITEM_REFUSED), an_item(3, ITEM_GONE),
		an_item(4, ITEM_INTENDED)},
		    page[8];
	size_t n;
	v[1].error_kind = ERR_TOO_BIG;
	snprintf(v[1].error, sizeof(v[1].error), "36 MB: the destination takes 35");
	v[2].print.subject = NULL;
	OK(store_intend(f.s, u.id, u.lease_epoch, &v[3], 1, &err));
	OK(store_set_aside(f.s, u.id, u.lease_epoch, v, 3, &err));
	struct user_counts c = counts();
	assert_true(c.skipped == 1 && c.refused == 1 && c.gone == 1 && c.in_doubt == 1);
	OK(store_set_aside_list(f.s, u.id, 0, 0, page, 2, &n, &err));
	assert_int_equal(n, 2);
	assert_int_equal(page[1].uid, 2);
	assert_string_equal(page[1].error, "36 MB: the destination takes 35");
	assert_int_equal(page[1].error_kind, ERR_TOO_BIG);
	assert_string_equal(page[1].print.from, "a@x");
	item_done(&page[0]);
	item_done(&page[1]);
	OK(store_set_aside_list(f.s, u.id, g.id, 2, page, 8, &n, &err));
	assert_int_equal(n, 1);
	assert_string_equal(page[0].print.subject, "");
	item_done(&page[0]);
	OK(store_withdraw(f.s, u.id, u.lease_epoch, g.id, (uint32_t[]){4, 5, 1}, 3, &err));
	c = counts();
	assert_true(c.in_doubt == 0 && c.skipped == 1);
	assert_int_equal(state_of(g.id, 4), -1);
	/* a refused one may be tried again: larger limit, another route */
	v[1].state = ITEM_INTENDED;
	OK(store_intend(f.s, u.id, u.lease_epoch, &v[1], 1, &err));
	c = counts();
	assert_true(c.in_doubt == 1 && c.refused == 0);
	v[1].state = ITEM_REFUSED;
	OK(store_set_aside(f.s, u.id, u.lease_epoch, &v[1], 1, &err));
	c = counts();
	assert_true(c.in_doubt == 0 && c.refused == 1);
	struct folder_row *rows;
	OK(store_folders(f.s, u.id, &rows, &n, &err));
	assert_int_equal(n, 1);
	assert_string_equal(rows[0].path, "Inbox");
	assert_true(rows[0].current && rows[0].counts.refused == 1 && rows[0].counts.skipped == 1);
	store_folders_free(&rows, n);
	OK(store_generation_found(f.s, u.id, u.lease_epoch, g.id, 500, 123456, &err));
	OK(store_generation_found(f.s, u.id, u.lease_epoch, g.id, 400, 100000, &err));
	c = counts();
	assert_true(c.found == 400 && c.found_bytes == 100000);
}

static void test_stale_lease(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct item i = an_item(1, ITEM_INTENDED), p = an_item(2, ITEM_DONE);
	struct generation g2;
	struct dest_folder d2;
	bool changed;
	struct folder_ref ref = ref_of("Other", "1", "1", 0);
	int64_t stale = u.lease_epoch - 1;
	FAILS(store_intend(f.s, u.id, stale, &i, 1, &err), ERR_CONFLICT);
	FAILS(store_withdraw(f.s, u.id, stale, g.id, &(uint32_t){1}, 1, &err), ERR_CONFLICT);
	FAILS(store_generation(f.s, u.id, stale, "X", "X", 1, &g2, &err), ERR_CONFLICT);
	FAILS(store_dest_folder(f.s, u.id, stale, "imap", &ref, &d2, &changed, &err), ERR_CONFLICT);
	FAILS(store_generation_dest(f.s, stale, g.id, d.id, &err), ERR_CONFLICT);
	OK(store_placed(f.s, u.id, stale, &p, 1, &err));
	FAILS(store_flush(f.s, &err), ERR_CONFLICT);
	store_trouble(f.s, u.id + 1, &err);
	assert_int_equal(err.kind, ERR_NONE);
	store_trouble(f.s, u.id, &err);
	assert_int_equal(err.kind, ERR_CONFLICT);
	store_trouble(f.s, u.id, &err);
	assert_int_equal(err.kind, ERR_NONE);
	OK(store_flush(f.s, &err));
	assert_int_equal(state_of(g.id, 1), -1);
	assert_int_equal(state_of(g.id, 2), -1);
	i.generation_id = 999;
	FAILS(store_intend(f.s, u.id, u.lease_epoch, &i, 1, &err), ERR_CONFLICT);
}

static void test_one_receipt_one_item(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct item a = an_item(1, ITEM_DONE), b = an_item(2, ITEM_DONE), c = an_item(3, ITEM_DONE);
	snprintf(b.receipt.id, sizeof(b.receipt.id), "77:1"); /* the same message at the destination */
	OK(store_placed(f.s, u.id, u.lease_epoch, &a, 1, &err));
	OK(store_placed(f.s, u.id, u.lease_epoch, &b, 1, &err));
	OK(store_placed(f.s, u.id, u.lease_epoch, &c, 1, &err));
	FAILS(store_flush(f.s, &err), ERR_CONFLICT);
	store_trouble(f.s, u.id, &err);
	assert_int_equal(err.kind, ERR_CONFLICT);
	assert_non_null(strstr(err.text, "77:1"));
	err_clear(&err);
	assert_int_equal(state_of(g.id, 1), ITEM_DONE); /* only the faulty one is undone */
	assert_int_equal(state_of(g.id, 2), -1);
	assert_int_equal(state_of(g.id, 3), ITEM_DONE);
	assert_true(counts().copied == 2);
	/* without an id there is nothing to collide */
	struct item e[2] = {an_item(4, ITEM_DONE), an_item(5, ITEM_DONE)};
	e[0].receipt.id[0] = e[1].receipt.id[0] = '\0';
	OK(store_placed(f.s, u.id, u.lease_epoch, e, 2, &err));
	OK(store_flush(f.s, &err));
	char **ids;
	size_t n;
	OK(store_claimed(f.s, d.id, "imap", &ids, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(ids[0], "77:1");
	assert_string_equal(ids[1], "77:3");
	store_ids_free(&ids, n);
	/* another receipt for the same item */
	snprintf(a.receipt.id, sizeof(a.receipt.id), "77:99");
	OK(store_placed(f.s, u.id, u.lease_epoch, &a, 1, &err));
	FAILS(store_flush(f.s, &err), ERR_CONFLICT);
	store_trouble(f.s, u.id, &err);
}

static void test_notes(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct note *v;
	size_t n;
	OK(store_note(f.s, u.id, "folder", "a was mapped to b", &err));
	OK(store_note(f.s, u.id, "folder", "a was mapped to b", &err));
	OK(store_note(f.s, u.id, "dates", "one date", &err));
	OK(store_note(f.s, 4711, "dates", "nobody's", &err));
	OK(store_notes(f.s, u.id, &v, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(v[1].text, "one date");
	free(v);
	for (int i = 0; i < 2100; i++) {
		char text[32];
		snprintf(text, sizeof(text), "%d", i);
		OK(store_note(f.s, u.id, "many", text, &err));
	}
	OK(store_notes(f.s, u.id, &v, &n, &err));
	assert_int_equal(n, 2000);
	free(v);
	store_trouble(f.s, u.id, &err);
	assert_int_equal(err.kind, ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_life_of_an_item), T(test_set_aside_and_withdraw), T(test_stale_lease),
		T(test_one_receipt_one_item), T(test_notes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
