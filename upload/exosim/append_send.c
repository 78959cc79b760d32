/* What is given to the backend, and what becomes of its answer. */
#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "upload/exosim/append_parts.h"
#include "upload/exosim/backend.h"
#include "upload/exosim/late.h"

#include <assert.h>
#include <strings.h>

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

int append_begin(struct session *s, const struct command *c, struct append *a, const struct fault_hit *hit,
	uint64_t size, struct err *err)
{
	struct buf line;
	struct pending *p;
	int r;

	if (s->used == QUEUE_MAX && relay_drain(s) < 0)
		return -1;
	buf_init(&line, 64 * 1024);
	r = format_command(s, a, &line, err);
	if (r == 0) {
		p = &s->queue[(s->head + s->used) % QUEUE_MAX];
		*p = (struct pending){.n = ++s->last, .bytes = size, .key = a->key};
		a->key = NULL;
		a->n = p->n;
		p->is_mute = hit && (hit->kind == FAULT_DROP_AFTER_COMMIT || hit->kind == FAULT_HANG_AFTER_COMMIT);
		p->hide_ms = hit && hit->kind == FAULT_HIDDEN ? hit->ms : 0;
		p->flagged = a->flags.len && span_has_word(&a->flags, "\\Flagged");
		snprintf(p->tag, sizeof(p->tag), "%s", c->tag);
		s->used++;
		mailbox_flight(s->box, 1);
		wire_printf(s->backend, "x%llu %s {%llu+}\r\n", (unsigned long long)p->n, buf_str(&line),
			(unsigned long long)size);
	}
	buf_done(&line);
	return r;
}

void append_end(struct session *s, struct append *a, const char *refusal)
{
	struct pending *p = s->used ? &s->queue[(s->head + s->used - 1) % QUEUE_MAX] : NULL;

	if (refusal && p && p->n == a->n)
		p->refusal = refusal;
	/* Dovecot takes several messages with one APPEND, all or none: a second one that is no message undoes the first. */
	wire_put_str(s->backend, refusal ? " NONE\r\n" : "\r\n");
}

int append_commit(
	struct session *s, const struct command *c, struct append *a, const struct fault_hit *hit, struct err *err)
{
	if (append_begin(s, c, a, hit, spool_size(a->body), err) < 0 || backend_put_spool(s->backend, a->body, err) < 0)
		return -1;
	wire_put(s->backend, "\r\n", 2);
	return 0;
}

int append_late(struct session *s, struct append *a, int64_t ms, struct err *err)
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
	bool known = strncasecmp(r->code, "APPENDUID ", 10) == 0, give = profile_get(&s->x->profile, SW_UID_GIVEN) != 0;

	mailbox_flight(s->box, -1);
	if (p->refusal) {
		if (r->is_ok)
			log_line(LOG_ERROR, "imap %s: the backend kept what it should not", s->box->address);
		MAILBOX_COUNT(s->box, refused, 1);
		session_answer(s, p->tag, "%s", p->refusal);
		return;
	}
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
		session_answer(s, p->tag, "%s", strncasecmp(r->code, "OVERQUOTA", 9) == 0 ? SAY_QUOTA : SAY_ARGUMENT);
	}
}
