/* Marks, twins, doubts and adoption against a model of the far side: one folder that two routes look at, each with ids of its own. Random runs of puts,
   crashes, lost answers, late commits, refusals, other routes, routes that die, and mail of others. What must hold in the end:
     none lost    every item has a receipt of the right content, and of each content there are at least as many copies as items
     none twice   of each content there are never more copies of ours than items
   Which of several equal copies a receipt names is nobody's concern: two routes may name the same one, as long as the count is right.
   The store, engine/enter.c, doubt.c, adopt.c, twin.c and route.c are the real ones; only the routes and the source are made up. */
#include "engine/intent.h"
#include "engine/job.h"
#include "tests/unit/engine/doubt_far_side.h"
#include "tests/unit/store/fixture.h"

#include <sqlite3.h>

#define ITEMS 7
#define CONTENTS 3
#define RUNS 6
#define SEEDS 100 /* 400 pass too */

static struct scratch f;
static struct job *j;
static struct route_folder *folder;
static struct user u;
static struct live live;
static unsigned contents[ITEMS]; /* of the items */
static uint64_t state;           /* of the generator */
static unsigned seed;

static unsigned roll(unsigned n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

#define MUST(call) \
	do { \
		if ((call) != 0) \
			fail_msg("seed %u: %s: %s: %s", seed, #call, err_kind_name(err.kind), err.text); \
	} while (0)

/* --- a run of ours ---------------------------------------------------------------------------------- */

static void sql(const char *text)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(f.state, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static struct mail *mail_of(unsigned item)
{
	struct err err = ERR_INIT;
	char text[256];
	struct mail *m = calloc(1, sizeof *m);
	text_of(contents[item], text, sizeof text);
	print_of(contents[item], &m->print);
	m->uid = item + 1;
	MUST(spool_new(&m->body, f.dir, strlen(text), &err) || spool_write(m->body, text, strlen(text), &err));
	return m;
}

static void mail_done(struct mail *m)
{
	spool_free(&m->body);
	fingerprint_done(&m->print);
	free(m);
}

static struct item item_for(struct mail *m, enum item_state as, unsigned route)
{
	struct item rec;
	intent_fill(folder, m, as, NULL, &rec);
	snprintf(rec.receipt.route, sizeof rec.receipt.route, "%s", j->routes[route].ops->name);
	rec.epoch = u.lease_epoch;
	return rec;
}

enum fate { PLACED, PLACED_RECEIPT_LOST, ANSWER_LOST, LATE, NEVER_CAME, REFUSED, FATES };

static enum fate roll_fate(bool quiet)
{
	static const enum fate often[] = {
		PLACED, PLACED, PLACED, PLACED, PLACED_RECEIPT_LOST, ANSWER_LOST, LATE, NEVER_CAME, REFUSED};
	return quiet ? PLACED : often[roll(sizeof often / sizeof often[0])];
}

/* One message by one route; refused ones go on to the next, as putter.c does. True: the process dies here. */
static bool put(struct mail *m, unsigned route, bool quiet)
{
	struct err err = ERR_INIT;
	enum fate fate = roll_fate(quiet);
	enum kind k = kind_of_ops(j->routes[route].ops);
	if (fate == REFUSED) {
		struct err why;
		unsigned next = route_choose(j, folder, m, 1u << route, &why);
		if (next == ROUTE_NONE)
			next = route;
		struct item again = item_for(m, ITEM_INTENDED, next);
		MUST(store_intend(f.s, u.id, u.lease_epoch, &again, 1, &err));
		if (roll(8) == 0)
			return true;
		k = kind_of_ops(j->routes[next].ops);
		route = next;
		fate = roll(3) ? PLACED : ANSWER_LOST;
	}
	if (fate == NEVER_CAME)
		return roll(3) == 0;
	unsigned n = deliver(contents[m->uid - 1], true, fate == LATE);
	if (fate == PLACED) {
		struct item rec = item_for(m, ITEM_DONE, route);
		id_of(k, n, rec.receipt.id, sizeof rec.receipt.id);
		MUST(store_placed(f.s, u.id, u.lease_epoch, &rec, 1, &err));
	}
	return fate == PLACED_RECEIPT_LOST;
}

/* Goes over the items once, as a walk does. True: died. */
static bool walk(bool quiet)
{
	struct err err = ERR_INIT;
	struct item_brief known[ITEMS];
	struct mail *group[ITEMS];
	unsigned routes[ITEMS], n = 0;
	size_t n_known = 0;
	bool died = false;
	MUST(store_items(f.s, folder->generation.id, 1, ITEMS, known, ITEMS, &n_known, &err));
	for (unsigned i = 0; i < ITEMS && !died; i++) {
		bool have = false, taken = false;
		struct err why;
		for (size_t k = 0; k < n_known; k++)
			have |= known[k].uid == i + 1;
		if (have)
			continue;
		struct mail *m = mail_of(i);
		MUST(adopt_mail(j, folder, m, &taken, &err));
		unsigned r = taken ? 0 : route_choose(j, folder, m, 0, &why);
		if (taken || r == ROUTE_NONE) {
			mail_done(m);
			continue;
		}
		if (roll(3) == 0 && j->n_routes > 1 && route_carries(j, 1 - r) &&
			(atomic_load(&folder->marked) & 1u << (1 - r)))
			r = 1 - r; /* as if it were too big for the first */
		struct item rec = item_for(m, ITEM_INTENDED, r);
		MUST(store_intend(f.s, u.id, u.lease_epoch, &rec, 1, &err));
		group[n] = m;
		routes[n++] = r;
		died = !quiet && roll(20) == 0;
	}
	for (unsigned i = 0; i < n; i++) {
		died = died || put(group[i], routes[i], quiet) || (!quiet && roll(25) == 0);
		mail_done(group[i]);
	}
	return died;
}

/* By what is settled everything has come that ever comes. */
static void commit_late(void)
{
	for (unsigned i = 0; i < n_copies; i++)
		copies[i].late = false;
}

static void disturb(bool disturbed)
{
	if (disturbed && roll(5) == 0)
		deliver(roll(CONTENTS), false, false);
	if (roll(6) == 0 &&
		n_copies) { /* a person deletes one; ours only when we know of it, or it would be asked for again */
		unsigned n = roll(n_copies);
		if (!copies[n].ours)
			copies[n].there = false;
	}
}

static void job_begin(const enum kind *order, unsigned n_listed)
{
	struct err err = ERR_INIT;
	static struct folder source;
	static struct mapping mapping;
	source = (struct folder){.raw = (char *)(uintptr_t) "INBOX", .name = (char *)(uintptr_t) "INBOX"};
	mapping = (struct mapping){.path = (char *)(uintptr_t) "INBOX"};
	j = calloc(1, sizeof *j);
	static struct work work;
	work = (struct work){.store = f.s};
	snprintf(work.spool_dir, sizeof work.spool_dir, "%s", f.dir);
	j->work = &work;
	j->live = &live;
	j->source_login.endpoint.retry_ms = 1;
	j->user = u;
	j->batch.existing = EXISTING_ADOPT;
	j->fatal = j->folder_error = j->spared = ERR_INIT;
	j->target_login.row.settle_after_ms = 0;
	pthread_mutex_init(&j->lock, NULL);
	j->stop = stop_new(NULL);
	j->queue = parcel_queue_new(1000000, j->stop);
	for (enum kind k = 0; k < KINDS; k++) {
		j->routes[k].ops = &fake_ops[order[k]];
		j->routes[k].listed = k < n_listed;
		j->routes[k].why = ERR_INIT;
	}
	j->n_routes = KINDS;
	j->folders = folder = calloc(1, sizeof *folder);
	j->list.n = 1;
	folder->source = &source;
	folder->mapping = &mapping;
	MUST(route_open_all(j, &err));
}

static void job_end(void)
{
	struct err err = ERR_INIT;
	MUST(store_flush(f.s, &err));
	route_close_all(j);
	generation_done(&folder->generation);
	dest_folder_done(&folder->dest);
	for (unsigned r = 0; r < JOB_ROUTES; r++)
		folder_ref_done(&folder->refs[r]);
	adopt_done(j);
	parcel_queue_free(&j->queue);
	stop_free(&j->stop);
	pthread_mutex_destroy(&j->lock);
	free(folder);
	free(j);
}

/* What happened, for a seed that fails: NF_SEED=N NF_TRACE=1. */
static void trace(void)
{
	struct err err = ERR_INIT;
	struct folder_row *rows = NULL;
	struct item v[ITEMS + 1];
	size_t n_rows = 0, n = 0;
	if (!getenv("NF_TRACE"))
		return;
	for (unsigned i = 0; i < n_copies; i++)
		fprintf(stderr, "  copy %u: content %u%s%s%s\n", i, copies[i].content, copies[i].ours ? " ours" : "",
			copies[i].there ? "" : " deleted", copies[i].late ? " late" : "");
	MUST(store_folders(f.s, u.id, &rows, &n_rows, &err));
	if (n_rows)
		MUST(store_items_full(f.s, rows[0].generation_id, 0, v, ITEMS + 1, &n, &err));
	store_folders_free(&rows, n_rows);
	for (size_t i = 0; i < n; i++) {
		fprintf(stderr, "  UID %u: content %u, %s, how %d, route %s, id %s, epoch %d\n", v[i].uid,
			contents[v[i].uid - 1], item_state_name(v[i].state), (int)v[i].how, v[i].receipt.route,
			v[i].receipt.id, (int)v[i].epoch);
		item_done(&v[i]);
	}
}

static void run(bool disturbed, bool quiet, bool last)
{
	struct err err = ERR_INIT;
	enum kind order[KINDS] = {IMAP, MIME};
	bool found;
	int64_t next_at;
	if (roll(2)) {
		order[0] = MIME;
		order[1] = IMAP;
	}
	unsigned n_listed = last ? KINDS : 1 + roll(2);
	dead[IMAP] = dead[MIME] = false;
	if (!last && roll(6) == 0)
		dead[order[roll(n_listed == 1 ? 1 : 2) ? 0 : 1]] = n_listed == KINDS || order[0] != order[1];
	if (n_listed == 1 && dead[order[0]]) /* one must be left */
		dead[order[0]] = false;
	MUST(store_engine_begin(f.s, false, &err));
	MUST(store_user_claim(f.s, 0, &u, &found, &next_at, &err));
	assert_true(found);
	commit_late();
	disturb(disturbed);
	sql("UPDATE dest_folder SET put_at = CASE put_at WHEN 0 THEN 0 ELSE 1 END"); /* long ago: nothing is hidden any more */
	job_begin(order, n_listed);
	MUST(enter_generation(j, folder, 1, &err));
	for (unsigned round = 0; round < 3; round++) {
		if (getenv("NF_TRACE"))
			fprintf(stderr, "epoch %d, routes %s%s, dead %d %d, walk %u\n", (int)u.lease_epoch,
				j->routes[0].ops->name, n_listed > 1 ? " and the other" : " alone", dead[IMAP],
				dead[MIME], round);
		bool died = walk(quiet);
		trace();
		if (died)
			break;
		commit_late();
		if (!quiet && roll(4) == 0)
			break;
		MUST(store_flush(f.s, &err));
		MUST(doubt_settle_folder(j, folder, &err));
	}
	job_end();
}

/* --- what must hold --------------------------------------------------------------------------------- */

static void check_end(void)
{
	struct err err = ERR_INIT;
	unsigned wanted[CONTENTS] = {0}, ours[CONTENTS] = {0}, all[CONTENTS] = {0};
	struct item v[ITEMS + 1];
	size_t n = 0;
	int64_t generation = 0;
	struct folder_row *rows;
	size_t n_rows;
	MUST(store_folders(f.s, u.id, &rows, &n_rows, &err));
	assert_int_equal(n_rows, 1);
	generation = rows[0].generation_id;
	store_folders_free(&rows, n_rows);
	MUST(store_items_full(f.s, generation, 0, v, ITEMS + 1, &n, &err));
	if (n != ITEMS)
		fail_msg("seed %u: %zu items of %d", seed, n, ITEMS);
	for (size_t i = 0; i < n; i++) {
		unsigned c = copy_of(v[i].receipt.id);
		if (v[i].state != ITEM_DONE)
			fail_msg("seed %u: UID %u is %s", seed, v[i].uid, item_state_name(v[i].state));
		if (copies[c].content != contents[v[i].uid - 1])
			fail_msg("seed %u: UID %u has another message's copy", seed, v[i].uid);
		wanted[contents[v[i].uid - 1]]++;
		item_done(&v[i]);
	}
	for (unsigned i = 0; i < n_copies; i++) {
		ours[copies[i].content] += copies[i].ours;
		all[copies[i].content]++;
	}
	for (unsigned c = 0; c < CONTENTS; c++) {
		if (all[c] < wanted[c])
			fail_msg("seed %u: of content %u there are %u copies for %u items: lost", seed, c, all[c],
				wanted[c]);
		if (ours[c] > wanted[c])
			fail_msg("seed %u: %u copies of ours of content %u, of which there are %u", seed, ours[c], c,
				wanted[c]);
	}
}

static void sequence(bool disturbed)
{
	struct err err = ERR_INIT;
	unsigned changed;
	char name[32];
	state = seed * 2654435761u + disturbed;
	n_copies = 0;
	snprintf(name, sizeof name, "b%u%s", seed, disturbed ? "x" : "");
	int64_t batch = scratch_batch(&f, name, 1, 1);
	MUST(store_batch_want(f.s, batch, 0, WANT_SYNC, "start", &changed, &err));
	for (unsigned i = 0; i < ITEMS; i++)
		contents[i] = roll(roll(2) ? CONTENTS : 1);
	if (disturbed && roll(2))
		deliver(roll(CONTENTS), false, false);
	unsigned runs = 1 + roll(RUNS);
	for (unsigned i = 0; i < runs; i++)
		run(disturbed, false, false);
	for (unsigned i = 0; i < 2; i++)
		run(false, true, true);
	check_end();
	MUST(store_user_state(f.s, u.id, u.lease_epoch, USER_SYNCED, NULL, 0, &err));
}

static int set_up(void **unused)
{
	(void)unused;
	memset(&f, 0, sizeof f);
	/* Thousands of commits: where syncing costs nothing, if there is such a place. */
	snprintf(f.dir, sizeof f.dir, "%s/nf-doubt-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.state, sizeof f.state, "%s/state/state.db", f.dir);
	snprintf(f.key, sizeof f.key, "%s/key/vault.key", f.dir);
	scratch_open(&f);
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	scratch_remove(&f);
	return 0;
}

static void sequences(void)
{
	const char *only = getenv("NF_SEED");
	for (seed = only ? (unsigned)strtoul(only, NULL, 10) : 1; seed <= SEEDS; seed++) {
		sequence(false);
		sequence(true);
		if (only)
			break;
	}
}

static void test_random_runs(void **unused)
{
	(void)unused;
	memset(&storm, 0, sizeof storm);
	sequences();
}

/* However often the destination asks to wait, at whatever step: nothing fails because of it, and no decision is another one. */
static void test_in_a_storm(void **unused)
{
	(void)unused;
	memset(&storm, 0, sizeof storm);
	storm.blows = true;
	sequences();
	assert_true(getenv("NF_SEED") || (storm.rows > 20 && storm.waits > 500));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_random_runs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_in_a_storm, set_up, tear_down)};
	pthread_mutex_init(&live.lock, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
