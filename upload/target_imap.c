/* The route "imap": Exchange Online by an app-only token (spec/exchange-online.md, section 2), or any IMAP host. The session lives long:
   Exchange counts sessions and sign-ins. This file holds the session and what reads; folders and put have files of their own. */
#include "upload/target_imap.h"

#include "engine/base/clock.h"
#include "engine/base/log.h"
#include "engine/base/number.h"
#include "upload/token.h"

#include <inttypes.h>

/* --- session --- */

static int session_secret(struct target_imap *t, const struct secret *refused, struct err *err)
{
	if (!t->conf->token) {
		t->conn_conf.secret = t->conf->password;
		return 0;
	}
	struct secret *fresh = NULL;
	if (token_get(t->conf->token, refused, t->stop, &fresh, err))
		return -1;
	secret_free(&t->token);
	t->token = fresh;
	t->conn_conf.secret = fresh;
	return 0;
}

static void hint_rights(const struct target_imap *t, struct err *err)
{
	if (t->conf->kind != TARGET_EXCHANGE || err->kind != ERR_CREDENTIALS)
		return;
	err_hint(err,
		"the token is good, and the service does not say why this mailbox refuses it. In this order: "
		"Get-Mailbox "
		"%s (is it there?), Get-CASMailbox: ImapEnabled, Get-MailboxPermission: FullAccess for the service "
		"principal, "
		"whose ObjectId must be the *enterprise application's*; nightferry target setup %s prints the "
		"commands; "
		"rights take up to an hour",
		t->conf->mailbox, t->conf->name);
}

static enum dimension dimension_named(const char *words)
{
	static const struct {
		const char *word;
		enum dimension dimension;
	} names[] = {
		{"Concurrency", DIM_IN_FLIGHT},
		{"oncurrent", DIM_IN_FLIGHT},
		{"onnections", DIM_IN_FLIGHT},
		{"IncomingBytes", DIM_BYTES},
		{"andwidth", DIM_BYTES},
		{"RequestRate", DIM_REQUESTS},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strstr(words, names[i].word))
			return names[i].dimension;
	}
	return DIM_NONE;
}

static void leave(struct permit **permit, const struct err *err, bool failed, uint64_t sent, unsigned latency_ms)
{
	if (!*permit)
		return;
	struct throttle_hint hint = {DIM_NONE, -1, NULL, NULL};
	enum verdict v = failed ? VERDICT_FAILED : VERDICT_OK;
	if (failed && (err->kind == ERR_THROTTLED || err->kind == ERR_BUSY)) {
		v = VERDICT_REFUSED;
		hint = (struct throttle_hint){dimension_named(err->server), err->retry_after_ms, NULL, err->server};
	} else if (failed && (err->kind == ERR_LOST || err->kind == ERR_STOPPED)) {
		v = VERDICT_LOST;
	}
	gate_leave(permit, v, v == VERDICT_REFUSED ? &hint : NULL, sent, latency_ms);
}

static int enter(struct target_imap *t, uint64_t bytes, unsigned requests, struct permit **permit, struct err *err)
{
	struct demand d = {.bytes = bytes, .requests = requests};
	*permit = NULL;
	return t->gate ? gate_enter(t->gate, &d, permit, err) : 0;
}

void target_imap_unselect(struct target_imap *t)
{
	free(t->selected);
	t->selected = NULL;
}

static void session_end(struct target_imap *t)
{
	if (t->conn)
		conn_close(&t->conn);
	target_imap_unselect(t);
	t->refusals = 0;
}

/* Signs in; a token that is refused is renewed once. */
static int session_begin(struct target_imap *t, struct err *err)
{
	struct secret *refused = NULL;
	int rc = -1;
	for (int tries = 0; tries < 2; tries++) {
		struct permit *permit;
		if (session_secret(t, refused, err) || enter(t, 0, 1, &permit, err))
			break;
		int64_t begun = clock_mono_ms();
		rc = conn_open(&t->conn, &t->conn_conf, t->stop, NULL, NULL, err);
		leave(&permit, err, rc != 0, 0, (unsigned)(clock_mono_ms() - begun));
		if (rc == 0 || err->kind != ERR_CREDENTIALS || !t->token || tries > 0)
			break;
		secret_free(&refused);
		refused = t->token;
		t->token = NULL;
		t->conn_conf.secret = NULL;
		log_err(LOG_INFO, err, "target %s, mailbox %s: the token is renewed", t->conf->name, t->conf->mailbox);
		err_clear(err);
	}
	secret_free(&refused);
	if (rc == 0)
		return 0;
	hint_rights(t, err);
	return err_wrap(err, "target %s, mailbox %s", t->conf->name, t->conf->mailbox);
}

