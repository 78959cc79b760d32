/* The crash protocol's rows: intents, receipts, counts, what is carried over, what was there; and many threads and processes at once. */
#include "tests/unit/store/fixture.h"

#include "engine/base/clock.h"

#include <pthread.h>
#include <sys/wait.h>

static struct scratch f;
static struct user u;
static struct generation g;
static struct dest_folder d;

static struct folder_ref ref_of(const char *path, const char *generation, const char *mark, uint64_t existing)
{
	return (struct folder_ref){.path = (char *)(uintptr_t)path,
		.id = (char *)(uintptr_t)path,
		.generation = (char *)(uintptr_t)generation,
		.mark = (char *)(uintptr_t)mark,
		.existing = existing};
}

static void begin(unsigned max)
{
	struct err err = ERR_INIT;
	bool found, made;
	int64_t next_at;
	unsigned changed;
	int64_t batch = scratch_batch(&f, "pilot", 3, max);
	OK(store_batch_want(f.s, batch, 0, WANT_SYNC, "start", &changed, &err));
	OK(store_user_claim(f.s, 0, &u, &found, &next_at, &err));
	struct folder_ref ref = ref_of("Inbox", "77", "100", 5);
	OK(store_generation(f.s, u.id, u.lease_epoch, "INBOX", "INBOX", 11, &g, &err));
	OK(store_dest_folder(f.s, u.id, u.lease_epoch, "imap", &ref, &d, &made, &err));
	OK(store_mark_take(f.s, u.id, u.lease_epoch, d.id, "imap", "77", "100", &err));
	OK(store_generation_dest(f.s, u.lease_epoch, g.id, d.id, &err));
}

static int set_up(void **unused)
{
	(void)unused;
	scratch_make(&f);
	scratch_open(&f);
	begin(3);
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	generation_done(&g);
	dest_folder_done(&d);
	scratch_remove(&f);
	return 0;
}

static struct item an_item(uint32_t uid, enum item_state state)
{
	struct item i = item_of(g.id, uid, state);
	i.dest_folder_id = d.id;
	return i;
}

static struct user_counts counts(void)
{
	struct err err = ERR_INIT;
	struct user now;
	OK(store_flush(f.s, &err));
	OK(store_user_by_id(f.s, u.id, &now, &err));
	return now.counts;
}

static int state_of(int64_t generation, uint32_t uid)
{
	struct err err = ERR_INIT;
	struct item_brief b;
	size_t n;
	OK(store_items(f.s, generation, uid, uid, &b, 1, &n, &err));
	return n ? (int)b.state : -1;
}

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

static void test_queued_is_durable_soon(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	struct item i = an_item(1, ITEM_DONE), full;
	size_t n = 0;
	int64_t begun = clock_mono_ms(), took = 0;
	OK(store_placed(f.s, u.id, u.lease_epoch, &i, 1, &err));
	while (n == 0 && clock_mono_ms() < begun + 60000)
		OK(store_items_full(f.s, g.id, 0, &full, 1, &n, &err)); /* a look that flushes nothing */
	assert_true(n == 1 && clock_mono_ms() - begun >= 150);
	item_done(&full);
	/* 256 items do not wait. A busy machine may be slow once, but not each time. */
	uint32_t uid = 2;
	for (int tries = 0; tries == 0 || (took >= 150 && tries < 50); tries++) {
		uint32_t last = uid + 255;
		begun = clock_mono_ms();
		for (; uid <= last; uid++) {
			i = an_item(uid, ITEM_DONE);
			OK(store_placed(f.s, u.id, u.lease_epoch, &i, 1, &err));
		}
		n = 0;
		while (n == 0 && clock_mono_ms() < begun + 60000)
			OK(store_items_full(f.s, g.id, last - 1, &full, 1, &n, &err));
		assert_int_equal(n, 1);
		item_done(&full);
		took = clock_mono_ms() - begun;
	}
	assert_true(took < 150);
}

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
	OK(store_intend(f.s, u.id, u.lease_epoch, &doubt, 1, &err));
	OK(store_placed(f.s, u.id, u.lease_epoch, v, 3, &err));
	OK(store_flush(f.s, &err));
	OK(store_generation_found(f.s, u.id, u.lease_epoch, g.id, 50, 1, &err));
	OK(store_generation(f.s, u.id, u.lease_epoch, "INBOX", "INBOX", 12, &next, &err));
	assert_int_equal(next.older_id, g.id);
	assert_int_equal(next.dest_folder_id, 0);
	assert_true(counts().found < 50);
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

