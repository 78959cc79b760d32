/* APPEND: what the service would refuse is refused before the backend sees an octet, so that "stored or not" has no third answer. */
#include "upload/exosim/session.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/spool.h"
#include "upload/exosim/backend.h"
#include "upload/exosim/check.h"
#include "upload/exosim/late.h"
#include "upload/exosim/recode.h"

#include <assert.h>
#include <strings.h>

struct append {
	char *name, *key, *raw;  /* owned */
	struct span flags, date; /* within the command; len 0: not given */
	struct check check;
	struct spool *body; /* owned */
};

static void append_done(struct append *a)
{
	free(a->name);
	free(a->key);
	free(a->raw);
	spool_free(&a->body);
}

/* A refusal before the message was read: it is passed by where it comes anyway. */
static void refuse(struct session *s, const struct command *c, const char *text)
{
	MAILBOX_COUNT(s->box, refused, 1);
	if (!c->literal_sync)
		session_swallow(s, c->literal_size + 2);
	if (relay_drain(s) == 0)
		session_answer(s, c->tag, "%s", text);
}

static bool parse(struct command *c, struct append *a)
{
	struct span raw;

	if (!c->literal || !args_take_astring(&c->args, &raw, &a->name) || !args_take_char(&c->args, ' '))
		return false;
	if (c->args.at < c->args.end && *c->args.at == '(' &&
	    (!args_take_flags(&c->args, &a->flags) || !args_take_char(&c->args, ' ')))
		return false;
	if (c->args.at < c->args.end && *c->args.at == '"' &&
	    (!args_take_date_time(&c->args, &a->date) || !args_take_char(&c->args, ' ')))
		return false;
	return args_is_end(&c->args);
}

/* Everything that can be said without the message. true: it was answered. */
static bool refused_early(struct session *s, const struct command *c, struct append *a)
{
	struct profile *p = &s->x->profile;
	int64_t cap = mailbox_limit(s->box, p, SW_SIZE_CAP), wait;
	char text[400];

	a->raw = folder_resolve(s, a->name, &a->key);
	if (s->over)
		return true;
	if (!a->raw) {
		snprintf(text, sizeof(text), "NO [TRYCREATE] " SAY_GONE, a->name);
		refuse(s, c, text);
		return true;
	}
	if (cap && c->literal_size > (uint64_t)cap) {
		refuse(s, c, SAY_TOO_BIG);
		return true;
	}
	if (!mailbox_has_room(s->box, c->literal_size)) {
		refuse(s, c, SAY_QUOTA);
		return true;
	}
	wait = mailbox_admit(s->box, s->app, p, clock_mono_ms(), c->literal_size);
	if (wait) {
		/* Answered at once, unread: the client learns it as early as it can. */
		session_throttle(s, c->tag, wait, NULL);
		if (!s->over && !c->literal_sync)
			session_swallow(s, c->literal_size + 2);
		return true;
	}
	return false;
}

/* Fault DROP_MID_LITERAL. true: dropped. */
static bool dropped_within(struct session *s, const struct command *c, const struct append *a)
{
	struct fault_hit hit;

	if (!faults_check(s->x->faults, HOOK_LITERAL, s->box->address, a->name, "APPEND", &hit))
		return false;
	if (c->literal_sync)
		wire_put_str(s->client, SAY_CONTINUE);
	session_swallow(s, hit.bytes && hit.bytes < c->literal_size ? hit.bytes : c->literal_size / 2);
	relay_drain(s);
	wire_flush(s->client);
	session_drop(s);
	return true;
}

