/* Commands that name folders: without case, blanks trimmed, some names reserved, the well-known ones in the mailbox's language. */
#include "upload/exosim/session.h"

#include "engine/base/clock.h"
#include "imap/name.h"
#include "upload/exosim/prepare.h"

#include <assert.h>
#include <glib.h>
#include <strings.h>

static void load(struct session *s)
{
	struct names *names = calloc(1, sizeof(*names));

	assert(names);
	if (relay_drain(s) == 0) {
		s->capture = names_collect;
		s->capture_ctx = names;
		if (relay_ask(s, "LIST \"\" \"*\"") == 0)
			folders_replace(s->box->folders, names->v, names->n);
		s->capture = NULL;
		s->capture_ctx = NULL;
	}
	names_done(names);
	free(names);
}

static bool trims(struct session *s)
{
	return profile_get(&s->x->profile, SW_NAMES_TRIMMED) != 0;
}

char *folder_resolve(struct session *s, const char *name, char **key)
{
	char *found = NULL;

	*key = folder_key(name, trims(s));
	if (!*key)
		return NULL;
	if (folders_are_known(s->box->folders))
		found = folders_find(s->box->folders, *key);
	if (!found) {
		load(s);
		found = folders_find(s->box->folders, *key);
	}
	if (!found) {
		free(*key);
		*key = NULL;
	}
	return found;
}

static void put_name(struct wire *w, const char *name)
{
	char *quoted = malloc(2 * strlen(name) + 3);

	assert(quoted);
	args_quote(quoted, name);
	wire_put_str(w, quoted);
	free(quoted);
}

/* One folder's name and the end of the command. false: answered with an error. */
static bool only_name(struct session *s, struct command *c, char **name)
{
	struct span raw;

	if (args_take_astring(&c->args, &raw, name) && args_is_end(&c->args) && !strpbrk(*name, "\r\n"))
		return true;
	free(*name);
	*name = NULL;
	session_answer(s, c->tag, SAY_ARGUMENT);
	return false;
}

static void answer_gone(struct session *s, const struct command *c, const char *name)
{
	if (!s->over)
		session_answer(s, c->tag, "NO " SAY_GONE, name);
}

void command_select(struct session *s, struct command *c)
{
	bool examine = span_is(&c->verb, "EXAMINE");
	char *name = NULL, *key, *raw;

	if (!only_name(s, c, &name))
		return;
	raw = folder_resolve(s, name, &key);
	free(s->selected);
	s->selected = NULL;
	s->exists = s->shown = 0;
	if (!raw || relay_begin(s) < 0) {
		/* RFC 3501: a failed SELECT leaves no folder selected. */
		if (s->state == ST_SELECTED && relay_ask(s, "UNSELECT") == 0)
			s->state = ST_SIGNED_IN;
		answer_gone(s, c, name);
		goto out;
	}
	s->selected = key;
	key = NULL;
	wire_put_str(s->backend, examine ? "EXAMINE " : "SELECT ");
	put_name(s->backend, raw);
	if (relay_finish(s) < 0)
		goto out;
	if (s->reply.is_ok) {
		s->state = ST_SELECTED;
		session_answer(s, c->tag, "OK [%s] %s completed.", examine ? "READ-ONLY" : "READ-WRITE",
			examine ? "EXAMINE" : "SELECT");
	} else {
		s->state = ST_SIGNED_IN;
		folders_forget(s->box->folders);
		free(s->selected);
		s->selected = NULL;
		answer_gone(s, c, name);
	}
out:
	free(key);
	free(raw);
	free(name);
}

/* Why a new name cannot be; NULL: it can. */
static const char *refusal_of_name(struct session *s, const char *name, const char *key)
{
	struct profile *p = &s->x->profile;
	size_t max = (size_t)profile_get(p, SW_NAME_MAX), depth = 1;
	char *utf8;
	bool exact, too_long = false;

	if (!key)
		return SAY_ARGUMENT;
	if (strcmp(key, "files") == 0)
		return SAY_RESERVED;
	/* 8-bit octets and bad modified UTF-7 are no names (RFC 3501 section 5.1.3); the wildcards are no atoms. */
	utf8 = name_decode(name, &exact);
	assert(utf8);
	for (const char *at = utf8; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL) {
		size_t level = strcspn(at, "/");

		too_long = too_long || (max && level > max);
		depth += at[level] == '/';
	}
	for (const char *at = name; *at; at++)
		exact = exact && (unsigned char)*at < 127 && (unsigned char)*at >= 32;
	free(utf8);
	return !exact || too_long || depth > (size_t)profile_get(p, SW_DEPTH_MAX) ? SAY_ARGUMENT : NULL;
}

