/* Messages from MIME: importMime keeps them as they are, the plain create makes drafts. */
#include "upload/exosim/graph.h"

#include "engine/base/clock.h"
#include "upload/exosim/base64.h"
#include "upload/exosim/check.h"
#include "upload/exosim/graph_resource.h"
#include "upload/exosim/late.h"
#include "upload/exosim/recode.h"

#include <assert.h>
#include <gmime/gmime.h>
#include <strings.h>

struct mime {
	char *data; /* owned */
	size_t n;
};

static int decode(struct graph_call *g, struct mime *m)
{
	const char *type = http_header(g->in, "Content-Type");
	struct check check;

	if (!type || strncasecmp(type, "text/plain", 10) != 0 || !(type[10] == '\0' || strchr("; ", type[10]))) {
		if (type && g->kind == GK_CREATE && strncasecmp(type, "application/json", 16) == 0)
			return graph_refuse(g, GE_NOT_HERE, "messages from JSON");
		return graph_refuse(g, GE_CONTENT_TYPE, type ? type : "");
	}
	m->n = g->in->len;
	m->data = malloc(m->n + 1);
	assert(m->data);
	memcpy(m->data, g->in->body, m->n);
	if (!base64_decode_in_place(m->data, &m->n, graph_has_switch(g, SW_GRAPH_BASE64_LINES)))
		return graph_refuse(g, GE_BASE64, NULL);
	m->data[m->n] = '\0';
	if (m->n == 0)
		return graph_refuse(g, GE_MIME, NULL);
	check_init(&check);
	check_feed(&check, m->data, m->n);
	check_end(&check);
	if (graph_has_switch(g, SW_MIME_RECODED)) {
		struct mime old = *m;

		recode_mime(old.data, old.n, &m->data, &m->n);
		free(old.data);
	}
	if (graph_has_switch(g, SW_MESSAGE_ID_ADDED) && !check.has_message_id) {
		struct mime old = *m;

		recode_add_message_id(old.data, old.n, &m->data, &m->n);
		free(old.data);
	}
	return 0;
}

static int check_room(struct graph_call *g, const struct mime *m)
{
	int64_t own = profile_get(&g->x->profile, SW_GRAPH_SIZE_CAP),
		cap = mailbox_limit(g->box, &g->x->profile, SW_SIZE_CAP);

	if ((own && m->n > (size_t)own) || (cap && m->n > (size_t)cap))
		return graph_refuse(g, GE_MESSAGE_SIZE, NULL);
	return mailbox_has_room(g->box, m->n) ? 0 : graph_refuse(g, GE_QUOTA, NULL);
}

/* --- the received date that an import gets */

static int64_t date_in(const char *text)
{
	GDateTime *t = text ? g_mime_utils_header_decode_date(text) : NULL;
	int64_t s = t ? g_date_time_to_unix(t) : -1;

	if (t)
		g_date_time_unref(t);
	return s;
}

/* Behind the last semicolon of the first Received field. */
static int64_t date_of_received(GMimeMessage *m)
{
	const char *v = g_mime_object_get_header(GMIME_OBJECT(m), "Received"), *at = v ? strrchr(v, ';') : NULL;

	return at ? date_in(at + 1) : -1;
}

/* -1: now */
static int64_t received_date(const struct graph_call *g, const struct mime *m)
{
	int64_t how = profile_get(&g->x->profile, SW_GRAPH_RECEIVED), s = -1;
	const char *end = g_strstr_len(m->data, (gssize)m->n, "\r\n\r\n");
	size_t header = end ? (size_t)(end - m->data) + 4 : m->n;
	GMimeStream *in;
	GMimeParser *parser;
	GMimeMessage *message;

	if (how == 0 || g->kind == GK_CREATE)
		return -1;
	in = g_mime_stream_mem_new_with_buffer(m->data, header);
	parser = g_mime_parser_new_with_stream(in);
	message = g_mime_parser_construct_message(parser, NULL);
	if (message) {
		if (how == 1)
			s = date_of_received(message);
		if (s < 0)
			s = date_in(g_mime_object_get_header(GMIME_OBJECT(message), "Date"));
		g_object_unref(message);
	}
	g_object_unref(parser);
	g_object_unref(in);
	return s < 0 ? -1 : s;
}

/* --- storing */

static const char *flags_of(const struct graph_call *g)
{
	if (g->kind == GK_CREATE)
		return "\\Draft \\Seen"; /* D: a draft is read */
	return graph_has_switch(g, SW_GRAPH_IMPORT_READ) ? "\\Seen" : "";
}

