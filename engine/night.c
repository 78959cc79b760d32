#include "engine/night.h"

#include "engine/base/clock.h"

#include <stdio.h>
#include <string.h>

#define CHANGES 3000 /* of the share, in search of a closing: two a day for four years */

/* Cuts text at its newlines, in place. */
static size_t split(char *text, const char **out, size_t cap)
{
	size_t n = 0;
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line && n < cap; line = strtok_r(NULL, "\n", &save))
		out[n++] = line;
	return n;
}

int night_schedule(const struct night *n, struct schedule **out, struct err *err)
{
	struct night copy = *n;
	const char *windows[SCHEDULE_WINDOWS + 1], *blackouts[SCHEDULE_BLACKOUTS + 1];
	struct schedule_text text = SCHEDULE_TEXT_INIT;
	*out = NULL;
	text.windows = windows;
	text.n_windows = split(copy.windows, windows, SCHEDULE_WINDOWS + 1);
	text.blackouts = blackouts;
	text.n_blackouts = split(copy.blackouts, blackouts, SCHEDULE_BLACKOUTS + 1);
	text.zone = copy.zone[0] ? copy.zone : NULL;
	if (n->start_after)
		text.start_after = n->start_after;
	if (n->until)
		text.until = n->until;
	if (!text.n_windows && !text.n_blackouts && !n->start_after && !n->until)
		return 0;
	return schedule_parse(out, &text, err);
}

void night_look(const struct night *n, const struct schedule *s, int64_t at, struct night_now *out)
{
	*out = (struct night_now){.share = 1};
	if (!s)
		return;
	out->share = schedule_is_open(s, at);
	out->over = n->until && at >= n->until;
	if (out->share <= 0)
		out->open_at = schedule_next_opening(s, at);
}

int64_t night_closes_at(const struct schedule *s, int64_t at)
{
	/* Another share is no closing; and by day a quarter, by night all of the rate is never closed. */
	for (unsigned i = 0; s && i < CHANGES; i++) {
		at = schedule_next_change(s, at);
		if (at == SCHEDULE_NEVER || schedule_is_open(s, at) <= 0)
			return at;
	}
	return SCHEDULE_NEVER;
}

const char *night_moment(const struct schedule *s, const char *zone, int64_t at, char *out, size_t size)
{
	char local[CLOCK_TEXT], utc[CLOCK_TEXT];
	clock_format(at, utc, sizeof utc);
	if (!s || !zone[0]) {
		snprintf(out, size, "%s", utc);
		return out;
	}
	clock_format(zone_to_local(schedule_zone(s), at), local, sizeof local);
	bool same_day = strncmp(local, utc, 10) == 0;
	snprintf(out, size, "%.10s %.5s %s (%.*sZ)", local, local + 11, zone, same_day ? 5 : 16,
		same_day ? utc + 11 : utc);
	return out;
}

void night_reason(const struct night *n, const struct schedule *s, const struct night_now *now, struct err *out)
{
	char at[NIGHT_MOMENT], until[NIGHT_MOMENT];
	if (now->over) {
		err_set(out, ERR_DEFERRED, "deferred: its deadline, %s, has passed",
			night_moment(s, n->zone, n->until, until, sizeof until));
		err_hint(out, "--until gives another one, or none; then start it again");
	} else if (now->open_at == INT64_MAX) {
		err_set(out, ERR_DEFERRED, "deferred: no window opens again%s", n->until ? " before its deadline" : "");
		err_hint(out, "look at its windows, blackouts and deadline: nightferry batch show");
	} else {
		err_set(out, ERR_DEFERRED, "deferred until %s: %s",
			night_moment(s, n->zone, now->open_at, at, sizeof at),
			n->windows[0] || n->blackouts[0] ? "outside of its windows" : "it starts then");
	}
}
