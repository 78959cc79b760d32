#include "upload/exosim/graph_store.h"

#include "engine/base/clock.h"
#include "upload/exosim/args.h"
#include "upload/exosim/backend.h"

#include <assert.h>
#include <strings.h>

#define RESPONSE_MAX ((size_t)256 * 1024 * 1024)

void store_row_done(struct store_row *row)
{
	json_decref(row->keywords);
	free(row->text);
	*row = (struct store_row){0};
}

/* n octets behind the line that is in the buffer. */
static int read_literal(struct wire *w, uint64_t n, struct buf *to, struct err *err)
{
	while (n) {
		size_t part = wire_have(w) < n ? wire_have(w) : (size_t)n;

		if (part && buf_add(to, wire_data(w), part, err) < 0)
			return -1;
		wire_skip(w, part);
		n -= part;
		if (n && !part && wire_wait(w, 60000) <= 0)
			return err_set(err, ERR_LOST, "the backend closed the connection");
	}
	return 0;
}

/* One response whole: lines and the literals between them. */
static int read_response(struct wire *w, struct buf *to, struct err *err)
{
	const char *line;
	size_t len, used, start;
	uint64_t size;
	bool sync;

	buf_clear(to);
	for (;;) {
		if (backend_line(w, &line, &len, &used, err) < 0)
			return -1;
		if (buf_add(to, line, len, err) < 0)
			return -1;
		if (!args_ends_in_literal(line, len, &start, &size, &sync)) {
			wire_skip(w, used);
			return 0;
		}
		wire_skip(w, used);
		if (buf_add_str(to, "\r\n", err) < 0 || read_literal(w, size, to, err) < 0)
			return -1;
	}
}

static int judge(const char *text, size_t len, char code[256], struct err *err)
{
	char own[256] = "";
	const char *at = text + 3;
	bool ok = len > 5 && strncasecmp(at, "OK", 2) == 0;
	const char *open = memchr(text, '[', len),
		   *close = open ? memchr(open, ']', len - (size_t)(open - text)) : NULL;

	if (close && close - open < (ptrdiff_t)sizeof(own))
		snprintf(own, sizeof(own), "%.*s", (int)(close - open - 1), open + 1);
	if (code)
		snprintf(code, 256, "%s", own);
	if (ok)
		return 0;
	err_set(err,
		strncasecmp(own, "TRYCREATE", 9) == 0 || strncasecmp(own, "NONEXISTENT", 11) == 0 ||
				strstr(text, "doesn't exist")
			? ERR_FOLDER
		: strncasecmp(own, "OVERQUOTA", 9) == 0      ? ERR_QUOTA
		: strncasecmp(own, "ALREADYEXISTS", 13) == 0 ? ERR_CONFLICT
							     : ERR_PROTOCOL,
		"the backend refused a command");
	err_server(err, at, len - 3);
	return -1;
}

int store_run(struct link *l, const char *command, const char *literal, size_t literal_len,
	void (*each)(void *ctx, const char *text, size_t len), void *ctx, char code[256], struct err *err)
{
	struct wire *w = l->wire;
	struct buf b;
	int r;

	wire_put_str(w, "x9 ");
	wire_put_str(w, command);
	if (literal) {
		wire_printf(w, " {%zu+}\r\n", literal_len);
		wire_put(w, literal, literal_len);
	}
	wire_put_str(w, "\r\n");
	if (wire_flush(w) < 0)
		return err_set(err, ERR_LOST, "the backend closed the connection");
	buf_init(&b, RESPONSE_MAX);
	for (;;) {
		r = read_response(w, &b, err);
		if (r < 0)
			break;
		if (b.len > 3 && strncmp(buf_str(&b), "x9 ", 3) == 0) {
			r = judge(buf_str(&b), b.len, code, err);
			break;
		}
		if (b.len > 5 && strncasecmp(buf_str(&b), "* BYE", 5) == 0) {
			r = err_set(err, ERR_LOST, "the backend said goodbye");
			break;
		}
		if (each)
			each(ctx, buf_str(&b), b.len);
	}
	buf_done(&b);
	if (r < 0 && (err->kind == ERR_LOST || err->kind == ERR_MEMORY))
		wire_drop(w);
	return r;
}

