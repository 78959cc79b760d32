/* The route "mime": Microsoft Graph's importMime keeps a message's MIME whole and makes no draft of it (spec/exchange-online.md, sections 1
   and 3). It is beta and takes small messages only. No session: each request stands by itself, so a target is never dead. \Answered is lost
   here: the property behind it may not be written on a message that is no draft. This file holds identity and what reads and writes one message;
   folders, put and list have files of their own. */
#include "upload/target_graph_mime.h"

#include "engine/base/log.h"
#include "imap/scan.h"

#define READ_CAP ((uint64_t)256 * 1024 * 1024) /* 150 MB may come back re-encoded */
#define READ_PIECE 65536

/* --- one request --- */

int target_graph_mime_get(struct target_graph_mime *t, const char *path, const char *const *args,
	struct graph_reply *out, struct err *err)
{
	struct graph_request r = {.method = "GET", .path = path, .args = args};
	return graph_send(t->graph, &r, out, err);
}

int target_graph_mime_look(struct target_graph_mime *t, const char *id, struct graph_message *out, struct err *err)
{
	const char *args[] = {graph_user(t->graph), id, NULL};
	struct graph_reply reply;
	*out = (struct graph_message){0};
	int rc = target_graph_mime_get(
		t, "/v1.0/users/{}/messages/{}?$select=id,parentFolderId,isRead,isDraft,flag", args, &reply, err);
	if (rc == 0)
		rc = graph_json_message(reply.body.data, reply.body.len, out, err);
	graph_reply_done(&reply);
	return rc;
}

static bool is_what(enum graph_tri wanted, enum graph_tri there)
{
	return wanted == TRI_UNKNOWN || wanted == there;
}

int target_graph_mime_patch(struct target_graph_mime *t, const char *id, enum graph_tri read, enum graph_tri flagged,
	const char *categories, struct err *err)
{
	const char *args[] = {graph_user(t->graph), id, NULL};
	struct graph_message now = {0};
	struct graph_reply reply;
	char *json = graph_json_state(read, flagged, categories);
	if (!json)
		return err_set(err, ERR_MEMORY, "no memory for a message's state");
	struct graph_request r = {.method = "PATCH", .path = "/v1.0/users/{}/messages/{}", .args = args, .json = json};
	int rc = graph_send(t->graph, &r, &reply, err);
	if (rc == 0)
		rc = graph_json_message(reply.body.data, reply.body.len, &now, err);
	graph_reply_done(&reply);
	free(json);
	if (rc == 0 && (now.read == TRI_UNKNOWN || now.flagged == TRI_UNKNOWN)) { /* the answer does not say */
		graph_message_done(&now);
		rc = target_graph_mime_look(t, id, &now, err);
	}
	if (rc == 0 && !(is_what(read, now.read) && is_what(flagged, now.flagged)))
		rc = err_set(err, ERR_MESSAGE, "the read state or the flag did not stay");
	graph_message_done(&now);
	return rc;
}

/* --- open, identity --- */

static void mime_close(struct target **base)
{
	if (!*base)
		return;
	struct target_graph_mime *t = target_graph_mime_of(*base);
	target_graph_mime_list_end(t);
	target_graph_mime_forget(t);
	for (size_t i = 0; i < ROLE_NAMES; i++)
		free(t->names[i]);
	graph_free(&t->graph);
	free(t);
	*base = NULL;
}

/* The Inbox shows that the mailbox is there and that we may read it. */
static int find_inbox(struct target_graph_mime *t, struct err *err)
{
	const char *args[] = {graph_user(t->graph), NULL};
	struct graph_reply reply;
	struct graph_folder f = {0};
	int rc = target_graph_mime_get(
		t, "/v1.0/users/{}/mailFolders/inbox?$select=id,displayName,totalItemCount", args, &reply, err);
	if (rc == 0)
		rc = graph_json_folder(reply.body.data, reply.body.len, &f, err);
	else if (err->kind == ERR_GONE)
		err->kind = ERR_MAILBOX;
	graph_reply_done(&reply);
	if (rc == 0)
		snprintf(t->inbox, sizeof(t->inbox), "%s", f.id);
	graph_folder_done(&f);
	return rc;
}

static int mime_open(
	struct target **out, const struct target_conf *conf, struct gate *gate, struct stop *stop, struct err *err)
{
	*out = NULL;
	if (!conf->graph_url || !conf->graph_token)
		return err_set(err, ERR_USAGE, "target %s has no route mime: Graph is not set up for it", conf->name);
	struct target_graph_mime *t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(err, ERR_MEMORY, "no memory for a destination");
	*out = &t->base;
	t->base.ops = &target_graph_mime_ops;
	t->conf = conf;
	t->stop = stop;
	t->look_pause_ms = 5000;
	/* An id of the mailbox import API is no user of Graph's. */
	bool has_id = conf->user_id && *conf->user_id && strncmp(conf->user_id, "MBX:", 4) != 0;
	t->graph_conf = (struct graph_conf){.url = conf->graph_url,
		.ca_file = conf->ca_file,
		.token = conf->graph_token,
		.target = conf->name,
		.mailbox = conf->mailbox,
		.user = has_id ? conf->user_id : conf->mailbox};
	if (graph_new(&t->graph, &t->graph_conf, gate, stop, err) || find_inbox(t, err)) {
		mime_close(out);
		return -1;
	}
	return 0;
}

