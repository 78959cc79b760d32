/* What the figures of a mailbox mean for its move: one finding for what is alike, with how many and which, and what to do. */
#include "engine/survey_parts.h"

#include "engine/base/clock.h"
#include "engine/base/utf8.h"
#include "engine/provider.h"
#include "engine/wanted.h"

#include <stdlib.h>
#include <string.h>

#define NAMED 8 /* folders named in one finding */
#define NAMES 700
#define CLUSTER_MESSAGES 1000
#define SURELY 20                        /* messages: fewer may be the same by chance */
#define EXCHANGE_FOLDER_MESSAGES 1000000 /* told: spec/exchange-online.md, section 2 */

/* A list of folders in words: "A", "B" and 5 more. */
struct names {
	char text[NAMES];
	size_t len, n;
};

static void add_name(struct names *l, const char *name, const char *joint, const char *other)
{
	char one[300];
	if (l->n++ >= NAMED)
		return;
	if (other)
		snprintf(one, sizeof one, "\"%.100s\" %s \"%.100s\"", name, joint, other);
	else
		snprintf(one, sizeof one, "\"%.100s\"", name);
	utf8_trim(one);
	size_t room = sizeof l->text - l->len, need = strlen(one) + 3;
	if (need < room)
		l->len += (size_t)snprintf(l->text + l->len, room, "%s%s", l->len ? ", " : "", one);
}

static const char *end_names(struct names *l)
{
	if (l->n > NAMED)
		snprintf(l->text + l->len, sizeof l->text - l->len, " and %zu more", l->n - NAMED);
	return l->text;
}

static unsigned long long ull(uint64_t n)
{
	return n;
}

/* --- folders ------------------------------------------------------------------------------------ */

static enum finding_weight weight_of_skip(const struct folder *f)
{
	return f->role == ROLE_FLAGGED ? FINDING_NOTE : FINDING_LEFT_OUT;
}

/* Those that cannot hold mail are no news. */
static bool is_left(const struct survey *s, size_t i)
{
	return s->mappings[i].skip && s->list.v[i].can_select &&
	       !wanted_folder(s->conf.batch, &s->list.v[i], &s->mappings[i]);
}

/* Skipped folders by reason. */
static void find_skipped(const struct survey *s, struct assessment *out)
{
	bool *told = calloc(s->list.n, sizeof *told);
	for (size_t i = 0; told && i < s->list.n; i++) {
		struct names names = {0};
		const struct mapping *m = &s->mappings[i];
		if (told[i] || !is_left(s, i))
			continue;
		for (size_t k = i; k < s->list.n; k++) {
			if (!is_left(s, k) || strcmp(s->mappings[k].reason, m->reason) != 0)
				continue;
			told[k] = true;
			add_name(&names, s->list.v[k].name, NULL, NULL);
		}
		const struct folder *f = &s->list.v[i];
		bool view = f->role == ROLE_ALL || f->role == ROLE_FLAGGED;
		assessment_add(out, weight_of_skip(f),
			view           ? "view"
			: f->is_shared ? "shared"
				       : "not-mail",
			f->role == ROLE_ALL ? "at the source, give mail that is only there a folder or label of its own"
			: f->is_shared      ? "move it as a mailbox of its own, signed in as its owner"
			: view              ? ""
			       : "export calendars, contacts and the like at the source (ICS, vCard) and import them; "
				 "if it is mail after all, --include \"*\" moves all folders",
			"%zu %s not moved (%s): %s", names.n, names.n == 1 ? "folder is" : "folders are", m->reason,
			end_names(&names));
	}
	free(told);
}

