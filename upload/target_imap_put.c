/* Messages into a folder. A group of APPENDs goes out under one permit (its demand counts every request and octet of the group), so
   that a cap on permits in flight cannot stop a group half way, and permits cost nothing next to the messages. */
#include "upload/target_imap.h"

#include "engine/base/buf.h"
#include "engine/base/failpoint.h"
#include "engine/base/log.h"
#include "upload/settle.h"

#include <inttypes.h>

static uint64_t octets(const struct put_item *i)
{
	return spool_size(i->mail->body);
}

/* How many of the next items go together. Once the server has refused commands in this session, never so many that it could run out of
   patience in the middle (it hangs up, and what is in flight would be in doubt). */
static size_t group_size(const struct target_imap *t, const struct put_item *v, size_t n, uint64_t *bytes)
{
	size_t most = GROUP_ITEMS, k = 0;
	if (t->conf->kind == TARGET_EXCHANGE && t->refusals > 0)
		most = t->refusals < MOST_REFUSALS ? MOST_REFUSALS - t->refusals : MOST_REFUSALS;
	for (*bytes = 0; k < n && k < most; k++) {
		if (k > 0 && *bytes + octets(&v[k]) > GROUP_BYTES)
			break;
		*bytes += octets(&v[k]);
	}
	return k;
}

static int flags_text(const struct target_imap *t, const struct mail *m, char *out, struct err *err)
{
	bool exchange = t->conf->kind == TARGET_EXCHANGE;
	enum flags_policy policy = exchange ? FLAGS_EXCHANGE : FLAGS_GENERIC;
	/* Older builds of Exchange show a \Flagged that came with APPEND over IMAP only: it is stored afterwards. */
	unsigned flags = exchange ? m->flags & ~(unsigned)MAIL_FLAGGED : m->flags;
	const char *keywords = m->keywords ? m->keywords : "";
	if (flags_format(flags, keywords, policy, out, FLAGS_TEXT, NULL, err) == 0)
		return 0;
	log_line(LOG_WARN, "UID %" PRIu32 ": its keywords are too long to be taken along", m->uid);
	err_clear(err);
	return flags_format(flags, "", policy, out, FLAGS_TEXT, NULL, err);
}

/* What one APPEND came to. */
static void take_result(struct put_item *to, const struct append_item *from)
{
	to->err = from->err;
	switch (from->result) {
	case APPEND_PLACED:
		to->result = PUT_PLACED;
		snprintf(to->receipt.route, sizeof(to->receipt.route), "%s", target_imap_ops.name);
		if (from->uid != 0)
			target_imap_format_id(to->receipt.id, sizeof(to->receipt.id), from->uidvalidity, from->uid);
		break;
	case APPEND_REFUSED: /* only what this message is to blame for is final */
		to->result = err_action(from->err.kind) == ACT_SKIP_MESSAGE ? PUT_REFUSED : PUT_NOT_SENT;
		break;
	case APPEND_NOT_SENT:
		to->result = PUT_NOT_SENT;
		break;
	case APPEND_IN_DOUBT:
		to->result = PUT_IN_DOUBT;
		break;
	}
}

/* Why the rest of a put must not go out: the first error that is not a message's own. NULL: nothing. */
static const struct err *obstacle(const struct put_item *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].err.kind != ERR_NONE && err_action(v[i].err.kind) != ACT_SKIP_MESSAGE)
			return &v[i].err;
	}
	return NULL;
}

/* 0: sent, *in_the_way tells whether more may follow. -1: the session is over. */
static int put_group(struct target_imap *t, const struct folder_ref *f, struct put_item *v, size_t n, uint64_t bytes,
	struct err *in_the_way, struct err *err)
{
	struct append_item *items = t->items;
	struct imap_work w;
	for (size_t i = 0; i < n; i++) {
		items[i] = (struct append_item){
			.mail = v[i].mail, .flags = t->flags_text[i], .result = APPEND_NOT_SENT, .err = ERR_INIT};
		if (flags_text(t, v[i].mail, t->flags_text[i], in_the_way))
			return 0;
	}
	if (target_imap_begin(t, bytes, (unsigned)n, &w, in_the_way))
		return 0;
	uint64_t window = t->conf->window_bytes ? t->conf->window_bytes : GROUP_BYTES;
	size_t in_flight = t->conf->window_items ? t->conf->window_items : GROUP_ITEMS;
	int rc = append_mails(t->conn, f->id, items, n, window, in_flight, err);
	t->stale = true; /* what was selected does not know the new messages */
	unsigned refused = 0;
	for (size_t i = 0; i < n; i++) {
		take_result(&v[i], &items[i]);
		refused += items[i].result == APPEND_REFUSED;
	}
	if (rc) {
		*in_the_way = *err;
		return target_imap_end(t, &w, rc, (unsigned)n, err);
	}
	const struct err *first = obstacle(v, n);
	struct err verdict = first ? *first : ERR_INIT;
	unsigned before = t->refusals;
	target_imap_end(t, &w, first ? -1 : 0, (unsigned)n, &verdict);
	t->refusals = before + refused;
	if (first)
		*in_the_way = *first;
	return 0;
}

