/* The home of SQLite: connections, cached statements, typed binds and bounded reads, and what its errors mean for the person. */
#include "engine/store/parts.h"

#include "engine/base/clock.h"
#include "engine/base/utf8.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sqlite3.h>

#define CACHE_SLOTS 256 /* more than twice the statements there are */
#define BUSY_MS 10000

struct db {
	sqlite3 *sql; /* owned */
	struct {
		const char *text;
		sqlite3_stmt *st;
	} cache[CACHE_SLOTS];
	unsigned cached;
	int64_t busy_since; /* mono; when the wait for a lock of another process began */
};

int store_fail_damaged(const char *path, const char *what, struct err *err)
{
	err_set(err, ERR_STORE, "the state file %s is damaged (%s)", path, what);
	err_hint(err, "keep a copy of it and begin with a new state file (--state): mail that has arrived "
		      "already is recognised "
		      "at the destination and not copied again");
	return -1;
}

/* The file's own path, for messages. */
static const char *db_path(const struct db *db)
{
	const char *path = db->sql ? sqlite3_db_filename(db->sql, "main") : NULL;
	return path && path[0] ? path : "(state)";
}

static int fail_disk(const struct db *db, int saved_errno, struct err *err)
{
	bool full = saved_errno == 0 || saved_errno == ENOSPC || saved_errno == EDQUOT;
	err_set(err, ERR_DISK,
		full ? "no room on the disk for the state file %s" : "the state file %s cannot be read or written: %s",
		db_path(db), strerror(saved_errno));
	err_hint(err, full ? "make room there and start again: nothing is lost, the run goes on where it stopped"
			   : "look at the disk, its room and limits (ulimit -f), and the rights of its folder; the run "
			     "goes on where it stopped");
	return -1;
}

int db_fail(struct db *db, struct err *err)
{
	int code = db->sql ? sqlite3_extended_errcode(db->sql) : SQLITE_NOMEM;
	const char *path = db_path(db);
	int system_errno = db->sql ? sqlite3_system_errno(db->sql) : 0;
	switch (code & 0xff) {
	case SQLITE_FULL:
		return fail_disk(db, 0, err);
	case SQLITE_IOERR:
		return code == SQLITE_IOERR_NOMEM ? err_set(err, ERR_MEMORY, "out of memory in the store")
						  : fail_disk(db, system_errno ? system_errno : EIO, err);
	case SQLITE_READONLY:
		err_set(err, ERR_STORE, "the state file %s is read-only for this user", path);
		err_hint(err, "run as its owner, or give the state's folder and file back to this user");
		return -1;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		err_set(err, ERR_STORE, "the state file %s cannot be opened%s%s", path, system_errno ? ": " : "",
			system_errno ? strerror(system_errno) : "");
		err_hint(err, "its folder must be there and writable for this user");
		return -1;
	case SQLITE_CORRUPT:
		return store_fail_damaged(path, sqlite3_errmsg(db->sql), err);
	case SQLITE_NOTADB:
		err_set(err, ERR_STORE, "%s is not a nightferry state file", path);
		err_hint(err, "name another file with --state");
		return -1;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		err_set(err, ERR_STORE, "another process has kept the state file %s locked for %d seconds", path,
			BUSY_MS / 1000);
		err_hint(err, "find it with `fuser %s`, then try again", path);
		return -1;
	case SQLITE_NOMEM:
		return err_set(err, ERR_MEMORY, "out of memory in the store");
	case SQLITE_CONSTRAINT:
		return err_set(err, ERR_CONFLICT, "the state would contradict itself (%s)", sqlite3_errmsg(db->sql));
	case SQLITE_TOOBIG:
		return err_set(err, ERR_STORE, "a value is too large for the state file");
	default:
		return err_set(
			err, ERR_STORE, "the state file %s: %s", path, db->sql ? sqlite3_errmsg(db->sql) : "no memory");
	}
}

/* SQLite's own busy timeout sleeps up to 100 ms between looks and would rarely meet the short gaps that a busy engine leaves. */
static int on_busy(void *arg, int n)
{
	struct db *db = arg;
	int64_t now = clock_mono_ms();
	if (n == 0)
		db->busy_since = now;
	if (now - db->busy_since >= BUSY_MS)
		return 0;
	struct timespec nap = {.tv_nsec = n < 4 ? 250000 : 2000000};
	nanosleep(&nap, NULL);
	return 1;
}

