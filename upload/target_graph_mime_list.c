/* What a folder holds. Graph's pages are cut by position. A message that is put meanwhile shifts the others back: each id is given out once.
   One that a person removes meanwhile shifts them forward, and one at a page's edge would be passed over: a list of several pages is walked a second
   time, ids only, twenty times as many a page. A walk ends where pages bring nothing new. Header values come along with the list; where they do not, and the properties may
   be of the service's own making, the message itself is read: what is in doubt must never be missed. */
#include "upload/target_graph_mime.h"

#define TOP "50"
#define TOP_IDS "1000" /* the most that Graph gives (D) */
#define SELECT \
	"$select=id,internetMessageId,subject,from,sentDateTime,createdDateTime,receivedDateTime,isRead,isDraft,flag," \
	"internetMessageHeaders"
#define MOST_MESSAGES ((size_t)4 * 1000 * 1000) /* of a folder: Exchange takes a million (spec, section 2) */
#define IDLE_PAGES 100

void target_graph_mime_list_end(struct target_graph_mime *t)
{
	graph_page_done(&t->listing.page);
	free(t->listing.seen);
	t->listing = (struct listing){0};
}

static uint64_t hash_of(const char *id)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 0x100000001b3u;
	h ^= h >> 32;
	return h ? h : 1;
}

static void seen_insert(uint64_t *v, size_t room, uint64_t h)
{
	size_t i = (size_t)h & (room - 1);
	while (v[i])
		i = (i + 1) & (room - 1);
	v[i] = h;
}

static bool seen_has(const struct listing *l, uint64_t h)
{
	for (size_t i = (size_t)h & (l->room - 1); l->room && l->seen[i]; i = (i + 1) & (l->room - 1)) {
		if (l->seen[i] == h)
			return true;
	}
	return false;
}

static int seen_add(struct listing *l, uint64_t h, struct err *err)
{
	if (l->n_seen >= MOST_MESSAGES)
		return err_set(err, ERR_PROTOCOL, "Graph lists more than %zu messages in a folder", MOST_MESSAGES);
	if (l->n_seen * 2 >= l->room) {
		size_t room = l->room ? l->room * 2 : 256;
		uint64_t *v = calloc(room, sizeof(*v));
		if (!v)
			return err_set(err, ERR_MEMORY, "no memory for a list of messages");
		for (size_t i = 0; i < l->room; i++) {
			if (l->seen[i])
				seen_insert(v, room, l->seen[i]);
		}
		free(l->seen);
		l->seen = v;
		l->room = room;
	}
	seen_insert(l->seen, l->room, h);
	l->n_seen++;
	return 0;
}

/* The next page, or the first. */
static int page_get(struct target_graph_mime *t, const struct folder_ref *f, struct err *err)
{
	struct listing *l = &t->listing;
	const char *args[] = {graph_user(t->graph), f->id, NULL};
	char *link = l->page.next;
	l->page.next = NULL;
	struct graph_request r = {.method = "GET",
		.path = l->is_second ? "/v1.0/users/{}/mailFolders/{}/messages?$top=" TOP_IDS "&$select=id"
				     : "/v1.0/users/{}/mailFolders/{}/messages?$top=" TOP "&" SELECT,
		.args = args,
		.link = link};
	struct graph_reply reply;
	graph_page_done(&l->page);
	l->at = 0;
	l->pages++;
	int rc = graph_send(t->graph, &r, &reply, err);
	if (rc == 0)
		rc = graph_json_messages(reply.body.data, reply.body.len, &l->page, err);
	else if (err->kind == ERR_GONE)
		err->kind = ERR_FOLDER;
	graph_reply_done(&reply);
	free(link);
	return rc;
}

/* The header values of one that the list tells too little of. 0, 1: it is gone. */
static int print_by_header(
	struct target_graph_mime *t, const struct folder_ref *f, struct graph_message *m, struct err *err)
{
	struct spool *body = NULL;
	struct fingerprint print;
	if (target_graph_mime_read(&t->base, f, m->id, &body, &print, err)) {
		if (err->kind != ERR_GONE)
			return -1;
		err_clear(err);
		return 1;
	}
	spool_free(&body);
	fingerprint_done(&m->print);
	m->print = print;
	memset(m->print.sha256, 0, sizeof(m->print.sha256));
	m->print.size = 0;
	return 0;
}

