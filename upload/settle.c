/* Settling by key, then by content. The folder is listed once after the mark; what fits the key of an item in doubt is read once and
   digested. Equal octets are assigned as they are found. What is left over is compared by canonical digest afterwards, so that a
   re-encoded copy never takes the place of an exact one. Each candidate serves one item: a multiset, so identical items are fine.
   What another route placed is among the candidates and is nobody's in doubt: such twins take part and are served first.
   An item without a Message-ID is looked up both as it is and as a server may have stored it, with one of its own making. */
#include "upload/settle.h"

#include "engine/base/failpoint.h"

#define PAGE 200
#define MOST_LEFT 100000 /* candidates that fit a key and no octets: beyond it the folder makes no sense */

struct entry { /* an item in doubt, sorted by key */
	uint8_t key[PRINT_KEY_BYTES];
	struct pending *item; /* borrowed */
};

struct leftover { /* a candidate whose octets were nobody's */
	uint8_t key[PRINT_KEY_BYTES];
	uint8_t canon[CANON_BYTES];
	char id[200];
};

struct settling {
	struct target *target;
	const struct settle_query *query;
	struct entry *entries; /* owned */
	size_t n, found;
	struct leftover *left; /* owned */
	size_t n_left, room_left;
};

static int entry_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int by_key = memcmp(x->key, y->key, PRINT_KEY_BYTES);
	if (by_key)
		return by_key;
	if (x->item->twin != y->item->twin)
		return x->item->twin ? -1 : 1;
	return (x->item > y->item) - (x->item < y->item);
}

