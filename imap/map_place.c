#include "imap/map_place.h"

#include "imap/fold.h"
#include "imap/map_part.h"

#include <stdlib.h>
#include <string.h>

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "out of memory for the map of folders");
}

/* What makes two names the same there. Yours to free. */
static char *key_of(const struct map_places *p, int parent, const char *name)
{
	char *folded = fold_name(name);
	if (p->rules->exchange || !folded || (parent < 0 && strcmp(folded, "inbox") == 0))
		return folded;
	free(folded);
	return strdup(name);
}

/* Takes *name. */
static int add(struct map_places *p, int parent, char **name, const char *key, struct err *err)
{
	if (p->n == p->room) {
		size_t room = p->room ? p->room * 2 : 64;
		struct map_place *v = realloc(p->v, room * sizeof(*v));
		if (!v)
			return out_of_memory(err);
		p->v = v;
		p->room = room;
	}
	if (map_index_put(&p->index, parent, key, (int)p->n, err) < 0)
		return -1;
	p->v[p->n] = (struct map_place){.parent = parent, .name = *name, .next_number = 2};
	*name = NULL;
	return (int)p->n++;
}

int map_place_well_known(struct map_places *p, const char *path, struct err *err)
{
	int place = -1;
	for (const char *part = path; *part;) {
		size_t n = strcspn(part, "/");
		char *name = strndup(part, n), *key = name ? key_of(p, place, name) : NULL;
		int found = key ? map_index_get(&p->index, place, key) : -1;
		bool is_last = part[n] == '\0';
		if (!key) {
			found = out_of_memory(err);
		} else if (found < 0) {
			found = add(p, place, &name, key, err);
			if (found >= 0)
				p->v[found].is_open = !is_last;
		} else if (is_last) {
			p->v[found].is_open = false;
		}
		free(name);
		free(key);
		if (found < 0)
			return -1;
		place = found;
		part += n + (is_last ? 0 : 1);
	}
	return place;
}

int map_place_new(struct map_places *p, int parent, const char *wanted, bool *changed, struct err *err)
{
	char *name = strdup(wanted), *key = name ? key_of(p, parent, name) : NULL;
	int taken = key ? map_index_get(&p->index, parent, key) : -1, place = -1;
	*changed = false;
	if (taken >= 0 && p->v[taken].is_open) {
		p->v[taken].is_open = false;
		*changed = strcmp(p->v[taken].name, name) != 0;
		place = taken;
		goto out;
	}
	for (int other = taken; key && other >= 0; other = map_index_get(&p->index, parent, key)) {
		*changed = true;
		free(name);
		free(key);
		key = NULL;
		if (map_part_number(wanted, p->v[taken].next_number++, p->rules, &name, err) < 0)
			return -1;
		key = key_of(p, parent, name);
		if (!key)
			break;
	}
	place = key ? add(p, parent, &name, key, err) : out_of_memory(err);
out:
	free(name);
	free(key);
	return place;
}

char *map_place_path(const struct map_places *p, int place)
{
	size_t n = 0;
	for (int i = place; i >= 0; i = p->v[i].parent)
		n += strlen(p->v[i].name) + 1;
	char *path = malloc(n + 1);
	if (!path)
		return NULL;
	char *at = path + n;
	*at = '\0';
	for (int i = place; i >= 0; i = p->v[i].parent) {
		size_t len = strlen(p->v[i].name);
		*--at = i == place ? '\0' : '/';
		at -= len;
		memcpy(at, p->v[i].name, len);
	}
	return path;
}

void map_places_done(struct map_places *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].name);
	free(p->v);
	map_index_done(&p->index);
}