/* The spelling of a name that shall be made, parents as they are; NULL: answered. Yours. */
static char *new_name(struct session *s, const struct command *c, const char *name)
{
	char *clean = trims(s) ? folder_trim(name) : strdup(name), *key, *raw = NULL, *there = NULL;
	const char *no;

	assert(clean);
	if (*clean && clean[strlen(clean) - 1] == '/')
		clean[strlen(clean) - 1] = '\0';
	key = folder_key(clean, false);
	no = refusal_of_name(s, clean, key);
	if (!no) {
		char *found_key = NULL;

		there = folder_resolve(s, clean, &found_key);
		free(found_key);
		if (there)
			no = SAY_EXISTS;
	}
	if (no && !s->over)
		session_answer(s, c->tag, "%s", no);
	else if (!s->over)
		raw = folders_spell_new(s->box->folders, clean);
	free(there);
	free(key);
	free(clean);
	return raw;
}

static void answer_changed(struct session *s, const struct command *c, const char *name)
{
	if (s->over)
		return;
	folders_forget(s->box->folders);
	if (s->reply.is_ok)
		session_answer(s, c->tag, "OK %s completed.", name);
	else if (strcasecmp(s->reply.code, "ALREADYEXISTS") == 0)
		session_answer(s, c->tag, SAY_EXISTS);
	else
		session_answer(s, c->tag, "NO %s failed.", name);
}

void command_create(struct session *s, struct command *c)
{
	char *name = NULL, *raw;

	if (!only_name(s, c, &name))
		return;
	pthread_mutex_lock(&s->box->naming);
	raw = new_name(s, c, name);
	if (raw && relay_begin(s) == 0) {
		wire_put_str(s->backend, "CREATE ");
		put_name(s->backend, raw);
		if (relay_finish(s) == 0) {
			/* The name was free: see make() in graph_folder.c. */
			s->reply.is_ok = s->reply.is_ok || strcasecmp(s->reply.code, "ALREADYEXISTS") == 0;
			answer_changed(s, c, "CREATE");
		}
	}
	pthread_mutex_unlock(&s->box->naming);
	free(raw);
	free(name);
}

static bool is_well_known(const struct session *s, const char *key)
{
	const struct known_folder *k;
	bool found = strcmp(key, "inbox") == 0;

	for (size_t i = 0; !found && (k = rule_known_folder(i)) != NULL; i++) {
		char *folded = g_utf8_casefold(s->x->german ? k->german : k->english, -1);

		found = strcmp(folded, key) == 0;
		g_free(folded);
	}
	return found;
}

void command_delete(struct session *s, struct command *c)
{
	char *name = NULL, *key, *raw;

	if (!only_name(s, c, &name))
		return;
	raw = folder_resolve(s, name, &key);
	if (!raw) {
		answer_gone(s, c, name);
	} else if (is_well_known(s, key)) {
		session_answer(s, c->tag, "NO DELETE failed."); /* I: Exchange keeps its own folders */
	} else if (relay_begin(s) == 0) {
		wire_put_str(s->backend, "DELETE ");
		put_name(s->backend, raw);
		if (relay_finish(s) == 0)
			answer_changed(s, c, "DELETE");
	}
	free(raw);
	free(key);
	free(name);
}

void command_rename(struct session *s, struct command *c)
{
	char *from = NULL, *to = NULL, *key = NULL, *raw = NULL, *made = NULL;
	struct span span;

	if (!args_take_astring(&c->args, &span, &from) || !args_take_char(&c->args, ' ') || !only_name(s, c, &to)) {
		if (from && !to && !s->over && !args_is_end(&c->args))
			session_answer(s, c->tag, SAY_ARGUMENT);
		free(from);
		return;
	}
	raw = folder_resolve(s, from, &key);
	if (!raw) {
		answer_gone(s, c, from);
	} else if (is_well_known(s, key)) {
		session_answer(s, c->tag, "NO RENAME failed."); /* I */
	} else if ((made = new_name(s, c, to)) != NULL && relay_begin(s) == 0) {
		wire_put_str(s->backend, "RENAME ");
		put_name(s->backend, raw);
		wire_put_str(s->backend, " ");
		put_name(s->backend, made);
		if (relay_finish(s) == 0)
			answer_changed(s, c, "RENAME");
	}
	free(made);
	free(raw);
	free(key);
	free(to);
	free(from);
}

void command_subscribe(struct session *s, struct command *c)
{
	char *name = NULL, *key, *raw;
	const char *verb = span_is(&c->verb, "SUBSCRIBE") ? "SUBSCRIBE" : "UNSUBSCRIBE";

	if (!only_name(s, c, &name))
		return;
	raw = folder_resolve(s, name, &key);
	if (!raw) {
		answer_gone(s, c, name);
	} else if (relay_begin(s) == 0) {
		wire_printf(s->backend, "%s ", verb);
		put_name(s->backend, raw);
		if (relay_finish(s) == 0)
			session_answer(s, c->tag, s->reply.is_ok ? "OK %s completed." : "NO %s failed.", verb);
	}
	free(raw);
	free(key);
	free(name);
}

