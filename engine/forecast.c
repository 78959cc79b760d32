/* The simulation. A mailbox is a piece of work that gets smaller at a rate: one over the longest of its times under each limit of its
   own. Where mailboxes share a limit they get equal parts of it, and what one cannot use the others get. Rates change only at events,
   so that time jumps from event to event; one costs as much as there are mailboxes at once. */
#include "engine/forecast.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S 86400
#define EPS 1e-9
#define SOON_S 1e-3 /* what ends within so short a time ends together */

enum place { WAITING, ACTIVE, PARKED, OVER };

struct work { /* a mailbox at work */
	size_t user;
	double rate;  /* parts of the whole a second */
	double until; /* seconds to its end, or to the end of its budget */
	int bind;
};

struct sim {
	const struct forecast_conf *c;
	struct forecast_user *users;
	size_t n, n_over;
	int64_t start;
	double now; /* seconds since start */
	enum place *places;
	double *left;  /* of the whole, 1..0 */
	double *spent; /* of today's budget */
	double *parked_s;
	double (*bound_s)[FORECAST_LIMITS + 1]; /* the last: overhead */
	struct work *active;
	size_t n_active, n_parked, cursor;
	double host_spent, midnight;
	double bytes_odd, messages_odd; /* of the night at hand */
	double total_bound_s[FORECAST_LIMITS + 1], parked_total_s, host_closed_s, waiting_s, open_s;
	struct forecast *out;
	size_t nights_room;
	bool memory_out;
};

const char *forecast_origin_name(enum forecast_origin o)
{
	static const char *const names[] = {"assumed", "published", "learned", "measured", "set"};
	return (unsigned)o < sizeof names / sizeof names[0] ? names[o] : "?";
}

const char *forecast_bind_text(const struct forecast_conf *conf, int bind)
{
	if (bind >= 0 && (size_t)bind < conf->n_limits)
		return conf->limits[bind].text;
	return bind == BIND_MAILBOX_BUDGET ? "the daily budget of each mailbox"
	       : bind == BIND_HOST_BUDGET  ? "the source's daily budget"
					   : "signing in and opening folders";
}

static double amount(const struct forecast_user *u, enum forecast_unit unit)
{
	return unit == UNIT_BYTES ? (double)u->bytes : (double)u->messages;
}

static int64_t at(const struct sim *s)
{
	return s->start + (int64_t)(s->now + SOON_S);
}

/* The next midnight of the zone after a moment, in seconds since start. */
static double next_midnight(const struct sim *s, const struct zone *z, int64_t moment)
{
	int64_t local = z ? zone_to_local(z, moment) : moment;
	int64_t day = local >= 0 ? local / DAY_S : -((-local + DAY_S - 1) / DAY_S);
	int64_t next = moment;
	for (int64_t ahead = 1; next <= moment && ahead < 4; ahead++) /* a zone may skip a midnight, or a day */
		next = z ? zone_to_utc(z, (day + ahead) * DAY_S) : (day + ahead) * DAY_S;
	return (double)(next > moment ? next : moment + DAY_S) - (double)s->start;
}

/* --- who is at work ----------------------------------------------------------------------------- */

static bool is_budgeted(const struct sim *s)
{
	return s->c->mailbox_bytes_per_day || s->c->host_bytes_per_day;
}

static void finish(struct sim *s, size_t u)
{
	struct forecast_user *x = &s->users[u];
	x->ends_at = at(s);
	x->night = (unsigned)s->out->n_nights - 1;
	s->places[u] = OVER;
	s->n_over++;
	s->out->nights[x->night].finished++;
	if (s->out->last == s->n || x->ends_at >= s->users[s->out->last].ends_at)
		s->out->last = u;
	int best = BIND_OVERHEAD;
	double most = s->bound_s[u][FORECAST_LIMITS];
	for (size_t i = 0; i < s->c->n_limits; i++) {
		if (s->bound_s[u][i] > most) {
			most = s->bound_s[u][i];
			best = (int)i;
		}
	}
	x->bind = s->parked_s[u] > most ? BIND_MAILBOX_BUDGET : best;
}

static bool has_budget(const struct sim *s, size_t u)
{
	return !s->c->mailbox_bytes_per_day || s->spent[u] < (double)s->c->mailbox_bytes_per_day - 0.5 ||
	       !s->users[u].bytes;
}

