#include "throttle/admit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Random schedules against the whole of it: nested scopes, refusals, drops, cancelled waits, limits that change, windows that
   close, a machine that sleeps. What must hold:
   never more than the limit in any window, wherever between its start and its end the server counts a request; the cap in flight;
   first come first served in a leaf; no permit is lost; no wait is without an end. */
#define LEAVES 4
#define JOBS 24
#define EVENTS 6000
#define HOUR_MS 3600000

struct job {
	struct waiter w;
	struct permit p;
	struct scope *leaf;
	enum { IDLE, WAITS, RUNS } state;
	int64_t since_ms, end_ms, counted_ms;
	uint64_t order;
};

struct count {
	int64_t at;
	uint64_t bytes;
	size_t leaf;
};

struct rig {
	struct admit a;
	struct scope *root, *leaf[LEAVES];
	struct job job[JOBS];
	struct scope_limits limits;
	struct count log[EVENTS];
	size_t logged;
	uint64_t order, granted[LEAVES];
	int64_t now, opened_ms;
	bool shut;
};

static int64_t pick(int64_t below)
{
	return below > 0 ? (int64_t)(((uint64_t)rand() << 31 | (uint64_t)rand()) % (uint64_t)below) : 0;
}

static size_t leaf_number(const struct rig *r, const struct job *j)
{
	for (size_t i = 0; i < LEAVES; i++)
		if (r->leaf[i] == j->leaf)
			return i;
	fail();
	return 0;
}

static void started(struct rig *r, struct job *j)
{
	size_t leaf = leaf_number(r, j);
	assert_true(j->w.granted);
	assert_true(j->order >= r->granted[leaf]); /* nobody who came later went before */
	r->granted[leaf] = j->order;
	int64_t since = j->since_ms > r->opened_ms ? j->since_ms : r->opened_ms;
	assert_true(r->now - since < 12 * HOUR_MS);
	assert_false(r->shut);
	assert_true(j->leaf->meter.in_flight <= r->limits.in_flight);
	j->state = RUNS;
	j->end_ms = r->now + 1 + pick(5000);
	j->counted_ms = r->now + pick(j->end_ms - r->now + 1);
	if (r->logged < EVENTS)
		r->log[r->logged++] = (struct count){j->counted_ms, j->w.demand.bytes, leaf};
}

static void collect(struct rig *r)
{
	struct waiter *w;
	while ((w = admit_take_wake(&r->a)))
		if (w->granted && ((struct job *)w)->state == WAITS)
			started(r, (struct job *)w);
}

static void finish(struct rig *r, struct job *j)
{
	static const enum dimension dims[] = {DIM_REQUESTS, DIM_BYTES, DIM_IN_FLIGHT, DIM_NONE};
	struct throttle_hint hint = {.dimension = dims[pick(4)],
		.retry_after_ms = pick(3) ? pick(20000) : -1,
		.scope_name = pick(8) ? NULL : "root",
		.words = "x"};
	int64_t what = pick(100);
	enum verdict v = what < 90   ? VERDICT_OK
			 : what < 93 ? VERDICT_REFUSED
			 : what < 96 ? VERDICT_LOST
				     : VERDICT_FAILED;
	j->state = IDLE;
	admit_leave(&r->a, r->now, &j->p, v, v == VERDICT_REFUSED && pick(4) ? &hint : NULL, j->w.demand.bytes,
		(unsigned)pick(500));
	collect(r);
}

/* What happens from outside: the machine slept, a person set a rate, a window closed or opened. */
static void disturb(struct rig *r)
{
	int64_t what = pick(400);
	struct scope_limits root = r->root->meter.limits;
	if (what == 0)
		r->now += pick(HOUR_MS);
	if (what == 1) {
		root.bytes_per_s = pick(3) ? 1000.0 + (double)pick(1000000) : 0;
		root.in_flight = 1 + (unsigned)pick(8);
		meter_set_limits(&r->root->meter, r->now, &root);
	}
	if (what == 2 || what == 3) {
		r->shut = what == 2 && !r->shut;
		meter_set_share(&r->root->meter, r->now, r->shut ? 0 : (double)(1 + pick(4)) / 4);
		r->opened_ms = r->now;
	}
	if (what >= 1 && what <= 3)
		admit_touch(&r->a, r->now, r->root);
}

