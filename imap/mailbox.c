#include "imap/mailbox.h"

#include "imap/box.h"
#include "imap/fetch.h"
#include "imap/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PIECE ((uint64_t)48 << 20) /* most octets of one literal: libetpan 1.10 refuses 64 MiB */

int mailbox_select(struct conn *c, const char *encoded, uint32_t *uidvalidity, uint32_t *uidnext, uint32_t *exists,
	struct err *err)
{
	struct box_state state;
	if (box_open(c, BOX_SELECT, encoded, &state, err) < 0)
		return -1;
	*uidvalidity = state.uidvalidity;
	*uidnext = state.uidnext;
	*exists = state.exists;
	return 0;
}

/* What the server's words do not tell is about the message that was named. */
static int message_refusal(struct conn *c, enum reply reply, struct err *err, const char *doing)
{
	session_refusal(c, reply, err, doing);
	if (err->kind == ERR_PROTOCOL)
		err->kind = ERR_MESSAGE;
	return -1;
}

static int command(struct conn *c, enum reply *reply, struct err *err, const char *verb, const char *rest)
{
	int tag;
	if (session_send(c, &tag, err, "%s%s%s", verb, *rest ? " " : "", rest) < 0 || session_flush(c, err) < 0)
		return -1;
	return session_receive(c, tag, reply, err);
}

/* Whether LIST shows exactly this folder as one that can be selected. */
static int is_listed(struct conn *c, const char *encoded, const char *quoted, bool *is, struct err *err)
{
	enum reply reply;
	int tag;
	*is = false;
	if (session_send(c, &tag, err, "LIST \"\" %s", quoted) < 0 || session_flush(c, err) < 0 ||
		session_receive(c, tag, &reply, err) < 0)
		return -1;
	const struct mailimap_response_info *info = session_imap(c)->imap_response_info;
	if (reply != REPLY_OK || !info || !info->rsp_mailbox_list)
		return 0;
	for (clistiter *i = clist_begin(info->rsp_mailbox_list); i; i = clist_next(i)) {
		const struct mailimap_mailbox_list *m = clist_content(i);
		bool no_select = m->mb_flag && m->mb_flag->mbf_type == MAILIMAP_MBX_LIST_FLAGS_SFLAG &&
				 m->mb_flag->mbf_sflag == MAILIMAP_MBX_LIST_SFLAG_NOSELECT;
		if (m->mb_name && strcmp(m->mb_name, encoded) == 0 && !no_select)
			*is = true;
	}
	return 0;
}

int mailbox_create(struct conn *c, const char *encoded, struct err *err)
{
	char quoted[4096];
	enum reply reply, ignored;
	bool exists = false;
	struct err why = ERR_INIT;
	if (session_quote(encoded, quoted, sizeof(quoted), err) < 0 || command(c, &reply, err, "CREATE", quoted) < 0)
		return -1;
	if (reply != REPLY_OK) {
		box_refusal(c, reply, &why, "the folder cannot be made");
		exists = strcmp(session_code(c), "ALREADYEXISTS") == 0;
		if (!exists && why.kind == ERR_FOLDER && is_listed(c, encoded, quoted, &exists, err) < 0)
			return -1;
		if (!exists) {
			*err = why;
			return -1;
		}
	}
	return command(c, &ignored, err, "SUBSCRIBE", quoted);
}

/* --- one message --- */

struct reading {
	uint32_t uid;
	struct spool *spool; /* owned by the caller */
	const char *spool_dir;
	struct scan *scan;
	bool is_named, skips, is_nil;
	uint64_t got; /* of this piece */
	struct err failure;
};

static void on_read_line(void *ctx, const struct fetch_line *line)
{
	struct reading *r = ctx;
	if (line->uid != 0 && line->uid != r->uid)
		return;
	r->is_named = r->is_named || line->has_body;
	r->is_nil = r->is_nil || line->body_is_nil;
}