/* --- no APPENDUID: which UID did a message get? --- */

struct class_of { /* items that cannot be told apart by what a listing shows */
	uint8_t key[PRINT_KEY_BYTES];
	size_t first; /* index of the first item of this class */
	bool alike;   /* all of its items are the same octets */
	size_t items, found;
	uint32_t *uids; /* borrowed; room for as many as there are items */
};

struct search {
	struct class_of *classes; /* owned */
	size_t n_classes;
	size_t *class_of_item; /* owned; SIZE_MAX: not looked for */
	uint32_t *uids;        /* owned */
};

static bool wants_id(const struct put_item *i)
{
	return i->result == PUT_PLACED && !i->receipt.id[0];
}

static struct class_of *class_find(const struct search *s, const uint8_t *key)
{
	for (size_t i = 0; i < s->n_classes; i++) {
		if (!memcmp(s->classes[i].key, key, PRINT_KEY_BYTES))
			return &s->classes[i];
	}
	return NULL;
}

static void classes_make(struct search *s, const struct put_item *v, size_t n)
{
	uint32_t *next = s->uids;
	for (size_t i = 0; i < n; i++) {
		uint8_t key[PRINT_KEY_BYTES];
		const struct fingerprint *p = &v[i].mail->print;
		s->class_of_item[i] = SIZE_MAX;
		if (!wants_id(&v[i]))
			continue;
		print_key(p, key);
		struct class_of *c = class_find(s, key);
		if (!c) {
			c = &s->classes[s->n_classes++];
			*c = (struct class_of){.first = i, .alike = true};
			memcpy(c->key, key, sizeof(key));
		}
		s->class_of_item[i] = (size_t)(c - s->classes);
		c->items++;
		c->alike = c->alike && !memcmp(p->sha256, v[c->first].mail->print.sha256, sizeof(p->sha256));
	}
	for (size_t i = 0; i < s->n_classes; next += s->classes[i++].items)
		s->classes[i].uids = next;
}

/* The class of a new message, also if the server gave it a Message-ID of its own making. */
static struct class_of *class_of_entry(const struct search *s, const struct mailbox_entry *e)
{
	uint8_t key[PRINT_KEY_BYTES];
	char none[] = "";
	struct fingerprint bare = e->print;
	print_key(&e->print, key);
	struct class_of *c = class_find(s, key);
	if (c)
		return c;
	bare.message_id = none;
	print_key(&bare, key);
	return class_find(s, key);
}

/* Lists what is new in the folder and gives each class its UIDs. */
static int classes_look(struct target_imap *t, struct search *s, uint32_t from, struct err *err)
{
	struct mailbox_entry page[64];
	size_t got;
	do {
		if (mailbox_list(t->conn, from, page, 64, &got, err))
			return -1;
		for (size_t i = 0; i < got; i++) {
			struct class_of *c = class_of_entry(s, &page[i]);
			if (c && c->found < c->items)
				c->uids[c->found] = page[i].uid;
			if (c)
				c->found++;
			from = page[i].uid + 1;
			fingerprint_done(&page[i].print);
		}
	} while (got > 0 && from > 0);
	return 0;
}

