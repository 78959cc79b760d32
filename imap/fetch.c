/* libetpan's body handler is told neither UID nor length; but when it is called first, the parser's line buffer ends with the very
   line that announced the literal, so both are read from there (spec/imap.md, section 1). A server that tells the UID behind the
   body leaves it 0: the whole line is given afterwards, and whoever listens matches the two. */
#include "imap/fetch.h"

#include "engine/base/clock.h"
#include "imap/flags.h"
#include "imap/plain.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct listener {
	const struct fetch_sink *sink; /* borrowed */
	mailimap *imap;                /* borrowed */
	bool inside;                   /* octets of a string came and its line has not ended */
	struct fetch_place place;
	uint64_t got;
};

void fetch_add_keyword(struct fetch_line *line, const char *word)
{
	size_t have = strlen(line->keywords), n = strlen(word);
	if (n == 0 || have + n + 2 > sizeof(line->keywords)) {
		line->keywords_cut |= n > 0;
		return;
	}
	if (have > 0)
		line->keywords[have++] = ' ';
	memcpy(line->keywords + have, word, n + 1);
}

static void read_flag(const struct mailimap_flag *flag, struct fetch_line *line)
{
	const char *keep = NULL;
	switch (flag->fl_type) {
	case MAILIMAP_FLAG_ANSWERED:
		line->flags |= MAIL_ANSWERED;
		break;
	case MAILIMAP_FLAG_FLAGGED:
		line->flags |= MAIL_FLAGGED;
		break;
	case MAILIMAP_FLAG_DELETED:
		line->flags |= MAIL_DELETED;
		break;
	case MAILIMAP_FLAG_SEEN:
		line->flags |= MAIL_SEEN;
		break;
	case MAILIMAP_FLAG_DRAFT:
		line->flags |= MAIL_DRAFT;
		break;
	case MAILIMAP_FLAG_KEYWORD:
		if (flag->fl_data.fl_keyword)
			keep = flags_parse_one(flag->fl_data.fl_keyword, &line->flags);
		break;
	default: /* a \Word that no RFC knows: nothing that another server would take */
		break;
	}
	if (keep)
		fetch_add_keyword(line, keep);
}

static void read_flags(const struct mailimap_msg_att_dynamic *dynamic, struct fetch_line *line)
{
	line->has_flags = true;
	line->flags = 0;
	line->keywords[0] = '\0';
	line->keywords_cut = false;
	if (!dynamic->att_list)
		return;
	for (clistiter *i = clist_begin(dynamic->att_list); i; i = clist_next(i)) {
		const struct mailimap_flag_fetch *f = clist_content(i);
		if (f->fl_type == MAILIMAP_FLAG_FETCH_OTHER && f->fl_flag)
			read_flag(f->fl_flag, line);
	}
}

void fetch_join_date(const struct fetch_date *d, struct mail_date *out)
{
	*out = (struct mail_date){0};
	if (d->year < 1 || d->year > 9999 || d->month < 1 || d->month > 12 || d->day < 1 || d->day > 31 ||
		d->hour < 0 || d->hour > 23 || d->minute < 0 || d->minute > 59 || d->second < 0 || d->second > 60 ||
		d->zone < -9999 || d->zone > 9999)
		return;
	int zone = d->zone < 0 ? -d->zone : d->zone;
	int minutes = zone / 100 * 60 + zone % 100;
	const struct clock_fields fields = {.year = d->year,
		.month = d->month,
		.day = d->day,
		.hour = d->hour,
		.minute = d->minute,
		.second = d->second};
	int64_t local = clock_join(&fields);
	if (local >= CLOCK_AFTER_9999) /* by a leap second */
		return;
	out->zone_min = d->zone < 0 ? -minutes : minutes;
	out->at = local - (int64_t)out->zone_min * 60;
	out->known = true;
}

static void read_date(const struct mailimap_date_time *t, struct mail_date *out)
{
	const struct fetch_date d = {t->dt_year, t->dt_month, t->dt_day, t->dt_hour, t->dt_min, t->dt_sec, t->dt_zone};
	fetch_join_date(&d, out);
}

static bool is_whole(const struct mailimap_section *section)
{
	return !section || !section->sec_spec;
}

