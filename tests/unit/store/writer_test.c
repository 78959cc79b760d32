/* Many threads and processes write at once; what was queued is durable soon, and after a close. */
#include "tests/unit/store/item_scene.h"

#include "engine/base/clock.h"

#include <pthread.h>
#include <sys/wait.h>

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

/* A sanitizer's build on a busy machine may never be that fast. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SOON_MS 60000
#else
#define SOON_MS 150
#endif

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
	for (int tries = 0; tries == 0 || (took >= SOON_MS && tries < 50); tries++) {
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
	assert_true(took < SOON_MS);
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
	const struct CMUnitTest tests[] = {
		T(test_queued_is_durable_soon), T(test_threads_and_processes), T(test_close_keeps_all)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
