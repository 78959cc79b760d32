#include "upload/exosim/world.h"

#include "upload/exosim/graph_id.h"
#include "upload/exosim/graph_tree.h"
#include "upload/exosim/pool.h"

#include <assert.h>
#include <strings.h>

#define TENANTS_MAX 8
#define MAILBOXES_MAX 20000

struct world {
	struct profile *profile;    /* borrowed */
	char *tenants[TENANTS_MAX]; /* owned */
	size_t tenants_n;
	struct app *apps[APPS_MAX]; /* owned; fixed once servers run */
	size_t apps_n;
	pthread_mutex_t lock;      /* the list */
	struct mailbox *mailboxes; /* owned */
	size_t mailboxes_n;
	bool open;
};

struct world *world_new(struct profile *profile)
{
	struct world *w = calloc(1, sizeof(*w));

	assert(w);
	w->profile = profile;
	pthread_mutex_init(&w->lock, NULL);
	return w;
}

static void texts_free(char **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i]);
	free(v);
}

static void mailbox_free(struct mailbox *m)
{
	free(m->address);
	free(m->upn);
	texts_free(m->aliases, m->aliases_n);
	texts_free(m->hidden_folders, m->hidden_folders_n);
	folders_free(&m->folders);
	pool_free(&m->pool);
	tree_cache_free(&m->tree);
	for (size_t i = 0; i < APPS_MAX; i++) {
		limit_done(&m->use[i].appends);
		limit_done(&m->use[i].graph);
	}
	pthread_mutex_destroy(&m->preparing);
	pthread_mutex_destroy(&m->naming);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

void world_free(struct world **pw)
{
	struct world *w = *pw;

	if (!w)
		return;
	for (size_t i = 0; i < w->tenants_n; i++)
		free(w->tenants[i]);
	for (size_t i = 0; i < w->apps_n; i++)
		app_free(&w->apps[i]);
	while (w->mailboxes) {
		struct mailbox *m = w->mailboxes;

		w->mailboxes = m->next;
		mailbox_free(m);
	}
	pthread_mutex_destroy(&w->lock);
	free(w);
	*pw = NULL;
}

int world_add_tenant(struct world *w, const char *name, struct err *err)
{
	if (w->tenants_n == TENANTS_MAX)
		return err_set(err, ERR_USAGE, "more than %d tenants", TENANTS_MAX);
	w->tenants[w->tenants_n++] = strdup(name);
	return 0;
}

bool world_has_tenant(struct world *w, const char *name)
{
	for (size_t i = 0; i < w->tenants_n; i++)
		if (strcasecmp(w->tenants[i], name) == 0)
			return true;
	return false;
}

int world_add_app(struct world *w, const json_t *spec, struct err *err)
{
	struct app *a;

	if (w->apps_n == APPS_MAX)
		return err_set(err, ERR_USAGE, "more than %d apps", APPS_MAX);
	a = app_new(spec, (unsigned)w->apps_n, err);
	if (!a)
		return -1;
	w->apps[w->apps_n++] = a;
	return 0;
}

int world_set_app(struct world *w, const json_t *spec, struct err *err)
{
	struct app *a = world_app(w, json_string_value(json_object_get(spec, "id")));

	return a ? app_set(a, spec, err) : err_set(err, ERR_USAGE, "app: no such application");
}

struct app *world_app(struct world *w, const char *client_id)
{
	for (size_t i = 0; client_id && i < w->apps_n; i++)
		if (strcasecmp(w->apps[i]->id, client_id) == 0)
			return w->apps[i];
	return NULL;
}

bool world_revoke(struct world *w, const char *client_id)
{
	bool found = false;

	for (size_t i = 0; i < w->apps_n; i++)
		if (!client_id || strcasecmp(w->apps[i]->id, client_id) == 0) {
			atomic_fetch_add(&w->apps[i]->generation, 1);
			found = true;
		}
	return found;
}

static struct mailbox *find_locked(struct world *w, const char *address)
{
	for (struct mailbox *m = w->mailboxes; m; m = m->next)
		if (strcasecmp(m->address, address) == 0)
			return m;
	return NULL;
}

static struct mailbox *make_locked(struct world *w, const char *address)
{
	struct mailbox *m;

	if (w->mailboxes_n == MAILBOXES_MAX)
		return NULL;
	m = calloc(1, sizeof(*m));
	assert(m);
	m->address = strdup(address);
	graph_id_of_user(m->id, address);
	m->permitted = m->imap_enabled = m->rest_enabled = m->graph_permitted = true;
	m->size_cap = m->sessions_max = m->appends_max = m->bytes_max = m->quota = -1;
	m->graph_in_flight_max = m->graph_requests_max = m->graph_bytes_max = -1;
	m->pool = pool_new();
	m->tree = tree_cache_new();
	m->folders = folders_new();
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->preparing, NULL);
	pthread_mutex_init(&m->naming, NULL);
	for (size_t i = 0; i < APPS_MAX; i++) {
		limit_init(&m->use[i].appends, &(struct limit_rules){0});
		limit_init(&m->use[i].graph, &(struct limit_rules){0});
	}
	m->next = w->mailboxes;
	w->mailboxes = m;
	w->mailboxes_n++;
	return m;
}