/* All of one that the first walk passed over. 0, 1: it is gone, or in another folder by now. */
static int look_up(struct target_graph_mime *t, const struct folder_ref *f, struct graph_message *m, struct err *err)
{
	const char *args[] = {graph_user(t->graph), m->id, NULL};
	struct graph_message all = {0};
	struct graph_reply reply;
	int rc = target_graph_mime_get(t, "/v1.0/users/{}/messages/{}?" SELECT ",parentFolderId", args, &reply, err);
	if (rc == 0)
		rc = graph_json_message(reply.body.data, reply.body.len, &all, err);
	graph_reply_done(&reply);
	if (rc) {
		if (err->kind != ERR_GONE)
			return -1;
		err_clear(err);
		return 1;
	}
	snprintf(all.id, sizeof(all.id), "%s", m->id);
	graph_message_done(m);
	*m = all;
	return m->parent[0] && strcmp(m->parent, f->id) != 0;
}

static void give(struct graph_message *m, struct remote_mail *out)
{
	*out = (struct remote_mail){.received = m->received, .print = m->print};
	m->print = (struct fingerprint){0}; /* handed over */
	snprintf(out->id, sizeof(out->id), "%s", m->id);
	out->flags = (m->read == TRI_YES ? MAIL_SEEN : 0u) | (m->flagged == TRI_YES ? MAIL_FLAGGED : 0u) |
		     (m->draft == TRI_YES ? MAIL_DRAFT : 0u);
}

/* Gives out what is new of the page at hand. */
static int page_give(struct target_graph_mime *t, const struct folder_ref *f, struct remote_mail *out, size_t cap,
	size_t *n, struct err *err)
{
	struct listing *l = &t->listing;
	for (; l->at < l->page.n && *n < cap; l->at++) {
		struct graph_message *m = &l->page.messages[l->at];
		uint64_t h = hash_of(m->id);
		if (seen_has(l, h))
			continue;
		int rc = seen_add(l, h, err) ? -1 : l->is_second ? look_up(t, f, m, err) : 0;
		if (rc == 0 && m->print_is_doubtful)
			rc = print_by_header(t, f, m, err);
		if (rc < 0)
			return -1;
		if (rc == 0)
			give(m, &out[(*n)++]);
	}
	return 0;
}

static int listing_begin(struct target_graph_mime *t, const struct folder_ref *f, struct err *err)
{
	target_graph_mime_list_end(t);
	snprintf(t->listing.folder, sizeof(t->listing.folder), "%s", f->id);
	return page_get(t, f, err);
}

/* Goes on until something new is found or the list ends. */
static int listing_go_on(struct target_graph_mime *t, const struct folder_ref *f, struct remote_mail *out, size_t cap,
	size_t *n, struct err *err)
{
	struct listing *l = &t->listing;
	for (;;) {
		size_t before = l->n_seen;
		if (page_give(t, f, out, cap, n, err))
			return -1;
		l->idle = l->n_seen > before || l->is_second ? 0 : l->idle + 1;
		if (*n > 0)
			return 0;
		if (!l->page.next) {
			if (l->is_second || l->pages < 2)
				return 0;
			l->is_second = true;
			l->pages = 0;
		}
		if (l->idle >= IDLE_PAGES || (l->is_second && l->pages > l->n_seen / 50 + IDLE_PAGES))
			return err_set(err, ERR_PROTOCOL, "%s: Graph's list of messages does not end", f->path);
		if (page_get(t, f, err))
			return -1;
	}
}

int target_graph_mime_list(struct target *base, const struct folder_ref *f, const char *cursor, struct remote_mail *out,
	size_t cap, size_t *n, struct err *err)
{
	struct target_graph_mime *t = target_graph_mime_of(base);
	bool first = !cursor || !*cursor;
	*n = 0;
	if (cap == 0)
		return 0;
	if (!first && (strcmp(t->listing.folder, f->id) != 0 || strcmp(t->listing.last, cursor) != 0))
		return err_set(err, ERR_INTERNAL, "not where the list of %s stands: %.40s", f->path, cursor);
	int rc = first ? listing_begin(t, f, err) : 0;
	if (rc == 0)
		rc = listing_go_on(t, f, out, cap, n, err);
	for (size_t i = 0; rc && i < *n; i++)
		fingerprint_done(&out[i].print);
	if (rc || *n == 0) {
		target_graph_mime_list_end(t);
		*n = 0;
		return rc;
	}
	snprintf(t->listing.last, sizeof(t->listing.last), "%s", out[*n - 1].id);
	return 0;
}
