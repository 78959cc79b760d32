/* What was at the destination before, and what is carried over from an older generation. */
#include "tests/unit/store/item_scene.h"

static void test_existing(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct existing v[3] = {{.id = "77:1", .size = 10, .key = {5}}, {.id = "77:2", .size = 11, .key = {5}},
		{.id = "77:3", .key = {6}}},
			found[8];
	size_t n;
	OK(store_existing_add(f.s, u.id, u.lease_epoch, d.id, v, 2, false, &err));
	OK(store_existing_add(
		f.s, u.id, u.lease_epoch, d.id, v + 1, 2, true, &err)); /* one twice: the index was begun anew */
	OK(store_existing_find(f.s, d.id, v[0].key, found, 8, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(found[0].id, "77:1");
	assert_int_equal(found[0].size, 10);
	OK(store_existing_find(f.s, d.id, v[0].key, found, 1, &n, &err));
	assert_int_equal(n, 1);
	/* taken over, but only queued yet: not offered again */
	struct item i = an_item(1, ITEM_DONE);
	i.how = HOW_ADOPTED;
	OK(store_placed(f.s, u.id, u.lease_epoch, &i, 1, &err));
	OK(store_existing_find(f.s, d.id, v[0].key, found, 8, &n, &err));
	assert_int_equal(n, 1);
	assert_string_equal(found[0].id, "77:2");
	OK(store_flush(f.s, &err));
	OK(store_existing_find(f.s, d.id, v[0].key, found, 8, &n, &err));
	assert_int_equal(n, 1);
	struct user_counts c = counts();
	assert_true(c.adopted == 1 && c.copied == 0 && c.copied_bytes == 0);
}

static void test_carry(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct generation next, back;
	struct item v[3] = {an_item(1, ITEM_DONE), an_item(2, ITEM_PLACED), an_item(3, ITEM_DONE)},
		    doubt = an_item(4, ITEM_INTENDED), full;
	bool carried;
	size_t n;
	v[2].print.sha256[0] = 1; /* 1 and 3 are identical */
	struct item aside = an_item(5, ITEM_REFUSED), page[2];
	OK(store_set_aside(f.s, u.id, u.lease_epoch, &aside, 1, &err));
	OK(store_intend(f.s, u.id, u.lease_epoch, &doubt, 1, &err));
	OK(store_placed(f.s, u.id, u.lease_epoch, v, 3, &err));
	OK(store_flush(f.s, &err));
	OK(store_generation_found(f.s, u.id, u.lease_epoch, g.id, 50, 1, &err));
	OK(store_generation(f.s, u.id, u.lease_epoch, "INBOX", "INBOX", 12, &next, &err));
	assert_int_equal(next.older_id, g.id);
	assert_int_equal(next.dest_folder_id, 0);
	assert_true(counts().found < 50);
	/* what was set aside is looked at again under its new UID: it is not told twice */
	OK(store_set_aside_list(f.s, u.id, 0, 0, page, 2, &n, &err));
	assert_int_equal(n, 0);
	/* settled after the generation was left: it must be found too */
	doubt = an_item(4, ITEM_DONE);
	OK(store_placed(f.s, u.id, u.lease_epoch, &doubt, 1, &err));
	OK(store_flush(f.s, &err));
	static const struct {
		uint8_t sha;
		bool carried;
	} rows[] = {{1, true}, {1, true}, {1, false}, {2, true}, {4, true}, {9, false}};
	for (uint32_t k = 0; k < 6; k++) {
		struct item i = item_of(next.id, 101 + k, ITEM_DONE);
		i.print.sha256[0] = rows[k].sha;
		OK(store_carry(f.s, u.id, u.lease_epoch, &next, &i, &carried, &err));
		if (carried != rows[k].carried)
			fail_msg("row %u", k);
	}
	OK(store_items_full(f.s, next.id, 102, &full, 1, &n, &err));
	assert_int_equal(full.uid, 104);
	assert_int_equal(full.state, ITEM_PLACED);
	assert_int_equal(full.how, HOW_CARRIED);
	assert_string_equal(full.receipt.id, "77:2");
	assert_int_equal(full.dest_folder_id, d.id);
	item_done(&full);
	struct user_counts c = counts();
	assert_true(c.copied == 4 && c.in_doubt == 0 && c.copied_bytes == 1001 + 1002 + 1003 + 1004);
	struct folder_row *rows_of;
	OK(store_folders(f.s, u.id, &rows_of, &n, &err));
	assert_int_equal(n, 2);
	assert_true(!rows_of[0].current && rows_of[0].counts.copied == 0 && rows_of[1].current &&
		    rows_of[1].counts.copied == 4);
	store_folders_free(&rows_of, n);
	/* the server goes back to the old UIDVALIDITY */
	OK(store_generation(f.s, u.id, u.lease_epoch, "INBOX", "INBOX", 11, &back, &err));
	assert_int_equal(back.id, g.id);
	assert_int_equal(back.older_id, next.id);
	struct item i = item_of(back.id, 1, ITEM_DONE);
	OK(store_carry(f.s, u.id, u.lease_epoch, &back, &i, &carried, &err));
	assert_true(carried);
	OK(store_carry(f.s, u.id, u.lease_epoch, &back, &i, &carried,
		&err)); /* there already: the other copy stays where it is */
	assert_false(carried);
	assert_true(counts().copied == 4);
	generation_done(&next);
	generation_done(&back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_existing), T(test_carry)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
