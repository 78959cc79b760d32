/* What the store's own files share, and nobody else: a connection with its cached statements, queries, the writer's queue, readers.
   Only store/sqlite.c sees SQLite itself.

   Every change is a step: a function that runs on the write connection inside a transaction of the writer thread. A step may run a
   second time in a fresh transaction (when another step of its group failed), so it sets its results anew each time and keeps nothing
   from the first. */
#ifndef NF_ENGINE_STORE_PARTS_H
#define NF_ENGINE_STORE_PARTS_H

#include "engine/base/failpoint.h"
#include "engine/store/store.h"
#include "engine/store/vault.h"

#include <pthread.h>

/* --- store/sqlite.c: a connection, belongs to one thread at a time --- */
struct db;
struct sqlite3_stmt;

enum db_use { DB_WRITE, DB_READ };
int db_open(struct db **out, const char *path, enum db_use use, struct err *err);
void db_close(struct db **db);
/* Runs SQL that returns no rows; not cached. */
int db_exec(struct db *db, const char *sql, struct err *err);
/* First column of the first row of SQL that is not cached; -1 and err on failure. */
int db_ask(struct db *db, const char *sql, int64_t *out, struct err *err);
int db_ask_text(struct db *db, const char *sql, char *out, size_t size, struct err *err);
bool db_in_transaction(const struct db *db);
int64_t db_changes(const struct db *db); /* rows of the last statement */
int64_t db_last_id(const struct db *db);
/* Resets what an error path left open, so that no read transaction stays. */
void db_quiet(struct db *db);
/* Fills err from the connection's last error; always -1. */
int db_fail(struct db *db, struct err *err);

/* One use of a cached statement. sql is a string literal: its address is the key. Errors of begin and put show at row or run. */
struct query {
	struct db *db;           /* borrowed */
	struct sqlite3_stmt *st; /* borrowed: the cache's; NULL: could not be prepared */
	int arg, col;            /* next parameter, next column */
	int bad;                 /* first error of a put */
};
void query_begin(struct query *q, struct db *db, const char *sql);
void put_int(struct query *q, int64_t v);
void put_uint(struct query *q, uint64_t v); /* cut at INT64_MAX */
/* Text and blobs are borrowed until the query is run or ended. NULL text is "". */
void put_text(struct query *q, const char *s);
void put_text_cut(struct query *q, const char *s, size_t cap); /* cut at cap octets, not inside a UTF-8 character */
void put_blob(struct query *q, const void *p, size_t n);
void put_null(struct query *q);
int query_row(struct query *q, struct err *err); /* 1 a row, 0 no more, -1; after 0 and -1 the query is ended */
int query_run(struct query *q, struct err *err); /* to the end; 0 or -1; ended */
void query_end(struct query *q);
/* Columns from left to right. A state file may be anybody's: every copy is bounded, every enum checked. */
int64_t get_int(struct query *q);
uint64_t get_uint(struct query *q);               /* negative: 0 */
unsigned get_unsigned(struct query *q);           /* cut at UINT_MAX */
unsigned get_enum(struct query *q, unsigned end); /* 0 when it is not below end */
bool get_bool(struct query *q);
void get_text(struct query *q, char *out, size_t size);
void get_blob(struct query *q, void *out, size_t size);  /* the rest is zeroed */
size_t get_blob_view(struct query *q, const void **out); /* valid until the next step */
/* Yours; NULL for an SQL NULL; cut at cap octets. Out of memory: sets *failed. */
char *get_dup(struct query *q, size_t cap, bool *failed);

/* Makes room for one more element in an array of n that doubles; ERR_STORE beyond cap elements. */
int rows_grow(void **v, size_t *room, size_t n, size_t size, size_t cap, struct err *err);
/* SQLite's own texts are for developers; these for the person. */
int store_fail_damaged(const char *path, const char *what, struct err *err);

/* --- store/schema.c --- */
/* Decides what the file is (new, ours, older, newer, foreign), then makes or migrates the tables. */
int schema_check(struct db *db, const char *path, struct err *err);
int schema_ready(struct db *db, const char *path, struct err *err);

/* --- store/writer.c --- */
typedef int store_step(struct db *db, void *arg, struct err *err);
struct writer;
int writer_start(struct writer **out, struct db **db, struct err *err); /* takes the connection */
void writer_stop(struct writer **w);                                    /* after all is durable */
int writer_flush(struct writer *w, struct err *err);
/* Runs outside of a transaction, on the writer's connection. */
int writer_bare(struct writer *w, store_step *run, void *arg, struct err *err);

struct step {
	store_step *run;
	void *arg;
	void (*drop)(void *arg);      /* frees arg of a queued step */
	int64_t user_id;              /* whose trouble it is when a queued one fails */
	unsigned weight;              /* items */
	enum failpoint before, after; /* the commit; FAILPOINTS_END: none */
	const struct item *claims;    /* items whose receipts writer_claims is to see */
	size_t n_claims;
};
/* Waits until it is durable (0) or failed and changed nothing (-1). */
int writer_do(struct writer *w, const struct step *step, struct err *err);
/* Takes step->arg also on failure. Waits only for room in the queue. */
int writer_queue(struct writer *w, const struct step *step, struct err *err);
/* Is that destination id in a receipt that is queued and perhaps not visible to readers yet? */
bool writer_claims(struct writer *w, int64_t dest_folder_id, const char *id);
/* Goes up with each group that was committed or failed. */
uint64_t writer_groups(struct writer *w);
void writer_trouble(struct writer *w, int64_t user_id, struct err *out);

