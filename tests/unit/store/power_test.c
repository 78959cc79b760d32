/* The power fails at every write, sync, truncation and removal of the state file, one after the other: what the store called durable must be there, and
   the file must be sound. Then the disk is full at every write: an error that says so, and nothing that was durable is lost. */
#define _GNU_SOURCE
#include "tests/unit/store/fixture.h"

#include "tests/crash/power_vfs.c" /* its one user among the unit tests */

#include <sys/mman.h>
#include <sys/wait.h>

#define ITEMS 10
/* Each cut is a process that runs the scenario. Under a sanitizer one takes many times as long: a part of them must do there. */
#if defined(__SANITIZE_THREAD__)
#define THINNED 13
#elif defined(__SANITIZE_ADDRESS__)
#define THINNED 4
#else
#define THINNED 1
#endif

/* What the scenario was told to be durable; in memory that outlives its process. */
struct told {
	int opened, created, intended, placed, disk_errors, other_errors;
	int64_t user_id, generation_id;
};

static struct scratch f;
static struct told *told;

static int set_up(void **unused)
{
	(void)unused;
	scratch_make(&f);
	if (access("/dev/shm", W_OK) == 0) { /* the syncs of the check itself cost nothing there */
		rmdir(f.dir);
		snprintf(f.dir, sizeof(f.dir), "/dev/shm/nf-store-%d", (int)getpid());
		mkdir(f.dir, 0700);
		snprintf(f.state, sizeof(f.state), "%s/state/state.db", f.dir);
	}
	told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return told == MAP_FAILED ? -1 : 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	munmap(told, sizeof(*told));
	scratch_remove(&f);
	return 0;
}

static int make_batch(struct store *s, struct user *u, struct generation *g, struct err *err)
{
	struct endpoint e = {.name = "e", .host = "h", .port = 993};
	struct target_row t = {.name = "t", .kind = TARGET_IMAP};
	struct batch b = {.name = "b"};
	struct user row = {.row = 1, .source_user = "u", .address = "u@x"};
	struct folder_ref ref = {.path = (char *)(uintptr_t) "Inbox",
		.generation = (char *)(uintptr_t) "1",
		.mark = (char *)(uintptr_t) "1"};
	struct dest_folder d;
	unsigned changed;
	bool found, anew;
	int64_t next_at;
	if (store_endpoint_save(s, &e, err) < 0 || store_target_save(s, &t, err) < 0)
		return -1;
	b.endpoint_id = e.id;
	b.target_id = t.id;
	if (store_batch_create(s, &b, &row, NULL, 1, err) < 0)
		return -1;
	told->created = 1;
	if (store_batch_want(s, b.id, 0, WANT_SYNC, "start", &changed, err) < 0 ||
		store_user_claim(s, 0, u, &found, &next_at, err) < 0 || !found ||
		store_generation(s, u->id, u->lease_epoch, "INBOX", "INBOX", 1, g, err) < 0 ||
		store_dest_folder(s, u->id, u->lease_epoch, "imap", &ref, &d, &anew, err) < 0)
		return -1;
	dest_folder_done(&d);
	told->user_id = u->id;
	told->generation_id = g->id;
	return 0;
}

static int move_mail(struct store *s, const struct user *u, const struct generation *g, struct err *err)
{
	for (uint32_t uid = 1; uid <= ITEMS; uid++) {
		struct item i = item_of(g->id, uid, ITEM_INTENDED);
		if (store_intend(s, u->id, u->lease_epoch, &i, 1, err) < 0)
			return -1;
		told->intended = (int)uid;
		i = item_of(g->id, uid, ITEM_DONE);
		if (store_placed(s, u->id, u->lease_epoch, &i, 1, err) < 0)
			return -1;
		if (uid % 3 == 0) {
			if (store_flush(s, err) < 0)
				return -1;
			told->placed = (int)uid;
		}
	}
	return 0;
}

static int scenario(struct err *err)
{
	struct store *s;
	struct store_conf conf = {.path = f.state, .key_file = f.key, .create = true};
	struct user u;
	struct generation g = {0};
	if (store_open(&s, &conf, err) < 0)
		return -1;
	told->opened = 1;
	int rc = make_batch(s, &u, &g, err);
	if (rc == 0)
		rc = move_mail(s, &u, &g, err);
	generation_done(&g);
	store_close(&s);
	return rc;
}

