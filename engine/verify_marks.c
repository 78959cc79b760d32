/* What the store says of a folder: a mark for each message that arrived, found by the id that the destination gave it. */
#include "engine/verify_parts.h"

#include <stdlib.h>
#include <string.h>

const char *verify_id_tail(const char *id)
{
	size_t n = strlen(id), room = sizeof((struct mark *)0)->id - 1;
	return n > room ? id + n - room : id;
}

int verify_by_id(const void *a, const void *b)
{
	return strcmp(((const struct mark *)a)->id, ((const struct mark *)b)->id);
}

struct mark *verify_find_id(const struct check *c, const char *id)
{
	struct mark want = {0};
	snprintf(want.id, sizeof want.id, "%s", verify_id_tail(id));
	return c->n_marks ? bsearch(&want, c->marks, c->n_marks, sizeof want, verify_by_id) : NULL;
}

static int add_mark(struct check *c, const struct item *it, struct err *err)
{
	if (c->n_marks == c->room) {
		size_t room = c->room ? c->room * 2 : 1024;
		struct mark *v = realloc(c->marks, room * sizeof *v);
		if (!v)
			return err_set(err, ERR_MEMORY, "no memory to verify folder %s", c->f->name);
		c->marks = v;
		c->room = room;
	}
	struct mark *m = &c->marks[c->n_marks++];
	memset(m, 0, sizeof *m);
	m->other_route = strcmp(it->receipt.route, c->target->ops->name) != 0;
	if (!m->other_route)
		snprintf(m->id, sizeof m->id, "%s", verify_id_tail(it->receipt.id));
	for (size_t i = 0; i < VERIFY_ROUTES; i++) {
		struct verify_route *r = &c->f->routes[i];
		if (r->name[0] && strcmp(r->name, it->receipt.route) != 0)
			continue;
		snprintf(r->name, sizeof r->name, "%s", it->receipt.route);
		r->n++;
		break;
	}
	m->source = (struct source_ref){it->uid, it->size};
	memcpy(m->sha256, it->print.sha256, sizeof m->sha256);
	memcpy(m->key, it->key, sizeof m->key);
	return 0;
}

int verify_load_marks(struct check *c, int64_t generation, struct err *err)
{
	struct item *page = calloc(VERIFY_PAGE, sizeof *page);
	if (!page)
		return err_set(err, ERR_MEMORY, "no memory to verify");
	uint32_t after = 0;
	size_t n = 0;
	int rc;
	while (!(rc = store_items_full(c->w->store, generation, after, page, VERIFY_PAGE, &n, err)) && n) {
		after = page[n - 1].uid;
		for (size_t i = 0; i < n; i++) {
			switch (page[i].state) {
			case ITEM_DONE:
			case ITEM_PLACED:
				if (!rc)
					rc = add_mark(c, &page[i], err);
				break;
			case ITEM_REFUSED:
				c->f->refused++;
				break;
			case ITEM_SKIPPED:
				c->f->skipped++;
				break;
			case ITEM_INTENDED:
			case ITEM_GONE:
				break;
			}
			item_done(&page[i]);
		}
		if (rc)
			break;
	}
	free(page);
	return rc;
}
