#include "upload/exosim/graph_resource.h"

#include "engine/base/clock.h"

#include <assert.h>
#include <ctype.h>
#include <gmime/gmime.h>
#include <strings.h>

#define PREVIEW_CHARS 255 /* D */
#define NESTING_MAX 100

enum store_part resource_part(uint64_t select)
{
	uint64_t set = select ? select : MP_DEFAULT;

	if (set >> MP_MESSAGE_ID & 1 && message_properties_need(set & ~((uint64_t)1 << MP_MESSAGE_ID)) == 0)
		return STORE_MESSAGE_ID;
	switch (message_properties_need(set)) {
	case 0:
		return STORE_INDEX;
	case 1:
		return STORE_HEADER;
	default:
		return STORE_WHOLE;
	}
}

json_t *resource_time(int64_t seconds)
{
	char text[CLOCK_TEXT];

	return json_string(clock_format(seconds, text, sizeof(text)));
}

int64_t resource_created_s(const struct graph_call *g, const struct store_row *row)
{
	return graph_has_switch(g, SW_GRAPH_CREATED) ? row->received_s : row->saved_s;
}

/* Texts from messages may be anything. */
static json_t *text_json(const char *text)
{
	char *valid;
	json_t *j;

	if (!text)
		return json_null();
	valid = g_utf8_make_valid(text, -1);
	j = json_string(valid);
	g_free(valid);
	return j ? j : json_null();
}

char *resource_message_id(const char *header, size_t n)
{
	static const char name[] = "message-id:";
	const char *end = header + n;

	for (const char *line = header; line < end;) {
		const char *nl = memchr(line, '\n', (size_t)(end - line)), *value = line + sizeof(name) - 1;
		char *out, *to;

		if (!nl || nl - line < 2)
			return NULL; /* the end of the header */
		if (nl - line < (ptrdiff_t)sizeof(name) || strncasecmp(line, name, sizeof(name) - 1) != 0) {
			line = nl + 1;
			continue;
		}
		while (nl + 1 < end && (nl[1] == ' ' || nl[1] == '\t')) {
			nl = memchr(nl + 1, '\n', (size_t)(end - nl - 1));
			if (!nl)
				nl = end - 1;
		}
		out = to = malloc((size_t)(nl - value) + 1);
		assert(out);
		for (; value < nl; value++)
			if (!isspace((unsigned char)*value) || (to > out && to[-1] != ' '))
				*to++ = (char)(isspace((unsigned char)*value) ? ' ' : *value);
		while (to > out && to[-1] == ' ')
			to--;
		*to = '\0';
		return out;
	}
	return NULL;
}

/* --- keywords */

char *resource_keyword(const char *category, bool is_hidden)
{
	size_t n = strlen(category);
	char *out = malloc(3 * n + sizeof(CATEGORY_HIDDEN)), *to = out;

	assert(out);
	if (n == 0 || !g_utf8_validate(category, -1, NULL)) {
		free(out);
		return NULL;
	}
	if (is_hidden)
		to += snprintf(to, sizeof(CATEGORY_HIDDEN), CATEGORY_HIDDEN);
	for (const char *c = category; *c; c++)
		if ((unsigned char)*c > 32 && (unsigned char)*c < 127 && !strchr("(){%*\"\\]=", *c))
			*to++ = *c;
		else
			to += snprintf(to, 4, "=%02X", (unsigned char)*c);
	*to = '\0';
	return out;
}

char *resource_category(const char *keyword)
{
	char *out = strdup(keyword), *to = out;
	unsigned v;

	assert(out);
	if (strncmp(keyword, CATEGORY_HIDDEN, sizeof(CATEGORY_HIDDEN) - 1) == 0)
		keyword += sizeof(CATEGORY_HIDDEN) - 1;
	for (const char *c = keyword; *c; c++)
		if (*c == '=' && isxdigit((unsigned char)c[1]) && isxdigit((unsigned char)c[2]) &&
			sscanf(c + 1, "%2x", &v) == 1) {
			*to++ = (char)v;
			c += 2;
		} else {
			*to++ = *c;
		}
	*to = '\0';
	return out;
}

static json_t *categories(const struct store_row *row)
{
	json_t *list = json_array(), *k;
	size_t i;

	json_array_foreach(row->keywords, i, k)
	{
		char *category = resource_category(json_string_value(k));

		json_array_append_new(list, text_json(category));
		free(category);
	}
	return list;
}

/* --- what the header and the body say */

static json_t *recipient(const char *name, const char *address)
{
	return json_pack("{s:{s:o, s:o}}", "emailAddress", "name", text_json(name && *name ? name : address), "address",
		text_json(address));
}