static void fill_slots(struct sim *s)
{
	unsigned most = s->c->at_once ? s->c->at_once : 1;
	for (; s->n_active < most && s->cursor < s->n; s->cursor++) {
		size_t u = s->cursor;
		if (s->places[u] != WAITING)
			continue;
		if (!has_budget(s, u)) {
			s->places[u] = PARKED;
			s->n_parked++;
			continue;
		}
		if (s->users[u].begins_at == FORECAST_NEVER)
			s->users[u].begins_at = at(s);
		s->places[u] = ACTIVE;
		s->active[s->n_active++] = (struct work){.user = u};
	}
	struct forecast_night *night = &s->out->nights[s->out->n_nights - 1];
	if (s->n_active > night->at_work)
		night->at_work = (unsigned)s->n_active;
}

/* --- rates -------------------------------------------------------------------------------------- */

/* Each alone: the longest of its times. */
static void own_rate(const struct sim *s, struct work *w, double share)
{
	const struct forecast_user *u = &s->users[w->user];
	double longest = 0, overhead = s->c->per_mailbox_s + s->c->per_folder_s * u->folders;
	w->bind = BIND_OVERHEAD;
	for (size_t i = 0; i < s->c->n_limits; i++) {
		const struct forecast_limit *l = &s->c->limits[i];
		double t = amount(u, l->unit) / l->per_s / (l->by_share ? share : 1);
		if (!l->shared && t > longest) {
			longest = t;
			w->bind = (int)i;
		}
	}
	if (overhead > longest)
		w->bind = BIND_OVERHEAD;
	w->rate = 1 / (longest + overhead > SOON_S ? longest + overhead : SOON_S);
}

/* The level that nobody may pass, so that all together keep to what there is. */
static double fair_level(const struct sim *s, enum forecast_unit unit, double all)
{
	double level = all / (double)s->n_active;
	for (size_t round = 0; round <= s->n_active; round++) {
		double below = 0;
		size_t above = 0;
		for (size_t i = 0; i < s->n_active; i++) {
			double wish = s->active[i].rate * amount(&s->users[s->active[i].user], unit);
			if (wish <= level)
				below += wish;
			else
				above++;
		}
		double next = above ? (all - below) / (double)above : level;
		if (next <= level * (1 + EPS))
			break;
		level = next;
	}
	return level;
}

static void share_limit(struct sim *s, size_t limit, double share)
{
	const struct forecast_limit *l = &s->c->limits[limit];
	double wished = 0, all = l->per_s * (l->by_share ? share : 1);
	for (size_t i = 0; i < s->n_active; i++)
		wished += s->active[i].rate * amount(&s->users[s->active[i].user], l->unit);
	if (wished <= all * (1 + EPS))
		return;
	double level = fair_level(s, l->unit, all);
	for (size_t i = 0; i < s->n_active; i++) {
		struct work *w = &s->active[i];
		double has = amount(&s->users[w->user], l->unit);
		if (w->rate * has > level) {
			w->rate = level / has;
			w->bind = (int)limit;
		}
	}
}

static double set_rates(struct sim *s, double share)
{
	double bytes_per_s = 0;
	for (size_t i = 0; i < s->n_active; i++)
		own_rate(s, &s->active[i], share);
	for (size_t l = 0; l < s->c->n_limits && s->n_active; l++)
		if (s->c->limits[l].shared)
			share_limit(s, l, share);
	for (size_t i = 0; i < s->n_active; i++) {
		struct work *w = &s->active[i];
		double bytes = (double)s->users[w->user].bytes, budget = (double)s->c->mailbox_bytes_per_day;
		w->until = s->left[w->user] / w->rate;
		if (budget > 0 && bytes > 0) {
			double ends = (budget - s->spent[w->user]) / (bytes * w->rate);
			w->until = ends < w->until ? ends : w->until;
		}
		bytes_per_s += bytes * w->rate;
	}
	return bytes_per_s;
}

/* --- time goes on ------------------------------------------------------------------------------- */

static void advance(struct sim *s, double dt)
{
	for (size_t i = 0; i < s->n_active; i++) {
		struct work *w = &s->active[i];
		struct forecast_user *u = &s->users[w->user];
		double part = w->rate * dt < s->left[w->user] ? w->rate * dt : s->left[w->user];
		s->left[w->user] -= part;
		s->spent[w->user] += part * (double)u->bytes;
		s->host_spent += part * (double)u->bytes;
		s->bytes_odd += part * (double)u->bytes;
		s->messages_odd += part * (double)u->messages;
		u->active_s += dt;
		size_t slot = w->bind < 0 ? FORECAST_LIMITS : (size_t)w->bind;
		s->bound_s[w->user][slot] += dt;
		s->total_bound_s[slot] += dt;
	}
	bool waits = s->n_over + s->n_active + s->n_parked < s->n;
	s->open_s += dt;
	s->waiting_s += waits ? dt : 0;
	s->now += dt;
}