void world_set_open(struct world *w, bool open)
{
	w->open = open;
}

/* Addresses become user names of the backend; nothing odd goes there. */
static bool is_address(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > 254)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= 32 || s[i] == 127 || strchr("*%\"\\/{}()", s[i]))
			return false;
	return true;
}

struct mailbox *world_mailbox(struct world *w, const char *address)
{
	struct mailbox *m;

	pthread_mutex_lock(&w->lock);
	m = find_locked(w, address);
	if (!m && w->open && is_address(address))
		m = make_locked(w, address);
	pthread_mutex_unlock(&w->lock);
	return m;
}

static bool is_of(const struct mailbox *m, const char *name, bool aliases)
{
	if (strcasecmp(m->id, name) == 0 || strcasecmp(m->upn ? m->upn : m->address, name) == 0)
		return true;
	if (!aliases)
		return false;
	for (size_t i = 0; i < m->aliases_n; i++)
		if (strcasecmp(m->aliases[i], name) == 0)
			return true;
	return strcasecmp(m->address, name) == 0;
}

struct mailbox *world_user(struct world *w, const char *name, bool aliases)
{
	struct mailbox *m;

	pthread_mutex_lock(&w->lock);
	for (m = w->mailboxes; m && !is_of(m, name, aliases); m = m->next)
		;
	if (!m && w->open && is_address(name) && strchr(name, '@'))
		m = make_locked(w, name);
	pthread_mutex_unlock(&w->lock);
	return m;
}

static int read_texts(const json_t *list, const char *what, char ***v, size_t *n, struct err *err)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one) if (!json_is_string(one)) return err_set(
		err, ERR_USAGE, "mailbox: %s are texts", what);
	if (!json_is_array(list))
		return err_set(err, ERR_USAGE, "mailbox: %s are an array", what);
	texts_free(*v, *n);
	*n = json_array_size(list);
	*v = calloc(*n + 1, sizeof(**v));
	assert(*v);
	json_array_foreach(list, i, one)(*v)[i] = strdup(json_string_value(one));
	return 0;
}

/* Everything of a mailbox's specification; -2 and NULL: not given. */
struct mailbox_spec {
	const char *address, *id, *upn;
	int permission, imap, rest, graph_permission;
	json_int_t cap, quota, sessions, appends, bytes, in_flight, requests, graph_bytes;
	const json_t *aliases, *hidden;
};

static int unpack_mailbox(struct mailbox_spec *p, const json_t *spec, struct err *err)
{
	json_error_t je;

	*p = (struct mailbox_spec){.permission = -1, .imap = -1, .rest = -1, .graph_permission = -1};
	p->cap = p->quota = p->sessions = p->appends = p->bytes = p->in_flight = p->requests = p->graph_bytes = -2;
	if (json_unpack_ex((json_t *)(uintptr_t)spec, &je, JSON_STRICT,
		    "{s:s, s?b, s?b, s?I, s?I, s?I, s?I, s?I, s?s, s?s, s?b, s?b, s?I, s?I, s?I, s?o, s?o}", "address",
		    &p->address, "permission", &p->permission, "imap", &p->imap, "size_cap", &p->cap, "quota",
		    &p->quota, "sessions_max", &p->sessions, "appends_max", &p->appends, "bytes_max", &p->bytes, "id",
		    &p->id, "upn", &p->upn, "rest", &p->rest, "graph_permission", &p->graph_permission,
		    "graph_in_flight", &p->in_flight, "graph_requests", &p->requests, "graph_bytes", &p->graph_bytes,
		    "aliases", &p->aliases, "hidden_folders", &p->hidden) < 0)
		return err_set(err, ERR_USAGE, "mailbox: %s", je.text);
	if (!is_address(p->address))
		return err_set(err, ERR_USAGE, "mailbox: '%s' is not an address", p->address);
	if (p->id && (strlen(p->id) != 36 || strspn(p->id, "0123456789abcdefABCDEF-") != 36))
		return err_set(err, ERR_USAGE, "mailbox: id '%s' is no GUID", p->id);
	return 0;
}

