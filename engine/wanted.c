#include "engine/wanted.h"

#include "engine/base/similar.h"
#include "engine/base/utf8.h"

#include <fnmatch.h>
#include <string.h>

#define NAMED 3 /* folders that look like a pattern */

/* The pattern that begins at *at, without blanks at its ends; *at moves on. False: there is none left. */
static bool next_pattern(const char *patterns, size_t *at, char one[MODEL_TEXT])
{
	while (patterns[*at]) {
		const char *from = patterns + *at;
		size_t n = strcspn(from, ",");
		*at += n + (from[n] == ',');
		while (n && *from == ' ')
			from++, n--;
		while (n && from[n - 1] == ' ')
			n--;
		snprintf(one, MODEL_TEXT, "%.*s", (int)n, from);
		if (one[0])
			return true;
	}
	return false;
}

static bool matches_one(const char *pattern, const struct folder *f, const struct mapping *m)
{
	return !fnmatch(pattern, f->name, 0) || !fnmatch(pattern, m->path, 0);
}

static bool matches(const char *patterns, const struct folder *f, const struct mapping *m)
{
	char one[MODEL_TEXT];
	for (size_t at = 0; next_pattern(patterns, &at, one);)
		if (matches_one(one, f, m))
			return true;
	return false;
}

bool wanted_by_patterns(const struct batch *b, const struct folder *f, const struct mapping *m)
{
	if (b->include[0] && !matches(b->include, f, m))
		return false;
	return !(b->exclude[0] && matches(b->exclude, f, m));
}

bool wanted_folder(const struct batch *b, const struct folder *f, const struct mapping *m)
{
	bool may = !m->skip || (m->by_name && b->include[0]);
	return may && wanted_by_patterns(b, f, m);
}

/* --- patterns that match nothing ----------------------------------------------------------------- */

/* Compared without "*" and "?", with the whole name and with its last part. */
static bool looks_like(const char *pattern, const struct folder *f)
{
	char word[MODEL_TEXT];
	size_t n = 0;
	for (const char *p = pattern; *p; p++)
		if (*p != '*' && *p != '?')
			word[n++] = *p;
	while (n && (word[n - 1] == '/' || word[n - 1] == f->separator))
		n--;
	word[n] = '\0';
	const char *last = f->separator ? strrchr(f->name, f->separator) : NULL;
	return similar_words(word, f->name) || (last && similar_words(word, last + 1));
}

/* A folder with messages below this one that no pattern of the list matches. */
static bool leaves_some(
	const struct folder *container, const char *patterns, const struct folder_list *l, const struct mapping *m)
{
	size_t n = strlen(container->name);
	for (size_t i = 0; i < l->n; i++) {
		const struct folder *f = &l->v[i];
		bool is_below = f->can_select && strncmp(f->name, container->name, n) == 0 && f->separator &&
				f->name[n] == f->separator;
		if (is_below && !matches(patterns, f, &m[i]))
			return true;
	}
	return false;
}

/* *container: one that holds only folders is all that the pattern matches, and what it holds is not matched by any of them; else NULL. */
static bool matches_any(const char *pattern, const char *patterns, const struct folder_list *l, const struct mapping *m,
	const struct folder **container)
{
	bool any = false;
	*container = NULL;
	for (size_t i = 0; i < l->n; i++) {
		if (!matches_one(pattern, &l->v[i], &m[i]))
			continue;
		if (l->v[i].can_select)
			return true;
		any = true;
		if (!*container && leaves_some(&l->v[i], patterns, l, m))
			*container = &l->v[i];
	}
	return any && !*container;
}

static void tell_unmatched(
	struct unmatched *u, const char *pattern, const struct folder_list *l, const struct folder *container)
{
	size_t named = 0, size = sizeof u->text;
	const char *option = u->excludes ? "--exclude" : "--include";
	if (container) {
		char separator[2] = {container->separator};
		snprintf(u->text, size,
			"\"%.200s\" of %s matches only folders that hold folders and no messages; \"%.200s%s*\" is "
			"what is in it",
			pattern, option, container->name, separator);
		utf8_mend(u->text);
		return;
	}
	size_t len = (size_t)snprintf(u->text, size, "no folder matches \"%.200s\" of %s%s", pattern, option,
		u->excludes ? "" : ": nothing is moved for it");
	for (size_t i = 0; i < l->n && named < NAMED; i++) {
		if (!l->v[i].can_select || !looks_like(pattern, &l->v[i]))
			continue;
		len += (size_t)snprintf(u->text + len, size - len, "%s\"%.150s\"",
			named++ ? ", " : "; names that look like it: ", l->v[i].name);
	}
	if (!named)
		snprintf(u->text + len, size - len, "; none has a name like it");
	utf8_mend(u->text);
}

bool wanted_unmatched(
	const struct batch *b, const struct folder_list *l, const struct mapping *m, struct unmatched *next)
{
	char one[MODEL_TEXT];
	const struct folder *container;
	size_t all = strlen(b->include);
	while (next->at < all && next_pattern(b->include, &next->at, one)) {
		if (matches_any(one, b->include, l, m, &container))
			continue;
		next->excludes = false;
		tell_unmatched(next, one, l, container);
		return true;
	}
	next->at = next->at < all ? all : next->at;
	for (size_t at = next->at - all; next_pattern(b->exclude, &at, one);) {
		next->at = all + at;
		if (matches_any(one, b->exclude, l, m, &container))
			continue;
		next->excludes = true;
		tell_unmatched(next, one, l, container);
		return true;
	}
	return false;
}