static void add_recipients(json_t *list, InternetAddressList *all)
{
	for (int i = 0; all && i < internet_address_list_length(all); i++) {
		InternetAddress *a = internet_address_list_get_address(all, i);

		if (INTERNET_ADDRESS_IS_MAILBOX(a))
			json_array_append_new(
				list, recipient(internet_address_get_name(a),
					      internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(a))));
		else if (INTERNET_ADDRESS_IS_GROUP(a))
			add_recipients(list, internet_address_group_get_members(INTERNET_ADDRESS_GROUP(a)));
	}
}

static json_t *recipients(InternetAddressList *all)
{
	json_t *list = json_array();

	add_recipients(list, all);
	return list;
}

static json_t *first_recipient(InternetAddressList *all)
{
	json_t *list = recipients(all), *one = json_array_get(list, 0);

	one = one ? json_incref(one) : json_null();
	json_decref(list);
	return one;
}

static const char *importance_of(GMimeMessage *m)
{
	const char *v = g_mime_object_get_header(GMIME_OBJECT(m), "Importance");

	if (v && strcasecmp(v, "high") == 0)
		return "high";
	return v && strcasecmp(v, "low") == 0 ? "low" : "normal";
}

static json_t *headers_json(GMimeMessage *m)
{
	GMimeHeaderList *all = g_mime_object_get_header_list(GMIME_OBJECT(m));
	json_t *list = json_array();

	for (int i = 0; i < g_mime_header_list_get_count(all); i++) {
		GMimeHeader *h = g_mime_header_list_get_header_at(all, i);

		json_array_append_new(list, json_pack("{s:o, s:o}", "name", text_json(g_mime_header_get_name(h)),
						    "value", text_json(g_mime_header_get_value(h))));
	}
	return list;
}

static GMimeTextPart *find_text(GMimeObject *o, const char *subtype, unsigned depth)
{
	GMimeTextPart *found = NULL;

	if (GMIME_IS_TEXT_PART(o))
		return g_mime_content_type_is_type(g_mime_object_get_content_type(o), "text", subtype)
			       ? GMIME_TEXT_PART(o)
			       : NULL;
	if (GMIME_IS_MULTIPART(o) && depth < NESTING_MAX)
		for (int i = 0; i < g_mime_multipart_get_count(GMIME_MULTIPART(o)) && !found; i++)
			found = find_text(g_mime_multipart_get_part(GMIME_MULTIPART(o), i), subtype, depth + 1);
	return found;
}

static char *text_of(GMimeMessage *m, bool *is_html)
{
	GMimeObject *root = g_mime_message_get_mime_part(m);
	GMimeTextPart *part = root ? find_text(root, "html", 0) : NULL;

	*is_html = part != NULL;
	if (!part && root)
		part = find_text(root, "plain", 0);
	return part ? g_mime_text_part_get_text(part) : NULL;
}

static void put_body(json_t *o, GMimeMessage *m, uint64_t set)
{
	bool is_html;
	char *text = text_of(m, &is_html);

	if (set >> MP_BODY & 1)
		json_object_set_new(o, "body",
			json_pack("{s:s, s:o}", "contentType", is_html ? "html" : "text", "content",
				text ? text_json(text) : json_string("")));
	if (set >> MP_UNIQUE_BODY & 1)
		json_object_set_new(o, "uniqueBody",
			json_pack("{s:s, s:o}", "contentType", is_html ? "html" : "text", "content",
				text ? text_json(text) : json_string("")));
	if (set >> MP_PREVIEW & 1) {
		char *valid = g_utf8_make_valid(text ? text : "", -1);

		if (g_utf8_strlen(valid, -1) > PREVIEW_CHARS)
			*g_utf8_offset_to_pointer(valid, PREVIEW_CHARS) = '\0';
		json_object_set_new(o, "bodyPreview", json_string(valid));
		g_free(valid);
	}
	g_free(text);
}

