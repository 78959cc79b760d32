#include "upload/exosim/fault.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <strings.h>

struct fault {
	unsigned id;
	struct fault_hit what;
	char *mailbox, *folder, *command; /* owned; NULL: any */
	uint64_t nth, count;              /* count 0: for ever */
	double probability;
	uint64_t random; /* state of its generator */
	uint64_t seen, fired;
	struct fault *next; /* owned */
};

struct faults {
	pthread_mutex_t lock; /* first, last_id and all of the list */
	struct fault *first;  /* owned */
	unsigned last_id;
	uint64_t seed;
	atomic_uint active; /* so that a run without faults takes no lock */
};

static const struct {
	const char *name;
	enum fault_hook hook;
} kinds[FAULTS_END] = {
#define X(k, n, h, text) [FAULT_##k] = {n, h},
	FAULTS(X)
#undef X
};

const char *fault_name(enum fault_kind kind)
{
	return kinds[kind].name;
}

struct faults *faults_new(void)
{
	struct faults *f = calloc(1, sizeof(*f));

	assert(f);
	pthread_mutex_init(&f->lock, NULL);
	f->seed = 1;
	return f;
}

void faults_seed(struct faults *f, uint64_t seed)
{
	f->seed = seed;
}

static void fault_free(struct fault *x)
{
	free(x->mailbox);
	free(x->folder);
	free(x->command);
	free(x);
}

void faults_free(struct faults **f)
{
	if (!*f)
		return;
	faults_remove(*f, 0);
	pthread_mutex_destroy(&(*f)->lock);
	free(*f);
	*f = NULL;
}

/* splitmix64: small, and the same everywhere. */
static double next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static int read_number(const json_t *spec, const char *key, uint64_t *to, struct err *err)
{
	const json_t *v = json_object_get(spec, key);

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return err_set(err, ERR_USAGE, "fault: %s is not a number of 0 or more", key);
	*to = (uint64_t)json_integer_value(v);
	return 0;
}

static int read_text(const json_t *spec, const char *key, char **to, struct err *err)
{
	const json_t *v = json_object_get(spec, key);

	if (!v)
		return 0;
	if (!json_is_string(v))
		return err_set(err, ERR_USAGE, "fault: %s is not a text", key);
	*to = strdup(json_string_value(v));
	assert(*to);
	return 0;
}