/* Without a right on the directory the mailbox still tells its own id. */
static int identify_by_mailbox(struct target_graph_mime *t, char id[GRAPH_ID], struct err *err)
{
	const char *args[] = {t->conf->mailbox, NULL};
	struct graph_reply reply;
	int rc = target_graph_mime_get(t, "/v1.0/users/{}/settings/exchange", args, &reply, err);
	if (rc == 0)
		rc = graph_json_mailbox(reply.body.data, reply.body.len, id, err);
	graph_reply_done(&reply);
	return rc;
}

static int mime_identify(
	struct target *base, char *id, size_t id_size, char *address, size_t address_size, struct err *err)
{
	struct target_graph_mime *t = target_graph_mime_of(base);
	const char *args[] = {t->conf->mailbox, NULL};
	struct graph_reply reply;
	char own[GRAPH_ID] = "";
	address[0] = '\0';
	int rc = target_graph_mime_get(t, "/v1.0/users/{}?$select=id,userPrincipalName,mail", args, &reply, err);
	if (rc == 0)
		rc = graph_json_user(reply.body.data, reply.body.len, own, address, address_size, err);
	graph_reply_done(&reply);
	if (rc && err->kind == ERR_GONE)
		err->kind = ERR_MAILBOX;
	if (rc && err->kind == ERR_RIGHTS) {
		log_err(LOG_INFO, err,
			"the directory is closed to the application (User.Read.All); the mailbox is asked");
		err_clear(err);
		rc = identify_by_mailbox(t, own, err);
		if (rc && (err->kind == ERR_RIGHTS || err->kind == ERR_GONE || err->kind == ERR_MESSAGE)) {
			err_clear(err); /* the address has to do */
			rc = 0;
		}
		snprintf(address, address_size, "%s", own[0] ? t->conf->mailbox : "");
	}
	snprintf(id, id_size, "%s", own);
	return rc;
}

/* --- one message --- */

/* Header values and digest of what was read. */
static int scan_spool(const struct spool *s, struct fingerprint *print, struct err *err)
{
	struct mail_defects defects;
	struct scan *scan = scan_new();
	char *piece = malloc(READ_PIECE);
	int rc = scan && piece ? 0 : err_set(err, ERR_MEMORY, "no memory for a message");
	size_t got = 1;
	for (uint64_t at = 0; rc == 0 && got > 0; at += got) {
		rc = spool_read(s, at, piece, READ_PIECE, &got, err);
		if (rc == 0)
			scan_feed(scan, piece, got);
	}
	if (rc == 0)
		rc = scan_finish(scan, print, &defects, err);
	free(piece);
	scan_free(&scan);
	return rc;
}

int target_graph_mime_read(struct target *base, const struct folder_ref *f, const char *id, struct spool **out,
	struct fingerprint *print, struct err *err)
{
	struct target_graph_mime *t = target_graph_mime_of(base);
	const char *args[] = {graph_user(t->graph), id, NULL};
	struct graph_reply reply;
	struct spool *s = NULL;
	(void)f;
	*out = NULL;
	if (print)
		*print = (struct fingerprint){0};
	if (spool_new(&s, t->conf->spool_dir, 0, err))
		return -1;
	struct graph_request r = {.method = "GET",
		.path = "/v1.0/users/{}/messages/{}/$value",
		.args = args,
		.into = s,
		.into_cap = READ_CAP};
	int rc = graph_send(t->graph, &r, &reply, err);
	if (rc == 0 && reply.status != 200)
		rc = err_set(err, ERR_PROTOCOL, "Graph answers %d where a message was asked for", reply.status);
	graph_reply_done(&reply);
	if (rc == 0 && print)
		rc = scan_spool(s, print, err);
	if (rc == 0)
		*out = s;
	else
		spool_free(&s);
	return rc;
}

/* The message as it is, if it is still in f: one that a person moved is theirs. */
static int look_in(struct target_graph_mime *t, const struct folder_ref *f, const char *id, struct graph_message *out,
	struct err *err)
{
	if (target_graph_mime_look(t, id, out, err))
		return -1;
	if (!out->parent[0] || !strcmp(out->parent, f->id))
		return 0;
	graph_message_done(out);
	return err_set(err, ERR_GONE, "%s: the message was moved to another folder there", f->path);
}

