/* Messages into a folder, one by one: importMime (or, for a draft, the plain create, which makes one), then a PATCH of read state, flag and
   categories where they are wanted. Both go under one permit. Only 201 with an id is success; what anything else means is graph_error's table,
   which also says whether the message may be there all the same. */
#include "upload/target_graph_mime.h"

#include "engine/base/clock.h"
#include "engine/base/failpoint.h"
#include "engine/base/log.h"
#include "imap/flags.h"

#include <inttypes.h>

#define KEYWORDS_TEXT 768
#define STATE_TRIES 3
#define STATE_PAUSE_MS 1000
#define LONGEST_FENCE_MS 60000 /* that a message's state waits out */
#define SILENT_BYTES \
	((uint64_t)3 * 1024 * 1024) /* from here on a create was seen to answer 200 and to make nothing (T) */
#define SILENT_LOOKS 3

/* What is to be written after the message was made. */
struct state {
	enum graph_tri read, flagged; /* TRI_UNKNOWN: nothing to write */
	char categories[KEYWORDS_TEXT];
};

/* People's own keywords, the same as the route imap writes; Exchange shows each as a category. */
static int categories_of(const char *keywords, char out[KEYWORDS_TEXT], struct err *err)
{
	char text[KEYWORDS_TEXT];
	out[0] = '\0';
	if (!keywords || !keywords[0])
		return 0;
	if (flags_format(0, keywords, FLAGS_EXCHANGE, text, sizeof(text), NULL, err))
		return -1;
	snprintf(out, KEYWORDS_TEXT, "%.*s", (int)(strlen(text) - 2), text + 1); /* without the parentheses */
	return 0;
}

int target_graph_mime_set_keywords(
	struct target *base, const struct folder_ref *f, const char *id, const char *keywords, struct err *err)
{
	char categories[KEYWORDS_TEXT];
	(void)f;
	if (categories_of(keywords, categories, err)) {
		err->kind = ERR_MESSAGE;
		return -1;
	}
	return categories[0] ? target_graph_mime_patch(
				       target_graph_mime_of(base), id, TRI_UNKNOWN, TRI_UNKNOWN, categories, err)
			     : 0;
}

static struct state state_wanted(const struct mail *m)
{
	struct state s = {m->flags & MAIL_SEEN ? TRI_YES : TRI_NO, m->flags & MAIL_FLAGGED ? TRI_YES : TRI_NO, ""};
	struct err err = ERR_INIT;
	if (categories_of(m->keywords, s.categories, &err))
		log_line(LOG_WARN, "UID %" PRIu32 ": its keywords are too long to be taken along", m->uid);
	return s;
}

/* How many requests it will probably take: nobody knows beforehand whether the service makes messages read. */
static unsigned requests_for(const struct state *s)
{
	return s->read == TRI_YES || s->flagged == TRI_YES || s->categories[0] ? 2 : 1;
}

static void state_write(struct target_graph_mime *t, const struct state *wanted, const struct graph_message *made,
	struct put_item *item)
{
	struct state s = *wanted;
	if (made->read == s.read)
		s.read = TRI_UNKNOWN;
	/* a new message carries no flag, whether the answer says so or not */
	if (made->flagged == s.flagged || s.flagged == TRI_NO)
		s.flagged = TRI_UNKNOWN;
	if (s.read == TRI_UNKNOWN && s.flagged == TRI_UNKNOWN && !s.categories[0])
		return;
	failpoint_hit(FP_FINISH_BEFORE_FLAGS);
	for (int tries = 1;; tries++) {
		err_clear(&item->err);
		if (target_graph_mime_patch(t, made->id, s.read, s.flagged, s.categories, &item->err) == 0)
			break;
		enum err_action a = err_action(item->err.kind);
		bool passing = (a == ACT_RETRY || a == ACT_WAIT) && item->err.retry_after_ms <= LONGEST_FENCE_MS;
		if (tries >= STATE_TRIES || !passing || stop_is_asked(t->stop))
			break;
		graph_release(t->graph); /* another try waits for a permit of its own */
		clock_sleep_ms(STATE_PAUSE_MS, stop_fd(t->stop, STOP_DRAIN));
	}
	failpoint_hit(FP_FINISH_AFTER_FLAGS);
	if (item->err.kind != ERR_NONE)
		log_err(LOG_INFO, &item->err, "UID %" PRIu32 ": placed, but its state is not written yet",
			item->mail->uid);
}

/* --- success that is none --- */

/* Does the folder show a message of this Message-ID? */
static int is_shown(
	struct target_graph_mime *t, const struct folder_ref *f, const char *message_id, bool *shown, struct err *err)
{
	const char *args[] = {graph_user(t->graph), f->id, message_id, NULL};
	struct graph_reply reply;
	struct graph_page page = {0};
	int rc = target_graph_mime_get(t,
		"/v1.0/users/{}/mailFolders/{}/messages?$filter=internetMessageId%20eq%20{q}&$select=id&$top=2", args,
		&reply, err);
	if (rc == 0)
		rc = graph_json_messages(reply.body.data, reply.body.len, &page, err);
	graph_reply_done(&reply);
	*shown = rc == 0 && (page.n > 0 || page.next);
	graph_page_done(&page);
	return rc;
}

