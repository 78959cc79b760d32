/* Batches: rows, their creation with all users in one transaction, and what the person asks of them. */
#include "engine/store/parts.h"

#include "engine/base/clock.h"
#include "engine/store/names.h"
#include "engine/store/rows.h"

#include <assert.h>
#include <ctype.h>

#define BATCHES ((size_t)10000)
#define BATCH_USERS 50000

#define BATCH_COLUMNS \
	"id, name, endpoint_id, target_id, pilot, without_pilot, state, max_mailboxes, uploads, " \
	"bytes_per_s, existing, " \
	"copy_deleted, date_from_header, folders_in, folders_out, skips_acknowledged, verdict, created_at, " \
	"started_at, ended_at " \
	"FROM batch "

static void read_row(struct query *q, void *row)
{
	struct batch *b = row;
	b->id = get_int(q);
	get_text(q, b->name, sizeof(b->name));
	b->endpoint_id = get_int(q);
	b->target_id = get_int(q);
	b->pilot = get_bool(q);
	b->without_pilot = get_bool(q);
	b->state = get_enum(q, BATCH_FAILED + 1);
	b->max_mailboxes = get_unsigned(q);
	b->uploads = get_unsigned(q);
	b->bytes_per_s = get_uint(q);
	b->existing = get_enum(q, EXISTING_REFUSE + 1);
	b->copy_deleted = get_bool(q);
	b->date_from_header = get_bool(q);
	get_text(q, b->include, sizeof(b->include));
	get_text(q, b->exclude, sizeof(b->exclude));
	b->skips_acknowledged = get_bool(q);
	get_text(q, b->verdict, sizeof(b->verdict));
	b->created_at = get_int(q);
	b->started_at = get_int(q);
	b->ended_at = get_int(q);
}

static const struct named kind = NAMED("batch", "a", BATCH_COLUMNS, "id", read_row, struct batch, BATCHES);

static void put_options(struct query *q, const struct batch *b)
{
	put_text(q, b->name);
	put_int(q, b->endpoint_id);
	put_int(q, b->target_id);
	put_int(q, b->pilot);
	put_int(q, b->without_pilot);
	put_uint(q, b->max_mailboxes);
	put_uint(q, b->uploads);
	put_uint(q, b->bytes_per_s);
	put_uint(q, b->existing);
	put_int(q, b->copy_deleted);
	put_int(q, b->date_from_header);
	put_text(q, b->include);
	put_text(q, b->exclude);
	put_int(q, b->skips_acknowledged);
	put_text(q, b->verdict);
}

/* --- create --- */

struct create_args {
	struct batch *b;
	struct user *users;
	const struct secret *const *passwords;
	const struct vault *vault; /* NULL: there are no passwords */
	size_t n;
	int64_t batch_id, first_user_id;
};

/* Addresses are compared without the case of ASCII letters. */
static void fold(const char *in, char *out, size_t size)
{
	size_t i = 0;
	for (; in[i] && i + 1 < size; i++)
		out[i] = (char)((in[i] & 0x80) ? in[i] : tolower((unsigned char)in[i]));
	out[i] = '\0';
}

/* Is the destination one that a row of this batch, or a user of another batch that is not completed, has? Two targets are one place when they
   are the same tenant or host. */
static int check_destination(
	struct db *db, const struct create_args *a, const struct user *u, const char *key, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"SELECT b.name, o.line, b.id FROM user o JOIN batch b ON b.id = o.batch_id JOIN target t "
		"ON t.id = b.target_id "
		"JOIN target mine ON mine.id = ?2 WHERE o.address_key = ?1 AND (o.batch_id = ?3 OR "
		"o.state NOT IN (?4, ?5)) "
		"AND (t.id = mine.id OR (t.kind = mine.kind AND t.tenant = mine.tenant AND t.imap_host = "
		"mine.imap_host)) LIMIT 1");
	put_text(&q, key);
	put_int(&q, a->b->target_id);
	put_int(&q, a->batch_id);
	put_uint(&q, USER_COMPLETED);
	put_uint(&q, USER_COMPLETED_WITH_WARNINGS);
	int rc = query_row(&q, err);
	if (rc <= 0)
		return rc;
	char name[MODEL_NAME];
	get_text(&q, name, sizeof(name));
	unsigned line = get_unsigned(&q);
	bool same = get_int(&q) == a->batch_id;
	query_end(&q);
	if (same) {
		err_set(err, ERR_CONFLICT, "rows %u and %u of the CSV have one destination, %s", line, u->row,
			u->address);
	} else {
		err_set(err, ERR_CONFLICT,
			"the destination of row %u, %s, is that of row %u of batch \"%s\", which is not "
			"completed",
			u->row, u->address, line, name);
		err_hint(err, "complete or delete it there, or leave the row out");
	}
	return -1;
}

