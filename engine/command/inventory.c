#include "engine/command/inventory.h"

#include "engine/command/csv_rows.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES ((size_t)256 * 1024 * 1024)
#define ROWS 500000
#define KEYS_MOST 4000000 /* addresses in all */
#define VALUE 4096        /* octets of a single value; proxy addresses are longer */

enum column {
	COL_ADDRESS,
	COL_PRINCIPAL,
	COL_OBJECT,
	COL_TYPE,
	COL_PROXIES,
	COL_LICENSED,
	COL_QUOTA,
	COL_USED,
	COL_IMAP,
	COL_RECEIVE,
	COL_LITIGATION,
	COL_RETENTION,
	COL_RECOVERABLE_QUOTA,
	COL_RECOVERABLE_USED,
	COL_ARCHIVE,
	COLS
};
static const char *const column_names[COLS] = {"EmailAddress", "UserPrincipalName", "ObjectId", "Type",
	"ProxyAddresses", "Licensed", "QuotaBytes", "UsedBytes", "ImapEnabled", "MaxReceiveSizeBytes", "LitigationHold",
	"RetentionHold", "RecoverableItemsQuotaBytes", "RecoverableItemsUsedBytes", "ArchiveStatus"};

/* Where an address was met: the better one is found first. */
enum key_rank { KEY_ADDRESS, KEY_PRINCIPAL, KEY_PROXY };

struct key {
	const char *address; /* borrowed from text */
	uint32_t row;
	enum key_rank rank;
};

struct inventory {
	char *text;      /* owned */
	char nothing[1]; /* of a field that is not there */
	struct inventory_row *rows;
	size_t n, rows_room;
	struct key *keys; /* sorted once all are there */
	size_t n_keys, keys_room;
};

/* --- values --- */

static bool parse_grouped(const char **at, const char *end_chars, uint64_t *out)
{
	const char *p = *at;
	uint64_t n = 0;
	bool any = false;
	for (; *p && !strchr(end_chars, *p); p++) {
		if (isdigit((unsigned char)*p)) {
			if (n > (UINT64_MAX - 10) / 10)
				return false;
			n = n * 10 + (uint64_t)(*p - '0');
			any = true;
		} else if (!strchr(",.' \t", *p) &&
			   (unsigned char)*p < 0x80) { /* groups: also a narrow blank, in UTF-8 */
			return false;
		}
	}
	*at = p;
	*out = n;
	return any;
}

/* "36.5 MB" without its octets: a number and a unit of 1024. A comma before exactly three digits is one between groups. */
static bool parse_unit(const char *s, uint64_t *out)
{
	static const struct {
		const char *name;
		double factor;
	} units[] = {{"KB", 1024.0}, {"MB", 1048576.0}, {"GB", 1073741824.0}, {"TB", 1099511627776.0}};
	double value = 0, place = 0;
	bool any = false;
	for (; isdigit((unsigned char)*s) || *s == '.' || *s == ','; s++) {
		if (*s == ',' && place == 0 && strspn(s + 1, "0123456789") == 3)
			continue;
		if (!isdigit((unsigned char)*s)) {
			if (place > 0)
				return false;
			place = 1;
			continue;
		}
		any = true;
		value = value * 10 + (*s - '0');
		place *= 10;
	}
	s += strspn(s, " \t");
	for (size_t i = 0; any && i < sizeof units / sizeof units[0]; i++) {
		if (strcasecmp(s, units[i].name) != 0)
			continue;
		double octets = value / (place > 1 ? place : 1) * units[i].factor;
		if (octets > 9e18)
			return false;
		*out = (uint64_t)octets;
		return true;
	}
	return false;
}

bool inventory_parse_size(const char *text, uint64_t *out)
{
	text += strspn(text, " \t");
	if (!*text) {
		*out = INVENTORY_UNKNOWN;
		return true;
	}
	if (!strcasecmp(text, "Unlimited")) {
		*out = INVENTORY_UNLIMITED;
		return true;
	}
	const char *bracket = strrchr(text, '(');
	if (bracket) { /* the exact octets */
		bracket++;
		return parse_grouped(&bracket, "bB)", out) && (!strcasecmp(bracket, "bytes)") || !strcmp(bracket, ")"));
	}
	const char *end = text;
	if (parse_grouped(&end, "bB", out) && (!*end || !strcasecmp(end, "B") || !strcasecmp(end, "bytes")))
		return true;
	return parse_unit(text, out);
}

static bool parse_truth(const char *s, enum inventory_truth *out)
{
	static const struct {
		const char *name;
		enum inventory_truth truth;
	} names[] = {{"", TRUTH_UNKNOWN}, {"True", TRUTH_YES}, {"False", TRUTH_NO}, {"Yes", TRUTH_YES},
		{"No", TRUTH_NO}, {"1", TRUTH_YES}, {"0", TRUTH_NO}, {"Enabled", TRUTH_YES}, {"Disabled", TRUTH_NO},
		{"$true", TRUTH_YES}, {"$false", TRUTH_NO}, {"Wahr", TRUTH_YES}, {"Falsch", TRUTH_NO}};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcasecmp(s, names[i].name) == 0) {
			*out = names[i].truth;
			return true;
		}
	}
	return false;
}