/* Takes out who is done or has spent the day's budget. */
static void sweep(struct sim *s)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->n_active; i++) {
		struct work *w = &s->active[i];
		if (s->left[w->user] <= w->rate * SOON_S) {
			finish(s, w->user);
		} else if (!has_budget(s, w->user)) {
			s->places[w->user] = PARKED;
			s->n_parked++;
			s->parked_s[w->user] += s->midnight - s->now;
			s->parked_total_s += s->midnight - s->now;
		} else {
			s->active[kept++] = *w;
		}
	}
	s->n_active = kept;
}

static void turn_day(struct sim *s)
{
	memset(s->spent, 0, s->n * sizeof *s->spent);
	s->host_spent = 0;
	for (size_t u = 0; u < s->n; u++)
		if (s->places[u] == PARKED)
			s->places[u] = WAITING;
	s->n_parked = 0;
	s->cursor = 0;
	s->midnight = next_midnight(s, s->c->budget_zone, at(s));
}

static void turn_days(struct sim *s)
{
	while (is_budgeted(s) && s->now >= s->midnight - SOON_S)
		turn_day(s);
}

/* --- a night ------------------------------------------------------------------------------------ */

static bool add_night(struct sim *s, int64_t begins, int64_t ends, double share)
{
	struct forecast *f = s->out;
	if (f->n_nights == s->nights_room) {
		size_t room = s->nights_room ? s->nights_room * 2 : 32;
		struct forecast_night *v = realloc(f->nights, room * sizeof *v);
		if (!v) {
			s->memory_out = true;
			return false;
		}
		f->nights = v;
		s->nights_room = room;
	}
	f->nights[f->n_nights++] = (struct forecast_night){.begins_at = begins, .ends_at = ends, .share = share};
	s->bytes_odd = s->messages_odd = 0;
	return true;
}

static void end_night(struct sim *s)
{
	struct forecast_night *night = &s->out->nights[s->out->n_nights - 1];
	night->bytes = (uint64_t)(s->bytes_odd + 0.5);
	night->messages = (uint64_t)(s->messages_odd + 0.5);
	if (!night->at_work)
		s->out->n_nights--; /* all were parked */
}

/* From now to the row's end, or until all is done. */
static void run_night(struct sim *s, double end, double share)
{
	while (s->n_over < s->n && s->now < end - SOON_S) {
		turn_days(s);
		double limit = is_budgeted(s) && s->midnight < end ? s->midnight : end;
		double host = (double)s->c->host_bytes_per_day;
		if (host > 0 && s->host_spent >= host - 0.5) { /* all wait for the new day */
			s->host_closed_s += (limit - s->now) * (double)(s->n_active ? s->n_active : 1);
			s->now = limit;
			continue;
		}
		fill_slots(s);
		double bytes_per_s = set_rates(s, share), dt = limit - s->now;
		if (!s->n_active) { /* all that is left is parked */
			s->now = limit;
			continue;
		}
		for (size_t i = 0; i < s->n_active; i++)
			if (s->active[i].until < dt)
				dt = s->active[i].until;
		if (host > 0 && bytes_per_s > 0 && (host - s->host_spent) / bytes_per_s < dt)
			dt = (host - s->host_spent) / bytes_per_s;
		bool to_limit = dt >= limit - s->now - SOON_S;
		advance(s, dt > 0 ? dt : 0);
		if (to_limit)
			s->now = limit;
		sweep(s);
	}
}

static void leave_slots(struct sim *s)
{
	/* At the close a mailbox keeps its place in the order: who has begun goes on first. */
	for (size_t i = 0; i < s->n_active; i++)
		s->places[s->active[i].user] = WAITING;
	s->n_active = 0;
	s->cursor = 0;
}

static int64_t row_end(const struct sim *s, int64_t begins)
{
	const struct schedule *sched = s->c->schedule;
	int64_t change = sched ? schedule_next_change(sched, begins) : SCHEDULE_NEVER;
	if (change != SCHEDULE_NEVER && change - begins <= DAY_S)
		return change;
	return s->start + (int64_t)next_midnight(s, sched ? schedule_zone(sched) : NULL, begins);
}