/* The message into the spool, checked on the way; then the end of the command. 0, 1: more than one message, -1: over. */
static int read_message(struct session *s, const struct command *c, struct append *a, struct err *err)
{
	uint64_t left = c->literal_size;

	if (spool_new(&a->body, s->x->spool_dir, c->literal_size, err) < 0)
		return -1;
	if (c->literal_sync) {
		if (relay_drain(s) < 0)
			return -1;
		wire_put_str(s->client, SAY_CONTINUE);
	}
	check_init(&a->check);
	while (left) {
		size_t part = wire_have(s->client) < left ? wire_have(s->client) : (size_t)left;

		check_feed(&a->check, wire_data(s->client), part);
		if (spool_write(a->body, wire_data(s->client), part, err) < 0)
			return -1;
		wire_skip(s->client, part);
		left -= part;
		if (left && session_more(s) < 0)
			return -1;
	}
	check_end(&a->check);
	while (wire_have(s->client) < 2)
		if (session_more(s) < 0)
			return -1;
	if (memcmp(wire_data(s->client), "\r\n", 2) == 0) {
		wire_skip(s->client, 2);
		return 0;
	}
	for (;;) { /* MULTIAPPEND is not offered: the rest of the line is passed by */
		const char *nl = memchr(wire_data(s->client), '\n', wire_have(s->client));

		wire_skip(s->client, nl ? (size_t)(nl - wire_data(s->client)) + 1 : wire_have(s->client));
		if (nl)
			return 1;
		if (session_more(s) < 0)
			return -1;
	}
}

/* What the service refuses in the message itself; NULL: nothing. */
static const char *refusal_of_message(struct profile *p, const struct check *k)
{
	int64_t max = profile_get(p, SW_LINE_MAX);

	if (k->bad_header)
		return SAY_BAD_HEADER;
	if (max && k->longest_line > (uint64_t)max)
		return SAY_ARGUMENT;
	return k->nul && profile_get(p, SW_NUL_REFUSED) ? SAY_ARGUMENT : NULL;
}

static int respool(struct session *s, struct append *a, const char *data, size_t n, struct err *err)
{
	struct spool *fresh = NULL;

	if (spool_new(&fresh, s->x->spool_dir, n, err) < 0 || spool_write(fresh, data, n, err) < 0) {
		spool_free(&fresh);
		return -1;
	}
	spool_free(&a->body);
	a->body = fresh;
	return 0;
}

/* The profile's changes. The whole message in memory: profiles that change are for tests. */
static int change_message(struct session *s, struct append *a, struct err *err)
{
	struct profile *p = &s->x->profile;
	bool mime = profile_get(p, SW_MIME_RECODED),
	     id = profile_get(p, SW_MESSAGE_ID_ADDED) && !a->check.has_message_id;
	size_t n = (size_t)spool_size(a->body), got, out_n;
	char *data, *out;
	int r;

	if (!mime && !id)
		return 0;
	data = malloc(n + 1);
	assert(data);
	for (size_t at = 0; at < n; at += got)
		if (spool_read(a->body, at, data + at, n - at, &got, err) < 0 || !got) {
			free(data);
			return -1;
		}
	if (mime) {
		recode_mime(data, n, &out, &out_n);
		free(data);
		data = out;
		n = out_n;
	}
	if (id) {
		recode_add_message_id(data, n, &out, &out_n);
		free(data);
		data = out;
		n = out_n;
	}
	r = respool(s, a, data, n, err);
	free(data);
	return r;
}

/* The flags as the profile keeps them, with parentheses. */
static void format_flags(struct profile *p, const struct span *flags, struct buf *out, struct err *err)
{
	struct args a = {flags->at, flags->at + flags->len};
	struct span word;

	buf_add_char(out, '(', err);
	args_take_char(&a, '(');
	while (a.at < a.end && *a.at != ')') {
		const char *start = a.at;
		bool is_system = args_take_char(&a, '\\'), keep;

		if (!args_take_atom(&a, &word))
			break;
		keep = !is_system                  ? profile_get(p, SW_KEYWORDS_KEPT)
		       : span_is(&word, "Flagged") ? profile_get(p, SW_FLAGGED_KEPT)
		       : span_is(&word, "Seen")    ? profile_get(p, SW_SEEN_KEPT)
						   : true;
		if (keep) {
			if (out->data[out->len - 1] != '(')
				buf_add_char(out, ' ', err);
			buf_add(out, start, (size_t)(a.at - start), err);
		}
		args_take_char(&a, ' ');
	}
	buf_add_char(out, ')', err);
}