static bool is_known_key(const char *key)
{
	static const char *const keys[] = {
		"kind", "mailbox", "folder", "command", "nth", "count", "probability", "ms", "bytes", "text"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

static int read_spec(struct fault *x, const json_t *spec, struct err *err)
{
	const char *kind = json_string_value(json_object_get(spec, "kind"));
	const json_t *p = json_object_get(spec, "probability"), *v;
	const char *key;
	char *text = NULL;
	uint64_t ms = 0;
	int i;

	json_object_foreach((json_t *)(uintptr_t)spec, key, v) if (!is_known_key(key)) return err_set(
		err, ERR_USAGE, "fault: unknown key '%s'", key);
	for (i = 0; i < FAULTS_END; i++)
		if (kind && strcmp(kinds[i].name, kind) == 0)
			break;
	if (i == FAULTS_END)
		return err_set(err, ERR_USAGE, "fault: no such kind '%s'", kind ? kind : "");
	x->what.kind = (enum fault_kind)i;
	x->nth = x->count = 1;
	x->probability = p ? json_number_value(p) : 1.0;
	if (read_number(spec, "nth", &x->nth, err) < 0 || read_number(spec, "count", &x->count, err) < 0 ||
		read_number(spec, "ms", &ms, err) < 0 || read_number(spec, "bytes", &x->what.bytes, err) < 0 ||
		read_text(spec, "mailbox", &x->mailbox, err) < 0 || read_text(spec, "folder", &x->folder, err) < 0 ||
		read_text(spec, "command", &x->command, err) < 0 || read_text(spec, "text", &text, err) < 0)
		return -1;
	x->what.ms = (int64_t)ms;
	if (text && (strlen(text) >= sizeof(x->what.text) || strpbrk(text, "\r\n"))) {
		free(text);
		return err_set(err, ERR_USAGE, "fault: text is too long or has a line end");
	}
	snprintf(x->what.text, sizeof(x->what.text), "%s", text ? text : "");
	free(text);
	return 0;
}

int faults_add(struct faults *f, const json_t *spec, unsigned *id, struct err *err)
{
	struct fault *x, **last;

	if (!json_is_object(spec))
		return err_set(err, ERR_USAGE, "fault: not an object");
	x = calloc(1, sizeof(*x));
	assert(x);
	if (read_spec(x, spec, err) < 0) {
		fault_free(x);
		return -1;
	}
	pthread_mutex_lock(&f->lock);
	x->id = ++f->last_id;
	for (last = &f->first; *last; last = &(*last)->next)
		;
	*last = x;
	atomic_fetch_add(&f->active, 1);
	pthread_mutex_unlock(&f->lock);
	if (id)
		*id = x->id;
	return 0;
}

bool faults_remove(struct faults *f, unsigned id)
{
	bool found = id == 0;

	pthread_mutex_lock(&f->lock);
	for (struct fault **p = &f->first; *p;) {
		struct fault *x = *p;

		if (id == 0 || x->id == id) {
			*p = x->next;
			fault_free(x);
			atomic_fetch_sub(&f->active, 1);
			found = true;
		} else {
			p = &x->next;
		}
	}
	pthread_mutex_unlock(&f->lock);
	return found;
}

static bool matches(const char *wanted, const char *given)
{
	return !wanted || (given && strcasecmp(wanted, given) == 0);
}

/* A kind of Graph's requests: "folder" is "folder_create", too. */
static bool matches_kind(const char *wanted, const char *given)
{
	size_t n = strlen(wanted);

	return given && strncasecmp(wanted, given, n) == 0 && (given[n] == '\0' || given[n] == '_');
}

static bool matches_command(const struct fault *x, enum fault_hook hook, const char *command)
{
	const char *wanted = x->command ? x->command : hook == HOOK_GRAPH ? "import" : "APPEND";

	if (strcmp(wanted, "*") == 0)
		return true;
	if (hook == HOOK_GRAPH)
		return matches_kind(wanted, command);
	return hook != HOOK_COMMAND || matches(wanted, command);
}

bool faults_exist(struct faults *f)
{
	return atomic_load_explicit(&f->active, memory_order_acquire) != 0;
}

bool faults_check(struct faults *f, enum fault_hook hook, const char *mailbox, const char *folder, const char *command,
	struct fault_hit *hit)
{
	bool fires = false;

	if (!faults_exist(f))
		return false;
	pthread_mutex_lock(&f->lock);
	for (struct fault *x = f->first; x && !fires; x = x->next) {
		if (kinds[x->what.kind].hook != hook || !matches(x->mailbox, mailbox) || !matches(x->folder, folder) ||
			!matches_command(x, hook, command))
			continue;
		if (!x->seen++)
			x->random = f->seed * 1000003u + x->id;
		if (x->seen < x->nth || (x->count && x->fired >= x->count))
			continue;
		if (x->probability < 1.0 && next_random(&x->random) >= x->probability)
			continue;
		x->fired++;
		*hit = x->what;
		fires = true;
	}
	pthread_mutex_unlock(&f->lock);
	return fires;
}

json_t *faults_list(struct faults *f)
{
	json_t *all = json_array();

	pthread_mutex_lock(&f->lock);
	for (const struct fault *x = f->first; x; x = x->next)
		json_array_append_new(all, json_pack("{s:i, s:s, s:I, s:I, s:I, s:I, s:s*, s:s*}", "id", (int)x->id,
						   "kind", kinds[x->what.kind].name, "seen", (json_int_t)x->seen,
						   "fired", (json_int_t)x->fired, "nth", (json_int_t)x->nth, "count",
						   (json_int_t)x->count, "mailbox", x->mailbox, "folder", x->folder));
	pthread_mutex_unlock(&f->lock);
	return all;
}