/* 200 to a large message: nothing was made, if nothing is there a while later. Then, and only then, it is too big for this route. */
static bool is_silently_refused(struct target_graph_mime *t, const struct folder_ref *f, const struct mail *m)
{
	const char *id = m->print.message_id;
	struct err err = ERR_INIT;
	if (spool_size(m->body) < SILENT_BYTES || !id || !id[0] || strlen(id) >= FINGERPRINT_FIELD)
		return false;
	for (int i = 0; i < SILENT_LOOKS; i++) {
		bool shown;
		if (i > 0)
			clock_sleep_ms(t->look_pause_ms, stop_fd(t->stop, STOP_DRAIN));
		if (stop_is_asked(t->stop) || is_shown(t, f, id, &shown, &err) || shown)
			return false;
	}
	return true;
}

/* --- one message --- */

static void refused(struct put_item *item, const struct graph_reply *reply)
{
	if (reply->maybe_done) {
		item->result = PUT_IN_DOUBT;
		return;
	}
	if (item->err.kind == ERR_GONE) /* the folder is; and nothing is the message's fault */
		item->err.kind = ERR_FOLDER;
	if (item->err.kind == ERR_CONFLICT)
		item->err.kind = ERR_BUSY;
	item->result = err_action(item->err.kind) == ACT_SKIP_MESSAGE ? PUT_REFUSED : PUT_NOT_SENT;
}

/* An answer of 2xx: *made is the message, and true; or the item has its result, and false. */
static bool accepted(struct target_graph_mime *t, const struct folder_ref *f, struct graph_reply *reply,
	struct put_item *item, struct graph_message *made)
{
	struct err why = ERR_INIT;
	if (reply->status == 201 && graph_json_message(reply->body.data, reply->body.len, made, &why) == 0)
		return true;
	if (reply->status == 200 && is_silently_refused(t, f, item->mail)) {
		item->result = PUT_REFUSED;
		err_set(&item->err, ERR_TOO_BIG, "Graph answers 200 and makes nothing of a message of %llu octets",
			(unsigned long long)spool_size(item->mail->body));
		err_hint(&item->err,
			"let messages of this size go by the route imap (nightferry target test finds the largest)");
		return false;
	}
	item->result = PUT_IN_DOUBT;
	err_set(&item->err, ERR_PROTOCOL, "Graph answers %d, which says neither yes nor no", reply->status);
	return false;
}

static void put_one(struct target_graph_mime *t, const struct folder_ref *f, struct put_item *item)
{
	const struct mail *m = item->mail;
	const char *args[] = {graph_user(t->graph), f->id, NULL};
	struct state wanted = state_wanted(m);
	struct graph_message made = {0};
	struct graph_reply reply;
	struct graph_request r = {.method = "POST",
		.path = m->flags & MAIL_DRAFT ? "/v1.0/users/{}/mailFolders/{}/messages"
					      : "/beta/users/{}/mailFolders/{}/importMime",
		.args = args,
		.mime = m->body};
	if (graph_hold(t->graph, requests_for(&wanted), (spool_size(m->body) + 2) / 3 * 4, &item->err))
		return;
	failpoint_hit(FP_PUT_BEFORE_FIRST_BYTE);
	int rc = graph_send(t->graph, &r, &reply, &item->err);
	failpoint_hit(FP_PUT_AFTER_ANSWER);
	if (rc) {
		refused(item, &reply);
	} else if (accepted(t, f, &reply, item, &made)) {
		item->result = PUT_PLACED;
		snprintf(item->receipt.route, sizeof(item->receipt.route), "%s", target_graph_mime_ops.name);
		snprintf(item->receipt.id, sizeof(item->receipt.id), "%s", made.id);
		state_write(t, &wanted, &made, item);
	}
	graph_release(t->graph);
	graph_reply_done(&reply);
	graph_message_done(&made);
}

int target_graph_mime_put(
	struct target *base, const struct folder_ref *f, struct put_item *v, size_t n, struct err *err)
{
	struct target_graph_mime *t = target_graph_mime_of(base);
	const struct err *in_the_way = NULL;
	(void)err;
	for (size_t i = 0; i < n; i++) {
		v[i].result = PUT_NOT_SENT;
		v[i].receipt = (struct receipt){.id = ""};
		v[i].err = ERR_INIT;
		if (in_the_way)
			v[i].err = *in_the_way;
		else
			put_one(t, f, &v[i]);
		if (v[i].result != PUT_PLACED && err_action(v[i].err.kind) != ACT_SKIP_MESSAGE)
			in_the_way = &v[i].err; /* what is not a message's own */
	}
	return 0;
}