/* "APPEND name (flags) date" for the backend. */
static int format_command(struct session *s, const struct append *a, struct buf *out, struct err *err)
{
	char *quoted = malloc(2 * strlen(a->raw) + 3);
	int r;

	assert(quoted);
	args_quote(quoted, a->raw);
	r = buf_printf(out, err, "APPEND %s", quoted);
	free(quoted);
	if (r == 0 && a->flags.len) {
		r = buf_add_char(out, ' ', err);
		format_flags(&s->x->profile, &a->flags, out, err);
	}
	if (r == 0 && a->date.len && profile_get(&s->x->profile, SW_RECEIVED_KEPT))
		r = buf_printf(out, err, " %.*s", (int)a->date.len, a->date.at);
	return r;
}

/* Gives the message to the backend; the answer comes in its turn (append_answered). */
static int commit(struct session *s, const struct command *c, struct append *a, const struct fault_hit *hit,
		  struct err *err)
{
	struct buf line;
	struct pending *p;
	bool mute = hit && (hit->kind == FAULT_DROP_AFTER_COMMIT || hit->kind == FAULT_HANG_AFTER_COMMIT);
	int r;

	if (s->used == QUEUE_MAX && relay_drain(s) < 0)
		return -1;
	buf_init(&line, 64 * 1024);
	r = format_command(s, a, &line, err);
	if (r == 0) {
		p = &s->queue[(s->head + s->used) % QUEUE_MAX];
		*p = (struct pending){
			.n = ++s->last, .bytes = spool_size(a->body), .is_mute = mute, .key = a->key};
		a->key = NULL;
		p->hide_ms = hit && hit->kind == FAULT_HIDDEN ? hit->ms : 0;
		p->flagged = a->flags.len && span_has_word(&a->flags, "\\Flagged");
		snprintf(p->tag, sizeof(p->tag), "%s", c->tag);
		s->used++;
		mailbox_flight(s->box, 1);
		wire_printf(s->backend, "x%llu %s {%llu+}\r\n", (unsigned long long)p->n, buf_str(&line),
			    (unsigned long long)p->bytes);
		r = backend_put_spool(s->backend, a->body, err);
		wire_put(s->backend, "\r\n", 2);
	}
	buf_done(&line);
	return r;
}

static int store_late(struct session *s, struct append *a, int64_t ms, struct err *err)
{
	struct buf line;
	int r;

	buf_init(&line, 64 * 1024);
	r = format_command(s, a, &line, err);
	if (r == 0)
		late_add(s->x->late, s->box, clock_mono_ms() + ms, buf_str(&line), &a->body);
	buf_done(&line);
	return r;
}

/* The message is good: faults, or the backend. */
static int finish(struct session *s, const struct command *c, struct append *a, struct err *err)
{
	struct fault_hit hit;
	bool faulty = faults_check(s->x->faults, HOOK_COMMIT, s->box->address, a->name, "APPEND", &hit);

	if (!faulty)
		return commit(s, c, a, NULL, err);
	if (relay_drain(s) < 0)
		return 0;
	wire_flush(s->client);
	switch (hit.kind) {
	case FAULT_REFUSE_MESSAGE:
	case FAULT_QUOTA_FULL:
		MAILBOX_COUNT(s->box, refused, 1);
		session_answer(s, c->tag, "%s",
			       hit.kind == FAULT_REFUSE_MESSAGE && *hit.text ? hit.text : SAY_QUOTA);
		return 0;
	case FAULT_COMMIT_LATE:
		if (store_late(s, a, hit.ms, err) < 0)
			return -1;
		session_drop(s);
		return 0;
	case FAULT_DROP_BEFORE_COMMIT:
		session_drop(s);
		return 0;
	case FAULT_DROP_AFTER_COMMIT:
	case FAULT_HANG_AFTER_COMMIT:
		if (commit(s, c, a, &hit, err) < 0)
			return -1;
		relay_drain(s);
		if (hit.kind == FAULT_HANG_AFTER_COMMIT)
			session_hang(s, hit.ms);
		else
			session_drop(s);
		return 0;
	case FAULT_HIDDEN:
		return commit(s, c, a, &hit, err);
	case FAULT_REFUSE_CONNECTION:
	case FAULT_TOKEN_ERROR:
	case FAULT_TOKEN_SLOW:
	case FAULT_REFUSE_SIGNIN:
	case FAULT_NOT_CONNECTED:
	case FAULT_THROTTLE:
	case FAULT_REFUSE:
	case FAULT_BYE:
	case FAULT_DROP:
	case FAULT_DROP_AFTER:
	case FAULT_HANG:
	case FAULT_SLOW:
	case FAULT_SLOW_WIRE:
	case FAULT_FOLDER_GONE:
	case FAULT_DROP_MID_LITERAL:
	case FAULTS_END:
		break;
	}
	return commit(s, c, a, NULL, err);
}

