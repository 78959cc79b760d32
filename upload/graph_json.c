#include "upload/graph_json.h"

#include "engine/base/clock.h"
#include "engine/base/utf8.h"

#include <ctype.h>
#include <jansson.h>
#include <strings.h>

#define MOST_MARKS 1000000 /* commas, colons and brackets outside of texts: a parser makes some sixty octets of each */
#define MOST_ENTRIES 5000  /* of a page; we ask for less */
#define LONGEST_NAME ((size_t)4 * 1024)
#define LONGEST_LINK ((size_t)8 * 1024)
#define LONGEST_ADDRESS ((size_t)320)

/* --- what comes in --- */

static int hex4(const char *p, size_t left)
{
	int v = 0;
	if (left < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		if (!isxdigit((unsigned char)p[i]))
			return -1;
		int c = tolower((unsigned char)p[i]);
		v = v * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return v;
}

/* Half a surrogate becomes U+FFFD; counts the marks on the way. */
static size_t mend_escapes(char *body, size_t n)
{
	size_t marks = 0;
	bool in_text = false;
	for (size_t i = 0; i < n; i++) {
		in_text ^= body[i] == '"';
		marks += !in_text && (body[i] == ',' || body[i] == '[' || body[i] == '{' || body[i] == ':');
		if (body[i] != '\\' || i + 1 >= n)
			continue;
		i++;
		int unit = body[i] == 'u' ? hex4(body + i + 1, n - i - 1) : -1;
		if (unit < 0xd800 || unit > 0xdfff)
			continue;
		bool pair = unit < 0xdc00 && n - i > 10 && body[i + 5] == '\\' && body[i + 6] == 'u';
		int second = pair ? hex4(body + i + 7, n - i - 7) : -1;
		if (second >= 0xdc00 && second <= 0xdfff)
			i += 10;
		else
			memcpy(body + i + 1, "fffd", 4);
	}
	return marks;
}

static json_t *load(char *body, size_t n, struct err *err)
{
	json_t *root = NULL;
	if (body && n > 0 && n <= GRAPH_PAGE_CAP) {
		if (!utf8_is_valid(body, n) && strlen(body) == n)
			utf8_mend(body);
		if (mend_escapes(body, n) <= MOST_MARKS)
			root = json_loadb(body, n, JSON_ALLOW_NUL, NULL);
	}
	if (json_is_object(root))
		return root;
	json_decref(root);
	err_set(err, ERR_PROTOCOL, "Graph's answer is not what it should be (%zu octets)", n);
	return NULL;
}

/* A string of an object; NULL: absent, null or of another type. */
static const char *text_of(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static enum graph_tri tri_of(json_t *object, const char *key)
{
	json_t *v = json_object_get(object, key);
	return !json_is_boolean(v) ? TRI_UNKNOWN : json_is_true(v) ? TRI_YES : TRI_NO;
}

/* An id is one word of printable ASCII. */
static int id_of(json_t *object, const char *key, char out[GRAPH_ID], struct err *err)
{
	json_t *v = json_object_get(object, key);
	const char *id = json_string_value(v);
	size_t n = json_string_length(v);
	bool fine = id && n > 0 && n < GRAPH_ID;
	for (size_t i = 0; fine && i < n; i++)
		fine = id[i] > ' ' && id[i] <= '~';
	if (!fine)
		return err_set(err, ERR_PROTOCOL, "Graph's answer holds no usable %s (%zu octets)", key, n);
	memcpy(out, id, n + 1);
	return 0;
}

static char *copy_cut(const char *s, size_t most)
{
	char *copy = strndup(s ? s : "", most);
	if (copy)
		utf8_trim(copy);
	return copy;
}

static int no_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "no memory for Graph's answer");
}

/* --- dates --- */

static bool digits(const char **p, int n, int *out)
{
	*out = 0;
	for (int i = 0; i < n; i++, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return false;
		*out = *out * 10 + (**p - '0');
	}
	return true;
}