int target_imap_begin(struct target_imap *t, uint64_t bytes, unsigned requests, struct imap_work *w, struct err *err)
{
	*w = (struct imap_work){0};
	if (t->conn && t->refusals >= MOST_REFUSALS && !conn_is_dead(t->conn)) {
		log_line(LOG_DEBUG, "target %s, mailbox %s: a new session after %u refused commands", t->conf->name,
			t->conf->mailbox, t->refusals);
		session_end(t);
		if (session_begin(t, err))
			return -1;
	}
	if (!t->conn || conn_is_dead(t->conn)) {
		err_set(err, ERR_LOST, "the session has ended");
		return err_wrap(err, "target %s, mailbox %s", t->conf->name, t->conf->mailbox);
	}
	if (enter(t, bytes, requests, &w->permit, err))
		return -1;
	uint64_t received;
	conn_counts(t->conn, &received, &w->sent_before);
	w->begun_ms = clock_mono_ms();
	w->paced_before = gate_paced_ms(t->gate);
	return 0;
}

int target_imap_end(struct target_imap *t, struct imap_work *w, int rc, unsigned requests, struct err *err)
{
	uint64_t received, sent;
	unsigned took = (unsigned)(clock_mono_ms() - w->begun_ms - (gate_paced_ms(t->gate) - w->paced_before));
	conn_counts(t->conn, &received, &sent);
	leave(&w->permit, err, rc != 0, sent - w->sent_before, requests > 1 ? took / requests : took);
	if (rc == 0)
		return 0;
	t->refusals++;
	return err_wrap(err, "target %s, mailbox %s", t->conf->name, t->conf->mailbox);
}

static void imap_close(struct target **base)
{
	if (!*base)
		return;
	struct target_imap *t = target_imap_of(*base);
	session_end(t);
	target_imap_forget_all(t);
	for (size_t r = 0; r <= ROLE_ARCHIVE; r++)
		free(t->names[r]);
	secret_free(&t->token);
	free(t->flags_text);
	free(t->items);
	free(t);
	*base = NULL;
}

static int imap_open(
	struct target **out, const struct target_conf *conf, struct gate *gate, struct stop *stop, struct err *err)
{
	*out = NULL;
	struct target_imap *t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(err, ERR_MEMORY, "no memory for a destination session");
	*out = &t->base;
	t->base.ops = &target_imap_ops;
	t->flags_text = calloc(GROUP_ITEMS, sizeof(*t->flags_text));
	t->items = calloc(GROUP_ITEMS, sizeof(*t->items));
	if (!t->flags_text || !t->items) {
		imap_close(out);
		return err_set(err, ERR_MEMORY, "no memory for a destination session");
	}
	t->conf = conf;
	t->gate = gate;
	t->stop = stop;
	bool generic = conf->kind == TARGET_IMAP;
	t->conn_conf = (struct conn_conf){
		.host = conf->imap_host,
		.port = conf->imap_port,
		.tls = conf->imap_tls,
		.ca_file = conf->ca_file,
		.accept_any_certificate = conf->accept_any_certificate,
		.auth = conf->auth,
		.user = generic && conf->user ? conf->user : conf->mailbox,
		.authzid = generic ? conf->authzid : NULL,
		.quirks = conf->kind == TARGET_EXCHANGE ? QUIRK_EXCHANGE : 0,
		.gate = gate,
	};
	if (session_begin(t, err)) {
		imap_close(out);
		return -1;
	}
	return 0;
}

/* --- ids and selection --- */

void target_imap_format_id(char *out, size_t size, uint32_t uidvalidity, uint32_t uid)
{
	char text[2 * NUMBER_TEXT];
	size_t n = number_format(uidvalidity, 1, text);
	text[n++] = ':';
	n += number_format(uid, 1, text + n);
	if (n >= size)
		n = size - 1;
	memcpy(out, text, n);
	out[n] = 0;
}

static bool parse_number(const char *s, const char **end, uint32_t *out)
{
	if (*s < '0' || *s > '9')
		return false;
	char *stop;
	unsigned long long v = strtoull(s, &stop, 10);
	*end = stop;
	*out = (uint32_t)v;
	return v <= UINT32_MAX;
}