static void read_static(const struct mailimap_msg_att_static *item, struct fetch_line *line)
{
	switch (item->att_type) {
	case MAILIMAP_MSG_ATT_UID:
		line->uid = item->att_data.att_uid;
		break;
	case MAILIMAP_MSG_ATT_RFC822_SIZE:
		line->has_size = true;
		line->size = item->att_data.att_rfc822_size;
		break;
	case MAILIMAP_MSG_ATT_INTERNALDATE:
		if (item->att_data.att_internal_date)
			read_date(item->att_data.att_internal_date, &line->date);
		break;
	case MAILIMAP_MSG_ATT_BODY_SECTION:
		if (item->att_data.att_body_section && is_whole(item->att_data.att_body_section->sec_section)) {
			line->has_body = true;
			line->body_is_nil = !item->att_data.att_body_section->sec_body_part;
		}
		break;
	case MAILIMAP_MSG_ATT_RFC822:
		line->has_body = true;
		line->body_is_nil = !item->att_data.att_rfc822.att_content;
		break;
	default:
		break;
	}
}

static void on_att(struct mailimap_msg_att *att, void *ctx)
{
	struct listener *l = ctx;
	struct fetch_line line = {.seq = att->att_number};
	for (clistiter *i = clist_begin(att->att_list); i; i = clist_next(i)) {
		const struct mailimap_msg_att_item *item = clist_content(i);
		if (item->att_type == MAILIMAP_MSG_ATT_ITEM_STATIC && item->att_data.att_static)
			read_static(item->att_data.att_static, &line);
		else if (item->att_type == MAILIMAP_MSG_ATT_ITEM_DYNAMIC && item->att_data.att_dyn)
			read_flags(item->att_data.att_dyn, &line);
	}
	if (l->inside && l->place.whole) {
		line.has_body = true; /* what a handler was given is not in the item */
		line.body_is_nil = false;
	}
	l->inside = false;
	l->sink->line(l->sink->ctx, &line);
}

static bool read_number(const char *s, size_t n, uint64_t *out)
{
	uint64_t v = 0;
	if (n == 0 || n > 19)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)s[i]))
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	*out = v;
	return true;
}

static size_t count_digits(const char *s, size_t n)
{
	size_t i = 0;
	while (i < n && isdigit((unsigned char)s[i]))
		i++;
	return i;
}

static void peek_literal(const char *text, size_t n, struct fetch_place *out)
{
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
		n--;
	if (n == 0 || text[n - 1] != '}')
		return;
	size_t open = n - 1;
	while (open > 0 && isdigit((unsigned char)text[open - 1]))
		open--;
	if (open > 0 && text[open - 1] == '{')
		out->is_sized = read_number(text + open, n - 1 - open, &out->octets);
}

/* "* 12 FETCH (… UID 99 …": the line begins behind the last line end that "* " follows; a literal's line end is not followed by it. */
static void peek_ids(const char *text, size_t n, struct fetch_place *out)
{
	size_t at = n;
	while (at > 0 &&
		!(n - (at - 1) > 2 && text[at - 1] == '*' && text[at] == ' ' && (at == 1 || text[at - 2] == '\n')))
		at--;
	if (at == 0)
		return;
	const char *s = text + at + 1, *end = text + n;
	while (s < end && *s == ' ')
		s++;
	size_t digits = count_digits(s, (size_t)(end - s));
	uint64_t v;
	if (!read_number(s, digits, &v) || v > UINT32_MAX)
		return;
	out->seq = (uint32_t)v;
	bool quoted = false;
	for (s += digits; s < end; s++) {
		if (*s == '"')
			quoted = !quoted;
		if (quoted || end - s < 5 || strncasecmp(s, "UID ", 4) != 0 || (s[-1] != ' ' && s[-1] != '('))
			continue;
		s += 4;
		if (read_number(s, count_digits(s, (size_t)(end - s)), &v) && v <= UINT32_MAX)
			out->uid = (uint32_t)v;
		return;
	}
}

void fetch_peek(const char *text, size_t n, struct fetch_place *out)
{
	*out = (struct fetch_place){0};
	peek_literal(text, n, out);
	peek_ids(text, n, out);
}