static int name_mailbox(struct mailbox *m, const struct mailbox_spec *p, struct err *err)
{
	if (p->id)
		snprintf(m->id, sizeof(m->id), "%s", p->id);
	if (p->upn) {
		free(m->upn);
		m->upn = strdup(p->upn);
	}
	return p->aliases ? read_texts(p->aliases, "aliases", &m->aliases, &m->aliases_n, err) : 0;
}

int world_set_mailbox(struct world *w, const json_t *spec, struct err *err)
{
	struct mailbox_spec p;
	struct mailbox *m;
	int r = 0;

	if (unpack_mailbox(&p, spec, err) < 0)
		return -1;
	pthread_mutex_lock(&w->lock);
	m = find_locked(w, p.address);
	if (!m)
		m = make_locked(w, p.address);
	if (m)
		r = name_mailbox(m, &p, err);
	pthread_mutex_unlock(&w->lock);
	if (!m)
		return err_set(err, ERR_USAGE, "too many mailboxes");
	pthread_mutex_lock(&m->lock);
#define KEEP(field, none, value) m->field = (value) == (none) ? m->field : (value)
	KEEP(permitted, -1, p.permission);
	KEEP(imap_enabled, -1, p.imap);
	KEEP(rest_enabled, -1, p.rest);
	KEEP(graph_permitted, -1, p.graph_permission);
	KEEP(size_cap, -2, p.cap);
	KEEP(quota, -2, p.quota);
	KEEP(sessions_max, -2, p.sessions);
	KEEP(appends_max, -2, p.appends);
	KEEP(bytes_max, -2, p.bytes);
	KEEP(graph_in_flight_max, -2, p.in_flight);
	KEEP(graph_requests_max, -2, p.requests);
	KEEP(graph_bytes_max, -2, p.graph_bytes);
#undef KEEP
	if (r == 0 && p.hidden)
		r = read_texts(p.hidden, "hidden_folders", &m->hidden_folders, &m->hidden_folders_n, err);
	pthread_mutex_unlock(&m->lock);
	return r;
}

static void add_counters(struct counters *sum, const struct counters *c)
{
#define X(n) sum->n += c->n;
	COUNTERS(X)
#undef X
}

static json_t *counters_json(const struct counters *c)
{
	json_t *o = json_object();

#define X(n) json_object_set_new(o, #n, json_integer((json_int_t)c->n));
	COUNTERS(X)
#undef X
	return o;
}

/* The most that was ever within a window, of any application. */
static void put_peaks(json_t *o, const struct mailbox *m, size_t apps)
{
	uint64_t most[4] = {0};
	static const char *const names[] = {
		"window_appends_peak", "window_bytes_peak", "graph_window_requests_peak", "graph_window_bytes_peak"};

	for (size_t i = 0; i < apps; i++) {
		const struct app_use *u = &m->use[i];
		uint64_t peak[] = {
			u->appends.requests.peak, u->appends.bytes.peak, u->graph.requests.peak, u->graph.bytes.peak};

		for (size_t k = 0; k < 4; k++)
			most[k] = peak[k] > most[k] ? peak[k] : most[k];
	}
	for (size_t k = 0; k < 4; k++)
		json_object_set_new(o, names[k], json_integer((json_int_t)most[k]));
}