static void run(struct sim *s)
{
	unsigned idle = 0;
	while (s->n_over < s->n && s->out->n_nights < FORECAST_NIGHTS && idle < FORECAST_NIGHTS) {
		int64_t begins = at(s);
		if (s->c->schedule)
			begins = schedule_next_opening(s->c->schedule, begins);
		if (begins == SCHEDULE_NEVER)
			return;
		if (s->now < (double)(begins - s->start))
			s->now = (double)(begins - s->start);
		double share = s->c->schedule ? schedule_is_open(s->c->schedule, begins) : 1;
		int64_t ends = row_end(s, begins);
		size_t before = s->out->n_nights;
		if (!add_night(s, begins, ends, share))
			return;
		run_night(s, (double)(ends - s->start), share);
		leave_slots(s);
		end_night(s);
		idle = s->out->n_nights > before ? 0 : idle + 1;
	}
}

/* --- the whole ---------------------------------------------------------------------------------- */

static void sum_up(struct sim *s, int64_t now)
{
	struct forecast *f = s->out;
	double all = s->parked_total_s + s->host_closed_s, most = 0;
	f->unfinished = (unsigned)(s->n - s->n_over);
	f->begins_at = s->n ? FORECAST_NEVER : now;
	f->ends_at = f->unfinished ? FORECAST_NEVER : now;
	for (size_t u = 0; u < s->n; u++) {
		const struct forecast_user *x = &s->users[u];
		f->bytes += x->bytes;
		f->messages += x->messages;
		if (f->largest == s->n || x->bytes > s->users[f->largest].bytes)
			f->largest = u;
		if (x->begins_at < f->begins_at)
			f->begins_at = x->begins_at;
		if (!f->unfinished && x->ends_at > f->ends_at)
			f->ends_at = x->ends_at;
	}
	for (size_t i = 0; i <= FORECAST_LIMITS; i++) {
		all += s->total_bound_s[i];
		if (s->total_bound_s[i] > most) {
			most = s->total_bound_s[i];
			f->bind = i == FORECAST_LIMITS ? BIND_OVERHEAD : (int)i;
		}
	}
	if (s->parked_total_s > most) {
		most = s->parked_total_s;
		f->bind = BIND_MAILBOX_BUDGET;
	}
	if (s->host_closed_s > most) {
		most = s->host_closed_s;
		f->bind = BIND_HOST_BUDGET;
	}
	f->bind_part = all > 0 ? most / all : 0;
	f->open_s = s->open_s;
	f->waiting_part = s->open_s > 0 ? s->waiting_s / s->open_s : 0;
}

static bool prepare(struct sim *s)
{
	size_t k = s->c->at_once ? s->c->at_once : 1;
	s->places = calloc(s->n + 1, sizeof *s->places);
	s->left = calloc(s->n + 1, sizeof *s->left);
	s->spent = calloc(s->n + 1, sizeof *s->spent);
	s->parked_s = calloc(s->n + 1, sizeof *s->parked_s);
	s->bound_s = calloc(s->n + 1, sizeof *s->bound_s);
	s->active = calloc((k < s->n ? k : s->n) + 1, sizeof *s->active);
	if (!s->places || !s->left || !s->spent || !s->parked_s || !s->bound_s || !s->active)
		return false;
	for (size_t u = 0; u < s->n; u++) {
		struct forecast_user *x = &s->users[u];
		x->begins_at = x->ends_at = FORECAST_NEVER;
		x->active_s = 0;
		x->night = 0;
		x->bind = BIND_OVERHEAD;
		s->left[u] = 1;
		s->spent[u] = (double)x->spent_today;
	}
	s->host_spent = (double)s->c->host_spent_today;
	s->midnight = next_midnight(s, s->c->budget_zone, s->start);
	return true;
}

int forecast_make(struct forecast *out, const struct forecast_conf *conf, struct forecast_user *users, size_t n,
	int64_t now, struct err *err)
{
	struct sim s = {.c = conf, .users = users, .n = n, .start = now, .out = out};
	*out = (struct forecast){.largest = n, .last = n, .bind = BIND_OVERHEAD};
	bool ready = prepare(&s);
	if (ready)
		run(&s);
	if (ready && !s.memory_out)
		sum_up(&s, now);
	free(s.places);
	free(s.left);
	free(s.spent);
	free(s.parked_s);
	free(s.bound_s);
	free(s.active);
	if (ready && !s.memory_out)
		return 0;
	forecast_done(out);
	return err_set(err, ERR_MEMORY, "no memory for a forecast of %zu mailboxes", n);
}

void forecast_done(struct forecast *f)
{
	free(f->nights);
	f->nights = NULL;
	f->n_nights = 0;
}