static int add_user(struct db *db, struct create_args *a, size_t i, struct err *err)
{
	const struct user *u = &a->users[i];
	char key[MODEL_TEXT];
	struct query q;
	fold(u->address, key, sizeof(key));
	if (check_destination(db, a, u, key, err) < 0)
		return -1;
	query_begin(&q, db,
		"INSERT INTO user (batch_id, line, source_user, user_root, address, address_key, state) "
		"VALUES (?, ?, ?, ?, ?, ?, ?)");
	put_int(&q, a->batch_id);
	put_uint(&q, u->row);
	put_text(&q, u->source_user);
	put_text(&q, u->user_root);
	put_text(&q, u->address);
	put_text(&q, key);
	put_uint(&q, USER_STOPPED);
	if (query_run(&q, err) < 0)
		return -1;
	int64_t id = db_last_id(db);
	if (i == 0)
		a->first_user_id = id;
	assert(id == a->first_user_id + (int64_t)i); /* AUTOINCREMENT, one transaction */
	query_begin(&q, db, "INSERT INTO work (user_id) VALUES (?)");
	put_int(&q, id);
	if (query_run(&q, err) < 0)
		return -1;
	return a->passwords && a->passwords[i]
		       ? secret_put_row(db, a->vault, "user", id, "password", a->passwords[i], err)
		       : 0;
}

static int create_step(struct db *db, void *arg, struct err *err)
{
	struct create_args *a = arg;
	struct query q;
	if (named_is_free(db, &kind, a->b->name, 0, err) < 0)
		return -1;
	query_begin(&q, db,
		"INSERT INTO batch (name, endpoint_id, target_id, pilot, without_pilot, max_mailboxes, "
		"uploads, bytes_per_s, existing, "
		"copy_deleted, date_from_header, folders_in, folders_out, skips_acknowledged, verdict, "
		"state, created_at, started_at, "
		"ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)");
	put_options(&q, a->b);
	put_uint(&q, BATCH_CREATED);
	put_int(&q, a->b->created_at);
	if (query_run(&q, err) < 0)
		return err_wrap(err, "batch \"%s\"", a->b->name);
	a->batch_id = db_last_id(db);
	for (size_t i = 0; i < a->n; i++) {
		if (add_user(db, a, i, err) < 0)
			return -1;
	}
	return 0;
}

int store_batch_create(struct store *s, struct batch *b, struct user *users, const struct secret *const *passwords,
	size_t n, struct err *err)
{
	if (names_check(kind.a_noun, b->name, err) < 0)
		return -1;
	if (n == 0 || n > BATCH_USERS)
		return err_set(err, ERR_USAGE, "a batch has 1 to %d users, this one %zu", BATCH_USERS, n);
	if (b->created_at == 0)
		b->created_at = clock_wall_s();
	struct create_args a = {.b = b, .users = users, .passwords = passwords, .n = n};
	for (size_t i = 0; passwords && i < n && !a.vault; i++) {
		if (passwords[i] && secret_vault(s, true, &a.vault, err) < 0)
			return -1;
	}
	if (store_do(s, create_step, &a, err) < 0)
		return -1;
	b->id = a.batch_id;
	b->state = BATCH_CREATED;
	for (size_t i = 0; i < n; i++) {
		users[i].id = a.first_user_id + (int64_t)i;
		users[i].batch_id = a.batch_id;
		users[i].state = USER_STOPPED;
	}
	return 0;
}