static void find_renamed(const struct survey *s, struct assessment *out)
{
	struct names renamed = {0}, excluded = {0};
	for (size_t i = 0; i < s->list.n; i++) {
		const struct mapping *m = &s->mappings[i];
		if (m->skip)
			continue;
		if (!wanted_by_patterns(s->conf.batch, &s->list.v[i], m))
			add_name(&excluded, s->list.v[i].name, NULL, NULL);
		else if (m->changes & ~(unsigned)MAP_ROLE)
			add_name(&renamed, s->list.v[i].name, "as", m->path);
	}
	if (renamed.n)
		assessment_add(out, FINDING_NOTE, "renamed", "", "%zu %s under another name: %s", renamed.n,
			renamed.n == 1 ? "folder arrives" : "folders arrive", end_names(&renamed));
	if (excluded.n)
		assessment_add(out, FINDING_NOTE, "excluded", "", "%zu %s out by --include or --exclude: %s",
			excluded.n, excluded.n == 1 ? "folder is left" : "folders are left", end_names(&excluded));
	if (s->odd)
		assessment_add(out, FINDING_NOTE, "odd-names", "",
			"the source lists %u folder names that cannot be used or come twice", s->odd);
}

static void find_unmatched(const struct survey *s, struct assessment *out)
{
	for (struct unmatched u = {0}; wanted_unmatched(s->conf.batch, &s->list, s->mappings, &u);)
		assessment_add(out, u.excludes ? FINDING_NOTE : FINDING_LEFT_OUT,
			u.excludes ? "exclude-unmatched" : "include-unmatched",
			u.excludes ? "batch set --exclude corrects it" : "batch set --include corrects it", "%s",
			u.text);
}

/* The well-known folder takes one; the others of its role keep their names. */
static void find_roles(const struct survey *s, struct assessment *out)
{
	for (int role = ROLE_SENT; role <= ROLE_ARCHIVE; role++) {
		struct names names = {0};
		for (size_t i = 0; i < s->list.n; i++)
			if ((int)s->list.v[i].role == role && !s->mappings[i].skip)
				add_name(&names, s->list.v[i].name, "as", s->mappings[i].path);
		if (names.n > 1)
			assessment_add(out, FINDING_NOTE, "several-of-one-role",
				"merge them at the source before, where that is wanted",
				"%zu folders are %s, and one of them can be: %s", names.n,
				map_role_name((enum folder_role)role), end_names(&names));
	}
}

/* The destination mailbox is in another language, or a host has names of its own: where sent mail and the like will be. */
static void find_own_names(const struct survey *s, struct assessment *out)
{
	const char *const *own = s->conf.rules.well_known;
	struct names names = {0};
	for (size_t i = 0; own && i < s->list.n; i++) {
		const struct mapping *m = &s->mappings[i];
		for (int role = ROLE_SENT; role <= ROLE_ARCHIVE && !m->skip && m->changes & MAP_ROLE; role++)
			if (own[role] && !strcmp(own[role], m->path) &&
				strcmp(own[role], map_role_name((enum folder_role)role)) != 0)
				add_name(&names, s->list.v[i].name, "as", m->path);
	}
	if (names.n)
		assessment_add(out, FINDING_NOTE, "own-names", "",
			"%zu %s into the destination mailbox's own folders: %s", names.n,
			names.n == 1 ? "folder goes" : "folders go", end_names(&names));
}

/* The same UIDVALIDITY, UIDNEXT, count and octets: one folder listed under two names, whose mail would arrive twice. */
static bool is_same(const struct survey_folder *a, const struct survey_folder *b)
{
	return a->done && b->done && !a->failed && !b->failed && a->listed && a->uidvalidity == b->uidvalidity &&
	       a->uidnext == b->uidnext && a->listed == b->listed && a->bytes == b->bytes && a->largest == b->largest;
}

static int by_space(const void *x, const void *y)
{
	const struct survey_folder *a = *(const struct survey_folder *const *)x,
				   *b = *(const struct survey_folder *const *)y;
	if (a->uidvalidity != b->uidvalidity)
		return a->uidvalidity < b->uidvalidity ? -1 : 1;
	if (a->uidnext != b->uidnext)
		return a->uidnext < b->uidnext ? -1 : 1;
	if (a->listed != b->listed)
		return a->listed < b->listed ? -1 : 1;
	return a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
}

