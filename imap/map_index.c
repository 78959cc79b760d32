/* Open addressing, at most half full. */
#include "imap/map_index.h"

#include <stdlib.h>
#include <string.h>

static size_t hash_of(int parent, const char *key)
{
	uint64_t h = 14695981039346656037u ^ (uint64_t)(unsigned)parent;
	for (const char *p = key; *p; p++)
		h = (h ^ (unsigned char)*p) * 1099511628211u; /* FNV-1a */
	return (size_t)(h ^ h >> 32);
}

/* Where the pair is, or the free slot where it would be. */
static size_t find(const struct map_index *x, int parent, const char *key)
{
	size_t i = hash_of(parent, key) & (x->room - 1);
	while (x->slots[i].key && (x->slots[i].parent != parent || strcmp(x->slots[i].key, key) != 0))
		i = (i + 1) & (x->room - 1);
	return i;
}

int map_index_get(const struct map_index *x, int parent, const char *key)
{
	if (x->room == 0)
		return -1;
	const struct map_entry *e = &x->slots[find(x, parent, key)];
	return e->key ? e->value : -1;
}

static int grow(struct map_index *x, struct err *err)
{
	struct map_index larger = {.n = x->n, .room = x->room ? x->room * 2 : 256};
	larger.slots = calloc(larger.room, sizeof(*larger.slots));
	if (!larger.slots)
		return err_set(err, ERR_MEMORY, "out of memory for the list of folders");
	for (size_t i = 0; i < x->room; i++) {
		if (x->slots[i].key)
			larger.slots[find(&larger, x->slots[i].parent, x->slots[i].key)] = x->slots[i];
	}
	free(x->slots);
	*x = larger;
	return 0;
}

int map_index_put(struct map_index *x, int parent, const char *key, int value, struct err *err)
{
	if (x->n * 2 >= x->room && grow(x, err) < 0)
		return -1;
	struct map_entry e = {.key = strdup(key), .parent = parent, .value = value};
	if (!e.key)
		return err_set(err, ERR_MEMORY, "out of memory for the list of folders");
	x->slots[find(x, parent, key)] = e;
	x->n++;
	return 0;
}

void map_index_done(struct map_index *x)
{
	for (size_t i = 0; i < x->room; i++)
		free(x->slots[i].key);
	free(x->slots);
	*x = (struct map_index){0};
}
