#define _GNU_SOURCE
/* Lists of messages. Without a filter and by date, the link knows the order (graph_order.h). Otherwise the index of the folder (and, where the
   filter asks for them, Message-IDs or headers) is read, filtered and sorted. The page's rows are then read as far as they are selected. */
#include "upload/exosim/graph.h"

#include "engine/base/clock.h"
#include "upload/exosim/graph_resource.h"

#include <assert.h>
#include <stddef.h>

#define TOP_DEFAULT 10 /* D */

struct item {
	struct store_row row; /* without its text */
	json_t *texts;        /* owned: resource of what the filter looks at; NULL: the index is enough */
};

struct listing {
	struct graph_call *g;
	struct tree_place place;
	struct folder_lag lag;
	bool lags;
	const struct order *order; /* borrowed from the link; NULL: v is the list */
	struct item *v;            /* owned */
	size_t n, room;
};

static int64_t number_of(const struct graph_call *g, const struct store_row *row, enum message_property p)
{
	switch ((unsigned)p) {
	case MP_RECEIVED:
		return row->received_s * 1000000;
	case MP_CREATED:
		return resource_created_s(g, row) * 1000000;
	case MP_MODIFIED:
		return row->saved_s * 1000000;
	case MP_READ:
		return row->is_seen;
	case MP_DRAFT:
		return row->is_draft;
	default:
		return 0;
	}
}

struct row_view {
	const struct graph_call *g;
	const struct item *item;
};

static struct filter_value value_of(const void *ctx, enum message_property p)
{
	const struct row_view *v = ctx;
	const json_t *j = json_object_get(v->item->texts, message_property_name(p));
	struct filter_value out = {.text = json_string_value(j), .number = number_of(v->g, &v->item->row, p)};

	if (p == MP_SENT && out.text)
		graph_time_parse(out.text, strlen(out.text), &out.number);
	if (p == MP_ATTACHMENTS)
		out.number = json_is_true(j);
	return out;
}

static void take_item(void *ctx, struct store_row *row)
{
	struct listing *l = ctx;
	struct item item = {.row = *row};
	struct graph_call *g = l->g;

	if (!l->lags || row->uid < l->lag.uid) {
		if (row->text)
			item.texts = resource_message(g, &l->place, 0, row, filter_properties(&g->query.filter));
		if (filter_matches(&g->query.filter, graph_has_switch(g, SW_GRAPH_FILTER_NOCASE), value_of,
			    &(struct row_view){g, &item})) {
			if (l->n == l->room) {
				l->room = l->room ? l->room * 2 : 256;
				l->v = realloc(l->v, l->room * sizeof(*l->v));
				assert(l->v);
			}
			free(item.row.text);
			item.row.text = NULL;
			item.row.text_len = 0;
			json_decref(item.texts);
			item.texts = NULL;
			l->v[l->n++] = item;
			return;
		}
	}
	json_decref(item.texts);
	store_row_done(&item.row);
}

/* "3:7,9" */
static char *set_of(const uint32_t *uids, size_t n)
{
	struct buf b;
	struct err err = ERR_INIT;
	char *out;

	buf_init(&b, (size_t)64 * 1024 * 1024);
	for (size_t i = 0; i < n;) {
		size_t end = i + 1;

		while (end < n && uids[end] == uids[end - 1] + 1)
			end++;
		buf_printf(&b, &err, end == i + 1 ? "%s%u" : "%s%u:%u", i ? "," : "", uids[i], uids[end - 1]);
		i = end;
	}
	out = buf_take(&b);
	buf_done(&b);
	return out;
}

/* What may match: by Message-ID the backend's own search narrows it down. */
static int find_candidates(struct listing *l, struct err *err)
{
	const struct filter *f = &l->g->query.filter;
	const char *id = filter_message_id(f);
	enum store_part part = f->n ? resource_part(filter_properties(f)) : STORE_INDEX;
	uint32_t *uids = NULL;
	size_t n = 0;
	char *set;
	int r;

	if (!id)
		return store_fetch(l->g->link, "1:*", part, take_item, l, err);
	r = store_search(l->g->link, "HEADER Message-ID", id, &uids, &n, err);
	if (r == 0 && n) {
		set = set_of(uids, n);
		r = store_fetch(l->g->link, set, part, take_item, l, err);
		free(set);
	}
	free(uids);
	return r;
}

/* By the order that was asked for; newest received first where nothing was said (S). */
static int by_order(const void *a, const void *b, void *ctx)
{
	const struct item *x = a, *y = b;
	const struct graph_call *g = ctx;
	enum message_property p = g->query.has_order ? g->query.order : MP_RECEIVED;
	int64_t m = number_of(g, &x->row, p), n = number_of(g, &y->row, p);
	int order = m < n ? -1 : m > n ? 1 : x->row.uid < y->row.uid ? -1 : 1;

	return g->query.has_order && g->query.ascending ? order : -order;
}