static void step(struct rig *r, bool more)
{
	if (more)
		disturb(r);
	collect(r);
	int64_t next = INT64_MAX;
	for (size_t i = 0; i < JOBS; i++)
		if (r->job[i].state == RUNS && r->job[i].end_ms < next)
			next = r->job[i].end_ms;
	for (size_t i = 0; i < LEAVES; i++)
		if (admit_retry_at(r->leaf[i]) < next)
			next = admit_retry_at(r->leaf[i]);
	if (more && (next == INT64_MAX || !pick(3)))
		next = r->now + pick(300);
	if (next == INT64_MAX && r->shut)
		next = r->now + 1000;
	assert_true(next != INT64_MAX); /* somebody waits for nothing */
	if (next > r->now)
		r->now = next;
	admit_run(&r->a, r->now);
	collect(r);
	for (size_t i = 0; i < JOBS; i++)
		if (r->job[i].state == RUNS && r->job[i].end_ms <= r->now)
			finish(r, &r->job[i]);
	struct job *j = &r->job[pick(JOBS)];
	if (more && j->state == IDLE) {
		j->leaf = r->leaf[pick(LEAVES)];
		j->w.demand = (struct demand){
			.bytes = (uint64_t)pick((int64_t)r->limits.bytes / (pick(9) ? 20 : 2)), .requests = 1};
		j->since_ms = r->now;
		j->order = ++r->order;
		j->state = WAITS;
		admit_enter(&r->a, r->now, j->leaf, &j->w, &j->p);
		if (j->w.granted && !j->w.to_wake)
			started(r, j);
		collect(r);
	} else if (more && j->state == WAITS && !pick(10)) {
		admit_cancel(&r->a, r->now, j->leaf, &j->w);
		j->state = IDLE;
		collect(r);
	}
}

static int by_time(const void *a, const void *b)
{
	const struct count *x = a, *y = b;
	return x->at < y->at ? -1 : x->at > y->at;
}

static void check_windows(struct rig *r)
{
	qsort(r->log, r->logged, sizeof *r->log, by_time);
	for (size_t leaf = 0; leaf < LEAVES; leaf++) {
		uint64_t bytes = 0, requests = 0;
		size_t bf = 0, rf = 0;
		for (size_t i = 0; i < r->logged; i++) {
			if (r->log[i].leaf != leaf)
				continue;
			bytes += r->log[i].bytes;
			requests++;
			for (; r->log[i].at - r->log[bf].at > (int64_t)r->limits.bytes_window_ms; bf++)
				bytes -= r->log[bf].leaf == leaf ? r->log[bf].bytes : 0;
			for (; r->log[i].at - r->log[rf].at > (int64_t)r->limits.requests_window_ms; rf++)
				requests -= r->log[rf].leaf == leaf;
			assert_true(bytes <= r->limits.bytes);
			assert_true(requests <= r->limits.requests);
		}
	}
}

static void test_random_schedules(void **state)
{
	(void)state;
	static struct rig r;
	for (unsigned seed = 1; seed <= 40; seed++) {
		srand(seed);
		memset(&r, 0, sizeof r);
		r.limits = (struct scope_limits){.requests = 3 + (uint64_t)pick(200),
			.requests_window_ms = 1000 + (uint64_t)pick(60000),
			.bytes = 1000 + (uint64_t)pick(1000000),
			.bytes_window_ms = 1000 + (uint64_t)pick(60000),
			.in_flight = 1 + (unsigned)pick(5)};
		struct scope_limits root = {.in_flight = 2 + (unsigned)pick(6), .bytes_per_s = pick(2) ? 100000 : 0};
		admit_init(&r.a);
		r.root = admit_open(&r.a, 0, NULL, "root", &root);
		for (int i = 0; i < LEAVES; i++) {
			char name[2] = {(char)('a' + i)};
			r.leaf[i] = admit_open(&r.a, 0, r.root, name, &r.limits);
		}
		for (int i = 0; i < EVENTS; i++)
			step(&r, true);
		r.shut = false;
		r.opened_ms = r.now;
		meter_set_share(&r.root->meter, r.now, 1);
		admit_touch(&r.a, r.now, r.root);
		collect(&r);
		for (bool busy = true; busy;) { /* everybody gets through */
			busy = false;
			for (size_t i = 0; i < JOBS; i++)
				busy = busy || r.job[i].state != IDLE;
			if (busy)
				step(&r, false);
		}
		check_windows(&r);
		assert_int_equal(r.root->meter.in_flight, 0);
		assert_int_equal(r.root->waiting, 0);
		assert_int_equal(r.root->blocked, 0);
		assert_null(r.a.first);
		for (int i = 0; i < LEAVES; i++) {
			assert_int_equal(r.leaf[i]->meter.amount[METER_BYTES].ledger.held, 0);
			assert_int_equal(r.leaf[i]->meter.amount[METER_BYTES].adapt.trying, 0);
		}
		admit_done(&r.a);
	}
}