/* Runs the scenario in a process of its own, from no state file, cut at step k; its exit status. */
static int run_cut(unsigned k, uint32_t seed, bool lies)
{
	char dir[80];
	int status;
	snprintf(dir, sizeof(dir), "%s/state", f.dir);
	remove_tree(dir);
	memset(told, 0, sizeof(*told));
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct err err = ERR_INIT;
		power_vfs_start(seed + k);
		if (lies)
			power_vfs_lie();
		power_vfs_cut_at(k);
		if (scenario(&err) < 0) {
			fprintf(stderr, "step %u: %s\n", k, err.text);
			_exit(1);
		}
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* NULL: what was told is true. */
static const char *check(struct err *err)
{
	struct store *s;
	struct store_conf conf = {.path = f.state, .key_file = f.key, .create = true};
	struct item_brief v[ITEMS + 1];
	struct user u;
	size_t n = 0;
	const char *wrong = NULL;
	if (store_open(&s, &conf, err) < 0)
		return "it cannot be opened";
	struct batch b;
	if (told->created && store_batch_get(s, "b", &b, err) < 0)
		wrong = "the batch is gone";
	if (!wrong && told->user_id && store_user_by_id(s, told->user_id, &u, err) < 0)
		wrong = "the user is gone";
	if (!wrong && told->generation_id &&
		store_items(s, told->generation_id, 1, ITEMS + 1, v, ITEMS + 1, &n, err) < 0)
		wrong = "the items cannot be read";
	if (!wrong && (int)n < told->intended)
		wrong = "an intent is gone";
	for (int i = 0; !wrong && i < told->placed; i++) {
		if (v[i].uid != (uint32_t)i + 1 || v[i].state != ITEM_DONE)
			wrong = "a receipt is gone";
	}
	if (!wrong && told->user_id && u.counts.copied + u.counts.in_doubt != n)
		wrong = "the counts are not those of the items";
	store_close(&s);
	return wrong;
}

static void test_power_cut(void **unused)
{
	(void)unused;
	unsigned cuts = 0;
	for (uint32_t seed = 1; seed <= 3; seed++) {
		for (unsigned k = seed;;
			k += (seed == 1 ? 1 : 7) * THINNED) { /* each step once, some with other remains */
			struct err err = ERR_INIT;
			int status = run_cut(k, seed * 1000003u, false);
			if (status != 0 && status != POWER_EXIT)
				fail_msg("seed %u, step %u: exit %d", seed, k, status);
			const char *wrong = check(&err);
			if (wrong)
				fail_msg("seed %u, step %u: %s (%s); %d intended, %d placed", seed, k, wrong, err.text,
					told->intended, told->placed);
			cuts += status == POWER_EXIT;
			if (status == 0) {
				assert_int_equal(told->intended, ITEMS);
				break;
			}
		}
	}
	print_message("the power failed %u times\n", cuts);
	assert_true(cuts > 300 / THINNED);
}

/* The test of the test: a disk whose syncs do nothing loses what was called durable. */
static void test_a_lying_disk_is_found_out(void **unused)
{
	(void)unused;
	unsigned found = 0;
	for (unsigned k = 200; k < 360; k += 8) {
		struct err err = ERR_INIT;
		if (run_cut(k, 7, true) != POWER_EXIT)
			break;
		found += check(&err) != NULL;
	}
	assert_true(found > 3);
}

/* In the child: the disk is full from the k-th write on; then there is room again, and the scenario's second half goes on. */
static int scenario_full(unsigned k)
{
	struct err err = ERR_INIT;
	struct store *s;
	struct store_conf conf = {.path = f.state, .key_file = f.key, .create = true};
	struct user u;
	struct generation g = {0};
	power_vfs_start(k);
	if (store_open(&s, &conf, &err) < 0 || make_batch(s, &u, &g, &err) < 0)
		return 2;
	power_vfs_full_at(k);
	int rc = move_mail(s, &u, &g, &err);
	if (rc < 0 && err.kind != ERR_DISK) {
		fprintf(stderr, "full at %u: %s: %s\n", k, err_kind_name(err.kind), err.text);
		return 3;
	}
	power_vfs_full_at(0);
	store_trouble(s, u.id, &err);
	uint32_t from = (uint32_t)told->intended + 1;
	for (uint32_t uid = from; uid <= ITEMS; uid++) {
		struct item i = item_of(g.id, uid, ITEM_INTENDED);
		if (store_intend(s, u.id, u.lease_epoch, &i, 1, &err) < 0)
			return 4;
		told->intended = (int)uid;
	}
	generation_done(&g);
	store_close(&s);
	return rc < 0 ? 1 : 0;
}

static void test_disk_full(void **unused)
{
	(void)unused;
	unsigned full = 0;
	for (unsigned k = 1;; k += THINNED) {
		char dir[80];
		struct err err = ERR_INIT;
		int status;
		snprintf(dir, sizeof(dir), "%s/state", f.dir);
		remove_tree(dir);
		memset(told, 0, sizeof(*told));
		pid_t pid = fork();
		if (pid == 0)
			_exit(scenario_full(k));
		waitpid(pid, &status, 0);
		if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
			fail_msg("full at %u: status %x", k, (unsigned)status);
		const char *wrong = check(&err);
		if (wrong)
			fail_msg("full at %u: %s (%s)", k, wrong, err.text);
		full += WEXITSTATUS(status);
		if (WEXITSTATUS(status) == 0)
			break;
	}
	assert_true(full > 20 / THINNED);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {T(test_power_cut), T(test_a_lying_disk_is_found_out), T(test_disk_full)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
