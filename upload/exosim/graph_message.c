/* One message: read, changed, deleted. */
#include "upload/exosim/graph.h"

#include "engine/base/clock.h"
#include "upload/exosim/graph_resource.h"

#include <assert.h>
#include <strings.h>

#define SENSITIVE_FROM 1798675200 /* 31 Dec 2026, 00:00 UTC: D */

static int reply_message(struct graph_call *g, const struct tree_place *place, uint32_t uid)
{
	struct err err = ERR_INIT;
	struct store_row row;
	json_t *o;

	if (store_fetch_one(g->link, uid, resource_part(g->query.select), &row, &err) < 0)
		return graph_refuse_err(g, &err);
	o = resource_message(g, place, g->link->uidvalidity, &row, g->query.select);
	json_object_set_new(o, "@odata.context", graph_context(g, "/messages/$entity"));
	store_row_done(&row);
	graph_reply(g, 200, o);
	return 0;
}

void graph_message_get(struct graph_call *g)
{
	struct tree_place place;
	uint32_t uid;

	if (graph_message(g, &place, &uid) == 0)
		reply_message(g, &place, uid);
	tree_place_done(&place);
}

void graph_message_value(struct graph_call *g)
{
	struct err err = ERR_INIT;
	struct tree_place place;
	struct store_row row;
	uint32_t uid;

	if (graph_message(g, &place, &uid) == 0) {
		if (store_fetch_one(g->link, uid, STORE_WHOLE, &row, &err) < 0) {
			graph_refuse_err(g, &err);
		} else {
			g->out->status = 200;
			g->out->type = "text/plain";
			g->out->body = row.text;
			g->out->body_len = row.text_len;
			row.text = NULL;
			store_row_done(&row);
		}
	}
	tree_place_done(&place);
}

/* --- PATCH */

struct change {
	int read, flagged; /* -1: not given */
	json_t *keywords;  /* owned: the new set; NULL: not given */
	bool is_sensitive;
};

static int read_flag(struct graph_call *g, const json_t *v, struct change *c)
{
	static const char *const times[] = {"completedDateTime", "dueDateTime", "startDateTime", "@odata.type"};
	const char *status = json_string_value(json_object_get(v, "flagStatus")), *key;
	const json_t *member;

	if (!json_is_object(v))
		return graph_refuse(g, GE_BODY_VALUE, "flag");
	json_object_foreach((json_t *)(uintptr_t)v, key, member)
	{
		bool known = strcmp(key, "flagStatus") == 0;

		for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
			known = known || strcmp(key, times[i]) == 0;
		if (!known)
			return graph_refuse(g, GE_BODY_READ, key);
	}
	if (status && strcmp(status, "flagged") == 0)
		c->flagged = 1;
	else if (status && (strcmp(status, "notFlagged") == 0 || strcmp(status, "complete") == 0))
		c->flagged = 0;
	else
		return graph_refuse(g, GE_BODY_VALUE, "flagStatus");
	return 0;
}

static int read_categories(struct graph_call *g, const json_t *v, struct change *c)
{
	const json_t *one;
	size_t i;

	if (!json_is_array(v))
		return graph_refuse(g, GE_BODY_VALUE, "categories");
	json_decref(c->keywords);
	c->keywords = json_array();
	json_array_foreach(v, i, one)
	{
		char *keyword = json_is_string(one) ? resource_keyword(json_string_value(one),
							      !graph_has_switch(g, SW_GRAPH_CATEGORIES_SHOWN))
						    : NULL;

		if (!keyword)
			return graph_refuse(g, GE_BODY_VALUE, "categories");
		json_array_append_new(c->keywords, json_string(keyword));
		free(keyword);
	}
	return 0;
}

/* D: what may not be changed in a message that is no draft without Mail-Advanced. */
static bool is_sensitive(const char *key)
{
	static const char *const names[] = {"subject", "body", "from", "sender", "toRecipients", "ccRecipients",
		"bccRecipients", "replyTo", "internetMessageId", "singleValueExtendedProperties",
		"multiValueExtendedProperties"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(key, names[i]) == 0)
			return true;
	return false;
}

static int read_member(struct graph_call *g, const char *key, const json_t *v, struct change *c)
{
	if (strcmp(key, "isRead") == 0) {
		if (!json_is_boolean(v))
			return graph_refuse(g, GE_BODY_VALUE, key);
		c->read = json_is_true(v);
		return 0;
	}
	if (strcmp(key, "flag") == 0)
		return read_flag(g, v, c);
	if (strcmp(key, "categories") == 0)
		return read_categories(g, v, c);
	/* D, S: answered with success, and nothing happens. */
	if (strcmp(key, "isDraft") == 0 || strcmp(key, "@odata.type") == 0 || strcmp(key, "@odata.etag") == 0)
		return 0;
	if (is_sensitive(key)) {
		c->is_sensitive = true;
		return 0;
	}
	if (strcmp(key, "importance") == 0 || strcmp(key, "inferenceClassification") == 0 ||
		strcmp(key, "isReadReceiptRequested") == 0 || strcmp(key, "isDeliveryReceiptRequested") == 0)
		return graph_refuse(g, GE_NOT_HERE, "changes of that property");
	if (message_property_find(key, strlen(key)) != MESSAGE_PROPERTIES_END)
		return graph_refuse(g, GE_READ_ONLY, key);
	return graph_refuse(g, GE_BODY_READ, key);
}