int target_imap_parse_id(const struct folder_ref *f, const char *id, uint32_t *uid, struct err *err)
{
	const char *p;
	uint32_t validity, own;
	if (!parse_number(id, &p, &validity) || *p != ':' || !parse_number(p + 1, &p, uid) || *p)
		return err_set(err, ERR_INTERNAL, "not an id of this route: %.40s", id);
	if (f->generation && parse_number(f->generation, &p, &own) && own != validity)
		return err_set(err, ERR_CHANGED,
			"%s: the folder was made anew (UIDVALIDITY %s, the message had %" PRIu32 ")", f->path,
			f->generation, validity);
	return 0;
}

int target_imap_select(struct target_imap *t, const struct folder_ref *f, bool again, struct err *err)
{
	if (again || t->stale || !t->selected || strcmp(t->selected, f->id) != 0) {
		target_imap_unselect(t);
		if (mailbox_select(t->conn, f->id, &t->uidvalidity, &t->uidnext, &t->exists, err))
			return err_wrap(err, "%s", f->path ? f->path : f->id);
		t->stale = false;
		t->selected = strdup(f->id);
		if (!t->selected)
			return err_set(err, ERR_MEMORY, "no memory for a folder's name");
	}
	const char *p;
	uint32_t own;
	if (f->generation && parse_number(f->generation, &p, &own) && own != t->uidvalidity)
		return err_set(err, ERR_CHANGED,
			"%s: the folder was made anew (UIDVALIDITY was %" PRIu32 ", is %" PRIu32 ")", f->path, own,
			t->uidvalidity);
	return 0;
}

/* --- what reads --- */

/* Where a listing goes on: after an id, from a mark, or from the start. *done: nothing can follow. */
static int parse_cursor(
	const struct folder_ref *f, const char *cursor, uint32_t *from, bool *first, bool *done, struct err *err)
{
	const char *p;
	*first = true;
	*done = false;
	*from = 1;
	if (!cursor || !*cursor)
		return 0;
	if (!strchr(cursor, ':')) {
		if (!parse_number(cursor, &p, from) || *p)
			return err_set(err, ERR_INTERNAL, "not a mark of this route: %.40s", cursor);
		*from += *from == 0;
		return 0;
	}
	if (target_imap_parse_id(f, cursor, from, err))
		return -1;
	*first = false;
	*done = *from == UINT32_MAX;
	*from += !*done;
	return 0;
}

static int imap_list(struct target *base, const struct folder_ref *f, const char *cursor, struct remote_mail *out,
	size_t cap, size_t *n, struct err *err)
{
	struct target_imap *t = target_imap_of(base);
	struct imap_work w;
	uint32_t from;
	bool first, done;
	*n = 0;
	if (parse_cursor(f, cursor, &from, &first, &done, err))
		return -1;
	if (done || cap == 0)
		return 0;
	struct mailbox_entry *v = calloc(cap, sizeof(*v));
	if (!v)
		return err_set(err, ERR_MEMORY, "no memory for a list of %zu messages", cap);
	int rc = target_imap_begin(t, 0, 1, &w, err);
	if (rc == 0) {
		rc = target_imap_select(t, f, first, err);
		if (rc == 0)
			rc = mailbox_list(t->conn, from, v, cap, n, err);
		rc = target_imap_end(t, &w, rc, 1, err);
	}
	for (size_t i = 0; rc == 0 && i < *n; i++) {
		out[i] = (struct remote_mail){
			.size = v[i].size, .flags = v[i].flags, .received = v[i].received, .print = v[i].print};
		target_imap_format_id(out[i].id, sizeof(out[i].id), t->uidvalidity, v[i].uid);
	}
	if (rc)
		*n = 0;
	free(v);
	return rc;
}

static int imap_read(struct target *base, const struct folder_ref *f, const char *id, struct spool **out,
	struct fingerprint *print, struct err *err)
{
	struct target_imap *t = target_imap_of(base);
	struct imap_work w;
	uint32_t uid;
	*out = NULL;
	if (target_imap_parse_id(f, id, &uid, err) || target_imap_begin(t, 0, 1, &w, err))
		return -1;
	int rc = target_imap_select(t, f, false, err);
	if (rc == 0)
		rc = mailbox_read(t->conn, uid, t->conf->spool_dir, out, print, err);
	return target_imap_end(t, &w, rc, 1, err);
}