static bool on_body(int att_type, struct mailimap_msg_att_body_section *section, const char *data, size_t n, void *ctx)
{
	struct listener *l = ctx;
	bool whole = att_type == MAILIMAP_MSG_ATT_RFC822 ||
		     (att_type == MAILIMAP_MSG_ATT_BODY_SECTION && (!section || is_whole(section->sec_section)));
	/* A line may bring several strings. One that went to the handler is known to have ended by its length. */
	bool begins = !l->inside || l->place.whole != whole || (l->place.is_sized && l->got >= l->place.octets);
	if (begins) {
		fetch_peek(l->imap->imap_stream_buffer->str, l->imap->imap_stream_buffer->len, &l->place);
		l->place.whole = whole;
		l->inside = true;
		l->got = 0;
	}
	l->got += n;
	return !l->sink->octets || l->sink->octets(l->sink->ctx, begins ? &l->place : NULL, data, n);
}

/* --- the plain form, without libetpan --- */

static enum session_take on_plain_line(void *ctx, const char *text, size_t n, uint64_t *literal)
{
	struct listener *l = ctx;
	struct fetch_line line;
	if (l->inside) { /* behind a body */
		l->inside = n != 1 || *text != ')';
		if (l->inside)
			return SESSION_PASS;
		line = (struct fetch_line){.seq = l->place.seq, .uid = l->place.uid, .has_body = true};
		l->sink->line(l->sink->ctx, &line);
		return SESSION_TAKEN;
	}
	if (!plain_fetch(text, n, &line, literal))
		return SESSION_PASS;
	if (*literal == 0) {
		l->sink->line(l->sink->ctx, &line);
		return SESSION_TAKEN;
	}
	/* What was told in front of the body would be forgotten should the line go on in another way behind it. */
	if (line.has_flags || line.has_size || line.date.known)
		return SESSION_PASS;
	l->place = (struct fetch_place){
		.seq = line.seq, .uid = line.uid, .whole = true, .is_sized = true, .octets = *literal};
	l->got = 0;
	return SESSION_TAKEN;
}

static bool on_plain_octets(void *ctx, const char *data, size_t n)
{
	struct listener *l = ctx;
	bool begins = !l->inside;
	l->inside = true;
	l->got += n;
	return !l->sink->octets || l->sink->octets(l->sink->ctx, begins ? &l->place : NULL, data, n);
}

static bool is_open(void *ctx)
{
	return ((const struct listener *)ctx)->inside;
}

static size_t taken_part(void *ctx, char *out, size_t size)
{
	const struct listener *l = ctx;
	return (size_t)snprintf(out, size, "* %lu FETCH (UID %lu BODY[] \"\"", (unsigned long)l->place.seq,
		(unsigned long)l->place.uid);
}

/* Without a progress callback libetpan ignores the message handler silently and keeps everything in a list. */
static void on_progress(size_t current, size_t maximum, void *ctx)
{
	(void)current;
	(void)maximum;
	(void)ctx;
}

int fetch_receive(struct conn *c, int tag, const struct fetch_sink *sink, enum reply *reply, struct err *err)
{
	mailimap *imap = session_imap(c);
	struct listener l = {.sink = sink, .imap = imap};
	const struct session_lines plain = {
		.line = on_plain_line, .octets = on_plain_octets, .is_open = is_open, .taken = taken_part, .ctx = &l};
	mailimap_set_msg_att_handler(imap, on_att, &l);
	mailimap_set_msg_body_handler(imap, on_body, &l);
	mailimap_set_progress_callback(imap, on_progress, on_progress, NULL);
	int rc = session_receive_plain(c, tag, &plain, reply, err);
	mailimap_set_msg_att_handler(imap, NULL, NULL);
	mailimap_set_msg_body_handler(imap, NULL, NULL);
	mailimap_set_progress_callback(imap, NULL, NULL, NULL);
	return rc;
}

int fetch_ask(struct conn *c, const struct fetch_sink *sink, enum reply *reply, struct err *err, const char *fmt, ...)
{
	char line[8192];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line))
		return err_set(err, ERR_INTERNAL, "a FETCH command is too long");
	int tag;
	if (session_send(c, &tag, err, "%s", line) < 0 || session_flush(c, err) < 0)
		return -1;
	return fetch_receive(c, tag, sink, reply, err);
}