/* --- store.c --- */
struct store {
	char path[MODEL_PATH];
	char key_file[MODEL_PATH]; /* "": found as vault.h says */
	char who[MODEL_NAME];      /* login name, for the audit */
	struct writer *writer;     /* owned */
	pthread_mutex_t
		lock;       /* guards the fields below; never held in a call out of store.c or store/secret.c's vault */
	struct db *idle[8]; /* owned: read connections nobody uses now */
	unsigned n_idle;
	struct vault *vault; /* owned; opened at the first secret */
};
/* A durable change without more ado. */
int store_do(struct store *s, store_step *run, void *arg, struct err *err);
/* A change that is durable soon. Takes arg (free) also on failure; waits only for room in the queue. */
int store_queue(struct store *s, store_step *run, void *arg, int64_t user_id, struct err *err);
/* A look on a read connection: what is durable (and what other processes wrote). */
int store_look(struct store *s, store_step *run, void *arg, struct err *err);
/* The same after all that is queued has become durable: for whatever decides by the states of items. */
int store_look_settled(struct store *s, store_step *run, void *arg, struct err *err);

/* The last engine did not end well: is the file sound? Files so large that it would take long are not looked through. */
int store_check_unclean(struct store *s, struct err *err);

/* --- shared steps --- */
/* store/lease.c: ERR_CONFLICT when the lease is not held under that epoch any more. */
int lease_check(struct db *db, int64_t user_id, int64_t epoch, struct err *err);
/* Gives the batch its end state when no user of it is to do anything any more. */
int batch_settle(struct db *db, int64_t batch_id, struct err *err);
/* store/audit.c */
int audit_add(
	struct db *db, const char *who, const char *action, const char *object, const char *detail, struct err *err);
int note_add(struct db *db, int64_t user_id, const char *kind, const char *text, struct err *err);
/* store/secret.c: the vault, opened when it was not yet. */
int secret_vault(struct store *s, bool to_seal, const struct vault **out, struct err *err);
int secret_put_row(struct db *db, const struct vault *v, const char *owner, int64_t id, const char *name,
	const struct secret *secret, struct err *err);
int secret_drop_rows(struct db *db, const char *owner, int64_t id, const char *name, struct err *err);
/* store/user.c: the columns of USER_COLUMNS, in order. */
#define USER_COLUMNS \
	"u.id, u.batch_id, u.line, u.source_user, u.user_root, u.address, u.dest_id, u.state, u.synced_at, " \
	"u.want, u.pass, " \
	"w.held, u.error_kind, u.error, u.retry_at, u.tries, u.crashes, w.epoch, " \
	"u.started_at, " COUNT_COLUMNS("w") ", w.folder, u.dest_address " \
					    "FROM user u JOIN work w ON w.user_id = u.id"
#define COUNT_COLUMNS(t) \
	t ".found, " t ".copied, " t ".adopted, " t ".skipped, " t ".refused, " t ".gone, " t ".in_doubt, " t \
	  ".found_bytes, " t ".copied_bytes"
void user_read(struct query *q, struct user *out);
void counts_read(struct query *q, struct user_counts *out);
/* store/look.c: the columns of ITEM_COLUMNS, in order. -1: ERR_MEMORY, *out is empty then. */
#define ITEM_COLUMNS \
	"i.generation_id, i.uid, i.state, i.how, i.dest_folder_id, i.size, i.flags_source, " \
	"i.flags_written, i.received_at, " \
	"i.received_zone, i.received_known, i.sha256, i.message_id, i.hdr_date, i.hdr_from, i.hdr_subject, " \
	"i.key, i.route, " \
	"i.dest_id, i.at, i.error_kind, i.error, i.epoch FROM item i"
int item_read(struct query *q, struct item *out, struct err *err);

/* store/count.c: changes of counts that a step made, summed up and written once a generation and once a user. */
enum count {
	COUNT_FOUND,
	COUNT_COPIED,
	COUNT_ADOPTED,
	COUNT_SKIPPED,
	COUNT_REFUSED,
	COUNT_GONE,
	COUNT_IN_DOUBT,
	COUNT_FOUND_BYTES,
	COUNT_COPIED_BYTES,
	COUNTS
};
#define TALLY_ROUTES 4 /* of one step */
struct tally {
	int64_t user_id, epoch, generation_id;
	bool left; /* the generation is not the folder's current one any more */
	int64_t folder[COUNTS], user[COUNTS];
	struct {
		char route[8];
		int64_t copied, copied_bytes;
	} routes[TALLY_ROUTES];
};
void tally_begin(struct tally *t, int64_t user_id, int64_t epoch);
/* The next items are of this generation. ERR_CONFLICT: it is not the user's. */
int tally_generation(struct tally *t, struct db *db, int64_t generation_id, struct err *err);
void tally_add(struct tally *t, enum item_state state, enum item_how how, uint64_t size, int sign);
/* A message that a route carried. */
int tally_route(struct tally *t, struct db *db, const char *route, uint64_t size, int sign, struct err *err);
/* Writes the sums; this is also where a stale lease is found. */
int tally_end(struct tally *t, struct db *db, struct err *err);

#endif