static int read_change(struct graph_call *g, struct change *c)
{
	json_t *body = graph_body(g), *v;
	const char *key;

	*c = (struct change){.read = -1, .flagged = -1};
	if (!body)
		return -1;
	json_object_foreach(body, key, v) if (read_member(g, key, v, c) < 0)
	{
		json_decref(c->keywords);
		c->keywords = NULL;
		json_decref(body);
		return -1;
	}
	json_decref(body);
	return 0;
}

static int refuse_sensitive(struct graph_call *g, uint32_t uid)
{
	int64_t how = profile_get(&g->x->profile, SW_GRAPH_SENSITIVE);
	bool closed = how == 1 || (how == 0 && clock_wall_s() >= SENSITIVE_FROM);
	struct err err = ERR_INIT;
	struct store_row row;
	bool is_draft;

	if (store_fetch_one(g->link, uid, STORE_INDEX, &row, &err) < 0)
		return graph_refuse_err(g, &err);
	is_draft = row.is_draft;
	store_row_done(&row);
	if (closed && !is_draft && !(g->bearer.roles & ROLE_BIT(ADVANCED)))
		return graph_refuse(g, GE_DENIED, NULL);
	return graph_refuse(g, GE_NOT_HERE, "changes of what is in the message");
}

static int change_keywords(struct graph_call *g, uint32_t uid, const json_t *wanted, struct err *err)
{
	struct store_row row;
	struct buf b;
	json_t *k;
	size_t i;
	int r;

	/* All others go, whatever they are: categories are replaced as a whole. */
	if (store_fetch_one(g->link, uid, STORE_INDEX, &row, err) < 0)
		return -1;
	buf_init(&b, (size_t)256 * 1024);
	r = buf_add_str(&b, "-FLAGS.SILENT (", err);
	json_array_foreach(row.keywords, i, k) if (r == 0) r =
		buf_printf(&b, err, "%s%s", i ? " " : "", json_string_value(k));
	if (r == 0)
		r = buf_add_char(&b, ')', err);
	if (r == 0 && json_array_size(row.keywords))
		r = store_change(g->link, uid, buf_str(&b), err);
	buf_clear(&b);
	if (r == 0)
		r = buf_add_str(&b, "+FLAGS.SILENT (", err);
	json_array_foreach(wanted, i, k) if (r == 0) r =
		buf_printf(&b, err, "%s%s", i ? " " : "", json_string_value(k));
	if (r == 0)
		r = buf_add_char(&b, ')', err);
	if (r == 0 && json_array_size(wanted))
		r = store_change(g->link, uid, buf_str(&b), err);
	buf_done(&b);
	store_row_done(&row);
	return r;
}

static int apply(struct graph_call *g, uint32_t uid, const struct change *c)
{
	struct err err = ERR_INIT;
	char flags[80];

	for (int on = 0; on < 2; on++) {
		snprintf(flags, sizeof(flags), "%cFLAGS.SILENT (%s%s%s)", on ? '+' : '-', c->read == on ? "\\Seen" : "",
			c->read == on && c->flagged == on ? " " : "", c->flagged == on ? "\\Flagged" : "");
		if ((c->read == on || c->flagged == on) && store_change(g->link, uid, flags, &err) < 0)
			return graph_refuse_err(g, &err);
	}
	if (c->flagged == 1)
		MAILBOX_COUNT(g->box, store_flagged, 1);
	if (c->keywords && change_keywords(g, uid, c->keywords, &err) < 0)
		return graph_refuse_err(g, &err);
	return 0;
}

void graph_message_patch(struct graph_call *g)
{
	struct tree_place place = {0};
	struct change c;
	uint32_t uid;

	/* The order (I): the message must be there before anything about the body is said. */
	if (graph_message(g, &place, &uid) == 0 && read_change(g, &c) == 0) {
		if (c.is_sensitive)
			refuse_sensitive(g, uid);
		else if (apply(g, uid, &c) == 0 && reply_message(g, &place, uid) == 0)
			MAILBOX_COUNT(g->box, graph_patched, 1);
		json_decref(c.keywords);
	}
	tree_place_done(&place);
}

void graph_message_delete(struct graph_call *g)
{
	struct tree_place place = {0}, trash = {0};
	struct err err = ERR_INIT;
	struct store_row row;
	uint32_t uid;
	int r;

	if (graph_message(g, &place, &uid) < 0)
		goto out;
	r = store_fetch_one(g->link, uid, STORE_INDEX, &row, &err);
	store_row_done(&row);
	if (r == 0 && graph_has_switch(g, SW_GRAPH_DELETE_MOVES) && tree_cached(g->box, "deleteditems", NULL, &trash) &&
		strcmp(trash.raw, place.raw) != 0)
		r = store_move(g->link, uid, trash.raw, &err);
	else if (r == 0)
		r = store_expunge(g->link, uid, &err);
	if (r < 0)
		graph_refuse_err(g, &err);
	else
		graph_error_put_text(g->out, 204, NULL, NULL);
out:
	tree_place_done(&trash);
	tree_place_done(&place);
}