/* Two mailboxes below one rate: the one with large messages does not keep the other from its half. */
static void test_fair_between_leaves(void **state)
{
	(void)state;
	struct admit a;
	struct job job[6];
	double bytes[2] = {0, 0};
	struct scope_limits root = {.bytes_per_s = 1000000};
	memset(job, 0, sizeof job);
	admit_init(&a);
	struct scope *top = admit_open(&a, 0, NULL, "top", &root);
	struct scope *leaf[2] = {admit_open(&a, 0, top, "huge", NULL), admit_open(&a, 0, top, "small", NULL)};
	int64_t now = 0, worst = 0;
	for (; now < 600000; now += 10) {
		admit_run(&a, now);
		while (admit_take_wake(&a))
			continue;
		for (int i = 0; i < 6; i++) {
			struct job *j = &job[i];
			if (j->state == WAITS && j->w.granted) {
				bytes[i < 3 ? 0 : 1] += (double)j->w.demand.bytes;
				if (i >= 3 && now - j->since_ms > worst)
					worst = now - j->since_ms;
				admit_leave(&a, now, &j->p, VERDICT_OK, NULL, j->w.demand.bytes, 10);
				j->state = IDLE;
			}
			if (j->state == IDLE) {
				j->leaf = leaf[i < 3 ? 0 : 1];
				j->since_ms = now;
				j->state = WAITS;
				j->w.demand = (struct demand){.bytes = i < 3 ? 8000000 : 200000, .requests = 1};
				admit_enter(&a, now, j->leaf, &j->w, &j->p);
			}
		}
	}
	assert_true(bytes[0] / bytes[1] > 0.7 && bytes[0] / bytes[1] < 1.4);
	assert_in_range(worst, 0, 20000); /* one huge message, not a queue of them */
	for (int i = 0; i < 6; i++) {
		admit_cancel(&a, now, job[i].leaf, &job[i].w);
		if (job[i].w.granted)
			admit_leave(&a, now, &job[i].p, VERDICT_UNUSED, NULL, 0, 0);
	}
	admit_done(&a);
}

/* One lost answer says nothing, nor do those of one connection; three in a row close the mailbox for a while, and one taken opens it. */
static void test_lost_again_and_again(void **state)
{
	(void)state;
	struct admit a;
	struct permit p[3];
	struct demand d = {.bytes = 10, .requests = 1};
	int64_t until_ms, now = 0;
	struct scope_limits limits = {.in_flight = 4}; /* where nothing is limited the callers wait by themselves */
	admit_init(&a);
	struct scope *leaf = admit_open(&a, 0, NULL, "leaf", &limits);
	for (int i = 0; i < 3; i++)
		assert_true(admit_try(&a, now, leaf, &d, &p[i], &until_ms));
	for (int i = 0; i < 3; i++) /* at once: one connection */
		admit_leave(&a, now + 5, &p[i], VERDICT_LOST, NULL, 3, 0);
	for (int i = 0; i < 2; i++, now += 10) {
		assert_int_equal(admit_fence_end(leaf, now), 0);
		assert_true(admit_try(&a, now + 6, leaf, &d, &p[0], &until_ms));
		admit_leave(&a, now + 9, &p[0], VERDICT_LOST, NULL, 3, 0);
	}
	int64_t end = admit_fence_end(leaf, now);
	assert_true(end > now && end <= now + 2000);
	assert_false(admit_try(&a, now, leaf, &d, &p[0], &until_ms));
	assert_true(until_ms == end);
	assert_true(admit_try(&a, end, leaf, &d, &p[0], &until_ms));
	assert_int_equal(
		ledger_used(&leaf->meter.amount[METER_BYTES].ledger, end), 5 * 3 + 10); /* what went out is booked */
	admit_leave(&a, end + 1, &p[0], VERDICT_OK, NULL, 10, 1);
	assert_int_equal(leaf->meter.lost_in_row, 0);
	admit_done(&a);
}

/* A server that names no limit and closes for minutes: when it does so twice with as much in use, that amount is its limit. */
static void test_unnamed_at_the_same_amount(void **state)
{
	(void)state;
	struct admit a;
	struct permit p;
	struct demand d = {.bytes = 10, .requests = 1};
	struct throttle_hint hint = {.dimension = DIM_NONE, .retry_after_ms = 400000, .words = "later"};
	struct scope_limits limits = {
		.requests = 1000, .requests_window_ms = 300000, .bytes = 1000000, .bytes_window_ms = 300000};
	int64_t until_ms, now = 0;
	admit_init(&a);
	struct scope *leaf = admit_open(&a, 0, NULL, "leaf", &limits);
	for (int round = 0; round < 2; round++) {
		assert_true(leaf->meter.amount[METER_REQUESTS].adapt.level <= 0);
		for (int i = 0; i <= 100; i++, now += 10) {
			while (!admit_try(&a, now, leaf, &d, &p, &until_ms))
				now = until_ms;
			admit_leave(&a, now, &p, i < 100 ? VERDICT_OK : VERDICT_REFUSED, i < 100 ? NULL : &hint, 10, 1);
		}
	}
	assert_in_range(leaf->meter.amount[METER_REQUESTS].adapt.level, 90, 110);
	admit_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_schedules),
		cmocka_unit_test(test_fair_between_leaves),
		cmocka_unit_test(test_lost_again_and_again),
		cmocka_unit_test(test_unnamed_at_the_same_amount),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