static void find_same(const struct survey *s, struct assessment *out)
{
	const struct survey_folder **v = calloc(s->list.n ? s->list.n : 1, sizeof(*v));
	struct names names = {0};
	uint64_t most = 0;
	if (!v)
		return;
	for (size_t i = 0; i < s->list.n; i++)
		v[i] = &s->folders[i];
	qsort(v, s->list.n, sizeof(*v), by_space);
	for (size_t i = 1; i < s->list.n; i++)
		if (is_same(v[i - 1], v[i])) {
			add_name(&names, s->list.v[v[i - 1] - s->folders].name, "and",
				s->list.v[v[i] - s->folders].name);
			most = v[i]->listed > most ? v[i]->listed : most;
		}
	if (names.n)
		assessment_add(out, most >= SURELY ? FINDING_PROBLEM : FINDING_NOTE, "same-folder-twice",
			"leave one of each out: batch set --exclude",
			"the same folder seems to be listed under two names (same UIDs, counts and sizes), and its "
			"mail would "
			"arrive twice: %s",
			end_names(&names));
	free(v);
}

/* --- messages ----------------------------------------------------------------------------------- */

static void find_unreadable(const struct survey *s, struct assessment *out)
{
	for (size_t i = 0; i < s->list.n; i++) {
		const struct survey_folder *f = &s->folders[i];
		if (f->failed)
			assessment_add(out, FINDING_PROBLEM, "unreadable-folder",
				"look at it at the source, or leave it out: batch set --exclude", "%s", f->error);
		else if (f->done && f->listed < f->exists)
			assessment_add(out, FINDING_PROBLEM, "hidden-messages",
				"have the folder repaired at the source",
				"folder \"%.300s\" says that it holds %u messages, and lists %llu", s->list.v[i].name,
				f->exists, ull(f->listed));
	}
}

static void find_caps(const struct survey *s, const struct survey_folder *f, const char *name, struct assessment *out)
{
	static const unsigned usual[] = {1000, 10000, 30000, 50000, 100000};
	const struct provider *p = provider_find(s->conf.endpoint->provider);
	if (p && p->folder_cap && f->exists == p->folder_cap) {
		assessment_add(out, FINDING_LEFT_OUT, "provider-cap", p->folder_cap_hint,
			"folder \"%.300s\" shows exactly %u messages, %s's known cap: it is probably not the whole "
			"folder",
			name, f->exists, p->title);
		return;
	}
	for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
		if (f->exists == usual[i])
			assessment_add(out, FINDING_NOTE, "round-count",
				"look whether the source has a setting that limits what IMAP shows",
				"folder \"%.300s\" shows exactly %u messages; some hosts cut there", name, f->exists);
}

static void find_in_folder(const struct survey *s, size_t i, struct assessment *out)
{
	const struct survey_folder *f = &s->folders[i];
	const char *name = s->list.v[i].name;
	if (!f->done || f->failed)
		return;
	find_caps(s, f, name, out);
	if (f->listed >= CLUSTER_MESSAGES && f->cluster_votes > f->listed / 4)
		assessment_add(out, FINDING_NOTE, "clustered-dates",
			s->conf.batch->date_from_header ? ""
							: "batch set --date-from-header takes them from the messages",
			"folder \"%.300s\": most of its %llu messages carry one received date: the host lost them",
			name, ull(f->listed));
	if (s->conf.destination->conf.kind == TARGET_EXCHANGE && f->messages > EXCHANGE_FOLDER_MESSAGES)
		assessment_add(out, FINDING_PROBLEM, "folder-too-full", "split the folder at the source",
			"folder \"%.300s\" holds %llu messages, and Exchange Online takes 1,000,000 in a folder", name,
			ull(f->messages));
}