/* --- save, get, list, delete --- */

static int save_step(struct db *db, void *arg, struct err *err)
{
	const struct batch *b = arg;
	struct query q;
	if (named_is_free(db, &kind, b->name, b->id, err) < 0)
		return -1;
	query_begin(&q, db,
		"UPDATE batch SET name = ?, endpoint_id = ?, target_id = ?, pilot = ?, without_pilot = "
		"?, max_mailboxes = ?, uploads = ?, "
		"bytes_per_s = ?, existing = ?, copy_deleted = ?, date_from_header = ?, folders_in = ?, "
		"folders_out = ?, "
		"skips_acknowledged = ?, verdict = ? WHERE id = ?");
	put_options(&q, b);
	put_int(&q, b->id);
	if (query_run(&q, err) < 0)
		return -1;
	return named_changed(db, &kind, err);
}

int store_batch_save(struct store *s, const struct batch *b, struct err *err)
{
	struct batch copy = *b;
	return names_check(kind.a_noun, b->name, err) < 0 ? -1 : store_do(s, save_step, &copy, err);
}

int store_batch_get(struct store *s, const char *name, struct batch *out, struct err *err)
{
	return named_get(s, &kind, name, 0, out, err);
}

int store_batch_by_id(struct store *s, int64_t id, struct batch *out, struct err *err)
{
	return named_get(s, &kind, NULL, id, out, err);
}

int store_batch_list(struct store *s, struct batch **out, size_t *n, struct err *err)
{
	void *rows;
	int rc = rows_list(s, &kind.all, 0, &rows, n, err);
	*out = rows;
	return rc;
}

static int delete_step(struct db *db, void *arg, struct err *err)
{
	const int64_t *id = arg;
	struct query q;
	query_begin(&q, db,
		"SELECT EXISTS (SELECT 1 FROM user WHERE batch_id = ?1 AND want > 0) "
		"OR EXISTS (SELECT 1 FROM work w JOIN user u ON u.id = w.user_id WHERE w.held = 1 AND "
		"u.batch_id = ?1)");
	put_int(&q, *id);
	int rc = query_row(&q, err);
	bool runs = rc > 0 && get_bool(&q);
	query_end(&q);
	if (rc < 0)
		return -1;
	if (runs) {
		err_set(err, ERR_CONFLICT, "the batch runs");
		err_hint(err, "`nightferry batch stop` it first");
		return -1;
	}
	query_begin(&q, db,
		"DELETE FROM secret WHERE owner = 'user' AND owner_id IN (SELECT id FROM user WHERE "
		"batch_id = ?)");
	put_int(&q, *id);
	if (query_run(&q, err) < 0)
		return -1;
	return named_remove(db, &kind, *id, err);
}

int store_batch_delete(struct store *s, int64_t id, struct err *err)
{
	return store_do(s, delete_step, &id, err);
}

struct state_args {
	int64_t id;
	enum batch_state state;
	const char *verdict;
};

static int state_step(struct db *db, void *arg, struct err *err)
{
	const struct state_args *a = arg;
	struct query q;
	query_begin(&q, db,
		a->verdict ? "UPDATE batch SET verdict = ? WHERE id = ?" : "UPDATE batch SET state = ? WHERE id = ?");
	if (a->verdict)
		put_text_cut(&q, a->verdict, sizeof(((struct batch *)0)->verdict) - 1);
	else
		put_uint(&q, a->state);
	put_int(&q, a->id);
	if (query_run(&q, err) < 0)
		return -1;
	return named_changed(db, &kind, err);
}

int store_batch_state(struct store *s, int64_t id, enum batch_state state, struct err *err)
{
	struct state_args a = {.id = id, .state = state};
	return store_do(s, state_step, &a, err);
}

int store_verdict(struct store *s, int64_t batch_id, const char *verdict, struct err *err)
{
	struct state_args a = {.id = batch_id, .verdict = verdict};
	return store_do(s, state_step, &a, err);
}
