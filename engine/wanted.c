#include "engine/wanted.h"

#include <fnmatch.h>
#include <string.h>

static bool matches(const char *patterns, const struct folder *f, const struct mapping *m)
{
	char copy[MODEL_TEXT], *save = NULL;
	snprintf(copy, sizeof copy, "%s", patterns);
	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		while (*p == ' ')
			p++;
		if (!fnmatch(p, f->name, 0) || !fnmatch(p, m->path, 0))
			return true;
	}
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