static int store_late(struct graph_call *g, const struct tree_place *place, const struct mime *m, int64_t received_s)
{
	struct err err = ERR_INIT;
	struct spool *body = NULL;
	char *command;

	if (spool_new(&body, g->x->spool_dir, m->n, &err) < 0 || spool_write(body, m->data, m->n, &err) < 0) {
		spool_free(&body);
		return graph_refuse_err(g, &err);
	}
	command = store_append_command(place->raw, flags_of(g), received_s);
	late_add(g->x->late, g->box, clock_mono_ms() + g->fault.ms, command, &body);
	free(command);
	return 0;
}

static void count_stored(struct graph_call *g, size_t n)
{
	pthread_mutex_lock(&g->box->lock);
	g->box->count.appended++;
	g->box->count.appended_bytes += n;
	*(g->kind == GK_IMPORT ? &g->box->count.graph_imported : &g->box->count.graph_created) += 1;
	pthread_mutex_unlock(&g->box->lock);
}

static int store_once(struct graph_call *g, const struct tree_place *place, const struct mime *m, int64_t received_s,
	uint32_t *validity, uint32_t *uid, struct err *err)
{
	if (store_select(g->link, place->raw, err) < 0)
		return -1;
	return store_append(g->link, place->raw, flags_of(g), received_s, m->data, m->n, validity, uid, err);
}

static int store(struct graph_call *g, struct tree_place *place, const struct mime *m, int64_t received_s,
	uint32_t *validity, uint32_t *uid)
{
	struct err err = ERR_INIT;
	int r;

	if (graph_link(g, place->raw) < 0)
		return -1;
	r = store_once(g, place, m, received_s, validity, uid, &err);
	if (r < 0 && err.kind == ERR_FOLDER) { /* renamed or gone since its name was learned */
		folders_forget(g->box->folders);
		tree_place_done(place);
		if (graph_place(g, place) < 0)
			return -1;
		r = store_once(g, place, m, received_s, validity, uid, &err);
	}
	return r < 0 ? graph_refuse_err(g, &err) : 0;
}

static void hide(struct graph_call *g, const struct tree_place *place, uint32_t uid)
{
	int64_t now = clock_mono_ms();
	bool hidden = g->has_fault && g->fault.kind == FAULT_GRAPH_HIDDEN;
	char *key = folder_key(place->raw, false);

	if (key)
		folders_hide(g->box->folders, key, uid, now, hidden ? now + g->fault.ms : 0);
	free(key);
}

static void answer(struct graph_call *g, const struct tree_place *place, uint32_t validity, uint32_t uid,
	const struct mime *m, int64_t received_s)
{
	uint64_t bodies = (uint64_t)1 << MP_BODY | (uint64_t)1 << MP_PREVIEW;
	struct store_row row = {.uid = uid, .is_draft = g->kind == GK_CREATE, .text = m->data, .text_len = m->n};
	bool whole = graph_has_switch(g, SW_GRAPH_ANSWER_BODY);
	const char *end = g_strstr_len(m->data, (gssize)m->n, "\r\n\r\n");
	char location[700];
	json_t *o;

	if (!whole && end)
		row.text_len = (size_t)(end - m->data) + 4;
	row.is_seen = strstr(flags_of(g), "Seen") != NULL;
	row.saved_s = clock_wall_s();
	row.received_s = received_s < 0 ? row.saved_s : received_s;
	row.size = m->n;
	o = resource_message(g, place, validity, &row, whole ? MP_DEFAULT : MP_DEFAULT & ~bodies);
	json_object_set_new(o, "@odata.context", graph_context(g, "/messages/$entity"));
	snprintf(location, sizeof(location), "https://graph.microsoft.com/%s/users/%s/messages/%s",
		g->path.is_beta ? "beta" : "v1.0", g->box->id, json_string_value(json_object_get(o, "id")));
	http_reply_header(g->out, "Location", location);
	graph_reply(g, 201, o);
}

void graph_mime_create(struct graph_call *g)
{
	struct mime m = {0};
	struct tree_place place = {0};
	uint32_t validity, uid;
	int64_t received_s;

	if (decode(g, &m) < 0 || check_room(g, &m) < 0 || graph_place(g, &place) < 0)
		goto out;
	received_s = received_date(g, &m);
	if (g->has_fault && g->fault.kind == FAULT_GRAPH_LATE) {
		store_late(g, &place, &m, received_s);
		goto out;
	}
	if (store(g, &place, &m, received_s, &validity, &uid) < 0)
		goto out;
	count_stored(g, m.n);
	hide(g, &place, uid);
	answer(g, &place, validity, uid, &m, received_s);
out:
	free(m.data);
	tree_place_done(&place);
}