/* --- many at once --- */

#define THREADS 6
#define EACH 150

struct worker {
	uint32_t first;
	pthread_t thread;
	int failed;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	struct err err = ERR_INIT;
	for (uint32_t k = 0; k < EACH && !w->failed; k++) {
		struct item i = an_item(w->first + k, ITEM_INTENDED);
		w->failed |= store_intend(f.s, u.id, u.lease_epoch, &i, 1, &err) < 0;
		i = an_item(w->first + k, ITEM_DONE);
		w->failed |= store_placed(f.s, u.id, u.lease_epoch, &i, 1, &err) < 0;
		struct item_brief b;
		size_t n = 0;
		if (k % 16 == 0)
			w->failed |= store_items(f.s, g.id, w->first + k, w->first + k, &b, 1, &n, &err) < 0 ||
				     n != 1 || b.state != ITEM_DONE;
	}
	return NULL;
}

/* Another process writes short transactions into the same file meanwhile. */
static int other_process(void)
{
	struct err err = ERR_INIT;
	struct store *s;
	struct store_conf conf = {.path = f.state};
	int failed = store_open(&s, &conf, &err) < 0;
	for (int k = 0; k < 100 && !failed; k++)
		failed = store_audit(s, "other", "process", "", &err) < 0;
	if (failed)
		fprintf(stderr, "other process: %s\n", err.text);
	store_close(&s);
	return failed;
}

static void test_threads_and_processes(void **unused)
{
	(void)unused;
	struct worker w[THREADS];
	struct err err = ERR_INIT;
	int go[2], status;
	assert_int_equal(pipe(go), 0);
	store_close(&f.s); /* a process is forked before it has threads; the lease stays */
	pid_t pid = fork();
	if (pid == 0) {
		char c;
		_exit(read(go[0], &c, 1) == 1 ? other_process() : 9);
	}
	scratch_open(&f);
	for (uint32_t t = 0; t < THREADS; t++) {
		w[t] = (struct worker){.first = 1 + t * EACH};
		assert_int_equal(pthread_create(&w[t].thread, NULL, work, &w[t]), 0);
	}
	assert_int_equal(write(go[1], "x", 1), 1);
	for (uint32_t t = 0; t < THREADS; t++) {
		pthread_join(w[t].thread, NULL);
		assert_false(w[t].failed);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	close(go[0]);
	close(go[1]);
	struct user_counts c = counts();
	assert_true(c.copied == THREADS * EACH && c.in_doubt == 0);
	struct audit_row *rows;
	size_t n;
	OK(store_audit_list(f.s, "process", &rows, &n, &err));
	assert_int_equal(n, 100);
	free(rows);
}

/* What was queued is durable after a close, without a flush. */
static void test_close_keeps_all(void **unused)
{
	(void)unused;
	struct err err = ERR_INIT;
	for (uint32_t uid = 1; uid <= 100; uid++) {
		struct item i = an_item(uid, ITEM_DONE);
		OK(store_placed(f.s, u.id, u.lease_epoch, &i, 1, &err));
	}
	store_close(&f.s);
	scratch_open(&f);
	assert_true(counts().copied == 100);
	OK(store_engine_begin(f.s, false, &err));
	struct item i = an_item(200, ITEM_INTENDED);
	FAILS(store_intend(f.s, u.id, u.lease_epoch, &i, 1, &err),
		ERR_CONFLICT); /* the lease ended with the old engine */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {T(test_life_of_an_item), T(test_set_aside_and_withdraw), T(test_stale_lease),
		T(test_one_receipt_one_item), T(test_queued_is_durable_soon), T(test_dest_folder_made_anew),
		T(test_routes), T(test_existing), T(test_carry), T(test_notes), T(test_threads_and_processes),
		T(test_close_keeps_all)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