json_t *world_state(struct world *w)
{
	json_t *boxes = json_object();
	struct counters sum = {0};

	pthread_mutex_lock(&w->lock);
	for (struct mailbox *m = w->mailboxes; m; m = m->next) {
		json_t *o;

		pthread_mutex_lock(&m->lock);
		o = counters_json(&m->count);
		add_counters(&sum, &m->count);
		put_peaks(o, m, w->apps_n);
		pthread_mutex_unlock(&m->lock);
		json_object_set_new(boxes, m->address, o);
	}
	pthread_mutex_unlock(&w->lock);
	return json_pack("{s:o, s:o}", "totals", counters_json(&sum), "mailboxes", boxes);
}

int64_t mailbox_limit(struct mailbox *m, struct profile *p, enum rule_switch sw)
{
	int64_t own = sw == SW_SIZE_CAP          ? m->size_cap
		      : sw == SW_SESSIONS_MAX    ? m->sessions_max
		      : sw == SW_APPENDS_MAX     ? m->appends_max
		      : sw == SW_BYTES_MAX       ? m->bytes_max
		      : sw == SW_GRAPH_IN_FLIGHT ? m->graph_in_flight_max
		      : sw == SW_GRAPH_REQUESTS  ? m->graph_requests_max
		      : sw == SW_GRAPH_BYTES     ? m->graph_bytes_max
						 : -1;

	return own >= 0 ? own : profile_get(p, sw);
}

bool mailbox_enter(struct mailbox *m, int64_t sessions_max)
{
	bool ok;

	pthread_mutex_lock(&m->lock);
	ok = sessions_max <= 0 || m->count.sessions < (uint64_t)sessions_max;
	if (ok && ++m->count.sessions > m->count.sessions_peak)
		m->count.sessions_peak = m->count.sessions;
	pthread_mutex_unlock(&m->lock);
	return ok;
}

void mailbox_leave(struct mailbox *m)
{
	MAILBOX_COUNT(m, sessions, -1);
}

int64_t mailbox_admit(struct mailbox *m, const struct app *app, struct profile *p, int64_t now_ms, uint64_t bytes)
{
	struct app_use *u = &m->use[app->index];
	int64_t backoff = profile_get(p, SW_BACKOFF_MS), wait;
	struct limit_rules rules;
	enum limit_kind why;

	pthread_mutex_lock(&m->lock);
	rules = (struct limit_rules){.requests = (uint64_t)mailbox_limit(m, p, SW_APPENDS_MAX),
		.requests_window_ms = profile_get(p, SW_APPENDS_WINDOW_MS),
		.bytes = (uint64_t)mailbox_limit(m, p, SW_BYTES_MAX),
		.bytes_window_ms = profile_get(p, SW_BYTES_WINDOW_MS)};
	limit_set_rules(&u->appends, &rules);
	wait = limit_fits_at(&u->appends, now_ms, bytes, &why) - now_ms;
	if (why != LIMIT_NONE) {
		if (backoff)
			wait = backoff;
		u->fence_until_ms = now_ms + wait;
		m->count.throttled++;
	} else {
		wait = 0;
		limit_use(&u->appends, now_ms, 1, bytes);
	}
	pthread_mutex_unlock(&m->lock);
	return wait;
}

void mailbox_fence(struct mailbox *m, const struct app *app, int64_t until_ms)
{
	pthread_mutex_lock(&m->lock);
	m->count.throttled++;
	m->use[app->index].fence_until_ms = until_ms;
	pthread_mutex_unlock(&m->lock);
}

int64_t mailbox_fence_left(struct mailbox *m, const struct app *app, int64_t now_ms)
{
	int64_t left;

	pthread_mutex_lock(&m->lock);
	left = m->use[app->index].fence_until_ms - now_ms;
	pthread_mutex_unlock(&m->lock);
	return left > 0 ? left : 0;
}

bool mailbox_has_room(struct mailbox *m, uint64_t bytes)
{
	bool ok;

	pthread_mutex_lock(&m->lock);
	ok = m->quota < 0 || m->count.appended_bytes + bytes <= (uint64_t)m->quota;
	pthread_mutex_unlock(&m->lock);
	return ok;
}

void mailbox_flight(struct mailbox *m, int delta)
{
	pthread_mutex_lock(&m->lock);
	m->count.in_flight += (uint64_t)(int64_t)delta;
	if (m->count.in_flight > m->count.in_flight_peak)
		m->count.in_flight_peak = m->count.in_flight;
	pthread_mutex_unlock(&m->lock);
}
