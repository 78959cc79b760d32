/* Destination folders and the marks that tell what is new in them, by whatever route. */
#include "tests/unit/store/item_scene.h"

static void test_dest_folder_made_anew(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct dest_folder x;
	bool changed;
	struct folder_ref later = ref_of("Inbox", "77", "500", 9), anew = ref_of("Inbox", "88", "1", 0);
	assert_false(d.indexed);
	OK(store_dest_folder(f.s, u.id, u.lease_epoch, "imap", &later, &x, &changed, &err));
	assert_false(changed);
	assert_int_equal(x.id, d.id);
	struct dest_mark m;
	OK(store_mark(f.s, d.id, "imap", &m, &err));
	assert_true(m.known);
	assert_string_equal(m.mark, "100"); /* of the first touch */
	dest_folder_done(&x);
	struct existing e = {.id = "77:9", .size = 3, .key = {1}}, found[4];
	size_t n;
	OK(store_existing_add(f.s, u.id, u.lease_epoch, d.id, &e, 1, true, &err));
	OK(store_dest_folder(f.s, u.id, u.lease_epoch, "imap", &later, &x, &changed, &err));
	assert_true(x.indexed);
	dest_folder_done(&x);
	struct item i = an_item(1, ITEM_DONE);
	OK(store_placed(f.s, u.id, u.lease_epoch, &i, 1, &err));
	OK(store_flush(f.s, &err));
	OK(store_dest_folder(f.s, u.id, u.lease_epoch, "imap", &anew, &x, &changed, &err));
	assert_true(changed);
	assert_int_equal(x.id, d.id);
	OK(store_mark(f.s, d.id, "imap", &m, &err));
	assert_string_equal(m.generation, "88");
	assert_string_equal(m.mark, ""); /* all that comes is new */
	assert_true(x.indexed);          /* it was empty */
	dest_folder_done(&x);
	OK(store_existing_find(f.s, d.id, e.key, found, 4, &n, &err));
	assert_int_equal(n, 0);
	OK(store_dest_folder(f.s, u.id, u.lease_epoch, "imap", &anew, &x, &changed, &err));
	assert_false(changed);
	dest_folder_done(&x);
	assert_int_equal(state_of(g.id, 1), ITEM_DONE); /* not copied twice by itself */
}

/* Marks, ids that were there, and twins, route by route; and what each route carried. */
static void test_routes(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct dest_mark m;
	bool yes;
	OK(store_mark(f.s, d.id, "mime", &m, &err));
	assert_false(m.known);
	const char *old[] = {"a", "b"}, *anew[] = {"c"};
	OK(store_mark_ids(f.s, u.id, u.lease_epoch, d.id, "mime", old, 2, true, &err));
	OK(store_mark_ids(f.s, u.id, u.lease_epoch, d.id, "mime", anew, 1, true, &err)); /* begun again */
	OK(store_mark_take(f.s, u.id, u.lease_epoch, d.id, "mime", "=1", "", &err));
	OK(store_mark(f.s, d.id, "mime", &m, &err));
	assert_true(m.known);
	assert_int_equal(m.epoch, u.lease_epoch);
	OK(store_accounted(f.s, d.id, "mime", true, "c", &yes, &err));
	assert_true(yes);
	OK(store_accounted(f.s, d.id, "mime", false, "c", &yes, &err));
	assert_false(yes); /* by no receipt */
	OK(store_accounted(f.s, d.id, "mime", true, "a", &yes, &err));
	assert_false(yes);
	struct item by_imap = an_item(1, ITEM_DONE), by_mime = an_item(2, ITEM_DONE),
		    intent = an_item(2, ITEM_INTENDED);
	snprintf(by_mime.receipt.route, sizeof(by_mime.receipt.route), "mime");
	snprintf(by_mime.receipt.id, sizeof(by_mime.receipt.id), "x");
	snprintf(intent.receipt.route, sizeof(intent.receipt.route), "mime");
	by_imap.epoch = u.lease_epoch - 1; /* taken over: it lay there before */
	by_imap.how = HOW_ADOPTED;
	OK(store_intend(f.s, u.id, u.lease_epoch, &intent, 1, &err));
	OK(store_placed(f.s, u.id, u.lease_epoch, &by_imap, 1, &err));
	OK(store_placed(f.s, u.id, u.lease_epoch, &by_mime, 1, &err));
	OK(store_flush(f.s, &err));
	OK(store_accounted(f.s, d.id, "mime", false, "x", &yes, &err));
	assert_true(yes);
	struct item *v;
	size_t n;
	OK(store_twins(f.s, d.id, "imap", u.lease_epoch, NULL, 0, &v, &n, &err));
	assert_int_equal(n, 1);
	assert_string_equal(v[0].receipt.id, "x");
	assert_int_equal(v[0].epoch, u.lease_epoch);
	free(v);
	OK(store_twins(f.s, d.id, "mime", u.lease_epoch, NULL, 0, &v, &n, &err));
	assert_int_equal(n, 0); /* before the mark */
	free(v);
	OK(store_twins(f.s, d.id, "mime", u.lease_epoch - 1, NULL, 0, &v, &n, &err));
	assert_int_equal(n, 1);
	free(v);
	uint8_t other[1][PRINT_KEY_BYTES] = {{99}};
	OK(store_twins(f.s, d.id, "imap", 0, (const uint8_t(*)[PRINT_KEY_BYTES])other, 1, &v, &n, &err));
	assert_int_equal(n, 0);
	free(v);
	struct route_count carried[ROUTE_COUNTS];
	OK(store_route_counts(f.s, 0, u.id, carried, &n, &err));
	assert_int_equal(n, 1); /* what was taken over was carried by nobody */
	assert_string_equal(carried[0].route, "mime");
	assert_int_equal(carried[0].copied, 1);
	/* under two names it would be taken over twice */
	struct existing e = {.id = "77:9", .route = "imap", .epoch = u.lease_epoch, .key = {7}}, found[2];
	OK(store_existing_add(f.s, u.id, u.lease_epoch, d.id, &e, 1, true, &err));
	OK(store_existing_forget(f.s, u.id, u.lease_epoch, d.id, "mime", u.lease_epoch + 1, &err));
	OK(store_existing_find(f.s, d.id, e.key, found, 2, &n, &err));
	assert_int_equal(n, 1);
	assert_string_equal(found[0].route, "imap");
	OK(store_existing_forget(f.s, u.id, u.lease_epoch, d.id, "mime", u.lease_epoch, &err));
	OK(store_existing_find(f.s, d.id, e.key, found, 2, &n, &err));
	assert_int_equal(n, 0);
	/* the folder is made anew: all marks begin at its start */
	struct folder_ref ref = ref_of("Inbox", "88", "1", 0);
	struct dest_folder x;
	bool changed;
	OK(store_dest_folder(f.s, u.id, u.lease_epoch, "imap", &ref, &x, &changed, &err));
	assert_true(changed);
	dest_folder_done(&x);
	OK(store_mark(f.s, d.id, "mime", &m, &err));
	assert_true(m.known && !m.generation[0] && !m.mark[0]);
	OK(store_accounted(f.s, d.id, "mime", true, "c", &yes, &err));
	assert_false(yes);
	struct doubt_folder *folders;
	OK(store_doubt_folders(f.s, u.id, &folders, &n, &err));
	assert_int_equal(n, 0);
	free(folders);
}

int main(void)
{
	const struct CMUnitTest tests[] = {T(test_dest_folder_made_anew), T(test_routes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