/* A state file may come from anybody: what it could make SQLite do is turned off. */
static int harden(struct db *db, struct err *err)
{
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_limit(db->sql, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(db->sql, SQLITE_LIMIT_LENGTH, 16 * 1024 * 1024);
	return db_exec(db, "PRAGMA cell_size_check = ON", err);
}

/* SQLite counts its memory under one lock for all connections, which each of its allocations takes; nobody asks for the counts. */
static void set_up(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int db_open(struct db **out, const char *path, enum db_use use, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_up);
	*out = NULL;
	struct db *db = calloc(1, sizeof(*db));
	if (!db)
		return err_set(err, ERR_MEMORY, "out of memory for a connection to the state file");
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	int rc = sqlite3_open_v2(path, &db->sql, flags, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_extended_result_codes(db->sql, 1);
		sqlite3_busy_handler(db->sql, on_busy, db);
		rc = harden(db, err);
		if (rc == 0)
			/* EXTRA is FULL, and also syncs the folder when the rollback journal of the change to WAL goes: if that came back after
			   a power cut, the new database would be rolled back to nothing (tests/unit/store/power_test.c). */
			rc = db_exec(db,
				use == DB_WRITE ? "PRAGMA foreign_keys = ON; PRAGMA synchronous = EXTRA; "
						  "PRAGMA cache_size = -4096; PRAGMA secure_delete = FAST; "
						  "PRAGMA journal_size_limit = 16777216; PRAGMA temp_store = MEMORY"
						: "PRAGMA query_only = ON; PRAGMA cache_size = -1024; "
						  "PRAGMA temp_store = MEMORY",
				err);
	} else {
		rc = db_fail(db, err);
	}
	if (rc < 0) {
		db_close(&db);
		return -1;
	}
	*out = db;
	return 0;
}

void db_close(struct db **db)
{
	if (!*db)
		return;
	for (unsigned i = 0; i < CACHE_SLOTS; i++)
		sqlite3_finalize((*db)->cache[i].st);
	sqlite3_close_v2((*db)->sql);
	free(*db);
	*db = NULL;
}

int db_exec(struct db *db, const char *sql, struct err *err)
{
	return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_fail(db, err);
}

/* One row of one column of uncached SQL; read is called on it. */
static int ask(struct db *db, const char *sql, int64_t *number, char *text, size_t size, struct err *err)
{
	struct query q = {.db = db};
	if (sqlite3_prepare_v2(db->sql, sql, -1, &q.st, NULL) != SQLITE_OK)
		return db_fail(db, err);
	int rc = sqlite3_step(q.st);
	if (rc == SQLITE_ROW && number)
		*number = get_int(&q);
	else if (rc == SQLITE_ROW)
		get_text(&q, text, size);
	int result = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : db_fail(db, err);
	sqlite3_finalize(q.st);
	return result;
}

int db_ask(struct db *db, const char *sql, int64_t *out, struct err *err)
{
	*out = 0;
	return ask(db, sql, out, NULL, 0, err);
}

int db_ask_text(struct db *db, const char *sql, char *out, size_t size, struct err *err)
{
	out[0] = '\0';
	return ask(db, sql, NULL, out, size, err);
}

bool db_in_transaction(const struct db *db)
{
	return !sqlite3_get_autocommit(db->sql);
}

int64_t db_changes(const struct db *db)
{
	return sqlite3_changes64(db->sql);
}

int64_t db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->sql);
}

void db_quiet(struct db *db)
{
	for (sqlite3_stmt *st = sqlite3_next_stmt(db->sql, NULL); st; st = sqlite3_next_stmt(db->sql, st)) {
		if (sqlite3_stmt_busy(st))
			sqlite3_reset(st);
	}
}

void query_begin(struct query *q, struct db *db, const char *sql)
{
	*q = (struct query){.db = db};
	size_t slot = ((uintptr_t)sql * 0x9e3779b97f4a7c15u) >> 56;
	while (db->cache[slot].text && db->cache[slot].text != sql)
		slot = (slot + 1) % CACHE_SLOTS;
	if (!db->cache[slot].text) {
		assert(db->cached < CACHE_SLOTS * 3 / 4);
		if (sqlite3_prepare_v3(db->sql, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->st, NULL) != SQLITE_OK) {
			q->st = NULL;
			return;
		}
		db->cache[slot].text = sql;
		db->cache[slot].st = q->st;
		db->cached++;
	}
	q->st = db->cache[slot].st;
}

static void put_done(struct query *q, int rc)
{
	if (rc != SQLITE_OK && !q->bad)
		q->bad = rc;
}