/* Items of one header and several bodies: the content decides. */
static void ids_by_content(struct target_imap *t, const struct folder_ref *f, struct search *s, uint32_t from,
	struct put_item *v, size_t n)
{
	struct err err = ERR_INIT;
	struct pending *p = calloc(n, sizeof(*p));
	uint8_t(*canon)[CANON_BYTES] = calloc(n, sizeof(*canon));
	size_t *item = calloc(n, sizeof(*item)), k = 0;
	char mark[16];
	snprintf(mark, sizeof(mark), "%" PRIu32, from);
	for (size_t i = 0; p && canon && item && i < n; i++) {
		const struct class_of *c = s->class_of_item[i] == SIZE_MAX ? NULL : &s->classes[s->class_of_item[i]];
		if (!c || c->alike || c->found != c->items || canon_digest(v[i].mail->body, canon[k], &err))
			continue;
		p[k] = (struct pending){.print = &v[i].mail->print, .canon = canon[k]};
		item[k++] = i;
	}
	if (k > 0 && settle_pending(&t->base, f, mark, NULL, 0, p, k, &err))
		log_err(LOG_INFO, &err, "%s: the new messages cannot be told apart", f->path);
	else
		for (size_t i = 0; i < k; i++) {
			if (p[i].outcome == SETTLE_FOUND)
				v[item[i]].receipt = p[i].receipt;
		}
	free(p);
	free(canon);
	free(item);
}

/* Items whose class holds as many new messages as were sent get their ids; the others keep "": somebody else delivers here too. */
static void find_ids(struct target_imap *t, const struct folder_ref *f, uint32_t from, struct put_item *v, size_t n)
{
	struct err err = ERR_INIT;
	struct imap_work w;
	struct search s = {.classes = calloc(n, sizeof(*s.classes)),
		.class_of_item = calloc(n, sizeof(*s.class_of_item)),
		.uids = calloc(n, sizeof(*s.uids))};
	if (!s.classes || !s.class_of_item || !s.uids || target_imap_begin(t, 0, 2, &w, &err))
		goto out;
	classes_make(&s, v, n);
	int rc = target_imap_select(t, f, true, &err);
	if (rc == 0)
		rc = classes_look(t, &s, from, &err);
	if (target_imap_end(t, &w, rc, 2, &err)) {
		log_err(LOG_INFO, &err, "%s: the new messages cannot be listed", f->path);
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		struct class_of *c = s.class_of_item[i] == SIZE_MAX ? NULL : &s.classes[s.class_of_item[i]];
		if (c && c->alike && c->found == c->items)
			target_imap_format_id(v[i].receipt.id, sizeof(v[i].receipt.id), t->uidvalidity, *c->uids++);
	}
	ids_by_content(t, f, &s, from, v, n);
out:
	free(s.classes);
	free(s.class_of_item);
	free(s.uids);
}

/* --- \Flagged --- */

static bool wants_flag(const struct put_item *i)
{
	return i->result == PUT_PLACED && (i->mail->flags & MAIL_FLAGGED);
}

static int store_and_verify(struct target_imap *t, const struct folder_ref *f, struct put_item *v, size_t n,
	const char *set, struct err *err)
{
	failpoint_hit(FP_FINISH_BEFORE_FLAGS);
	if (target_imap_select(t, f, false, err) || mailbox_store(t->conn, set, true, "(\\Flagged)", err))
		return -1;
	failpoint_hit(FP_FINISH_AFTER_FLAGS);
	for (size_t i = 0; i < n; i++) {
		unsigned flags = 0;
		uint32_t uid;
		if (!wants_flag(&v[i]) || !v[i].receipt.id[0])
			continue;
		if (target_imap_parse_id(f, v[i].receipt.id, &uid, err) || mailbox_flags(t->conn, uid, &flags, err))
			return -1;
		if (flags & MAIL_FLAGGED)
			err_clear(&v[i].err);
		else
			err_set(&v[i].err, ERR_MESSAGE, "\\Flagged was stored and did not stay");
	}
	return 0;
}

/* One STORE for all of a put. What fails here leaves its items placed, with the reason. */
static void store_flagged(struct target_imap *t, const struct folder_ref *f, struct put_item *v, size_t n)
{
	struct err err = ERR_INIT;
	struct imap_work w;
	struct buf set;
	unsigned count = 0;
	buf_init(&set, 8192);
	for (size_t i = 0; i < n; i++) {
		uint32_t uid;
		if (!wants_flag(&v[i]))
			continue;
		err_set(&v[i].err, ERR_LOST, "\\Flagged is not stored yet");
		if (v[i].receipt.id[0] && target_imap_parse_id(f, v[i].receipt.id, &uid, &v[i].err) == 0 &&
			buf_printf(&set, &err, "%s%" PRIu32, count ? "," : "", uid) == 0)
			count++;
	}
	if (count > 0 && target_imap_begin(t, 0, 1 + count, &w, &err) == 0) {
		int rc = store_and_verify(t, f, v, n, buf_str(&set), &err);
		if (target_imap_end(t, &w, rc, 1 + count, &err))
			log_err(LOG_INFO, &err, "%s: \\Flagged could not be stored", f->path);
	}
	buf_done(&set);
}