static int mime_get_flags(
	struct target *base, const struct folder_ref *f, const char *id, unsigned *flags, struct err *err)
{
	struct graph_message m;
	if (look_in(target_graph_mime_of(base), f, id, &m, err))
		return -1;
	*flags = (m.read == TRI_YES ? MAIL_SEEN : 0u) | (m.flagged == TRI_YES ? MAIL_FLAGGED : 0u) |
		 (m.draft == TRI_YES ? MAIL_DRAFT : 0u);
	graph_message_done(&m);
	return 0;
}

static int mime_set_flags(
	struct target *base, const struct folder_ref *f, const char *id, unsigned flags, struct err *err)
{
	struct target_graph_mime *t = target_graph_mime_of(base);
	enum graph_tri read = flags & MAIL_SEEN ? TRI_YES : TRI_NO, flagged = flags & MAIL_FLAGGED ? TRI_YES : TRI_NO;
	struct graph_message m;
	if (look_in(t, f, id, &m, err))
		return -1;
	if (m.read == read)
		read = TRI_UNKNOWN;
	if (m.flagged == flagged)
		flagged = TRI_UNKNOWN;
	graph_message_done(&m);
	if (read == TRI_UNKNOWN && flagged == TRI_UNKNOWN)
		return 0;
	return target_graph_mime_patch(t, id, read, flagged, NULL, err);
}

static int mime_get_keywords(
	struct target *base, const struct folder_ref *f, const char *id, char *out, size_t size, struct err *err)
{
	struct target_graph_mime *t = target_graph_mime_of(base);
	const char *args[] = {graph_user(t->graph), id, NULL};
	struct graph_reply reply;
	(void)f;
	int rc = target_graph_mime_get(t, "/v1.0/users/{}/messages/{}?$select=id,categories", args, &reply, err);
	if (rc == 0)
		rc = graph_json_categories(reply.body.data, reply.body.len, out, size, err);
	graph_reply_done(&reply);
	return rc;
}

/* --- after a probe --- */

/* The first DELETE moves a thing to Deleted Items, the second takes it away from there; the id stays (I). */
static int delete_twice(struct target_graph_mime *t, const char *path, const char *id, struct err *err)
{
	const char *args[] = {graph_user(t->graph), id, NULL};
	struct graph_request r = {.method = "DELETE", .path = path, .args = args};
	int rc = 0;
	for (int i = 0; rc == 0 && i < 2; i++) {
		struct graph_reply reply;
		rc = graph_send(t->graph, &r, &reply, err);
		graph_reply_done(&reply);
	}
	if (rc && err->kind == ERR_GONE) {
		err_clear(err);
		rc = 0;
	}
	return rc;
}

static int messages_left(struct target_graph_mime *t, const struct folder_ref *f, uint64_t *left, struct err *err)
{
	const char *args[] = {graph_user(t->graph), f->id, NULL};
	struct graph_reply reply;
	struct graph_folder now = {0};
	int rc = target_graph_mime_get(t, "/v1.0/users/{}/mailFolders/{}?$select=id,totalItemCount", args, &reply, err);
	if (rc == 0)
		rc = graph_json_folder(reply.body.data, reply.body.len, &now, err);
	graph_reply_done(&reply);
	*left = now.total;
	graph_folder_done(&now);
	return rc;
}

static int mime_remove_probe(struct target *base, const struct folder_ref *f, const char *id, struct err *err)
{
	struct target_graph_mime *t = target_graph_mime_of(base);
	uint64_t left = 0;
	if (id[0])
		return delete_twice(t, "/v1.0/users/{}/messages/{}", id, err);
	target_graph_mime_forget(t);
	if (messages_left(t, f, &left, err)) {
		if (err->kind != ERR_GONE)
			return -1;
		err_clear(err);
		return 0;
	}
	if (left)
		return err_set(err, ERR_FOLDER, "folder %s holds messages that are not ours", f->path);
	return delete_twice(t, "/v1.0/users/{}/mailFolders/{}", f->id, err);
}

/* settle_after: Exchange's front end gives a request up after one minute (503 with an empty body, S), and what it began may still be committed
   then; a list may lag behind by seconds (I). */
const struct target_ops target_graph_mime_ops = {
	.name = "mime",
	.max_batch = 1,
	.settle_after_ms = 90000,
	.marks_by_ids = true,
	.flags_kept = MAIL_SEEN | MAIL_FLAGGED | MAIL_DRAFT,
	.open = mime_open,
	.rules = target_graph_mime_rules,
	.folder = target_graph_mime_folder,
	.find = target_graph_mime_find,
	.identify = mime_identify,
	.put = target_graph_mime_put,
	.list = target_graph_mime_list,
	.read = target_graph_mime_read,
	.get_flags = mime_get_flags,
	.set_flags = mime_set_flags,
	.set_keywords = target_graph_mime_set_keywords,
	.get_keywords = mime_get_keywords,
	.remove_probe = mime_remove_probe,
	.close = mime_close,
};