static void note_validity(void *ctx, const char *text, size_t len)
{
	static const char start[] = "* OK [UIDVALIDITY ";
	uint32_t *validity = ctx;

	if (len > sizeof(start) && strncasecmp(text, start, sizeof(start) - 1) == 0)
		*validity = (uint32_t)strtoul(text + sizeof(start) - 1, NULL, 10);
}

static char *with_name(const char *verb, const char *name)
{
	size_t size = strlen(verb) + 2 * strlen(name) + 4;
	char *out = malloc(size), *quoted = malloc(2 * strlen(name) + 3);

	assert(out && quoted);
	args_quote(quoted, name);
	snprintf(out, size, "%s %s", verb, quoted);
	free(quoted);
	return out;
}

int store_select(struct link *l, const char *folder, struct err *err)
{
	char *command;
	int r;

	if (l->selected && strcmp(l->selected, folder) == 0)
		return 0;
	free(l->selected);
	l->selected = NULL;
	command = with_name("SELECT", folder);
	r = store_run(l, command, NULL, 0, note_validity, &l->uidvalidity, NULL, err);
	free(command);
	if (r == 0)
		l->selected = strdup(folder);
	return r;
}

int store_open(struct link *l, const char *folder, struct err *err)
{
	if (l->selected && strcmp(l->selected, folder) == 0)
		return store_run(l, "NOOP", NULL, 0, NULL, NULL, NULL, err);
	return store_select(l, folder, err);
}

int store_close(struct link *l, struct err *err)
{
	if (!l->selected)
		return 0;
	free(l->selected);
	l->selected = NULL;
	return store_run(l, "UNSELECT", NULL, 0, NULL, NULL, NULL, err);
}

struct uids {
	uint32_t *v;
	size_t n, room;
};

static void collect_uids(void *ctx, const char *text, size_t len)
{
	struct uids *u = ctx;

	if (len < 8 || strncasecmp(text, "* SEARCH", 8) != 0)
		return;
	for (const char *at = text + 8; *at == ' ';) {
		char *end;
		unsigned long uid = strtoul(at + 1, &end, 10);

		if (end == at + 1)
			return;
		if (u->n == u->room) {
			u->room = u->room ? u->room * 2 : 256;
			u->v = realloc(u->v, u->room * sizeof(*u->v));
			assert(u->v);
		}
		u->v[u->n++] = (uint32_t)uid;
		at = end;
	}
}

int store_search(struct link *l, const char *criteria, const char *literal, uint32_t **uids, size_t *n, struct err *err)
{
	struct uids u = {0};
	char command[512];
	int r;

	snprintf(command, sizeof(command), "UID SEARCH %s", criteria);
	r = store_run(l, command, literal, literal ? strlen(literal) : 0, collect_uids, &u, NULL, err);
	*uids = u.v;
	*n = u.n;
	return r;
}

/* --- FETCH */

/* "28-Nov-2026 11:38:41 +0000" */
static int64_t parse_date(const char *s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct clock_fields f = {0};
	char month[4], sign;
	long long year;
	int zone;
	const char *found;

	if (sscanf(s, "%2d-%3s-%4lld %2d:%2d:%2d %c%4d", &f.day, month, &year, &f.hour, &f.minute, &f.second, &sign,
		    &zone) != 8)
		return 0;
	f.year = year;
	found = strstr(months, month);
	f.month = found ? (int)(found - months) / 3 + 1 : 1;
	zone = (zone / 100 * 60 + zone % 100) * 60;
	return clock_join(&f) - (sign == '-' ? -zone : zone);
}

