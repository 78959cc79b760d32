#include "engine/binding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_finds(void **state)
{
	static const struct {
		struct limit_view v;
		struct parcel_view q;
		double share;
		int64_t quiet_ms;
		enum binding binding;
		const char *word, *not ;
	} cases[] = {
		{{.in_flight = 3, .bytes_per_s = 1e6}, {.full = true, .bytes = 9, .cap = 10}, 1, 0, BIND_NETWORK,
			"--uploads may help", "hangs"},
		/* a destination that says nothing any more: more uploads are no remedy */
		{{.in_flight = 3}, {.full = true, .bytes = 9, .cap = 10}, 1, 45000, BIND_NETWORK, "nothing for 45 s",
			"--uploads"},
		{{.in_flight = 0}, {.full = true, .bytes = 9, .cap = 10}, 1, 30000, BIND_NETWORK, "hangs", "--uploads"},
		{{.in_flight = 4, .target_waiting = true, .target_wait = DIM_IN_FLIGHT}, {.bytes = 9, .cap = 10}, 1,
			61500, BIND_NETWORK, "nothing for 61 s", "--uploads"},
		{{.in_flight = 4, .target_waiting = true, .target_wait = DIM_IN_FLIGHT}, {.bytes = 9, .cap = 10}, 1, 0,
			BIND_TARGET_CONCURRENCY, "do not help", "hangs"},
		{{.in_flight = 3}, {.bytes = 1, .cap = 10}, 1, 15000, BIND_NETWORK, "awaited", "hangs"},
		{{.source_in_flight = 1}, {.empty = true, .cap = 10}, 1, 0, BIND_SOURCE, "gives no more", "hangs"},
		{{.fenced_ms = 5000, .fence_scope = "the destination"}, {.full = true, .bytes = 9, .cap = 10}, 1, 0,
			BIND_FENCE, "asked to wait", "hangs"},
		/* octets wait for their turn at a rate, alone or behind another mailbox's: nothing was refused */
		{{.line = {.waits = true, .scope = "batch b", .rate = 2e6}}, {.empty = true, .cap = 10}, 1, 0,
			BIND_RATE, "2 MB/s", "refusals"},
		{{.line = {.waits = true, .scope = "batch b", .rate = 1e6}}, {.empty = true, .cap = 10}, 0.5, 0,
			BIND_WINDOW, "50% of the rate (2 MB/s for batch b)", "refusals"},
		{{.in_flight = 3,
			 .target_waiting = true,
			 .target_wait = DIM_IN_FLIGHT,
			 .line = {.waits = true, .scope = "target t", .rate = 1e5}},
			{.bytes = 9, .cap = 10}, 1, 0, BIND_RATE, "target t", "--uploads"},
		{{.source_waiting = true, .source_scope = "mailbox m"}, {.empty = true, .cap = 10}, 1, 0, BIND_SOURCE,
			"refusals", "shared"},
		/* as many in flight as were allowed */
		{{.in_flight = 1, .in_flight_limit = 1, .bytes_per_s = 1}, {.full = true, .bytes = 9, .cap = 10}, 1, 0,
			BIND_NETWORK, "takes no more", "--uploads"},
		{{0}, {.cap = 10}, 1, 0, BIND_NOTHING, "nothing holds", "hangs"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct finding f = {0};
		binding_find(&cases[i].v, &cases[i].q, cases[i].share, 1, cases[i].quiet_ms, &f);
		if (f.binding != cases[i].binding || !strstr(f.detail, cases[i].word) ||
			strstr(f.detail, cases[i].not ))
			fail_msg("case %zu: %d, %s", i, (int)f.binding, f.detail);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_finds)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