/* "2002-07-01T08:00:00Z", with or without a fraction or an offset. */
static bool date_read(const char *text, int64_t *at)
{
	int year, month, day, hour, minute, second, zone_h = 0, zone_m = 0;
	const char *p = text ? text : "";
	if (!digits(&p, 4, &year) || *p++ != '-' || !digits(&p, 2, &month) || *p++ != '-' || !digits(&p, 2, &day) ||
		*p++ != 'T' || !digits(&p, 2, &hour) || *p++ != ':' || !digits(&p, 2, &minute) || *p++ != ':' ||
		!digits(&p, 2, &second))
		return false;
	if (*p == '.')
		p += 1 + strspn(p + 1, "0123456789");
	int sign = *p == '-' ? -1 : 1;
	if (*p == '+' || *p == '-') {
		p++;
		if (!digits(&p, 2, &zone_h) || *p++ != ':' || !digits(&p, 2, &zone_m))
			return false;
	} else if (*p++ != 'Z') {
		return false;
	}
	if (*p || year < 1 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
		return false;
	struct clock_fields f = {year, month, day, hour, minute, second};
	*at = clock_join(&f) - sign * (int64_t)(zone_h * 60 + zone_m) * 60;
	return true;
}

/* As a header has it, so that it compares with one. */
static char *date_as_header(int64_t at)
{
	static const char *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct clock_fields f;
	char text[64];
	clock_split(at, &f);
	snprintf(text, sizeof(text), "%d %s %04d %02d:%02d:%02d +0000", f.day, months[f.month - 1], (int)f.year, f.hour,
		f.minute, f.second);
	return strdup(text);
}

/* --- folders --- */

void graph_folder_done(struct graph_folder *f)
{
	free(f->name);
	*f = (struct graph_folder){0};
}

static int folder_read(json_t *o, struct graph_folder *out, struct err *err)
{
	*out = (struct graph_folder){0};
	json_t *total = json_object_get(o, "totalItemCount");
	if (id_of(o, "id", out->id, err))
		return -1;
	if (json_is_integer(total) && json_integer_value(total) > 0)
		out->total = (uint64_t)json_integer_value(total);
	out->name = copy_cut(text_of(o, "displayName"), LONGEST_NAME);
	return out->name ? 0 : no_memory(err);
}

int graph_json_folder(char *body, size_t n, struct graph_folder *out, struct err *err)
{
	*out = (struct graph_folder){0};
	json_t *root = load(body, n, err);
	int rc = root ? folder_read(root, out, err) : -1;
	json_decref(root);
	return rc;
}

/* --- messages --- */

void graph_message_done(struct graph_message *m)
{
	fingerprint_done(&m->print);
	*m = (struct graph_message){0};
}

/* The fields as they came. False: none of the four is there. */
static bool print_from_headers(json_t *headers, const char *values[4])
{
	static const char *const names[4] = {"Message-ID", "Date", "From", "Subject"};
	bool any = false;
	size_t i;
	json_t *h;
	json_array_foreach(headers, i, h)
	{
		const char *name = text_of(h, "name"), *value = text_of(h, "value");
		for (int k = 0; name && value && k < 4; k++) {
			if (strcasecmp(name, names[k]) != 0 || values[k])
				continue;
			values[k] = value;
			any = true;
		}
	}
	return any;
}

static int print_fill(struct fingerprint *p, const char *const values[4], struct err *err)
{
	char **to[4] = {&p->message_id, &p->date, &p->from, &p->subject};
	for (int k = 0; k < 4; k++) {
		const char *v = values[k] ? values[k] : "";
		v += strspn(v, " \t\r\n");
		*to[k] = copy_cut(v, FINGERPRINT_FIELD);
		if (!*to[k])
			return no_memory(err);
	}
	return 0;
}

static int print_read(json_t *o, struct graph_message *m, struct err *err)
{
	const char *values[4] = {NULL, NULL, NULL, NULL};
	int64_t sent = 0, created = -1;
	if (print_from_headers(json_object_get(o, "internetMessageHeaders"), values))
		return print_fill(&m->print, values, err);
	json_t *from = json_object_get(json_object_get(o, "from"), "emailAddress");
	bool has_sent = date_read(text_of(o, "sentDateTime"), &sent);
	date_read(text_of(o, "createdDateTime"), &created);
	values[0] = text_of(o, "internetMessageId");
	char *date = has_sent ? date_as_header(sent) : strdup("");
	if (!date)
		return no_memory(err);
	values[1] = date;
	values[2] = text_of(from, "address");
	values[3] = text_of(o, "subject");
	m->print_is_doubtful = !values[0] || !*values[0] || !values[2] || !strchr(values[2], '@') || !values[3] ||
			       !has_sent || (m->received.known && sent == m->received.at) || sent == created;
	int rc = print_fill(&m->print, values, err);
	free(date);
	return rc;
}

static int message_read(json_t *o, struct graph_message *out, struct err *err)
{
	*out = (struct graph_message){0};
	if (id_of(o, "id", out->id, err))
		return -1;
	if (json_is_string(json_object_get(o, "parentFolderId")) && id_of(o, "parentFolderId", out->parent, err))
		return -1;
	const char *flag = text_of(json_object_get(o, "flag"), "flagStatus");
	out->read = tri_of(o, "isRead");
	out->draft = tri_of(o, "isDraft");
	out->flagged = !flag ? TRI_UNKNOWN : !strcmp(flag, "flagged") ? TRI_YES : TRI_NO;
	out->received.known = date_read(text_of(o, "receivedDateTime"), &out->received.at);
	return print_read(o, out, err);
}

int graph_json_message(char *body, size_t n, struct graph_message *out, struct err *err)
{
	*out = (struct graph_message){0};
	json_t *root = load(body, n, err);
	int rc = root ? message_read(root, out, err) : -1;
	json_decref(root);
	if (rc)
		graph_message_done(out);
	return rc;
}

int graph_json_categories(char *body, size_t n, char *out, size_t size, struct err *err)
{
	json_t *root = load(body, n, err), *name;
	size_t len = 0, i;
	out[0] = '\0';
	json_array_foreach(json_object_get(root, "categories"), i, name)
	{
		if (json_is_string(name) && len + 1 < size)
			len += (size_t)snprintf(out + len, size - len, "%s%s", len ? " " : "", json_string_value(name));
	}
	utf8_trim(out);
	json_decref(root);
	return root ? 0 : -1;
}

/* --- pages --- */

void graph_page_done(struct graph_page *p)
{
	for (size_t i = 0; p->folders && i < p->n; i++)
		graph_folder_done(&p->folders[i]);
	for (size_t i = 0; p->messages && i < p->n; i++)
		graph_message_done(&p->messages[i]);
	free(p->folders);
	free(p->messages);
	free(p->next);
	*p = (struct graph_page){0};
}

/* The entries of a page, and its link. */
static json_t *page_open(json_t *root, struct graph_page *out, struct err *err)
{
	json_t *value = json_object_get(root, "value"), *next = json_object_get(root, "@odata.nextLink");
	if (!json_is_array(value) || json_array_size(value) > MOST_ENTRIES) {
		err_set(err, ERR_PROTOCOL, "Graph's answer is not a list (%zu entries)", json_array_size(value));
		return NULL;
	}
	if (next && !json_is_null(next)) {
		if (!json_is_string(next) || json_string_length(next) == 0 || json_string_length(next) > LONGEST_LINK) {
			err_set(err, ERR_PROTOCOL, "Graph's list does not say how it goes on");
			return NULL;
		}
		out->next = strdup(json_string_value(next));
		if (!out->next) {
			no_memory(err);
			return NULL;
		}
	}
	return value;
}

int graph_json_folders(char *body, size_t n, struct graph_page *out, struct err *err)
{
	*out = (struct graph_page){0};
	json_t *root = load(body, n, err), *value = root ? page_open(root, out, err) : NULL;
	size_t count = json_array_size(value);
	int rc = value ? 0 : -1;
	if (rc == 0) {
		out->folders = calloc(count + 1, sizeof(*out->folders));
		rc = out->folders ? 0 : no_memory(err);
	}
	for (; rc == 0 && out->n < count; out->n++)
		rc = folder_read(json_array_get(value, out->n), &out->folders[out->n], err);
	json_decref(root);
	if (rc)
		graph_page_done(out);
	return rc;
}

int graph_json_messages(char *body, size_t n, struct graph_page *out, struct err *err)
{
	*out = (struct graph_page){0};
	json_t *root = load(body, n, err), *value = root ? page_open(root, out, err) : NULL;
	size_t count = json_array_size(value);
	int rc = value ? 0 : -1;
	if (rc == 0) {
		out->messages = calloc(count + 1, sizeof(*out->messages));
		rc = out->messages ? 0 : no_memory(err);
	}
	for (; rc == 0 && out->n < count; out->n++)
		rc = message_read(json_array_get(value, out->n), &out->messages[out->n], err);
	json_decref(root);
	if (rc)
		graph_page_done(out);
	return rc;
}

/* --- users --- */

int graph_json_user(char *body, size_t n, char id[GRAPH_ID], char *address, size_t address_size, struct err *err)
{
	json_t *root = load(body, n, err);
	id[0] = address[0] = '\0';
	int rc = root ? id_of(root, "id", id, err) : -1;
	const char *mail = text_of(root, "mail");
	if (!mail || !*mail)
		mail = text_of(root, "userPrincipalName");
	if (rc == 0 && mail && strlen(mail) <= LONGEST_ADDRESS && strlen(mail) < address_size)
		memcpy(address, mail, strlen(mail) + 1);
	json_decref(root);
	return rc;
}

int graph_json_mailbox(char *body, size_t n, char id[GRAPH_ID], struct err *err)
{
	json_t *root = load(body, n, err);
	id[0] = '\0';
	int rc = root ? id_of(root, "primaryMailboxId", id, err) : -1;
	json_decref(root);
	return rc;
}

/* --- what goes out --- */

static char *dump(json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	return text;
}

char *graph_json_new_folder(const char *name)
{
	return dump(json_pack("{s:s}", "displayName", name));
}

char *graph_json_state(enum graph_tri read, enum graph_tri flagged, const char *categories)
{
	json_t *o = json_object(), *list = json_array();
	if (read != TRI_UNKNOWN)
		json_object_set_new(o, "isRead", json_boolean(read == TRI_YES));
	if (flagged != TRI_UNKNOWN)
		json_object_set_new(
			o, "flag", json_pack("{s:s}", "flagStatus", flagged == TRI_YES ? "flagged" : "notFlagged"));
	for (const char *p = categories ? categories : ""; *p;) {
		size_t n = strcspn(p, " ");
		if (n > 0)
			json_array_append_new(list, json_stringn(p, n));
		p += n + strspn(p + n, " ");
	}
	if (json_array_size(list) > 0)
		json_object_set(o, "categories", list);
	json_decref(list);
	return dump(o);
}