static int imap_get_flags(
	struct target *base, const struct folder_ref *f, const char *id, unsigned *flags, struct err *err)
{
	struct target_imap *t = target_imap_of(base);
	struct imap_work w;
	uint32_t uid;
	if (target_imap_parse_id(f, id, &uid, err) || target_imap_begin(t, 0, 1, &w, err))
		return -1;
	int rc = target_imap_select(t, f, false, err);
	if (rc == 0)
		rc = mailbox_flags(t->conn, uid, flags, err);
	return target_imap_end(t, &w, rc, 1, err);
}

static int imap_get_keywords(
	struct target *base, const struct folder_ref *f, const char *id, char *out, size_t size, struct err *err)
{
	struct target_imap *t = target_imap_of(base);
	struct imap_work w;
	uint32_t uid;
	if (target_imap_parse_id(f, id, &uid, err) || target_imap_begin(t, 0, 1, &w, err))
		return -1;
	int rc = target_imap_select(t, f, false, err);
	if (rc == 0)
		rc = mailbox_keywords(t->conn, uid, out, size, err);
	return target_imap_end(t, &w, rc, 1, err);
}

/* --- flags --- */

#define WRITABLE (MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED)

static int store_flags(struct target_imap *t, uint32_t uid, unsigned flags, bool on, struct err *err)
{
	char set[16], text[FLAGS_TEXT];
	if (flags == 0)
		return 0;
	snprintf(set, sizeof(set), "%" PRIu32, uid);
	if (flags_format(flags, "", FLAGS_GENERIC, text, sizeof(text), NULL, err))
		return -1;
	return mailbox_store(t->conn, set, on, text, err);
}

static int write_flags(struct target_imap *t, uint32_t uid, unsigned flags, struct err *err)
{
	unsigned now;
	if (mailbox_flags(t->conn, uid, &now, err))
		return -1;
	now &= WRITABLE;
	flags &= WRITABLE;
	if (now == flags)
		return 0;
	if (store_flags(t, uid, flags & ~now, true, err) || store_flags(t, uid, now & ~flags, false, err) ||
		mailbox_flags(t->conn, uid, &now, err))
		return -1;
	char want[64], have[64];
	if ((now & WRITABLE) == flags)
		return 0;
	return err_set(err, ERR_MESSAGE, "the flags did not stay: wanted \"%s\", found \"%s\"",
		mail_flags_text(flags, want, sizeof(want)), mail_flags_text(now & WRITABLE, have, sizeof(have)));
}

static int imap_set_flags(
	struct target *base, const struct folder_ref *f, const char *id, unsigned flags, struct err *err)
{
	struct target_imap *t = target_imap_of(base);
	struct imap_work w;
	uint32_t uid;
	if (target_imap_parse_id(f, id, &uid, err) || target_imap_begin(t, 0, 3, &w, err))
		return -1;
	int rc = target_imap_select(t, f, false, err);
	if (rc == 0)
		rc = write_flags(t, uid, flags, err);
	return target_imap_end(t, &w, rc, 3, err);
}

static int imap_remove_probe(struct target *base, const struct folder_ref *f, const char *id, struct err *err)
{
	struct target_imap *t = target_imap_of(base);
	struct imap_work w;
	uint32_t uid = 0;
	if ((id[0] && target_imap_parse_id(f, id, &uid, err)) || target_imap_begin(t, 0, 3, &w, err))
		return -1;
	int rc = mailbox_remove_probe(t->conn, f->id, uid, err);
	target_imap_unselect(t);
	if (rc == 0 && !uid)
		target_imap_forget(t, f->path);
	return target_imap_end(t, &w, rc, 3, err);
}

const struct target_ops target_imap_ops = {
	.name = "imap",
	.max_batch = 256,
	.settle_after_ms = 30000,
	.gives_date = true,
	.flags_kept = MAIL_SEEN | MAIL_ANSWERED | MAIL_FLAGGED | MAIL_DRAFT,
	.open = imap_open,
	.rules = target_imap_rules,
	.folder = target_imap_folder,
	.find = target_imap_find,
	.folders = target_imap_folders,
	.put = target_imap_put,
	.list = imap_list,
	.read = imap_read,
	.get_flags = imap_get_flags,
	.set_flags = imap_set_flags,
	.get_keywords = imap_get_keywords,
	.remove_probe = imap_remove_probe,
	.close = imap_close,
};
