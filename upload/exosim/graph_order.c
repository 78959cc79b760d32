/* A UID's date never changes and UIDs only grow. So what is new is read and added, and when their number is then the folder's none has
   gone; otherwise all is read anew. */
#include "upload/exosim/graph_order.h"

#include "upload/exosim/args.h"
#include "upload/exosim/graph_store.h"

#include <assert.h>
#include <strings.h>

void order_done(struct order *o)
{
	free(o->folder);
	free(o->v);
	*o = (struct order){0};
}

static void take_row(void *ctx, struct store_row *row)
{
	struct order *o = ctx;

	/* "n:*" always gives the last one, too */
	if (row->uid > o->uid_max) {
		if (o->n == o->room) {
			o->room = o->room ? o->room * 2 : 256;
			o->v = realloc(o->v, o->room * sizeof(*o->v));
			assert(o->v);
		}
		o->v[o->n++] = (struct order_row){row->received_s, row->uid};
		o->uid_max = row->uid;
	}
	store_row_done(row);
}

/* "* STATUS name (MESSAGES 5)" */
static void take_count(void *ctx, const char *text, size_t len)
{
	static const char key[] = "(MESSAGES ";
	const char *at;

	if (len < 9 || strncasecmp(text, "* STATUS ", 9) != 0)
		return;
	at = strrchr(text, '(');
	if (at && strncasecmp(at, key, sizeof(key) - 1) == 0)
		*(size_t *)ctx = strtoul(at + sizeof(key) - 1, NULL, 10);
}

static int count_messages(struct link *l, size_t *n, struct err *err)
{
	size_t size = 2 * strlen(l->selected) + 40;
	char *command = malloc(size), *quoted = malloc(size);
	int r;

	assert(command && quoted);
	args_quote(quoted, l->selected);
	snprintf(command, size, "STATUS %s (MESSAGES)", quoted);
	*n = 0;
	r = store_run(l, command, NULL, 0, take_count, n, NULL, err);
	free(quoted);
	free(command);
	return r;
}

static int by_date(const void *a, const void *b)
{
	const struct order_row *x = a, *y = b;

	if (x->received_s != y->received_s)
		return x->received_s < y->received_s ? -1 : 1;
	return x->uid < y->uid ? -1 : 1;
}

static void start(struct order *o, const struct link *l)
{
	order_done(o);
	o->folder = strdup(l->selected);
	assert(o->folder);
	o->uidvalidity = l->uidvalidity;
}

int order_refresh(struct link *l, struct err *err)
{
	struct order *o = &l->order;
	size_t messages, before;
	char set[16];

	assert(l->selected);
	if (!o->folder || strcmp(o->folder, l->selected) != 0 || o->uidvalidity != l->uidvalidity)
		start(o, l);
	if (count_messages(l, &messages, err) < 0)
		return -1;
	before = o->n;
	snprintf(set, sizeof(set), "%u:*", o->uid_max);
	if (o->n && store_fetch(l, set, STORE_DATES, take_row, o, err) < 0)
		goto fail;
	if (o->n != messages) {
		start(o, l);
		before = 0;
		if (store_fetch(l, "1:*", STORE_DATES, take_row, o, err) < 0)
			goto fail;
	}
	if (o->n > before)
		qsort(o->v, o->n, sizeof(*o->v), by_date);
	return 0;
fail:
	order_done(o); /* half of it, and not sorted */
	return -1;
}
