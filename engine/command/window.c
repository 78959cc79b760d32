#include "engine/command/window.h"

#include "engine/base/clock.h"

#include <string.h>

/* All values of an option, a line each, in place of what was there. "word" alone empties it. */
static int read_lines(struct cli *c, const char *option, const char *word, char *out, size_t size, struct err *err)
{
	size_t n = option_count(&c->opt, option), len = 0;
	if (!n)
		return 0;
	out[0] = 0;
	for (size_t i = 0; i < n; i++) {
		const char *v = option_at(&c->opt, option, i);
		if (n == 1 && !strcmp(v, word))
			return 0;
		int wrote = snprintf(out + len, size - len, "%s%s", i ? "\n" : "", v);
		if (strchr(v, '\n') || wrote < 0 || (size_t)wrote >= size - len)
			return err_set(err, ERR_USAGE, "--%s: too much, or more than a line", option);
		len += (size_t)wrote;
	}
	return 0;
}

static int read_moment(struct cli *c, const char *option, const struct zone *z, int64_t *out, struct err *err)
{
	const char *v = option_get(&c->opt, option);
	if (!v)
		return 0;
	if (!strcmp(v, "none")) {
		*out = 0;
		return 0;
	}
	if (schedule_parse_moment(v, z, out, err))
		return err_wrap(err, "--%s", option);
	if (*out <= 0)
		return err_set(err, ERR_USAGE, "--%s: that was long ago", option);
	return 0;
}

int window_read(struct cli *c, struct night *n, bool *given, struct err *err)
{
	static const char *const names[] = {"window", "time-zone", "blackout", "start-after", "until"};
	struct zone *z = NULL;
	struct schedule *s = NULL;
	*given = false;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		*given |= option_is_given(&c->opt, names[i]);
	if (!*given)
		return 0;
	int rc = -1;
	if (cli_copy_option(c, "time-zone", n->zone, sizeof n->zone, err) ||
		read_lines(c, "window", "always", n->windows, sizeof n->windows, err) ||
		read_lines(c, "blackout", "none", n->blackouts, sizeof n->blackouts, err))
		return -1;
	if (n->zone[0] && zone_load(&z, n->zone, err)) {
		err_wrap(err, "--time-zone");
		return -1;
	}
	if (!read_moment(c, "start-after", z, &n->start_after, err) && !read_moment(c, "until", z, &n->until, err) &&
		!night_schedule(n, &s, err))
		rc = 0;
	if (!rc && n->until && n->until <= n->start_after)
		rc = err_set(err, ERR_USAGE, "--until is not after --start-after");
	schedule_free(&s);
	zone_free(&z);
	return rc;
}

int window_check_share(const struct night *n, const struct batch *b, const struct endpoint *e,
	const struct target_row *t, struct err *err)
{
	bool has_rate = b->bytes_per_s || e->bytes_per_s || t->bytes_per_s || strstr(t->routes, "mime");
	if (!strchr(n->windows, '%') || has_rate)
		return 0;
	err_set(err, ERR_USAGE, "a window leaves a share of the rate, and no rate is set");
	err_hint(err, "give --rate here, or on the endpoint or target: the share is of the narrowest");
	return -1;
}

/* "open with 25% of the rate until …, then with 100%; closed from …" */
static void say_open(const struct night *n, const struct schedule *s, double share, int64_t at, char *out, size_t size)
{
	char moment[NIGHT_MOMENT];
	int64_t change = schedule_next_change(s, at), closes = night_closes_at(s, at);
	double then = change != SCHEDULE_NEVER ? schedule_is_open(s, change) : 0;
	int len = snprintf(out, size, "open");
	if (share < 1)
		len += snprintf(out + len, size - (size_t)len, " with %.0f%% of the rate", share * 100);
	if (change != SCHEDULE_NEVER)
		len += snprintf(out + len, size - (size_t)len, " until %s",
			night_moment(s, n->zone, change, moment, sizeof moment));
	if (then > 0)
		len += snprintf(out + len, size - (size_t)len, ", then with %.0f%%%s", then * 100,
			share < 1 ? "" : " of the rate");
	if (then > 0 && closes != SCHEDULE_NEVER)
		snprintf(out + len, size - (size_t)len, "; closed from %s",
			night_moment(s, n->zone, closes, moment, sizeof moment));
}

const char *window_state(const struct night *n, int64_t at, char *out, size_t size)
{
	struct schedule *s = NULL;
	struct night_now now;
	struct err err = ERR_INIT;
	out[0] = 0;
	if (night_schedule(n, &s, &err)) {
		snprintf(out, size, "its windows cannot be read: %.200s", err.text);
		return out;
	}
	if (!s)
		return out;
	night_look(n, s, at, &now);
	if (now.share <= 0) {
		night_reason(n, s, &now, &err);
		snprintf(out, size, "%.250s", err.text);
	} else {
		say_open(n, s, now.share, at, out, size);
	}
	schedule_free(&s);
	return out;
}

void window_say(const struct night *n)
{
	char text[320];
	window_state(n, clock_wall_s(), text, sizeof text);
	if (text[0])
		printf("Its windows: now %s.\n", text);
}

static json_t *lines_json(const char *text)
{
	json_t *v = json_array();
	while (*text) {
		size_t len = strcspn(text, "\n");
		json_array_append_new(v, json_stringn(text, len));
		text += len + (text[len] != 0);
	}
	return v;
}

json_t *window_json(const struct night *n, int64_t at)
{
	struct schedule *s = NULL;
	struct night_now now = {.share = 0, .open_at = INT64_MAX};
	struct err err = ERR_INIT;
	int64_t closes = SCHEDULE_NEVER, changes = SCHEDULE_NEVER;
	char state[320];
	if (!night_schedule(n, &s, &err)) {
		night_look(n, s, at, &now);
		closes = now.share > 0 ? night_closes_at(s, at) : 0;
		changes = s ? schedule_next_change(s, at) : SCHEDULE_NEVER;
	}
	schedule_free(&s);
	/* 0: not; -1: never */
	return json_pack("{s:o,s:o,s:s,s:I,s:I,s:b,s:f,s:I,s:I,s:I,s:s,s:b}", "windows", lines_json(n->windows),
		"blackouts", lines_json(n->blackouts), "time_zone", n->zone, "start_after", (json_int_t)n->start_after,
		"until", (json_int_t)n->until, "open", (int)(now.share > 0), "share", now.share, "opens_at",
		(json_int_t)(now.open_at == INT64_MAX ? -1 : now.open_at), "closes_at",
		(json_int_t)(closes == SCHEDULE_NEVER ? -1 : closes), "changes_at",
		(json_int_t)(changes == SCHEDULE_NEVER ? -1 : changes), "text",
		window_state(n, at, state, sizeof state), "auto_ramp", (int)n->auto_ramp);
}