/* A pattern: an astring that may hold wildcards. */
static bool take_pattern(struct args *a, struct span *raw)
{
	const char *p = a->at;

	if (p < a->end && (*p == '"' || *p == '{'))
		return args_take_astring(a, raw, NULL);
	while (p < a->end && (unsigned char)*p > 32 && (unsigned char)*p < 127 && !strchr("(){\"\\", *p))
		p++;
	*raw = (struct span){a->at, (size_t)(p - a->at)};
	a->at = p;
	return raw->len > 0;
}

void command_list(struct session *s, struct command *c)
{
	const char *verb = span_is(&c->verb, "LSUB") ? "LSUB" : "LIST";
	struct args a = c->args;
	struct span reference, pattern;

	/* LIST-EXTENDED's options are no arguments here: neither in front nor behind. */
	if (!args_take_astring(&a, &reference, NULL) || !args_take_char(&a, ' ') || !take_pattern(&a, &pattern) ||
		!args_is_end(&a)) {
		session_answer(s, c->tag, SAY_ARGUMENT);
		return;
	}
	if (relay_begin(s) < 0)
		return;
	wire_printf(s->backend, "%s ", verb);
	wire_put(s->backend, reference.at, (size_t)(a.end - reference.at));
	if (relay_finish(s) == 0)
		session_answer(s, c->tag, s->reply.is_ok ? "OK %s completed." : "NO %s failed.", verb);
}

void command_status(struct session *s, struct command *c)
{
	static const char *const items[] = {"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN"};
	char *name = NULL, *key = NULL, *raw = NULL;
	struct span span, list = {NULL, 0}, item;
	bool ok = args_take_astring(&c->args, &span, &name) && args_take_char(&c->args, ' ');

	list.at = c->args.at;
	ok = ok && args_take_char(&c->args, '(');
	while (ok && !args_take_char(&c->args, ')')) {
		bool known = false;

		ok = args_take_atom(&c->args, &item);
		for (size_t i = 0; ok && i < sizeof(items) / sizeof(*items); i++)
			known = known || span_is(&item, items[i]);
		ok = ok && known && (args_take_char(&c->args, ' ') || (c->args.at < c->args.end && *c->args.at == ')'));
	}
	list.len = (size_t)(c->args.at - list.at);
	if (!ok || !args_is_end(&c->args)) {
		session_answer(s, c->tag, SAY_ARGUMENT);
	} else if ((raw = folder_resolve(s, name, &key)) == NULL) {
		answer_gone(s, c, name);
	} else if (relay_begin(s) == 0) {
		wire_put_str(s->backend, "STATUS ");
		put_name(s->backend, raw);
		wire_put_str(s->backend, " ");
		wire_put(s->backend, list.at, list.len);
		if (relay_finish(s) == 0 && s->reply.is_ok)
			session_answer(s, c->tag, "OK STATUS completed.");
		else
			answer_gone(s, c, name);
	}
	free(raw);
	free(key);
	free(name);
}

void command_copy(struct session *s, struct command *c, bool uid)
{
	const char *verb = span_is(&c->verb, "MOVE") ? "MOVE" : "COPY";
	const char *set = c->args.at;
	char *name = NULL, *key = NULL, *raw = NULL;
	size_t n = strspn(set, "0123456789:,*");

	c->args.at += n;
	if (n == 0 || !args_take_char(&c->args, ' ')) {
		session_answer(s, c->tag, SAY_ARGUMENT);
		return;
	}
	if (!only_name(s, c, &name))
		return;
	raw = folder_resolve(s, name, &key);
	if (!raw) {
		if (!s->over)
			session_answer(s, c->tag, "NO [TRYCREATE] " SAY_GONE, name);
	} else if (relay_begin(s) == 0) {
		bool code;

		wire_printf(s->backend, "%s%s %.*s ", uid ? "UID " : "", verb, (int)n, set);
		put_name(s->backend, raw);
		if (relay_finish(s) == 0) {
			code = strncasecmp(s->reply.code, "COPYUID ", 8) == 0;
			if (s->reply.is_ok)
				session_answer(s, c->tag, "OK %s%s%s%s completed.", code ? "[" : "",
					code ? s->reply.code : "", code ? "] " : "", verb);
			else
				session_answer(s, c->tag,
					strncasecmp(s->reply.code, "OVERQUOTA", 9) == 0 ? SAY_QUOTA : "NO %s failed.",
					verb);
		}
	}
	free(raw);
	free(key);
	free(name);
}

void folder_destroy(struct session *s, const char *name)
{
	char *key, *raw = folder_resolve(s, name, &key);

	if (raw && relay_begin(s) == 0) {
		wire_put_str(s->backend, "DELETE ");
		put_name(s->backend, raw);
		relay_finish(s);
		folders_forget(s->box->folders);
	}
	free(raw);
	free(key);
}
