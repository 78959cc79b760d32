/* What a pull makes of a source that refuses: one message, all of them for now, or everybody for a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/contract/pull_scene.h"
#include "throttle/gate.h"

#include <signal.h>

static bool refuse_with(struct fake *f, const char *tag, const char *command, const char *answer)
{
	const char *set = strstr(command, "FETCH ");
	if (!strstr(command, "BODY") || !fake_set_has(set + 6, f->special, 0))
		return false;
	fake_say(f, "%s %s\r\n", tag, answer);
	return true;
}

static bool refuse_no(struct fake *f, const char *tag, const char *command)
{
	return refuse_with(f, tag, command, "NO [SERVERBUG] the disk has a hole");
}
static bool refuse_bad(struct fake *f, const char *tag, const char *command)
{
	return refuse_with(f, tag, command, "BAD internal error");
}
static bool refuse_busy(struct fake *f, const char *tag, const char *command)
{
	return refuse_with(f, tag, command, "NO [UNAVAILABLE] later");
}

static void test_refused_message(void **state)
{
	(void)state;
	bool (*const hooks[])(struct fake *, const char *, const char *) = {refuse_no, refuse_bad, refuse_busy};
	const enum err_kind kinds[] = {ERR_MESSAGE, ERR_MESSAGE, ERR_BUSY}; /* the last may be another the next time */
	for (size_t k = 0; k < 3; k++) {
		for (uint32_t uid = 10; uid <= 350; uid += 170) {
			struct scene *s = begin(numbered(35, 100), 35);
			s->fake.on_reply = hooks[k];
			s->fake.on_message = no_line;
			s->fake.special = uid;
			fetch_all(s);
			all_but(s, uid, kinds[k]);
			end(s);
		}
	}
	struct scene *s = begin(numbered(1, 100), 1); /* the only one */
	s->fake.on_reply = refuse_bad;
	s->fake.on_message = no_line;
	s->fake.special = 10;
	fetch_all(s);
	all_but(s, 10, ERR_MESSAGE);
	assert_string_equal(s->got[0].server, "internal error");
	end(s);
}

static bool busy_always(struct fake *f, const char *tag, const char *command)
{
	if (!strstr(command, "BODY"))
		return false;
	fake_say(f, "%s NO [UNAVAILABLE] come again\r\n", tag);
	return true;
}

static bool never(struct fake *f, size_t i, const char *items)
{
	(void)f;
	(void)i;
	return wants_body(items);
}

static void test_busy_server_is_no_items_failure(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(35, 100), 35);
	s->fake.on_reply = busy_always;
	s->fake.on_message = never;
	fetch_all(s);
	assert_int_equal(s->next_rc, -1);
	assert_int_equal(s->next_err.kind, ERR_BUSY);
	assert_int_equal(s->n_got, 0);
	end(s);
}

static bool throttle(struct fake *f, const char *tag, const char *command)
{
	if (!strstr(command, "BODY") || ++f->counter < 3)
		return false;
	fake_say(f, "%s NO Request is throttled. Suggested Backoff Time: 299961 milliseconds\r\n", tag);
	return true;
}

static void test_throttled(void **state)
{
	(void)state;
	struct scene *s = begin(numbered(100, 100), 100);
	s->fake.on_reply = throttle;
	fetch_all(s);
	assert_int_equal(s->next_rc, -1);
	assert_int_equal(s->next_err.kind, ERR_THROTTLED);
	assert_int_equal(s->next_err.retry_after_ms, 299961);
	for (size_t i = 0; i < s->n_got; i++)
		assert_int_equal(s->got[i].kind, ERR_NONE);
	end(s);
}

/* One permit a command; with room for a single one the pull must not wait for what it holds itself. */
static void test_gate(void **state)
{
	(void)state;
	for (unsigned in_flight = 0; in_flight < 3; in_flight++) {
		struct scene *s = begin(numbered(100, 1000), 100);
		struct throttle *t = throttle_new();
		const struct scope_limits limits = {.in_flight = in_flight};
		struct scope *scope = scope_open(t, NULL, "source", &limits);
		struct gate *gate = gate_new(scope, NULL);
		struct scope_view view;
		s->pull_conf.gate = gate;
		fetch_all(s);
		all_but(s, 0, ERR_NONE);
		scope_look(scope, &view);
		assert_int_equal(view.in_flight, 0);
		end(s);
		gate_free(&gate);
		scope_close(&scope);
		throttle_free(&t);
	}
	/* a refusal closes the scope for the stated time */
	struct scene *s = begin(numbered(100, 100), 100);
	struct throttle *t = throttle_new();
	const struct scope_limits limits = {.in_flight = 2};
	struct scope *scope = scope_open(t, NULL, "source", &limits);
	struct gate *gate = gate_new(scope, NULL);
	struct scope_view view;
	s->pull_conf.gate = gate;
	s->fake.on_reply = throttle;
	fetch_all(s);
	assert_int_equal(s->next_err.kind, ERR_THROTTLED);
	pull_close(&s->pull); /* what is in flight is taken in */
	scope_look(scope, &view);
	assert_int_equal(view.in_flight, 0);
	assert_true(view.fenced);
	assert_true(view.fenced_ms > 200000);
	end(s);
	gate_free(&gate);
	scope_close(&scope);
	throttle_free(&t);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	conn_init();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_message),
		cmocka_unit_test(test_busy_server_is_no_items_failure),
		cmocka_unit_test(test_throttled),
		cmocka_unit_test(test_gate),
	};
	return cmocka_run_group_tests_name("pull_refusal", tests, NULL, NULL);
}
