#include "throttle/schedule.h"

#include "engine/base/clock.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DAY_S 86400
#define DAY_MINUTES 1440
#define HORIZON_S ((int64_t)730 * DAY_S)
#define LOOK_DAYS 9 /* how many days ahead the next edge is sought at a time */

struct window {
	unsigned days;        /* bit 0: Monday */
	int from_min, to_min; /* of the day; to may be on the next one: then above DAY_MINUTES */
	double share;
};

struct dates {
	int64_t first, last;
}; /* local days since 1970 */

struct schedule {
	struct zone *zone; /* owned */
	struct window window[SCHEDULE_WINDOWS];
	size_t windows;
	struct dates blackout[SCHEDULE_BLACKOUTS];
	size_t blackouts;
	int64_t start_after, until;
};

static int64_t floor_div(int64_t a, int64_t b)
{
	int64_t q = a / b;
	return a % b < 0 ? q - 1 : q;
}

/* --- words ------------------------------------------------------------------------------------------------------------------ */

static bool parse_day(const char **s, int *day)
{
	static const char *const names[] = {
		"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};
	size_t n = 0;
	while (isalpha((unsigned char)(*s)[n]))
		n++;
	for (int d = 0; d < 7; d++) {
		if (n >= 3 && n <= strlen(names[d]) && !strncasecmp(*s, names[d], n)) {
			*s += n;
			*day = d;
			return true;
		}
	}
	return false;
}

static bool parse_days(const char *word, unsigned *days)
{
	int from, to;
	*days = 0;
	if (!strcasecmp(word, "daily") || !strcmp(word, "*")) {
		*days = 0x7f;
		return true;
	}
	do {
		if (!parse_day(&word, &from))
			return false;
		to = from;
		if (*word == '-' && (word++, !parse_day(&word, &to)))
			return false;
		for (int d = from;; d = (d + 1) % 7) {
			*days |= 1u << d;
			if (d == to)
				break;
		}
	} while (*word == ',' && word++);
	return !*word;
}

/* At most `most` digits, at least one. */
static bool parse_digits(const char **s, int most, int *out)
{
	int n = 0;
	*out = 0;
	for (; n < most && isdigit((unsigned char)**s); n++, (*s)++)
		*out = *out * 10 + (**s - '0');
	return n > 0;
}

/* HH:MM, 24:00 too. */
static bool parse_clock(const char **s, int *minutes)
{
	int h, m;
	if (!parse_digits(s, 2, &h) || *(*s)++ != ':' || !isdigit((unsigned char)(*s)[0]) ||
		!isdigit((unsigned char)(*s)[1]) || !parse_digits(s, 2, &m))
		return false;
	*minutes = h * 60 + m;
	return m < 60 && *minutes <= DAY_MINUTES;
}

static bool parse_hours(const char *word, struct window *w)
{
	if (!parse_clock(&word, &w->from_min) || *word++ != '-' || !parse_clock(&word, &w->to_min) || *word)
		return false;
	if (w->from_min == DAY_MINUTES)
		return false;
	if (w->to_min <= w->from_min)
		w->to_min += DAY_MINUTES;
	return true;
}

static bool parse_share(const char *word, struct window *w)
{
	int percent;
	if (!parse_digits(&word, 3, &percent) || strcmp(word, "%") != 0 || percent < 1 || percent > 100)
		return false;
	w->share = percent / 100.0;
	return true;
}

static int parse_window(struct window *w, const char *text, struct err *err)
{
	char copy[128], *rest = NULL;
	bool days = false, hours = false, share = false, any = false;
	*w = (struct window){.days = 0x7f, .to_min = DAY_MINUTES, .share = 1};
	if (strlen(text) >= sizeof copy)
		return err_set(err, ERR_USAGE, "the window \"%.40s…\" is too long", text);
	memcpy(copy, text, strlen(text) + 1);
	for (char *word = strtok_r(copy, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
		bool good = false;
		any = true;
		if (strchr(word, '%'))
			good = !share && (share = parse_share(word, w));
		else if (isdigit((unsigned char)*word))
			good = !hours && (hours = parse_hours(word, w));
		else
			good = !days && !hours && (days = parse_days(word, &w->days));
		if (!good) {
			err_set(err, ERR_USAGE, "the window \"%s\": \"%s\" is not understood", text, word);
			err_hint(err, "a window looks like \"Mon-Fri 20:00-06:00\", \"Sat,Sun\" or \"daily "
				      "08:00-18:00 25%%\"; \"always\" is no window");
			return -1;
		}
	}
	return any ? 0 : err_set(err, ERR_USAGE, "a window is empty");
}

/* YYYY-MM-DD; days since 1970. */
static bool parse_date(const char **s, int64_t *day)
{
	const char *from = *s;
	int y, m, d;
	if (!parse_digits(s, 4, &y) || *s - from != 4 || *(*s)++ != '-' || !parse_digits(s, 2, &m) || *(*s)++ != '-' ||
		!parse_digits(s, 2, &d))
		return false;
	struct clock_fields f = {.year = y, .month = m, .day = d}, back;
	if (m < 1 || m > 12 || d < 1 || d > 31)
		return false;
	int64_t at = clock_join(&f);
	clock_split(at, &back);
	*day = floor_div(at, DAY_S);
	return back.day == d && back.month == m; /* 31 April is none */
}

static int parse_blackout(struct dates *out, const char *text, struct err *err)
{
	const char *s = text;
	bool good = parse_date(&s, &out->first);
	out->last = out->first;
	if (good && !strncmp(s, "..", 2)) {
		s += 2;
		good = parse_date(&s, &out->last);
	}
	if (!good || *s || out->last < out->first)
		return err_set(
			err, ERR_USAGE, "\"%.64s\" is not a date like 2026-12-25 or 2026-12-24..2026-12-26", text);
	return 0;
}

int schedule_parse_moment(const char *text, const struct zone *zone, int64_t *at, struct err *err)
{
	const char *s = text;
	int64_t day;
	int minutes = 0, seconds = 0;
	bool good = parse_date(&s, &day), utc = false;
	if (good && (*s == 'T' || *s == ' ')) {
		s++;
		good = parse_clock(&s, &minutes);
		if (good && *s == ':')
			good = (s++, parse_digits(&s, 2, &seconds)) && seconds < 60;
		if (good && *s == 'Z') {
			utc = true;
			s++;
		}
	}
	if (!good || *s)
		return err_set(
			err, ERR_USAGE, "\"%.64s\" is not a time like 2026-11-23T20:00Z or \"2026-11-23 20:00\"", text);
	if (!utc && !zone)
		return err_set(err, ERR_USAGE, "\"%.64s\" needs a time zone, or a Z for UTC", text);
	int64_t local = day * DAY_S + (int64_t)minutes * 60 + seconds;
	*at = utc ? local : zone_to_utc(zone, local);
	return 0;
}

static int parse_lists(struct schedule *s, const struct schedule_text *t, struct err *err)
{
	if (t->n_windows > SCHEDULE_WINDOWS || t->n_blackouts > SCHEDULE_BLACKOUTS)
		return err_set(
			err, ERR_USAGE, "at most %d windows and %d blackouts", SCHEDULE_WINDOWS, SCHEDULE_BLACKOUTS);
	if ((t->n_windows || t->n_blackouts) && !t->zone) {
		err_set(err, ERR_USAGE, "a window needs a time zone");
		err_hint(err, "give one by name, as in --time-zone Asia/Karachi");
		return -1;
	}
	if (zone_load(&s->zone, t->zone ? t->zone : "UTC", err))
		return -1;
	for (; s->windows < t->n_windows; s->windows++)
		if (parse_window(&s->window[s->windows], t->windows[s->windows], err))
			return -1;
	for (; s->blackouts < t->n_blackouts; s->blackouts++)
		if (parse_blackout(&s->blackout[s->blackouts], t->blackouts[s->blackouts], err))
			return -1;
	if (s->windows == 0) /* always */
		s->window[s->windows++] = (struct window){.days = 0x7f, .to_min = DAY_MINUTES, .share = 1};
	return 0;
}

int schedule_parse(struct schedule **out, const struct schedule_text *text, struct err *err)
{
	*out = NULL;
	struct schedule *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(err, ERR_MEMORY, "no memory for a schedule");
	s->start_after = text->start_after;
	s->until = text->until;
	if (parse_lists(s, text, err)) {
		schedule_free(&s);
		return -1;
	}
	*out = s;
	return 0;
}

void schedule_free(struct schedule **s)
{
	if (!*s)
		return;
	zone_free(&(*s)->zone);
	free(*s);
	*s = NULL;
}

const struct zone *schedule_zone(const struct schedule *s)
{
	return s->zone;
}

/* --- questions -------------------------------------------------------------------------------------------------------------- */

static bool day_is_black(const struct schedule *s, int64_t day)
{
	for (size_t i = 0; i < s->blackouts; i++)
		if (day >= s->blackout[i].first && day <= s->blackout[i].last)
			return true;
	return false;
}

/* The window as it starts on that local day; false: it does not. */
static bool window_on(const struct schedule *s, const struct window *w, int64_t day, int64_t *from, int64_t *to)
{
	int weekday = (int)(((day + 3) % 7 + 7) % 7); /* 1 January 1970 was a Thursday; Monday is 0 */
	if (!(w->days & 1u << weekday) || day_is_black(s, day))
		return false;
	*from = zone_to_utc(s->zone, day * DAY_S + (int64_t)w->from_min * 60);
	*to = zone_to_utc(s->zone, day * DAY_S + (int64_t)w->to_min * 60);
	return *from < *to;
}

static bool in_bounds(const struct schedule *s, int64_t at)
{
	return at >= s->start_after && at < s->until;
}

double schedule_is_open(const struct schedule *s, int64_t at)
{
	double share = 0;
	int64_t from, to, today = floor_div(zone_to_local(s->zone, at), DAY_S);
	if (!in_bounds(s, at))
		return 0;
	for (int64_t day = today - 2; day <= today + 1; day++)
		for (size_t i = 0; i < s->windows; i++)
			if (s->window[i].share > share && window_on(s, &s->window[i], day, &from, &to) && at >= from &&
				at < to)
				share = s->window[i].share;
	return share;
}

static void nearer(int64_t edge, int64_t at, int64_t *best)
{
	if (edge > at && edge < *best)
		*best = edge;
}

/* The next moment after `at` at which the share might change; SCHEDULE_NEVER: none in the next days. */
static int64_t next_edge(const struct schedule *s, int64_t at)
{
	int64_t best = SCHEDULE_NEVER, from, to, today = floor_div(zone_to_local(s->zone, at), DAY_S);
	nearer(s->start_after, at, &best);
	nearer(s->until, at, &best);
	for (int64_t day = today - 2; day <= today + LOOK_DAYS; day++) {
		for (size_t i = 0; i < s->windows; i++) {
			if (window_on(s, &s->window[i], day, &from, &to)) {
				nearer(from, at, &best);
				nearer(to, at, &best);
			}
		}
		if (best != SCHEDULE_NEVER && best < (day - 2) * DAY_S) /* later days have later edges */
			break;
	}
	return best;
}

int64_t schedule_next_change(const struct schedule *s, int64_t at)
{
	if (at >= s->until)
		return SCHEDULE_NEVER;
	double now = schedule_is_open(s, at);
	int64_t end = at < SCHEDULE_NEVER - HORIZON_S ? at + HORIZON_S : SCHEDULE_NEVER - 1;
	if (s->start_after > at && s->start_after != INT64_MIN && s->start_after < SCHEDULE_NEVER - HORIZON_S) {
		if (in_bounds(s, s->start_after)) /* nothing changes before it */
			at = s->start_after - 1;
		end = at + HORIZON_S;
	}
	while (at < end) {
		int64_t edge = next_edge(s, at);
		if (edge == SCHEDULE_NEVER || edge > at + (int64_t)(LOOK_DAYS - 2) * DAY_S) {
			at += (int64_t)(LOOK_DAYS - 2) * DAY_S;
			continue;
		}
		if (schedule_is_open(s, edge) != now)
			return edge;
		at = edge;
	}
	return SCHEDULE_NEVER;
}

int64_t schedule_next_opening(const struct schedule *s, int64_t at)
{
	while (at != SCHEDULE_NEVER && schedule_is_open(s, at) <= 0)
		at = schedule_next_change(s, at);
	return at;
}