static void find_too_big(const struct survey *s, struct assessment *out)
{
	size_t worst = s->list.n;
	uint64_t largest = 0;
	char at[CLOCK_TEXT] = "an unknown date";
	for (size_t i = 0; i < s->list.n; i++) {
		out->too_big += s->folders[i].too_big;
		out->too_big_bytes += s->folders[i].too_big_bytes;
		if (s->folders[i].too_big && s->folders[i].too_big_largest > largest) {
			largest = s->folders[i].too_big_largest;
			worst = i;
		}
	}
	if (worst == s->list.n)
		return;
	const struct survey_folder *f = &s->folders[worst];
	if (f->too_big_date.known)
		clock_format(f->too_big_date.at, at, sizeof at);
	assessment_add(out, FINDING_LEFT_OUT, "too-big", f->too_big_hint,
		"%llu %s larger than the destination takes (%llu octets in all); the largest: folder \"%.300s\", UID "
		"%u, %s, %llu "
		"octets",
		ull(out->too_big), out->too_big == 1 ? "message is" : "messages are", ull(out->too_big_bytes),
		s->list.v[worst].name, f->too_big_uid, at, ull(f->too_big_largest));
}

static void find_in_all(const struct survey *s, struct assessment *out, uint64_t sizeless, uint64_t dateless)
{
	const struct provider *p = provider_find(s->conf.endpoint->provider);
	if (out->deleted)
		assessment_add(out, s->conf.batch->copy_deleted ? FINDING_NOTE : FINDING_LEFT_OUT, "deleted",
			s->conf.batch->copy_deleted ? "" : "batch set --copy-deleted takes them, without the mark",
			"%llu %s marked \\Deleted at the source and not expunged", ull(out->deleted),
			out->deleted == 1 ? "message is" : "messages are");
	if (out->drafts)
		assessment_add(out, FINDING_NOTE, "drafts", "", "%llu %s, and will be there", ull(out->drafts),
			out->drafts == 1 ? "message is a draft" : "messages are drafts");
	if (sizeless)
		assessment_add(out, FINDING_NOTE, "no-size", "",
			"%llu %s no size at the source: found out during the run", ull(sizeless),
			sizeless == 1 ? "message has" : "messages have");
	if (dateless)
		assessment_add(out, FINDING_NOTE, "no-date", "batch set --date-from-header takes it from the message",
			"%llu %s no received date that can be read", ull(dateless),
			dateless == 1 ? "message has" : "messages have");
	if (s->quirks & QUIRK_GMAIL)
		assessment_add(out, FINDING_NOTE, "labels",
			"hide labels that are not wanted from IMAP, or use --exclude",
			"a message with several Gmail labels counts, and arrives, once in the folder of each");
	if (s->conf.endpoint->bytes_per_day && out->bytes > s->conf.endpoint->bytes_per_day)
		assessment_add(out, FINDING_NOTE, "daily-budget", "",
			"the source gives %.4g MB a day%s%s: it takes %llu days at least",
			(double)s->conf.endpoint->bytes_per_day / 1e6, p ? ", by " : "", p ? p->title : "",
			ull((out->bytes + s->conf.endpoint->bytes_per_day - 1) / s->conf.endpoint->bytes_per_day));
	if (!out->messages)
		assessment_add(
			out, FINDING_NOTE, "empty", "is it the right mailbox?", "no message is there to be moved");
}

void survey_finish(struct survey *s, struct assessment *out)
{
	uint64_t sizeless = 0, dateless = 0;
	out->folders = out->folders_moved = 0;
	out->messages = out->bytes = out->largest = out->deleted = out->drafts = out->too_big = out->too_big_bytes = 0;
	for (size_t i = 0; i < s->list.n; i++) {
		const struct survey_folder *f = &s->folders[i];
		out->folders += s->list.v[i].can_select;
		out->folders_moved += f->done && !f->failed;
		out->messages += f->messages;
		out->bytes += f->bytes;
		out->deleted += f->deleted;
		out->drafts += f->drafts;
		sizeless += f->sizeless;
		dateless += f->dateless;
		out->largest = f->largest > out->largest ? f->largest : out->largest;
	}
	find_unreadable(s, out);
	find_same(s, out);
	find_too_big(s, out);
	find_unmatched(s, out);
	find_skipped(s, out);
	for (size_t i = 0; i < s->list.n; i++)
		find_in_folder(s, i, out);
	find_in_all(s, out, sizeless, dateless);
	find_roles(s, out);
	find_own_names(s, out);
	find_renamed(s, out);
}