/* The entries of a key: [*from, end). */
static size_t range(const struct settling *s, const uint8_t *key, size_t *from)
{
	size_t low = 0, high = s->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (memcmp(s->entries[mid].key, key, PRINT_KEY_BYTES) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (*from = low; high < s->n && !memcmp(s->entries[high].key, key, PRINT_KEY_BYTES);)
		high++;
	return high;
}

/* Is an item of that key still looked for? */
static bool is_wanted(const struct settling *s, const uint8_t *key)
{
	size_t from, end = range(s, key, &from);
	for (; from < end; from++) {
		if (s->entries[from].item->outcome != SETTLE_FOUND)
			return true;
	}
	return false;
}

static void assign(struct settling *s, struct pending *p, const char *id)
{
	p->outcome = SETTLE_FOUND;
	snprintf(p->receipt.route, sizeof(p->receipt.route), "%s", s->target->ops->name);
	snprintf(p->receipt.id, sizeof(p->receipt.id), "%s", id);
	s->found++;
}

/* The first item of the key that is not found yet and whose octets (sha256) or meaning (canon) are these. */
static struct pending *match(const struct settling *s, const uint8_t *key, const uint8_t *sha256, const uint8_t *canon)
{
	size_t from, end = range(s, key, &from);
	for (; from < end; from++) {
		struct pending *p = s->entries[from].item;
		if (p->outcome == SETTLE_FOUND)
			continue;
		if (sha256 && !memcmp(p->print->sha256, sha256, sizeof(p->print->sha256)))
			return p;
		if (canon && p->canon && !memcmp(p->canon, canon, CANON_BYTES))
			return p;
	}
	return NULL;
}

static int keep_leftover(
	struct settling *s, const uint8_t *key, const struct spool *body, const char *id, struct err *err)
{
	if (s->n_left >= MOST_LEFT)
		return err_set(err, ERR_MEMORY, "more than %d messages look alike and differ", MOST_LEFT);
	if (s->n_left == s->room_left) {
		size_t room = s->room_left ? s->room_left * 2 : 16;
		struct leftover *v = realloc(s->left, room * sizeof(*v));
		if (!v)
			return err_set(err, ERR_MEMORY, "no memory for messages that look alike");
		s->left = v;
		s->room_left = room;
	}
	struct leftover *l = &s->left[s->n_left];
	if (canon_digest(body, l->canon, err))
		return -1;
	memcpy(l->key, key, PRINT_KEY_BYTES);
	snprintf(l->id, sizeof(l->id), "%s", id);
	s->n_left++;
	return 0;
}

/* Reads one candidate that fits a key and gives it to an item, or keeps it for later. */
static int weigh(struct settling *s, const uint8_t *key, const struct remote_mail *m, struct err *err)
{
	struct spool *body = NULL;
	struct fingerprint print = {0};
	int rc = s->target->ops->read(s->target, s->query->folder, m->id, &body, &print, err);
	if (rc && err->kind == ERR_GONE) { /* expunged since it was listed: nobody's */
		err_clear(err);
		rc = 0;
	} else if (rc == 0) {
		struct pending *p = match(s, key, print.sha256, NULL);
		if (p)
			assign(s, p, m->id);
		else
			rc = keep_leftover(s, key, body, m->id, err);
	}
	spool_free(&body);
	fingerprint_done(&print);
	return rc;
}

static int consider(struct settling *s, struct remote_mail *m, struct err *err)
{
	uint8_t key[PRINT_KEY_BYTES];
	bool accounted = false;
	print_key(&m->print, key);
	if (!is_wanted(s, key)) { /* a Message-ID of the server's own making? */
		char none[] = "";
		struct fingerprint bare = m->print;
		bare.message_id = none;
		print_key(&bare, key);
		if (!is_wanted(s, key))
			return 0;
	}
	if (s->query->accounted && s->query->accounted(s->query->arg, m->id, &accounted, err))
		return -1;
	return accounted ? 0 : weigh(s, key, m, err);
}

/* Goes through the folder after the mark until all are found or it ends. */
static int look(struct settling *s, struct err *err)
{
	const char *mark = s->query->mark;
	struct remote_mail *page = calloc(PAGE, sizeof(*page));
	char cursor[sizeof(page->id)];
	size_t n = 0;
	int rc = 0;
	if (!page)
		return err_set(err, ERR_MEMORY, "no memory for a list");
	snprintf(cursor, sizeof(cursor), "%s", mark ? mark : "");
	do {
		rc = s->target->ops->list(s->target, s->query->folder, cursor, page, PAGE, &n, err);
		for (size_t i = 0; i < n; i++) {
			if (rc == 0 && s->found < s->n)
				rc = consider(s, &page[i], err);
			fingerprint_done(&page[i].print);
			snprintf(cursor, sizeof(cursor), "%s", page[i].id);
		}
	} while (rc == 0 && n > 0 && s->found < s->n);
	free(page);
	return rc;
}

/* The first twin of that key whose content nobody can tell. */
static struct pending *match_any(const struct settling *s, const uint8_t *key)
{
	size_t from, end = range(s, key, &from);
	for (; from < end; from++) {
		struct pending *p = s->entries[from].item;
		if (p->any_content && p->outcome != SETTLE_FOUND)
			return p;
	}
	return NULL;
}

/* A twin of that key is not found yet, and its meaning is not known: a copy that fits an item in doubt could be the twin's. */
static bool is_undecided(const struct settling *s, const uint8_t *key)
{
	size_t from, end = range(s, key, &from);
	for (; from < end; from++) {
		const struct pending *p = s->entries[from].item;
		if (p->twin && !p->canon && !p->any_content && p->outcome != SETTLE_FOUND)
			return true;
	}
	return false;
}

/* What no octets matched, by meaning. An item whose canonical digest is not known yet must come again with it. */
static void match_leftovers(struct settling *s)
{
	for (size_t i = 0; i < s->n_left; i++) {
		const struct leftover *l = &s->left[i];
		bool undecided = is_undecided(s, l->key);
		struct pending *p = undecided ? NULL : match(s, l->key, NULL, l->canon);
		size_t from, end = range(s, l->key, &from);
		if (!undecided && (!p || !p->twin)) { /* a twin that may be any of them goes before an item in doubt */
			struct pending *any = match_any(s, l->key);
			p = any ? any : p;
		}
		if (p) {
			assign(s, p, l->id);
			continue;
		}
		for (; from < end; from++) {
			p = s->entries[from].item;
			if (p->outcome == SETTLE_ABSENT && (undecided || !p->canon) && !p->any_content)
				p->outcome = SETTLE_NEEDS_CANON;
		}
	}
}

int settle_look(struct target *t, const struct settle_query *q, struct pending *v, size_t n, struct err *err)
{
	struct settling s = {.target = t, .query = q, .n = n};
	if (n == 0)
		return 0;
	s.entries = calloc(n, sizeof(*s.entries));
	if (!s.entries)
		return err_set(err, ERR_MEMORY, "no memory for items in doubt");
	for (size_t i = 0; i < n; i++) {
		v[i].outcome = SETTLE_ABSENT;
		v[i].receipt = (struct receipt){.id = ""};
		s.entries[i].item = &v[i];
		if (v[i].key)
			memcpy(s.entries[i].key, v[i].key, PRINT_KEY_BYTES);
		else
			print_key(v[i].print, s.entries[i].key);
	}
	qsort(s.entries, n, sizeof(*s.entries), entry_compare);
	failpoint_hit(FP_SETTLE_BEFORE_LOOK);
	int rc = look(&s, err);
	failpoint_hit(FP_SETTLE_AFTER_LOOK);
	if (rc == 0)
		match_leftovers(&s);
	free(s.entries);
	free(s.left);
	return rc ? err_wrap(err, "%s: looking for messages in doubt", q->folder->path) : 0;
}

struct claims {
	const char *const *v;
	size_t n;
};

static int id_compare(const void *a, const void *b)
{
	return strcmp(a, *(const char *const *)b);
}

static int is_claimed(void *arg, const char *id, bool *yes, struct err *err)
{
	const struct claims *c = arg;
	(void)err;
	*yes = c->n > 0 && bsearch(id, c->v, c->n, sizeof(*c->v), id_compare) != NULL;
	return 0;
}

int settle_pending(struct target *t, const struct folder_ref *f, const char *mark, const char *const *claimed,
	size_t n_claimed, struct pending *v, size_t n, struct err *err)
{
	struct claims c = {claimed, n_claimed};
	struct settle_query q = {.folder = f, .mark = mark, .accounted = is_claimed, .arg = &c};
	return settle_look(t, &q, v, n, err);
}
