/* The CSV of migration users, as Microsoft documents it and as spreadsheets write it. All faults are told at once. The text holds
   passwords: our copy of it is taken apart in place and wiped. */
#include "engine/command/csv.h"

#include "engine/command/csv_rows.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES ((size_t)10 * 1024 * 1024)
#define ROWS 50000
#define FAULTS 20 /* told, the first by line; the others are counted */

enum column { COL_ADDRESS, COL_USER, COL_PASSWORD, COL_ROOT, COLS };
static const char *const column_names[COLS] = {"EmailAddress", "UserName", "Password", "UserRoot"};

struct reader {
	struct csv_rows rows;    /* in our copy */
	int columns[CSV_FIELDS]; /* enum column of each field of the header, -1 unknown */
	size_t n_columns;
	bool need_password;
	unsigned faults;
	struct fault {
		unsigned line;
		char text[400]; /* without the line */
	} told[FAULTS];         /* by line; as many as there are, FAULTS at most */
	unsigned *lines;        /* of each user */
	size_t room;
};

/* --- faults --- */

static void fault(struct reader *r, unsigned line, const char *column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
static void fault(struct reader *r, unsigned line, const char *column, const char *fmt, ...)
{
	struct fault f = {.line = line};
	va_list ap;
	size_t n = column ? (size_t)snprintf(f.text, sizeof(f.text), ", %s: ", column)
			  : (size_t)snprintf(f.text, sizeof(f.text), ": ");
	va_start(ap, fmt);
	vsnprintf(f.text + n, sizeof(f.text) - n, fmt, ap);
	va_end(ap);
	size_t at = r->faults < FAULTS ? r->faults : FAULTS;
	while (at > 0 && r->told[at - 1].line > line)
		at--;
	if (at < FAULTS) {
		size_t after = (r->faults < FAULTS ? r->faults : FAULTS - 1) - at;
		memmove(&r->told[at + 1], &r->told[at], after * sizeof(f));
		r->told[at] = f;
	}
	r->faults++;
}

/* The fields of one row; false: the end, or a fault that makes the rest unreadable. *n counts also those that are not kept. */
static bool take_row(struct reader *r, char *fields[CSV_FIELDS], size_t *n, unsigned *line)
{
	bool got = csv_rows_take(&r->rows, fields, n);
	*line = r->rows.row_line;
	if (r->rows.open_quote)
		fault(r, *line, NULL, "a quotation mark is opened and never closed");
	return got;
}

/* --- the header --- */

static int column_of(const char *name)
{
	for (int c = 0; c < COLS; c++) {
		if (strcasecmp(column_names[c], name) == 0)
			return c;
	}
	return -1;
}

static void take_header(struct reader *r)
{
	char *fields[CSV_FIELDS];
	size_t n = 0;
	unsigned line = 1;
	bool seen[COLS] = {false};
	if (!take_row(r, fields, &n, &line)) {
		if (r->faults == 0)
			fault(r, 1, NULL, "the file is empty; a first line EmailAddress,UserName,Password is expected");
		return;
	}
	r->n_columns = n < CSV_FIELDS ? n : CSV_FIELDS;
	for (size_t i = 0; i < r->n_columns; i++) {
		char *name = csv_trim(fields[i]);
		int c = r->columns[i] = column_of(name);
		if (c < 0 && !(name[0] == '\0' && i + 1 == n)) /* a separator at the end of every line is harmless */
			fault(r, line, NULL,
				"column %zu \"%.40s\" is unknown; allowed are EmailAddress, UserName, "
				"Password, UserRoot",
				i + 1, name);
		else if (c >= 0 && seen[c])
			fault(r, line, NULL, "the column %s is there twice", column_names[c]);
		if (c >= 0)
			seen[c] = true;
	}
	if (!seen[COL_ADDRESS] || !seen[COL_USER])
		fault(r, line, NULL,
			"the column %s is missing (the first line names the columns: "
			"EmailAddress,UserName,Password)",
			!seen[COL_ADDRESS] ? column_names[COL_ADDRESS] : column_names[COL_USER]);
	if (r->need_password && !seen[COL_PASSWORD])
		fault(r, line, NULL, "the column Password is missing, and this endpoint signs in with each user's own");
}

/* --- the rows --- */

static bool has_control(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	}
	return false;
}

/* Only what is surely wrong: the server knows the rest. */
static const char *address_fault(const char *s)
{
	const char *at = strchr(s, '@');
	if (!s[0])
		return "is empty";
	if (strlen(s) >= MODEL_TEXT)
		return "is too long";
	if (!at || at == s || !at[1] || strchr(at + 1, '@'))
		return "is not an address (name@domain)";
	for (; *s; s++) {
		if ((unsigned char)*s <= 0x20 || *s == 0x7f || strchr("<>,;\"()", *s))
			return "holds a character that no address has";
	}
	return NULL;
}