/* --- reading --- */

static int fail_at(unsigned line, const char *column, const char *what, struct err *err)
{
	err_set(err, ERR_USAGE, "the inventory, line %u, %s: %s", line, column, what);
	err_hint(err, "export it again with the commands of nightferry target inventory");
	return -1;
}

static int grow(void **v, size_t *room, size_t n, size_t size, struct err *err)
{
	if (n < *room)
		return 0;
	size_t more = *room ? *room * 2 : 64;
	void *bigger = realloc(*v, more * size);
	if (!bigger)
		return err_set(err, ERR_MEMORY, "out of memory for the inventory");
	*v = bigger;
	*room = more;
	return 0;
}

static int add_key(struct inventory *v, const char *address, enum key_rank rank, struct err *err)
{
	if (!*address)
		return 0;
	if (v->n_keys == KEYS_MOST)
		return err_set(err, ERR_USAGE, "the inventory holds more than %d addresses", KEYS_MOST);
	if (grow((void **)&v->keys, &v->keys_room, v->n_keys, sizeof *v->keys, err))
		return -1;
	v->keys[v->n_keys++] = (struct key){.address = address, .row = (uint32_t)(v->n - 1), .rank = rank};
	return 0;
}

/* "SMTP:ann@x smtp:a@x x500:/o=..." : what is SMTP or has no kind; taken apart in place. */
static int add_proxies(struct inventory *v, char *list, struct err *err)
{
	char *save = NULL;
	for (char *one = strtok_r(list, " \t\r\n;,|{}", &save); one; one = strtok_r(NULL, " \t\r\n;,|{}", &save)) {
		char *colon = strchr(one, ':');
		if (colon && strncasecmp(one, "smtp:", 5) != 0)
			continue;
		if (strchr(one, '@') && add_key(v, colon ? colon + 1 : one, KEY_PROXY, err))
			return -1;
	}
	return 0;
}

static int fill_row(struct inventory_row *r, char *const values[COLS], unsigned line, struct err *err)
{
	const struct {
		enum column column;
		uint64_t *size;
		enum inventory_truth *truth;
	} fields[] = {{COL_QUOTA, &r->quota, NULL}, {COL_USED, &r->used, NULL}, {COL_RECEIVE, &r->max_receive, NULL},
		{COL_RECOVERABLE_QUOTA, &r->recoverable_quota, NULL},
		{COL_RECOVERABLE_USED, &r->recoverable_used, NULL}, {COL_LICENSED, NULL, &r->licensed},
		{COL_IMAP, NULL, &r->imap_enabled}, {COL_LITIGATION, NULL, &r->litigation_hold},
		{COL_RETENTION, NULL, &r->retention_hold}};
	*r = (struct inventory_row){.address = values[COL_ADDRESS],
		.principal = values[COL_PRINCIPAL],
		.object_id = values[COL_OBJECT],
		.type = values[COL_TYPE],
		.archive = values[COL_ARCHIVE]};
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
		const char *value = values[fields[i].column];
		if (fields[i].size ? !inventory_parse_size(value, fields[i].size)
				   : !parse_truth(value, fields[i].truth))
			return fail_at(line, column_names[fields[i].column],
				fields[i].size ? "is no size (octets, \"50 GB (53,687,091,200 bytes)\" or Unlimited)"
					       : "is neither True nor False",
				err);
	}
	return 0;
}

static int check_values(char *const values[COLS], unsigned line, struct err *err)
{
	for (int c = 0; c < COLS; c++) {
		if (c != COL_PROXIES && strlen(values[c]) > VALUE)
			return fail_at(line, column_names[c], "is too long", err);
		for (const char *p = values[c]; *p; p++)
			if (((unsigned char)*p < 0x20 && !(c == COL_PROXIES && strchr("\t\r\n", *p))) || *p == 0x7f)
				return fail_at(line, column_names[c], "holds a control character", err);
	}
	return 0;
}

static int take_header(struct csv_rows *rows, int columns[CSV_FIELDS], size_t *n, struct err *err)
{
	char *fields[CSV_FIELDS];
	bool seen[COLS] = {false};
	*n = 0;
	if (!csv_rows_take(rows, fields, n))
		return err_set(err, ERR_USAGE, "the inventory is empty");
	*n = *n < CSV_FIELDS ? *n : CSV_FIELDS;
	for (size_t i = 0; i < *n; i++) {
		columns[i] = -1;
		for (int c = 0; c < COLS; c++)
			if (strcasecmp(csv_trim(fields[i]), column_names[c]) == 0)
				columns[i] = c;
		if (columns[i] >= 0 && seen[columns[i]])
			return fail_at(rows->row_line, column_names[columns[i]], "the column is there twice", err);
		if (columns[i] >= 0)
			seen[columns[i]] = true;
	}
	return seen[COL_ADDRESS] ? 0 : fail_at(rows->row_line, "EmailAddress", "the column is missing", err);
}