static void take_flags(struct args *a, struct store_row *row)
{
	while (a->at < a->end && *a->at != ')') {
		const char *start = a->at;
		size_t n = 0;

		while (a->at < a->end && *a->at != ' ' && *a->at != ')')
			a->at++;
		n = (size_t)(a->at - start);
		if (n == 5 && strncasecmp(start, "\\Seen", 5) == 0)
			row->is_seen = true;
		else if (n == 8 && strncasecmp(start, "\\Flagged", 8) == 0)
			row->is_flagged = true;
		else if (n == 6 && strncasecmp(start, "\\Draft", 6) == 0)
			row->is_draft = true;
		else if (n && *start != '\\') {
			if (!row->keywords)
				row->keywords = json_array();
			json_array_append_new(row->keywords, json_stringn(start, n));
		}
		args_take_char(a, ' ');
	}
	args_take_char(a, ')');
}

/* "…", NIL, a number, or a literal {n}. */
static bool take_value(struct args *a, const char **text, size_t *n)
{
	if (a->at < a->end && *a->at == '"') {
		const char *close = memchr(a->at + 1, '"', (size_t)(a->end - a->at - 1));

		if (!close)
			return false;
		*text = a->at + 1;
		*n = (size_t)(close - *text);
		a->at = close + 1;
		return true;
	}
	if (a->at < a->end && *a->at == '{') {
		const char *nl = memchr(a->at, '\n', (size_t)(a->end - a->at));
		unsigned long long size = strtoull(a->at + 1, NULL, 10);

		if (!nl || size > (unsigned long long)(a->end - nl - 1))
			return false;
		*text = nl + 1;
		*n = (size_t)size;
		a->at = nl + 1 + size;
		return true;
	}
	*text = a->at;
	while (a->at < a->end && *a->at != ' ' && *a->at != ')')
		a->at++;
	*n = (size_t)(a->at - *text);
	return *n > 0;
}

static bool parse_fetch(const char *text, size_t len, struct store_row *row)
{
	struct args a = {text, text + len};
	const char *open = memchr(text, '(', len), *value;
	size_t n;

	if (strncmp(text, "* ", 2) != 0 || !open || open - text < 7 || strncasecmp(open - 6, "FETCH ", 6) != 0)
		return false;
	for (a.at = open + 1; a.at < a.end && *a.at != ')'; args_take_char(&a, ' ')) {
		const char *key = a.at;
		size_t k;

		/* BODY[HEADER.FIELDS (MESSAGE-ID)] holds blanks; nothing else does. */
		while (a.at < a.end && *a.at != ' ' && *a.at != '[')
			a.at++;
		if (a.at < a.end && *a.at == '[')
			while (a.at < a.end && *a.at++ != ']')
				;
		k = (size_t)(a.at - key);
		args_take_char(&a, ' ');
		if (k == 5 && strncasecmp(key, "FLAGS", 5) == 0) {
			if (!args_take_char(&a, '('))
				return false;
			take_flags(&a, row);
			continue;
		}
		if (!take_value(&a, &value, &n))
			return false;
		if (k == 3 && strncasecmp(key, "UID", 3) == 0)
			row->uid = (uint32_t)strtoul(value, NULL, 10);
		else if (k == 12 && strncasecmp(key, "INTERNALDATE", 12) == 0)
			row->received_s = parse_date(value);
		else if (k == 8 && strncasecmp(key, "SAVEDATE", 8) == 0)
			row->saved_s = parse_date(value);
		else if (k == 11 && strncasecmp(key, "RFC822.SIZE", 11) == 0)
			row->size = strtoull(value, NULL, 10);
		else if (k >= 5 && strncasecmp(key, "BODY[", 5) == 0 && !row->text) {
			row->text = malloc(n + 1);
			assert(row->text);
			memcpy(row->text, value, n);
			row->text[n] = '\0';
			row->text_len = n;
		}
	}
	return row->uid != 0;
}

struct fetch {
	void (*take)(void *ctx, struct store_row *row);
	void *ctx;
};

static void one_row(void *ctx, const char *text, size_t len)
{
	const struct fetch *f = ctx;
	struct store_row row = {0};

	if (parse_fetch(text, len, &row))
		f->take(f->ctx, &row);
	else
		store_row_done(&row);
}