static void check_row(struct reader *r, unsigned line, char *const values[COLS])
{
	const char *bad = address_fault(values[COL_ADDRESS]);
	if (bad && !values[COL_ADDRESS][0])
		fault(r, line, column_names[COL_ADDRESS], "%s", bad);
	else if (bad)
		fault(r, line, column_names[COL_ADDRESS], "\"%.60s\" %s",
			has_control(values[COL_ADDRESS]) ? "…" : values[COL_ADDRESS], bad);
	for (int c = COL_USER; c < COLS; c++) {
		if (has_control(values[c]))
			fault(r, line, column_names[c], "holds a line end or another control character");
		else if (strlen(values[c]) >= MODEL_TEXT)
			fault(r, line, column_names[c], "is too long");
	}
	if (!values[COL_USER][0])
		fault(r, line, column_names[COL_USER], "is empty");
	if (r->need_password && !values[COL_PASSWORD][0])
		fault(r, line, column_names[COL_PASSWORD], "is empty");
}

static int grow(struct reader *r, struct csv_users *out, struct err *err)
{
	if (out->n < r->room)
		return 0;
	size_t more = r->room ? r->room * 2 : 32;
	struct user *users = realloc(out->users, more * sizeof(*users));
	if (users)
		out->users = users;
	struct secret **passwords = users ? realloc(out->passwords, more * sizeof(struct secret *)) : NULL;
	if (passwords)
		out->passwords = passwords;
	unsigned *lines = passwords ? realloc(r->lines, more * sizeof(*lines)) : NULL;
	if (!lines)
		return err_set(err, ERR_MEMORY, "out of memory for the users of the CSV");
	r->lines = lines;
	r->room = more;
	return 0;
}

static int add_user(struct reader *r, struct csv_users *out, unsigned line, char *const values[COLS], struct err *err)
{
	if (grow(r, out, err) < 0)
		return -1;
	struct user *u = &out->users[out->n];
	memset(u, 0, sizeof(*u));
	u->row = (unsigned)out->n + 1;
	snprintf(u->source_user, sizeof(u->source_user), "%s", values[COL_USER]);
	snprintf(u->address, sizeof(u->address), "%s", values[COL_ADDRESS]);
	snprintf(u->user_root, sizeof(u->user_root), "%s", values[COL_ROOT]);
	out->passwords[out->n] = NULL;
	if (values[COL_PASSWORD][0]) {
		out->passwords[out->n] = secret_new(values[COL_PASSWORD], strlen(values[COL_PASSWORD]));
		if (!out->passwords[out->n])
			return err_set(err, ERR_MEMORY, "out of memory for the users of the CSV");
	}
	r->lines[out->n++] = line;
	return 0;
}

static int take_users(struct reader *r, struct csv_users *out, struct err *err)
{
	char *fields[CSV_FIELDS], empty[1] = "";
	size_t n;
	unsigned line;
	while (take_row(r, fields, &n, &line)) {
		char *values[COLS] = {empty, empty, empty, empty};
		if (n > r->n_columns && !(n == r->n_columns + 1 && n <= CSV_FIELDS && !fields[n - 1][0])) {
			fault(r, line, NULL,
				"has %zu fields where the first line names %zu columns (a value with \"%c\" "
				"must be quoted)",
				n, r->n_columns, r->rows.separator);
			continue;
		}
		for (size_t i = 0; i < n && i < r->n_columns; i++) {
			if (r->columns[i] >= 0) /* a password may begin or end with a blank */
				values[r->columns[i]] = r->columns[i] == COL_PASSWORD ? fields[i] : csv_trim(fields[i]);
		}
		if (out->n >= ROWS) {
			fault(r, line, NULL, "there are more than %d rows; make several batches of them", ROWS);
			break;
		}
		check_row(r, line, values);
		if (add_user(r, out, line, values, err) < 0)
			return -1;
	}
	if (out->n == 0 && r->faults == 0)
		fault(r, r->rows.line, NULL, "there is no user in the file");
	return 0;
}

/* --- duplicates --- */

struct place {
	const char *address;
	unsigned line;
};

static int by_address(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int order = strcasecmp(x->address, y->address);
	return order ? order : (x->line > y->line) - (x->line < y->line);
}

static int find_duplicates(struct reader *r, const struct csv_users *u, struct err *err)
{
	struct place *v = calloc(u->n ? u->n : 1, sizeof(*v));
	if (!v)
		return err_set(err, ERR_MEMORY, "out of memory for the users of the CSV");
	for (size_t i = 0; i < u->n; i++)
		v[i] = (struct place){u->users[i].address, r->lines[i]};
	qsort(v, u->n, sizeof(*v), by_address);
	for (size_t i = 1; i < u->n; i++) {
		if (strcasecmp(v[i].address, v[i - 1].address) == 0 && !address_fault(v[i].address))
			fault(r, v[i].line, column_names[COL_ADDRESS],
				"\"%.60s\" is the destination of line %u already", v[i].address, v[i - 1].line);
	}
	free(v);
	return 0;
}

/* --- the whole --- */