static bool on_read_octets(void *ctx, const struct fetch_place *begins, const char *data, size_t n)
{
	struct reading *r = ctx;
	if (begins) {
		r->skips = !begins->whole || r->got > 0 || (begins->uid != 0 && begins->uid != r->uid);
		if (!r->skips && !r->spool &&
			spool_new(&r->spool, r->spool_dir, begins->is_sized ? begins->octets : 0, &r->failure) < 0)
			return false;
	}
	if (r->skips)
		return true;
	r->got += n;
	scan_feed(r->scan, data, n);
	return spool_write(r->spool, data, n, &r->failure) == 0;
}

static int read_pieces(struct conn *c, struct reading *r, struct err *err)
{
	const struct fetch_sink sink = {.line = on_read_line, .octets = on_read_octets, .ctx = r};
	for (uint64_t at = 0;; at += PIECE) {
		enum reply reply;
		r->got = 0;
		int rc = fetch_ask(c, &sink, &reply, err, "UID FETCH %lu (UID BODY.PEEK[]<%llu.%llu>)",
			(unsigned long)r->uid, (unsigned long long)at, (unsigned long long)PIECE);
		if (r->failure.kind != ERR_NONE) {
			*err = r->failure;
			session_kill(c);
			return -1;
		}
		if (rc < 0)
			return -1;
		if (reply != REPLY_OK)
			return message_refusal(c, reply, err, "the message cannot be read");
		if (at == 0 && !r->is_named)
			return err_set(err, ERR_GONE, "message %lu is not there", (unsigned long)r->uid);
		if (at == 0 && r->is_nil && r->got == 0)
			return err_set(
				err, ERR_MESSAGE, "the server serves no body of message %lu", (unsigned long)r->uid);
		if (r->got != PIECE)
			return 0;
	}
}

int mailbox_read(struct conn *c, uint32_t uid, const char *spool_dir, struct spool **out, struct fingerprint *print,
	struct err *err)
{
	struct reading r = {.uid = uid, .spool_dir = spool_dir, .scan = scan_new(), .failure = ERR_INIT};
	struct mail_defects defects;
	struct fingerprint unwanted = {0};
	*out = NULL;
	if (!r.scan)
		return err_set(err, ERR_MEMORY, "out of memory for a message");
	int rc = read_pieces(c, &r, err);
	if (rc == 0 && !r.spool)
		rc = spool_new(&r.spool, spool_dir, 0, err);
	if (rc == 0)
		rc = scan_finish(r.scan, print ? print : &unwanted, &defects, err);
	if (rc < 0)
		spool_free(&r.spool);
	*out = r.spool;
	fingerprint_done(&unwanted);
	scan_free(&r.scan);
	return rc;
}

struct flags_seen {
	uint32_t uid;
	bool found;
	unsigned flags;
	char keywords[sizeof(((struct fetch_line *)0)->keywords)];
};

static void on_flags_line(void *ctx, const struct fetch_line *line)
{
	struct flags_seen *f = ctx;
	if (line->uid != f->uid || !line->has_flags)
		return;
	f->found = true;
	f->flags = line->flags;
	memcpy(f->keywords, line->keywords, sizeof(f->keywords));
}

static int read_flags(struct conn *c, uint32_t uid, struct flags_seen *seen, struct err *err)
{
	*seen = (struct flags_seen){.uid = uid};
	const struct fetch_sink sink = {.line = on_flags_line, .ctx = seen};
	enum reply reply;
	if (fetch_ask(c, &sink, &reply, err, "UID FETCH %lu (UID FLAGS)", (unsigned long)uid) < 0)
		return -1;
	if (reply != REPLY_OK)
		return message_refusal(c, reply, err, "the flags cannot be read");
	return seen->found ? 0 : err_set(err, ERR_GONE, "message %lu is not there", (unsigned long)uid);
}

int mailbox_flags(struct conn *c, uint32_t uid, unsigned *flags, struct err *err)
{
	struct flags_seen seen;
	if (read_flags(c, uid, &seen, err) < 0)
		return -1;
	*flags = seen.flags;
	return 0;
}

int mailbox_keywords(struct conn *c, uint32_t uid, char *out, size_t size, struct err *err)
{
	struct flags_seen seen;
	if (read_flags(c, uid, &seen, err) < 0)
		return -1;
	snprintf(out, size, "%s", seen.keywords);
	return 0;
}

