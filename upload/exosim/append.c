/* APPEND: what the service would refuse never reaches a folder, so that "stored or not" has no third answer. A small message is
   read and judged before the backend sees an octet of it; a large one is passed on while it is read, and the backend is made to
   give it up at its end if the verdict is bad. */
#include "upload/exosim/append_parts.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "upload/exosim/recode.h"

#include <assert.h>
#include <strings.h>

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

/* The end of the command behind its message. 0, 1: there is more (MULTIAPPEND is not offered; passed by), -1: over. */
static int read_end(struct session *s)
{
	while (wire_have(s->client) < 2)
		if (session_more(s) < 0)
			return -1;
	if (memcmp(wire_data(s->client), "\r\n", 2) == 0) {
		wire_skip(s->client, 2);
		return 0;
	}
	for (;;) {
		const char *nl = memchr(wire_data(s->client), '\n', wire_have(s->client));

		wire_skip(s->client, nl ? (size_t)(nl - wire_data(s->client)) + 1 : wire_have(s->client));
		if (nl)
			return 1;
		if (session_more(s) < 0)
			return -1;
	}
}

/* The message, checked on the way, into the spool or straight to the backend. As read_end. */
static int read_message(struct session *s, const struct command *c, struct append *a, struct err *err)
{
	uint64_t left = c->literal_size;

	if (c->literal_sync) {
		if (relay_drain(s) < 0)
			return -1;
		wire_put_str(s->client, SAY_CONTINUE);
	}
	if (a->streams ? append_begin(s, c, a, NULL, left, err) < 0
		       : spool_new(&a->body, s->x->spool_dir, left, err) < 0)
		return -1;
	check_init(&a->check);
	while (left) {
		size_t part = wire_have(s->client) < left ? wire_have(s->client) : (size_t)left;

		check_feed(&a->check, wire_data(s->client), part);
		if (a->streams)
			wire_put(s->backend, wire_data(s->client), part);
		else if (spool_write(a->body, wire_data(s->client), part, err) < 0)
			return -1;
		wire_skip(s->client, part);
		left -= part;
		if (left && session_more(s) < 0)
			return -1;
	}
	check_end(&a->check);
	return read_end(s);
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

/* The message is good: faults, or the backend. */
static int finish(struct session *s, const struct command *c, struct append *a, struct err *err)
{
	struct fault_hit hit;
	bool faulty = faults_check(s->x->faults, HOOK_COMMIT, s->box->address, a->name, "APPEND", &hit);

	if (!faulty)
		return append_commit(s, c, a, NULL, err);
	if (relay_drain(s) < 0)
		return 0;
	wire_flush(s->client);
	switch ((unsigned)hit.kind) {
	case FAULT_REFUSE_MESSAGE:
	case FAULT_QUOTA_FULL:
		MAILBOX_COUNT(s->box, refused, 1);
		session_answer(s, c->tag, "%s", hit.kind == FAULT_REFUSE_MESSAGE && *hit.text ? hit.text : SAY_QUOTA);
		return 0;
	case FAULT_COMMIT_LATE:
		if (append_late(s, a, hit.ms, err) < 0)
			return -1;
		session_drop(s);
		return 0;
	case FAULT_DROP_BEFORE_COMMIT:
		session_drop(s);
		return 0;
	case FAULT_DROP_AFTER_COMMIT:
	case FAULT_HANG_AFTER_COMMIT:
		if (append_commit(s, c, a, &hit, err) < 0)
			return -1;
		relay_drain(s);
		if (hit.kind == FAULT_HANG_AFTER_COMMIT)
			session_hang(s, hit.ms);
		else
			session_drop(s);
		return 0;
	case FAULT_HIDDEN:
		return append_commit(s, c, a, &hit, err);
	default: /* those of other hooks do not come */
		break;
	}
	return append_commit(s, c, a, NULL, err);
}

/* A large message is passed on while it is read, unless something may still be done with the whole of it. */
static bool may_stream(struct session *s, const struct command *c)
{
	struct profile *p = &s->x->profile;

	return c->literal_size >= STREAM_FROM && !profile_get(p, SW_MIME_RECODED) &&
	       !profile_get(p, SW_MESSAGE_ID_ADDED) && !faults_exist(s->x->faults);
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
		a.streams = may_stream(s, c);
		r = read_message(s, c, &a, &err);
		no = r > 0 ? SAY_ARGUMENT : r < 0 ? NULL : refusal_of_message(&s->x->profile, &a.check);
		if (r >= 0 && a.streams) {
			append_end(s, &a, no);
			r = 0;
		} else if (no) {
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
		log_line(LOG_ERROR, "imap %s: APPEND: %s", s->box->address, err_line(&err, line, sizeof(line)));
		session_bye(s, SAY_CLOSED);
	}
	append_done(&a);
}