static int make_list(struct listing *l, struct err *err)
{
	const struct graph_query *q = &l->g->query;

	if (!q->filter.n && !l->lags && (!q->has_order || q->order == MP_RECEIVED)) {
		if (order_refresh(l->g->link, err) < 0)
			return -1;
		l->order = &l->g->link->order;
		l->n = l->order->n;
		return 0;
	}
	if (find_candidates(l, err) < 0)
		return -1;
	if (l->n > 0)
		qsort_r(l->v, l->n, sizeof(*l->v), by_order, l->g);
	return 0;
}

static uint32_t uid_at(const struct listing *l, size_t i)
{
	const struct graph_query *q = &l->g->query;

	if (!l->order)
		return l->v[i].row.uid;
	return l->order->v[q->has_order && q->ascending ? i : l->n - 1 - i].uid;
}

struct page {
	struct listing *l;
	struct store_row *row; /* owned: in the page's order */
	json_t **json;         /* owned */
	size_t n;
};

static void take_row(void *ctx, struct store_row *row)
{
	struct page *p = ctx;
	struct graph_call *g = p->l->g;

	for (size_t i = 0; i < p->n; i++)
		if (p->row[i].uid == row->uid && !p->json[i])
			p->json[i] = resource_message(g, &p->l->place, g->link->uidvalidity, row, g->query.select);
	store_row_done(row);
}

static int by_uid(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int read_page(struct page *p, struct err *err)
{
	uint32_t *uids = calloc(p->n + 1, sizeof(*uids));
	char *set;
	int r;

	assert(uids);
	for (size_t i = 0; i < p->n; i++)
		uids[i] = p->row[i].uid;
	qsort(uids, p->n, sizeof(*uids), by_uid);
	set = set_of(uids, p->n);
	r = store_fetch(p->l->g->link, set, resource_part(p->l->g->query.select), take_row, p, err);
	free(set);
	free(uids);
	return r;
}

static void put_answer(struct listing *l, struct page *p, uint64_t next)
{
	json_t *list = json_array(), *o;

	for (size_t i = 0; i < p->n; i++)
		if (p->json[i]) /* one that vanished meanwhile is not in the list */
			json_array_append(list, p->json[i]);
	o = json_pack("{s:o}", "@odata.context", graph_context(l->g, "/mailFolders/messages"));
	if (l->g->query.wants_count)
		json_object_set_new(o, "@odata.count", json_integer((json_int_t)l->n));
	if (next)
		json_object_set_new(o, "@odata.nextLink", graph_next_link(l->g, next));
	json_object_set_new(o, "value", list);
	graph_reply(l->g, 200, o);
}

static int make_page(struct listing *l, struct err *err)
{
	const struct graph_query *q = &l->g->query;
	/* Where pages are short the first one is empty: tokens are then one more than what they skip. */
	uint64_t shift = graph_has_switch(l->g, SW_GRAPH_PAGES_SHORT), top = q->has_top ? q->top : TOP_DEFAULT;
	uint64_t from = q->skip > shift ? q->skip - shift : 0;
	struct page p = {.l = l};
	int r = 0;

	if (shift && !q->skip)
		top = 0;
	if (from < l->n)
		p.n = l->n - from < top ? (size_t)(l->n - from) : (size_t)top;
	p.json = calloc(p.n + 1, sizeof(*p.json));
	p.row = calloc(p.n + 1, sizeof(*p.row));
	assert(p.json && p.row);
	for (size_t i = 0; i < p.n; i++)
		p.row[i].uid = uid_at(l, from + i);
	if (p.n)
		r = read_page(&p, err);
	if (r == 0)
		put_answer(l, &p, from + p.n < l->n ? from + p.n + shift : 0);
	for (size_t i = 0; i < p.n; i++)
		json_decref(p.json[i]);
	free(p.json);
	free(p.row);
	return r;
}

/* S: what is sorted by must be what is filtered by first, else the service refuses. */
static bool is_inefficient(const struct graph_query *q)
{
	return q->has_order && q->filter.n && q->filter.node[0].property != q->order;
}

void graph_list(struct graph_call *g)
{
	struct listing l = {.g = g};
	struct err err = ERR_INIT;
	char *key;

	if (is_inefficient(&g->query)) {
		graph_refuse(g, GE_INEFFICIENT, NULL);
		return;
	}
	if (!g->path.folder) {
		graph_refuse(g, GE_NOT_HERE, "lists of all folders' messages");
		return;
	}
	if (graph_place(g, &l.place) < 0 || graph_open(g, l.place.raw) < 0)
		goto out;
	key = folder_key(l.place.raw, false);
	l.lags = key && folders_lag(g->box->folders, key, clock_mono_ms(), &l.lag);
	free(key);
	if (make_list(&l, &err) < 0 || make_page(&l, &err) < 0)
		graph_refuse_err(g, &err);
out:
	for (size_t i = 0; l.v && i < l.n; i++)
		store_row_done(&l.v[i].row);
	free(l.v);
	tree_place_done(&l.place);
}
