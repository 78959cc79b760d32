/* What is in a destination's folder, read by ranges of UIDs that widen where UIDs are sparse, so that neither a folder of a million messages nor one
   whose UIDs begin at four thousand million costs more than it must. */
#include "imap/mailbox.h"

#include "imap/box.h"
#include "imap/fetch.h"
#include "imap/scan.h"

#include <stdlib.h>
#include <string.h>

#define LIST_ITEMS "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)])"
enum { WINDOW = 1000, COMMANDS_MOST = 2000 };

/* What a range's lines are gathered into: entries or bare UIDs. */
struct gather {
	uint64_t low, high;
	size_t n, cap;
	bool overflow;
	struct mailbox_entry *entries; /* or */
	uint32_t *uids;
	struct scan *scan;
	bool skips; /* the string that streams in is not the header */
	bool fed;   /* the scan holds octets of this line's header */
	struct err failure;
};

static void take_entry(struct gather *g, const struct fetch_line *line)
{
	struct mailbox_entry *e = &g->entries[g->n];
	struct mail_defects defects;
	*e = (struct mailbox_entry){.uid = line->uid, .size = line->size, .flags = line->flags, .received = line->date};
	if (scan_finish(g->scan, &e->print, &defects, &g->failure) < 0)
		return;
	memset(e->print.sha256, 0, sizeof(e->print.sha256));
	e->print.size = line->size;
	g->n++;
}

static void forget_header(struct gather *g)
{
	struct fingerprint print = {0};
	struct mail_defects defects;
	scan_finish(g->scan, &print, &defects, &g->failure);
	fingerprint_done(&print);
}

static void on_range_line(void *ctx, const struct fetch_line *line)
{
	struct gather *g = ctx;
	bool ours = line->uid != 0 && line->uid >= g->low && line->uid <= g->high && (line->has_flags || g->uids);
	if (ours && g->n == g->cap)
		g->overflow = true;
	if (ours && g->n < g->cap && g->uids)
		g->uids[g->n++] = line->uid;
	else if (ours && g->n < g->cap && (g->fed || line->has_size)) /* else: news of flags */
		take_entry(g, line);
	else if (g->fed)
		forget_header(g);
	g->fed = false;
}

static bool on_range_octets(void *ctx, const struct fetch_place *begins, const char *data, size_t n)
{
	struct gather *g = ctx;
	if (begins) {
		g->skips = begins->whole || g->fed || !g->scan;
		g->fed = g->fed || !g->skips;
	}
	if (!g->skips)
		scan_feed(g->scan, data, n);
	return true;
}

static void on_top(void *ctx, const struct fetch_line *line)
{
	uint32_t *top = ctx;
	if (line->uid > *top)
		*top = line->uid;
}

/* The highest UID there is; 0: the folder is empty. */
static int find_top(struct conn *c, uint32_t *top, struct err *err)
{
	const struct fetch_sink sink = {.line = on_top, .ctx = top};
	enum reply reply;
	*top = 0;
	if (box_exists(c) == 0 && conn_noop(c, err) < 0)
		return -1;
	if (box_exists(c) == 0)
		return 0;
	if (fetch_ask(c, &sink, &reply, err, "UID FETCH * (UID)") < 0)
		return -1;
	return reply == REPLY_OK ? 0 : box_refusal(c, reply, err, "the last message cannot be found");
}

static int compare_entry(const void *a, const void *b)
{
	const struct mailbox_entry *x = a, *y = b;
	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static int compare_uid(const void *a, const void *b)
{
	uint32_t x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

static void drop_entries(struct gather *g)
{
	for (size_t i = 0; g->entries && i < g->n; i++)
		fingerprint_done(&g->entries[i].print);
	g->n = 0;
}

/* In order and each once, whatever the server did. */
static void sort_unique(struct gather *g)
{
	size_t kept = 0;
	if (g->n == 0)
		return;
	if (g->uids) {
		qsort(g->uids, g->n, sizeof(*g->uids), compare_uid);
		for (size_t i = 0; i < g->n; i++)
			if (kept == 0 || g->uids[i] != g->uids[kept - 1])
				g->uids[kept++] = g->uids[i];
	} else {
		qsort(g->entries, g->n, sizeof(*g->entries), compare_entry);
		for (size_t i = 0; i < g->n; i++) {
			if (kept > 0 && g->entries[i].uid == g->entries[kept - 1].uid)
				fingerprint_done(&g->entries[i].print);
			else
				g->entries[kept++] = g->entries[i];
		}
	}
	g->n = kept;
}

/* Fills g with messages of [from, to] until some are found: 0 at the end. */
static int gather_range(
	struct conn *c, struct gather *g, uint32_t from, uint32_t to, const char *items, struct err *err)
{
	const struct fetch_sink sink = {.line = on_range_line, .octets = on_range_octets, .ctx = g};
	uint64_t window = g->cap < WINDOW ? g->cap : WINDOW;
	uint32_t top;
	g->failure = ERR_INIT;
	if (g->cap == 0 || from > to)
		return 0;
	if (find_top(c, &top, err) < 0)
		return -1;
	if (top > to)
		top = to;
	g->low = from;
	for (int commands = 0; g->low <= top; commands++) {
		enum reply reply;
		if (commands > COMMANDS_MOST)
			return err_set(err, ERR_PROTOCOL, "the listing of a folder does not come to an end");
		g->high = g->low + window - 1 < top ? g->low + window - 1 : top;
		g->overflow = false;
		if (fetch_ask(c, &sink, &reply, err, "UID FETCH %llu:%llu %s", (unsigned long long)g->low,
			    (unsigned long long)g->high, items) < 0)
			return -1;
		if (reply != REPLY_OK)
			return box_refusal(c, reply, err, "messages cannot be listed");
		if (g->failure.kind != ERR_NONE) {
			*err = g->failure;
			return -1;
		}
		if (g->overflow && window > g->cap) { /* denser than thought */
			drop_entries(g);
			window = window / 4 > g->cap ? window / 4 : g->cap;
			continue;
		}
		sort_unique(g);
		if (g->n > 0)
			return 0;
		g->low = g->high + 1;
		if (window < UINT32_MAX)
			window *= 4;
	}
	return 0;
}

int mailbox_list(struct conn *c, uint32_t from, struct mailbox_entry *out, size_t cap, size_t *n, struct err *err)
{
	struct gather g = {.cap = cap, .entries = out, .scan = scan_new()};
	*n = 0;
	if (!g.scan)
		return err_set(err, ERR_MEMORY, "out of memory for a list of messages");
	int rc = gather_range(c, &g, from > 0 ? from : 1, UINT32_MAX, LIST_ITEMS, err);
	if (rc < 0)
		drop_entries(&g);
	*n = g.n;
	scan_free(&g.scan);
	return rc;
}

int mailbox_uids(struct conn *c, uint32_t from, uint32_t to, uint32_t *out, size_t cap, size_t *n, struct err *err)
{
	*n = 0;
	if (from == 0)
		from = 1;
	while (*n < cap && from <= to) { /* a range may bring fewer than there is room for */
		struct gather g = {.cap = cap - *n, .uids = out + *n};
		if (gather_range(c, &g, from, to, "(UID)", err) < 0)
			return -1;
		if (g.n == 0)
			break;
		*n += g.n;
		if (g.high >= to || g.high == UINT32_MAX)
			break;
		from = (uint32_t)g.high + 1;
	}
	return 0;
}