void command_append(struct session *s, struct command *c)
{
	struct append a = {0};
	struct err err = ERR_INIT;
	const char *no;
	char line[1600];
	int r = 0;

	if (!parse(c, &a)) {
		if (c->literal)
			refuse(s, c, SAY_ARGUMENT);
		else
			session_answer(s, c->tag, SAY_ARGUMENT);
	} else if (!refused_early(s, c, &a) && !dropped_within(s, c, &a)) {
		r = read_message(s, c, &a, &err);
		no = r > 0 ? SAY_ARGUMENT : r < 0 ? NULL : refusal_of_message(&s->x->profile, &a.check);
		if (no) {
			MAILBOX_COUNT(s->box, refused, 1);
			if (relay_drain(s) == 0)
				session_answer(s, c->tag, "%s", no);
		} else if (r == 0) {
			r = change_message(s, &a, &err);
			if (r == 0)
				r = finish(s, c, &a, &err);
		}
	}
	if (r < 0 && !s->over) {
		log_line(LOG_ERROR, "imap %s: APPEND: %s", s->box->address,
			 err_line(&err, line, sizeof(line)));
		session_bye(s, SAY_CLOSED);
	}
	append_done(&a);
}

static void count_stored(struct session *s, const struct pending *p)
{
	pthread_mutex_lock(&s->box->lock);
	s->box->count.appended++;
	s->box->count.appended_bytes += p->bytes;
	s->box->count.append_flagged += p->flagged;
	pthread_mutex_unlock(&s->box->lock);
}

void append_answered(struct session *s, struct pending *p, const struct reply *r)
{
	char *end;
	unsigned long long uid = 0;
	bool known = strncasecmp(r->code, "APPENDUID ", 10) == 0,
	     give = profile_get(&s->x->profile, SW_UID_GIVEN) != 0;

	mailbox_flight(s->box, -1);
	if (r->is_ok) {
		count_stored(s, p);
		if (known) {
			strtoull(r->code + 10, &end, 10);
			uid = strtoull(end, NULL, 10);
			folders_hide(s->box->folders, p->key, (uint32_t)uid, clock_mono_ms(),
				     p->hide_ms ? clock_mono_ms() + p->hide_ms : 0);
		}
		if (p->is_mute)
			return;
		if (known && give)
			session_answer(s, p->tag, "OK [%s] APPEND completed.", r->code);
		else
			session_answer(s, p->tag, "OK APPEND completed.");
		return;
	}
	MAILBOX_COUNT(s->box, refused, 1);
	log_line(LOG_DEBUG, "imap %s: backend refused APPEND: [%s] %s", s->box->address, r->code, r->text);
	if (p->is_mute)
		return;
	if (strncasecmp(r->code, "TRYCREATE", 9) == 0 || strncasecmp(r->code, "NONEXISTENT", 11) == 0) {
		folders_forget(s->box->folders);
		session_answer(s, p->tag, "NO [TRYCREATE] Folder doesn't exist.");
	} else {
		session_answer(s, p->tag, "%s",
			       strncasecmp(r->code, "OVERQUOTA", 9) == 0 ? SAY_QUOTA : SAY_ARGUMENT);
	}
}