/* --- put --- */

/* UIDNEXT before anything is sent, for a server that will not tell where a message went. */
static int note_uidnext(struct target_imap *t, const struct folder_ref *f, uint32_t *from, struct err *err)
{
	struct imap_work w;
	if (target_imap_begin(t, 0, 1, &w, err) || target_imap_end(t, &w, target_imap_select(t, f, true, err), 1, err))
		return -1;
	*from = t->uidnext ? t->uidnext : 1;
	return 0;
}

/* Dovecot opens and reads a folder anew for each APPEND unless it is the selected one: 3,000 APPENDs took 7.8 s selected and 21.5 s not. What fails
   here shows at the APPEND itself. */
static void open_folder(struct target_imap *t, const struct folder_ref *f)
{
	struct err ignored = ERR_INIT;
	struct imap_work w;
	if (t->selected && strcmp(t->selected, f->id) == 0)
		return;
	if (target_imap_begin(t, 0, 1, &w, &ignored) == 0)
		target_imap_end(t, &w, target_imap_select(t, f, false, &ignored), 1, &ignored);
}

/* from 0: the server promised APPENDUID, so nothing was noted before. If it broke the promise it is not believed again. */
static void complete_ids(struct target_imap *t, const struct folder_ref *f, uint32_t from, struct put_item *v, size_t n)
{
	size_t missing = 0;
	for (size_t i = 0; i < n; i++)
		missing += wants_id(&v[i]);
	if (missing == 0)
		return;
	if (from == 0) {
		t->no_appenduid = true;
		from = f->mark ? (uint32_t)strtoul(f->mark, NULL, 10) : 0;
	}
	if (from > 0)
		find_ids(t, f, from, v, n);
}

int target_imap_put(struct target *base, const struct folder_ref *f, struct put_item *v, size_t n, struct err *err)
{
	struct target_imap *t = target_imap_of(base);
	struct err in_the_way = ERR_INIT;
	size_t done = 0;
	uint32_t from = 0;
	int rc = 0;
	for (size_t i = 0; i < n; i++) {
		v[i].result = PUT_NOT_SENT;
		v[i].receipt = (struct receipt){.id = ""};
		v[i].err = ERR_INIT;
	}
	bool tells = t->conn && !t->no_appenduid && conn_has_capability(t->conn, "UIDPLUS");
	if (!tells)
		note_uidnext(t, f, &from, &in_the_way);
	else
		open_folder(t, f);
	while (done < n && in_the_way.kind == ERR_NONE) {
		uint64_t bytes;
		size_t k = group_size(t, v + done, n - done, &bytes);
		rc = put_group(t, f, v + done, k, bytes, &in_the_way, err);
		done += k;
	}
	for (size_t i = 0; i < n; i++) { /* what was not reached says why */
		if (v[i].result == PUT_NOT_SENT && v[i].err.kind == ERR_NONE)
			v[i].err = in_the_way;
	}
	if (rc == 0 && t->conn && !conn_is_dead(t->conn)) {
		complete_ids(t, f, from, v, n);
		if (t->conf->kind == TARGET_EXCHANGE)
			store_flagged(t, f, v, n);
	}
	/* The session ended before they could be flagged: the caller sets the flags later. */
	for (size_t i = 0; t->conf->kind == TARGET_EXCHANGE && (!t->conn || conn_is_dead(t->conn)) && i < n; i++) {
		if (wants_flag(&v[i]) && v[i].err.kind == ERR_NONE)
			err_set(&v[i].err, ERR_LOST, "\\Flagged is not stored yet");
	}
	if (rc == 0 && (!t->conn || conn_is_dead(t->conn))) {
		if (in_the_way.kind != ERR_NONE)
			*err = in_the_way;
		else
			err_set(err, ERR_LOST, "target %s, mailbox %s: the session has ended", t->conf->name,
				t->conf->mailbox);
		rc = -1;
	}
	return rc;
}