void put_int(struct query *q, int64_t v)
{
	if (q->st)
		put_done(q, sqlite3_bind_int64(q->st, ++q->arg, v));
}

void put_uint(struct query *q, uint64_t v)
{
	put_int(q, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

void put_text(struct query *q, const char *s)
{
	if (q->st)
		put_done(q, sqlite3_bind_text(q->st, ++q->arg, s ? s : "", -1, SQLITE_STATIC));
}

void put_text_cut(struct query *q, const char *s, size_t cap)
{
	size_t n = s ? strnlen(s, cap + 1) : 0;
	if (n > cap) {
		n = cap;
		while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
			n--;
	}
	if (q->st)
		put_done(q, sqlite3_bind_text(q->st, ++q->arg, n ? s : "", (int)n, SQLITE_STATIC));
}

void put_blob(struct query *q, const void *p, size_t n)
{
	if (q->st)
		put_done(q, sqlite3_bind_blob64(q->st, ++q->arg, n ? p : "", n, SQLITE_STATIC));
}

void put_null(struct query *q)
{
	if (q->st)
		put_done(q, sqlite3_bind_null(q->st, ++q->arg));
}

void query_end(struct query *q)
{
	if (q->st)
		sqlite3_reset(q->st); /* its result repeats the step's, which was looked at */
	q->st = NULL;
}

int query_row(struct query *q, struct err *err)
{
	q->col = 0;
	if (!q->st || q->bad) {
		query_end(q);
		return db_fail(q->db, err);
	}
	int rc = sqlite3_step(q->st);
	if (rc == SQLITE_ROW)
		return 1;
	int result = rc == SQLITE_DONE ? 0 : db_fail(q->db, err);
	query_end(q);
	return result;
}

int query_run(struct query *q, struct err *err)
{
	int rc;
	do
		rc = query_row(q, err);
	while (rc > 0);
	return rc;
}

int64_t get_int(struct query *q)
{
	return sqlite3_column_int64(q->st, q->col++);
}

uint64_t get_uint(struct query *q)
{
	int64_t v = get_int(q);
	return v < 0 ? 0 : (uint64_t)v;
}

unsigned get_unsigned(struct query *q)
{
	uint64_t v = get_uint(q);
	return v > UINT_MAX ? UINT_MAX : (unsigned)v;
}

unsigned get_enum(struct query *q, unsigned end)
{
	int64_t v = get_int(q);
	return v < 0 || v >= (int64_t)end ? 0 : (unsigned)v;
}

bool get_bool(struct query *q)
{
	return get_int(q) != 0;
}

void get_text(struct query *q, char *out, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(q->st, q->col);
	size_t n = text ? (size_t)sqlite3_column_bytes(q->st, q->col) : 0;
	q->col++;
	bool cut = n > size - 1;
	if (cut)
		n = size - 1;
	if (n > 0)
		memcpy(out, text, n);
	out[n] = '\0';
	if (cut)
		utf8_trim(out); /* half a character would void a whole line of JSON */
}

size_t get_blob_view(struct query *q, const void **out)
{
	*out = sqlite3_column_blob(q->st, q->col);
	size_t n = *out ? (size_t)sqlite3_column_bytes(q->st, q->col) : 0;
	q->col++;
	return n;
}

void get_blob(struct query *q, void *out, size_t size)
{
	const void *p;
	size_t n = get_blob_view(q, &p);
	if (n > size)
		n = size;
	memset(out, 0, size);
	if (n > 0)
		memcpy(out, p, n);
}

char *get_dup(struct query *q, size_t cap, bool *failed)
{
	const char *text = (const char *)sqlite3_column_text(q->st, q->col);
	size_t n = text ? (size_t)sqlite3_column_bytes(q->st, q->col) : 0;
	q->col++;
	if (!text)
		return NULL;
	char *copy = strndup(text, n > cap ? cap : n);
	if (!copy)
		*failed = true;
	return copy;
}

int rows_grow(void **v, size_t *room, size_t n, size_t size, size_t cap, struct err *err)
{
	if (n < *room)
		return 0;
	if (n >= cap)
		return err_set(
			err, ERR_STORE, "the state file holds more than %zu rows where that many cannot be", cap);
	size_t more = *room ? *room * 2 : 16;
	void *grown = more > SIZE_MAX / size ? NULL : realloc(*v, more * size);
	if (!grown)
		return err_set(err, ERR_MEMORY, "out of memory for %zu rows", more);
	*v = grown;
	*room = more;
	return 0;
}