#define PUT(p, value) \
	if (set >> MP_##p & 1) \
	json_object_set_new(o, message_property_name(MP_##p), value)

static void put_conversation(json_t *o, GMimeMessage *m, uint64_t set)
{
	char id[40];
	const char *subject = g_mime_message_get_subject(m);

	graph_id_of_user(id, subject ? subject : "");
	for (char *c = id; *c; c++)
		*c = *c == '-' ? 'A' : *c;
	if (set >> MP_CONVERSATION & 1)
		json_object_set_new(o, "conversationId", json_sprintf("AAQkA%s=", id));
}

static void put_header(json_t *o, const struct store_row *row, GMimeMessage *m, uint64_t set)
{
	GDateTime *sent = g_mime_message_get_date(m);
	GMimeContentType *type = g_mime_message_get_mime_part(m)
					 ? g_mime_object_get_content_type(g_mime_message_get_mime_part(m))
					 : NULL;
	char *id = resource_message_id(row->text, row->text_len);

	PUT(MESSAGE_ID, id ? text_json(id) : json_null());
	free(id);
	PUT(SENT, sent ? resource_time(g_date_time_to_unix(sent)) : json_null());
	PUT(ATTACHMENTS, json_boolean(type && g_mime_content_type_is_type(type, "multipart", "mixed")));
	PUT(SUBJECT, text_json(g_mime_message_get_subject(m)));
	PUT(IMPORTANCE, json_string(importance_of(m)));
	PUT(DELIVERY_RECEIPT, json_boolean(g_mime_object_get_header(GMIME_OBJECT(m), "Return-Receipt-To") != NULL));
	PUT(READ_RECEIPT,
		json_boolean(g_mime_object_get_header(GMIME_OBJECT(m), "Disposition-Notification-To") != NULL));
	PUT(SENDER, g_mime_message_get_sender(m) && internet_address_list_length(g_mime_message_get_sender(m))
			    ? first_recipient(g_mime_message_get_sender(m))
			    : first_recipient(g_mime_message_get_from(m)));
	PUT(FROM, first_recipient(g_mime_message_get_from(m)));
	PUT(TO, recipients(g_mime_message_get_to(m)));
	PUT(CC, recipients(g_mime_message_get_cc(m)));
	PUT(BCC, recipients(g_mime_message_get_bcc(m)));
	PUT(REPLY_TO, recipients(g_mime_message_get_reply_to(m)));
	PUT(HEADERS, headers_json(m));
	put_conversation(o, m, set);
}

static void put_parsed(json_t *o, const struct store_row *row, uint64_t set)
{
	GMimeStream *in = g_mime_stream_mem_new_with_buffer(row->text, row->text_len);
	GMimeParser *parser = g_mime_parser_new_with_stream(in);
	GMimeMessage *m = g_mime_parser_construct_message(parser, NULL);

	if (m) {
		put_header(o, row, m, set);
		if (set & ((uint64_t)1 << MP_BODY | (uint64_t)1 << MP_UNIQUE_BODY | (uint64_t)1 << MP_PREVIEW))
			put_body(o, m, set);
		g_object_unref(m);
	}
	g_object_unref(parser);
	g_object_unref(in);
}

/* --- all of it */

json_t *resource_message(const struct graph_call *g, const struct tree_place *place, uint32_t uidvalidity,
	const struct store_row *row, uint64_t select)
{
	uint64_t set = select ? select : MP_DEFAULT;
	struct graph_id id = {
		.is_message = true, .is_immutable = g->is_immutable, .uidvalidity = uidvalidity, .uid = row->uid};
	char text[GRAPH_ID_TEXT], folder[GRAPH_ID_TEXT], key[80];
	json_t *o = json_object();

	memcpy(id.guid, place->guid, sizeof(id.guid));
	graph_id_format(text, g->box->address, &id);
	id = (struct graph_id){0};
	memcpy(id.guid, place->guid, sizeof(id.guid));
	graph_id_format(folder, g->box->address, &id);
	snprintf(key, sizeof(key), "CQAAABYAAAB%08X%02X%04zX", row->uid,
		(unsigned)(row->is_seen | row->is_flagged << 1 | row->is_draft << 2), json_array_size(row->keywords));
	json_object_set_new(o, "@odata.etag", json_sprintf("W/\"%s\"", key));
	json_object_set_new(o, "id", json_string(text));
	PUT(CREATED, resource_time(resource_created_s(g, row)));
	PUT(MODIFIED, resource_time(row->saved_s));
	PUT(CHANGE_KEY, json_string(key));
	PUT(CATEGORIES, categories(row));
	PUT(RECEIVED, resource_time(row->received_s));
	PUT(PARENT, json_string(folder));
	PUT(CONVERSATION_INDEX, json_string("AQHVAAAA"));
	PUT(READ, json_boolean(row->is_seen));
	PUT(DRAFT, json_boolean(row->is_draft));
	PUT(WEB_LINK, json_sprintf("https://outlook.office365.com/owa/?ItemID=%.*s%%3D&exvsurl=1",
			      (int)strlen(text) - 1, text));
	PUT(INFERENCE, json_string("focused"));
	PUT(FLAG, json_pack("{s:s}", "flagStatus", row->is_flagged ? "flagged" : "notFlagged"));
	if (row->text && message_properties_need(set) == 1 && resource_part(set) == STORE_MESSAGE_ID) {
		char *message_id = resource_message_id(row->text, row->text_len);

		PUT(MESSAGE_ID, message_id ? text_json(message_id) : json_null());
		free(message_id);
	} else if (row->text) {
		put_parsed(o, row, set);
	}
	return o;
}