int store_fetch(struct link *l, const char *set, enum store_part part, void (*take)(void *ctx, struct store_row *row),
	void *ctx, struct err *err)
{
	static const char *const items[] = {
		"", "", " BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]", " BODY.PEEK[HEADER]", " BODY.PEEK[]"};
	struct fetch f = {take, ctx};
	size_t size = strlen(set) + 200;
	char *command = malloc(size);
	int r;

	assert(command);
	snprintf(command, size, "UID FETCH %s (UID %sINTERNALDATE%s)", set,
		part == STORE_DATES ? "" : "FLAGS SAVEDATE RFC822.SIZE ", items[part]);
	r = store_run(l, command, NULL, 0, one_row, &f, NULL, err);
	free(command);
	return r;
}

static void keep_row(void *ctx, struct store_row *row)
{
	struct store_row *to = ctx;

	store_row_done(to);
	*to = *row;
}

int store_fetch_one(struct link *l, uint32_t uid, enum store_part part, struct store_row *row, struct err *err)
{
	char set[16];

	*row = (struct store_row){0};
	snprintf(set, sizeof(set), "%u", uid);
	if (store_fetch(l, set, part, keep_row, row, err) < 0)
		return -1;
	return row->uid == uid ? 0 : err_set(err, ERR_GONE, "no message of that UID");
}

/* --- changes */

char *store_append_command(const char *folder, const char *flags, int64_t received_s)
{
	static const char *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	char *head = with_name("APPEND", folder), *out;
	struct clock_fields f;
	char date[48] = "";
	size_t size;

	if (received_s >= 0) {
		clock_split(received_s, &f);
		snprintf(date, sizeof(date), " \"%02d-%s-%04d %02d:%02d:%02d +0000\"", f.day, months[f.month - 1],
			(int)f.year, f.hour, f.minute, f.second);
	}
	size = strlen(head) + strlen(flags) + sizeof(date) + 4;
	out = malloc(size);
	assert(out);
	snprintf(out, size, "%s (%s)%s", head, flags, date);
	free(head);
	return out;
}

int store_append(struct link *l, const char *folder, const char *flags, int64_t received_s, const char *data, size_t n,
	uint32_t *uidvalidity, uint32_t *uid, struct err *err)
{
	char *command = store_append_command(folder, flags, received_s), code[256], *end;
	int r = store_run(l, command, data, n, NULL, NULL, code, err);

	free(command);
	if (r < 0)
		return -1;
	if (strncasecmp(code, "APPENDUID ", 10) != 0)
		return err_set(err, ERR_PROTOCOL, "the backend gave no APPENDUID");
	*uidvalidity = (uint32_t)strtoul(code + 10, &end, 10);
	*uid = (uint32_t)strtoul(end, NULL, 10);
	return 0;
}

int store_change(struct link *l, uint32_t uid, const char *change, struct err *err)
{
	size_t size = strlen(change) + 40;
	char *command = malloc(size);
	int r;

	assert(command);
	snprintf(command, size, "UID STORE %u %s", uid, change);
	r = store_run(l, command, NULL, 0, NULL, NULL, NULL, err);
	free(command);
	return r;
}

int store_expunge(struct link *l, uint32_t uid, struct err *err)
{
	char command[40];

	if (store_change(l, uid, "+FLAGS.SILENT (\\Deleted)", err) < 0)
		return -1;
	snprintf(command, sizeof(command), "UID EXPUNGE %u", uid);
	return store_run(l, command, NULL, 0, NULL, NULL, NULL, err);
}

int store_move(struct link *l, uint32_t uid, const char *to, struct err *err)
{
	char verb[40], *command;
	int r;

	snprintf(verb, sizeof(verb), "UID MOVE %u", uid);
	command = with_name(verb, to);
	r = store_run(l, command, NULL, 0, NULL, NULL, NULL, err);
	free(command);
	return r;
}
