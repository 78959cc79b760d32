#include "upload/exosim/folder.h"

#include "imap/name.h"

#include <assert.h>
#include <glib.h>
#include <pthread.h>

struct folder {
	char *raw, *key; /* owned */
};

struct hidden {
	char *key; /* owned */
	uint32_t uid, count;
	int64_t until_ms;
	struct hidden *next; /* owned */
};

struct folders {
	pthread_mutex_t lock;
	struct folder *list; /* owned, sorted by key */
	size_t n;
	bool known;
	unsigned generation;
	struct hidden *hidden; /* owned */
};

struct folders *folders_new(void)
{
	struct folders *f = calloc(1, sizeof(*f));

	assert(f);
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

static void list_free(struct folders *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->list[i].raw);
		free(f->list[i].key);
	}
	free(f->list);
	f->list = NULL;
	f->n = 0;
}

void folders_free(struct folders **f)
{
	if (!*f)
		return;
	list_free(*f);
	while ((*f)->hidden) {
		struct hidden *h = (*f)->hidden;

		(*f)->hidden = h->next;
		free(h->key);
		free(h);
	}
	pthread_mutex_destroy(&(*f)->lock);
	free(*f);
	*f = NULL;
}

char *folder_trim(const char *raw)
{
	size_t n = strlen(raw), o = 0;
	char *out = malloc(n + 1);

	assert(out);
	for (size_t i = 0; i < n; i++) {
		if (raw[i] == ' ' && (o == 0 || out[o - 1] == '/'))
			continue;
		if (raw[i] == '/')
			while (o && out[o - 1] == ' ')
				o--;
		out[o++] = raw[i];
	}
	while (o && out[o - 1] == ' ')
		o--;
	out[o] = '\0';
	return out;
}

char *folder_key(const char *raw, bool trim)
{
	char *name = trim ? folder_trim(raw) : strdup(raw), *utf8, *key = NULL, *folded;
	size_t n;
	bool exact;

	assert(name);
	n = strlen(name);
	if (n && name[0] != '/' && name[n - 1] != '/' && !strstr(name, "//")) {
		utf8 = name_decode(name, &exact);
		assert(utf8);
		folded = g_utf8_casefold(utf8, -1);
		key = strdup(folded);
		assert(key);
		g_free(folded);
		free(utf8);
	}
	free(name);
	return key;
}

bool folders_are_known(struct folders *f)
{
	bool known;

	pthread_mutex_lock(&f->lock);
	known = f->known;
	pthread_mutex_unlock(&f->lock);
	return known;
}

void folders_forget(struct folders *f)
{
	pthread_mutex_lock(&f->lock);
	f->known = false;
	f->generation++;
	pthread_mutex_unlock(&f->lock);
}

unsigned folders_generation(struct folders *f)
{
	unsigned n;

	pthread_mutex_lock(&f->lock);
	n = f->generation;
	pthread_mutex_unlock(&f->lock);
	return n;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct folder *)a)->key, ((const struct folder *)b)->key);
}

void folders_replace(struct folders *f, char *const *raw, size_t n)
{
	struct folder *list = calloc(n ? n : 1, sizeof(*list));
	size_t used = 0;

	assert(list);
	for (size_t i = 0; i < n; i++) {
		list[used].key = folder_key(raw[i], false);
		if (!list[used].key)
			continue;
		list[used].raw = strdup(raw[i]);
		assert(list[used].raw);
		used++;
	}
	qsort(list, used, sizeof(*list), by_key);
	pthread_mutex_lock(&f->lock);
	list_free(f);
	f->list = list;
	f->n = used;
	f->known = true;
	pthread_mutex_unlock(&f->lock);
}

static const struct folder *find_locked(const struct folders *f, const char *key)
{
	struct folder wanted = {.key = (char *)(uintptr_t)key};

	return f->n ? bsearch(&wanted, f->list, f->n, sizeof(*f->list), by_key) : NULL;
}

char *folders_find(struct folders *f, const char *key)
{
	const struct folder *x;
	char *raw = NULL;

	pthread_mutex_lock(&f->lock);
	x = find_locked(f, key);
	if (x) {
		raw = strdup(x->raw);
		assert(raw);
	}
	pthread_mutex_unlock(&f->lock);
	return raw;
}

char *folders_spell_new(struct folders *f, const char *raw)
{
	size_t n = strlen(raw);

	for (size_t cut = n; cut-- > 1;) {
		char *head, *key, *found, *out;
		size_t size;

		if (raw[cut] != '/')
			continue;
		head = strndup(raw, cut);
		assert(head);
		key = folder_key(head, false);
		found = key ? folders_find(f, key) : NULL;
		free(head);
		free(key);
		if (!found)
			continue;
		size = strlen(found) + n - cut + 1;
		out = malloc(size);
		assert(out);
		snprintf(out, size, "%s%s", found, raw + cut);
		free(found);
		return out;
	}
	return strdup(raw);
}

static struct hidden *hidden_locked(struct folders *f, const char *key, int64_t now_ms)
{
	for (struct hidden **p = &f->hidden; *p;) {
		struct hidden *h = *p;

		if (h->until_ms <= now_ms) {
			*p = h->next;
			free(h->key);
			free(h);
		} else if (strcmp(h->key, key) == 0) {
			return h;
		} else {
			p = &h->next;
		}
	}
	return NULL;
}

void folders_hide(struct folders *f, const char *key, uint32_t uid, int64_t now_ms, int64_t until_ms)
{
	struct hidden *h;

	pthread_mutex_lock(&f->lock);
	h = hidden_locked(f, key, now_ms);
	if (!h && until_ms > now_ms) {
		h = calloc(1, sizeof(*h));
		assert(h);
		h->key = strdup(key);
		assert(h->key);
		h->uid = uid;
		h->next = f->hidden;
		f->hidden = h;
	}
	if (h) {
		h->count++;
		if (until_ms > h->until_ms)
			h->until_ms = until_ms;
	}
	pthread_mutex_unlock(&f->lock);
}

bool folders_lag(struct folders *f, const char *key, int64_t now_ms, struct folder_lag *out)
{
	const struct hidden *h;

	pthread_mutex_lock(&f->lock);
	h = f->hidden ? hidden_locked(f, key, now_ms) : NULL;
	if (h)
		*out = (struct folder_lag){h->uid, h->count};
	pthread_mutex_unlock(&f->lock);
	return h != NULL;
}