static int take_rows(
	struct inventory *v, struct csv_rows *rows, const int columns[CSV_FIELDS], size_t n_columns, struct err *err)
{
	char *fields[CSV_FIELDS];
	size_t n;
	while (csv_rows_take(rows, fields, &n)) {
		char *values[COLS];
		for (int c = 0; c < COLS; c++)
			values[c] = v->nothing;
		for (size_t i = 0; i < n && i < n_columns; i++)
			if (columns[i] >= 0)
				values[columns[i]] = csv_trim(fields[i]);
		if (n > n_columns)
			return fail_at(rows->row_line, "the row", "has more fields than the first line names", err);
		if (!values[COL_ADDRESS][0] && !values[COL_PRINCIPAL][0])
			continue;
		if (v->n == ROWS)
			return err_set(err, ERR_USAGE, "the inventory holds more than %d mailboxes", ROWS);
		if (check_values(values, rows->row_line, err) ||
			grow((void **)&v->rows, &v->rows_room, v->n, sizeof *v->rows, err) ||
			fill_row(&v->rows[v->n], values, rows->row_line, err))
			return -1;
		v->n++;
		if (add_key(v, values[COL_ADDRESS], KEY_ADDRESS, err) ||
			add_key(v, values[COL_PRINCIPAL], KEY_PRINCIPAL, err) ||
			add_proxies(v, values[COL_PROXIES], err))
			return -1;
	}
	if (rows->open_quote)
		return fail_at(rows->row_line, "the row", "a quotation mark is opened and never closed", err);
	return v->n ? 0 : err_set(err, ERR_USAGE, "there is no mailbox in the inventory");
}

static int by_key(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int order = strcasecmp(x->address, y->address);
	if (order || x->rank != y->rank)
		return order ? order : x->rank < y->rank ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

int inventory_parse(struct inventory **out, const char *text, size_t n, struct err *err)
{
	int columns[CSV_FIELDS];
	size_t len = 0, n_columns = 0;
	const char *encoding;
	*out = NULL;
	if (n > FILE_BYTES)
		return err_set(err, ERR_USAGE, "the inventory is larger than 256 MB");
	struct inventory *v = calloc(1, sizeof *v);
	if (v)
		v->text = csv_to_utf8(text, n, &len, &encoding);
	if (!v || !v->text) {
		inventory_free(&v);
		return err_set(err, ERR_MEMORY, "out of memory for the inventory");
	}
	struct csv_rows rows;
	char *start = v->text;
	int rc = strlen(start) == len
			 ? 0
			 : err_set(err, ERR_USAGE, "the inventory holds a NUL octet: it is not a text file");
	if (!strncmp(start, "#TYPE", 5)) /* Export-Csv without -NoTypeInformation */
		start += strcspn(start, "\n") + (strchr(start, '\n') != NULL);
	csv_rows_begin(&rows, start, len - (size_t)(start - v->text));
	rows.line += start != v->text;
	if (!rc)
		rc = take_header(&rows, columns, &n_columns, err);
	if (!rc)
		rc = take_rows(v, &rows, columns, n_columns, err);
	if (rc) {
		inventory_free(&v);
		return -1;
	}
	qsort(v->keys, v->n_keys, sizeof *v->keys, by_key);
	*out = v;
	return 0;
}

int inventory_load(struct inventory **out, const char *path, struct err *err)
{
	struct stat st;
	*out = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		err_set(err, ERR_USAGE, "the inventory %s cannot be read: %s", path,
			fd < 0 ? strerror(errno) : "it is no file");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	size_t n = 0, room = st.st_size > (off_t)FILE_BYTES ? FILE_BYTES + 1 : (size_t)st.st_size + 1;
	char *text = malloc(room);
	ssize_t got = 0;
	while (text && n < room && (got = read(fd, text + n, room - n)) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		n += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	int rc = !text     ? err_set(err, ERR_MEMORY, "out of memory for the inventory")
		 : got < 0 ? err_set(err, ERR_USAGE, "the inventory %s cannot be read: %s", path, strerror(errno))
			   : inventory_parse(out, text, n, err);
	free(text);
	return rc ? err_wrap(err, "%s", path) : 0;
}

void inventory_free(struct inventory **i)
{
	if (!*i)
		return;
	free((*i)->text);
	free((*i)->rows);
	free((*i)->keys);
	free(*i);
	*i = NULL;
}

size_t inventory_count(const struct inventory *i)
{
	return i->n;
}

const struct inventory_row *inventory_find(const struct inventory *i, const char *address, bool *alias)
{
	size_t low = 0, high = i->n_keys;
	*alias = false;
	while (low < high) { /* the first of that address: its own before a proxy */
		size_t mid = low + (high - low) / 2;
		if (strcasecmp(i->keys[mid].address, address) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == i->n_keys || strcasecmp(i->keys[low].address, address) != 0)
		return NULL;
	const struct inventory_row *row = &i->rows[i->keys[low].row];
	*alias = strcasecmp(row->address[0] ? row->address : row->principal, address) != 0;
	return row;
}
