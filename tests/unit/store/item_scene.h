/* A claimed user with one source folder and one destination folder, and looks at what the store says of its items. For the tests of items, marks, what
   was there, and the writer. */
#ifndef NF_TEST_STORE_ITEM_SCENE_H
#define NF_TEST_STORE_ITEM_SCENE_H

#include "tests/unit/store/fixture.h"

static struct scratch f;
static struct user u;
static struct generation g;
static struct dest_folder d;

static inline struct folder_ref ref_of(const char *path, const char *generation, const char *mark, uint64_t existing)
{
	return (struct folder_ref){.path = (char *)(uintptr_t)path,
		.id = (char *)(uintptr_t)path,
		.generation = (char *)(uintptr_t)generation,
		.mark = (char *)(uintptr_t)mark,
		.existing = existing};
}

static inline void begin(unsigned max)
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

static inline int set_up(void **unused)
{
	(void)unused;
	scratch_make(&f);
	scratch_open(&f);
	begin(3);
	return 0;
}

static inline int tear_down(void **unused)
{
	(void)unused;
	generation_done(&g);
	dest_folder_done(&d);
	scratch_remove(&f);
	return 0;
}

static inline struct item an_item(uint32_t uid, enum item_state state)
{
	struct item i = item_of(g.id, uid, state);
	i.dest_folder_id = d.id;
	return i;
}

static inline struct user_counts counts(void)
{
	struct err err = ERR_INIT;
	struct user now;
	OK(store_flush(f.s, &err));
	OK(store_user_by_id(f.s, u.id, &now, &err));
	return now.counts;
}

static inline int state_of(int64_t generation, uint32_t uid)
{
	struct err err = ERR_INIT;
	struct item_brief b;
	size_t n;
	OK(store_items(f.s, generation, uid, uid, &b, 1, &n, &err));
	return n ? (int)b.state : -1;
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