/* One fault after the other, while there is room, from *i on. */
static void add_faults(const struct reader *r, unsigned *i, char *out, size_t size)
{
	unsigned n = r->faults < FAULTS ? r->faults : FAULTS;
	for (size_t len = strlen(out); *i < n; ++*i) {
		const struct fault *f = &r->told[*i];
		char one[sizeof(f->text) + 32];
		size_t need = (size_t)snprintf(one, sizeof(one), "; line %u%s", f->line, f->text);
		if (len + need >= size)
			return;
		snprintf(out + len, size - len, "%s", one + (out[0] ? 0 : 2));
		len = strlen(out);
	}
}

/* What does not fit into the text goes on in the hint. */
static int report_faults(struct reader *r, struct err *err)
{
	char text[sizeof(err->text) - 120] = "", more[sizeof(err->hint) - 40] = "";
	unsigned told = 0;
	if (r->faults == 0)
		return 0;
	add_faults(r, &told, text, sizeof(text));
	add_faults(r, &told, more, sizeof(more));
	err_set(err, ERR_USAGE, "the CSV has %u fault%s: %s", r->faults, r->faults == 1 ? "" : "s", text);
	if (told < r->faults)
		err_hint(err, "%s%s%sand %u more", more[0] ? "also " : "", more, more[0] ? "; " : "", r->faults - told);
	else if (more[0])
		err_hint(err, "also %s", more);
	else
		err_hint(err, "correct %s; nothing was saved", r->faults == 1 ? "it" : "these lines");
	return -1;
}

static int refuse_unreadable(const char *text, size_t n, struct err *err)
{
	if (n > FILE_BYTES)
		return err_set(err, ERR_USAGE, "the CSV is larger than 10 MB; make several batches of it");
	if (n >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0)) {
		err_set(err, ERR_USAGE, "the CSV is in UTF-16 (\"Unicode text\")");
		err_hint(err, "save it as \"CSV UTF-8\"");
		return -1;
	}
	const char *nul = n ? memchr(text, '\0', n) : NULL;
	unsigned line = 1;
	for (const char *p = text; nul && p < nul; p++)
		line += *p == '\n';
	return nul ? err_set(err, ERR_USAGE, "the CSV holds a NUL octet (line %u): it is not a text file", line) : 0;
}

int csv_parse(const char *text, size_t n, bool need_password, struct csv_users *out, struct err *err)
{
	*out = (struct csv_users){0};
	struct reader r = {.need_password = need_password};
	size_t len = 0;
	if (refuse_unreadable(text, n, err) < 0)
		return -1;
	char *copy = csv_to_utf8(text, n, &len, &out->encoding);
	if (!copy)
		return err_set(err, ERR_MEMORY, "out of memory for the CSV");
	csv_rows_begin(&r.rows, copy, len);
	out->separator = r.rows.separator;
	take_header(&r);
	int rc = r.faults == 0 ? take_users(&r, out, err) : 0;
	if (rc == 0)
		rc = find_duplicates(&r, out, err);
	if (rc == 0)
		rc = report_faults(&r, err);
	secret_wipe(copy, len + 1);
	free(copy);
	free(r.lines);
	if (rc < 0)
		csv_done(out);
	return rc;
}

int csv_load(const char *path, bool need_password, struct csv_users *out, struct err *err)
{
	*out = (struct csv_users){0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd < 0 ? NULL : malloc(FILE_BYTES + 1);
	if (!text) {
		err_set(err, fd < 0 ? ERR_USAGE : ERR_MEMORY, "the CSV %s cannot be read: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	size_t n = 0;
	ssize_t got = 0;
	while (n <= FILE_BYTES && (got = read(fd, text + n, FILE_BYTES + 1 - n)) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		n += got > 0 ? (size_t)got : 0;
	}
	int rc = got < 0 ? err_set(err, ERR_USAGE, "the CSV %s cannot be read: %s", path, strerror(errno)) : 0;
	close(fd);
	if (rc == 0 && csv_parse(text, n, need_password, out, err) < 0)
		rc = err_wrap(err, "%s", path);
	secret_wipe(text, n);
	free(text);
	return rc;
}

void csv_done(struct csv_users *u)
{
	for (size_t i = 0; u->passwords && i < u->n; i++)
		secret_free(&u->passwords[i]);
	free(u->passwords);
	free(u->users);
	u->passwords = NULL;
	u->users = NULL;
	u->n = 0;
}

int csv_add_field(struct buf *out, const char *text, bool first, struct err *err)
{
	size_t before = out->len;
	bool formula = text[0] && strchr("=+-@\t\r", text[0]);
	bool quote = strpbrk(text, ",;\"\r\n\t") || text[0] == ' ' || (text[0] && text[strlen(text) - 1] == ' ');
	int rc = first ? 0 : buf_add_char(out, ',', err);
	if (rc == 0 && quote)
		rc = buf_add_char(out, '"', err);
	if (rc == 0 && formula)
		rc = buf_add_char(out, '\'', err);
	for (const char *p = text; rc == 0 && *p; p++) {
		if (*p == '"')
			rc = buf_add_char(out, '"', err);
		if (rc == 0)
			rc = buf_add_char(out, *p, err);
	}
	if (rc == 0 && quote)
		rc = buf_add_char(out, '"', err);
	if (rc < 0 && out->data) { /* a field is added whole or not at all */
		out->len = before;
		out->data[before] = '\0';
	}
	return rc;
}