static void ignore_line(void *ctx, const struct fetch_line *line)
{
	(void)ctx;
	(void)line;
}

int mailbox_store(struct conn *c, const char *uid_set, bool add, const char *flags, struct err *err)
{
	const struct fetch_sink sink = {.line = ignore_line};
	enum reply reply;
	if (strspn(uid_set, "0123456789,:") != strlen(uid_set) || !*uid_set || strpbrk(flags, "\r\n"))
		return err_set(err, ERR_INTERNAL, "STORE of an odd set or odd flags");
	if (fetch_ask(c, &sink, &reply, err, "UID STORE %s %cFLAGS.SILENT %s", uid_set, add ? '+' : '-', flags) < 0)
		return -1;
	return reply == REPLY_OK ? 0 : message_refusal(c, reply, err, "the flags cannot be written");
}

/* The folder is deleted only when nothing is left in it, and never INBOX. */
static int remove_folder(struct conn *c, const char *encoded, const char *quoted, struct err *err)
{
	enum reply reply;
	struct box_state state;
	if (strcasecmp(encoded, "INBOX") == 0)
		return 0;
	if (conn_noop(c, err) < 0)
		return -1;
	if (box_exists(c) != 0)
		return 0;
	/* some do not delete the folder that is open */
	if (box_open(c, BOX_EXAMINE, "INBOX", &state, err) < 0 && conn_is_dead(c))
		return -1;
	if (command(c, &reply, err, "DELETE", quoted) < 0)
		return -1;
	if (reply != REPLY_OK)
		return box_refusal(c, reply, err, "the probe folder cannot be deleted");
	return command(c, &reply, err, "UNSUBSCRIBE", quoted);
}

/* Is nothing but `uid` flagged \Deleted in the selected folder? *only is false, too, where there is much. */
static int is_only_deleted(struct conn *c, uint32_t uid, bool *only, struct err *err)
{
	enum { MOST = 64 };
	struct mailbox_entry *v = calloc(MOST, sizeof(*v));
	size_t n = 0;
	if (!v)
		return err_set(err, ERR_MEMORY, "no memory for a list");
	int rc = mailbox_list(c, 1, v, MOST, &n, err);
	*only = rc == 0 && n < MOST;
	for (size_t i = 0; i < n; i++) {
		*only &= !(v[i].flags & MAIL_DELETED) || v[i].uid == uid;
		fingerprint_done(&v[i].print);
	}
	free(v);
	return rc;
}

static int remove_message(struct conn *c, uint32_t uid, struct err *err)
{
	char text[16];
	bool only = false;
	enum reply reply;
	snprintf(text, sizeof(text), "%lu", (unsigned long)uid);
	if (mailbox_store(c, text, true, "(\\Deleted)", err) < 0)
		return -1;
	/* A plain EXPUNGE would take along what somebody else flagged. */
	if (conn_has_capability(c, "UIDPLUS")) {
		if (command(c, &reply, err, "UID EXPUNGE", text) < 0)
			return -1;
		if (reply != REPLY_OK)
			return box_refusal(c, reply, err, "the probe message cannot be removed");
	} else if (is_only_deleted(c, uid, &only, err) < 0 || (only && command(c, &reply, err, "EXPUNGE", "") < 0)) {
		return -1;
	}
	return 0;
}

int mailbox_remove_probe(struct conn *c, const char *encoded, uint32_t uid, struct err *err)
{
	char quoted[4096];
	uint32_t uidvalidity, uidnext, exists;
	if (session_quote(encoded, quoted, sizeof(quoted), err) < 0)
		return -1;
	if (mailbox_select(c, encoded, &uidvalidity, &uidnext, &exists, err) < 0) {
		if (err->kind != ERR_FOLDER || conn_is_dead(c))
			return -1;
		err_clear(err); /* it is not there any more */
		return 0;
	}
	return uid ? remove_message(c, uid, err) : remove_folder(c, encoded, quoted, err);
}
