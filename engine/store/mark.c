/* What is new in a destination folder, route by route: marks, the ids that lay there before them, and what other routes brought after them. */
#include "engine/store/parts.h"

#include "engine/store/rows.h"

#define TWINS ((size_t)20000000)
#define DOUBT_FOLDERS ((size_t)100000)

struct mark_args {
	int64_t user_id, epoch, dest_folder_id;
	const char *route, *generation, *mark;
	const char *const *ids;
	size_t n;
	bool first;
	struct dest_mark *out;
};

static int mark_look(struct db *db, void *arg, struct err *err)
{
	struct mark_args *a = arg;
	struct query q;
	query_begin(&q, db, "SELECT generation, mark, epoch FROM dest_mark WHERE dest_folder_id = ? AND route = ?");
	put_int(&q, a->dest_folder_id);
	put_text(&q, a->route);
	memset(a->out, 0, sizeof(*a->out));
	int rc = query_row(&q, err);
	if (rc > 0) {
		a->out->known = true;
		get_text(&q, a->out->generation, sizeof(a->out->generation));
		get_text(&q, a->out->mark, sizeof(a->out->mark));
		a->out->epoch = get_int(&q);
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_mark(struct store *s, int64_t dest_folder_id, const char *route, struct dest_mark *out, struct err *err)
{
	struct mark_args a = {.dest_folder_id = dest_folder_id, .route = route, .out = out};
	return store_look(s, mark_look, &a, err);
}

/* The folder must be one of the user that the lease is of. */
static int check_folder(struct db *db, const struct mark_args *a, struct err *err)
{
	struct query q;
	if (lease_check(db, a->user_id, a->epoch, err) < 0)
		return -1;
	query_begin(&q, db, "SELECT 1 FROM dest_folder WHERE id = ? AND user_id = ?");
	put_int(&q, a->dest_folder_id);
	put_int(&q, a->user_id);
	int rc = query_row(&q, err);
	query_end(&q);
	return rc > 0   ? 0
	       : rc < 0 ? -1
			: err_set(err, ERR_CONFLICT, "the destination folder is not one of this mailbox");
}

static int take_step(struct db *db, void *arg, struct err *err)
{
	const struct mark_args *a = arg;
	struct query q;
	if (check_folder(db, a, err) < 0)
		return -1;
	query_begin(&q, db,
		"INSERT OR REPLACE INTO dest_mark (dest_folder_id, route, generation, mark, epoch) VALUES (?, ?, ?, ?, "
		"?)");
	put_int(&q, a->dest_folder_id);
	put_text(&q, a->route);
	put_text(&q, a->generation);
	put_text(&q, a->mark);
	put_int(&q, a->epoch);
	return query_run(&q, err);
}

int store_mark_take(struct store *s, int64_t user_id, int64_t epoch, int64_t dest_folder_id, const char *route,
	const char *generation, const char *mark, struct err *err)
{
	if (strlen(generation) >= sizeof(((struct dest_mark *)0)->generation) ||
		strlen(mark) >= sizeof(((struct dest_mark *)0)->mark))
		return err_set(err, ERR_FOLDER, "the destination folder's mark is too long");
	struct mark_args a = {.user_id = user_id,
		.epoch = epoch,
		.dest_folder_id = dest_folder_id,
		.route = route,
		.generation = generation,
		.mark = mark};
	struct step step = {.run = take_step, .arg = &a, .before = FP_MARK_BEFORE_SAVE, .after = FP_MARK_AFTER_SAVE};
	return writer_do(s->writer, &step, err);
}

static int ids_step(struct db *db, void *arg, struct err *err)
{
	const struct mark_args *a = arg;
	struct query q;
	if (check_folder(db, a, err) < 0)
		return -1;
	if (a->first) {
		query_begin(&q, db, "DELETE FROM dest_old WHERE dest_folder_id = ? AND route = ?");
		put_int(&q, a->dest_folder_id);
		put_text(&q, a->route);
		if (query_run(&q, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < a->n; i++) {
		query_begin(&q, db, "INSERT OR IGNORE INTO dest_old (dest_folder_id, route, id) VALUES (?, ?, ?)");
		put_int(&q, a->dest_folder_id);
		put_text(&q, a->route);
		put_text(&q, a->ids[i]);
		if (query_run(&q, err) < 0)
			return -1;
	}
	return 0;
}

int store_mark_ids(struct store *s, int64_t user_id, int64_t epoch, int64_t dest_folder_id, const char *route,
	const char *const *ids, size_t n, bool first, struct err *err)
{
	struct mark_args a = {.user_id = user_id,
		.epoch = epoch,
		.dest_folder_id = dest_folder_id,
		.route = route,
		.ids = ids,
		.n = n,
		.first = first};
	return store_do(s, ids_step, &a, err);
}

struct accounted_args {
	int64_t dest_folder_id;
	const char *route, *id;
	bool old, yes;
};

static int accounted_look(struct db *db, void *arg, struct err *err)
{
	struct accounted_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"SELECT EXISTS (SELECT 1 FROM item WHERE dest_folder_id = ?1 AND dest_id = ?2 AND route = ?3) "
		"OR (?4 AND EXISTS (SELECT 1 FROM dest_old WHERE dest_folder_id = ?1 AND route = ?3 AND id = ?2))");
	put_int(&q, a->dest_folder_id);
	put_text(&q, a->id);
	put_text(&q, a->route);
	put_int(&q, a->old);
	int rc = query_row(&q, err);
	a->yes = rc > 0 && get_bool(&q);
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_accounted(struct store *s, int64_t dest_folder_id, const char *route, bool old, const char *id, bool *yes,
	struct err *err)
{
	struct accounted_args a = {.dest_folder_id = dest_folder_id, .route = route, .id = id, .old = old};
	int rc = store_look(s, accounted_look, &a, err);
	*yes = a.yes;
	return rc;
}

/* --- what other routes brought --- */

struct twin_args {
	int64_t dest_folder_id, epoch;
	const char *route;
	const uint8_t (*keys)[PRINT_KEY_BYTES];
	size_t n_keys;
	struct item *v;
	size_t n, room;
};

static int key_compare(const void *a, const void *b)
{
	return memcmp(a, b, PRINT_KEY_BYTES);
}

static bool is_asked_for(const struct twin_args *a, const uint8_t *key)
{
	return !a->keys || bsearch(key, a->keys, a->n_keys, PRINT_KEY_BYTES, key_compare);
}

/* By the index of receipts: it goes once through the folder, and only where several routes are at work and something is in doubt. */
static int twin_look(struct db *db, void *arg, struct err *err)
{
	struct twin_args *a = arg;
	struct query q;
	int rc;
	a->n = 0;
	query_begin(&q, db,
		"SELECT generation_id, uid, state, how, size, sha256, key, route, dest_id, epoch FROM item "
		"WHERE dest_folder_id = ? AND dest_id IS NOT NULL AND route <> ? AND epoch >= ?");
	put_int(&q, a->dest_folder_id);
	put_text(&q, a->route);
	put_int(&q, a->epoch);
	while ((rc = query_row(&q, err)) > 0) {
		struct item it = {.dest_folder_id = a->dest_folder_id};
		it.generation_id = get_int(&q);
		it.uid = get_unsigned(&q);
		it.state = get_enum(&q, ITEM_GONE + 1);
		it.how = get_enum(&q, HOW_CARRIED + 1);
		it.size = it.print.size = get_uint(&q);
		get_blob(&q, it.print.sha256, sizeof(it.print.sha256));
		get_blob(&q, it.key, sizeof(it.key));
		get_text(&q, it.receipt.route, sizeof(it.receipt.route));
		get_text(&q, it.receipt.id, sizeof(it.receipt.id));
		it.epoch = get_int(&q);
		if (!is_asked_for(a, it.key))
			continue;
		if (rows_grow((void **)&a->v, &a->room, a->n, sizeof(*a->v), TWINS, err) < 0) {
			query_end(&q);
			return -1;
		}
		a->v[a->n++] = it;
	}
	return rc;
}

int store_twins(struct store *s, int64_t dest_folder_id, const char *route, int64_t epoch,
	const uint8_t (*keys)[PRINT_KEY_BYTES], size_t n_keys, struct item **out, size_t *n, struct err *err)
{
	struct twin_args a = {
		.dest_folder_id = dest_folder_id, .epoch = epoch, .route = route, .keys = keys, .n_keys = n_keys};
	int rc = store_look_settled(s, twin_look, &a, err);
	if (rc < 0) {
		free(a.v);
		a.v = NULL;
		a.n = 0;
	}
	*out = a.v;
	*n = a.n;
	return rc;
}

/* --- folders with items in doubt --- */

static void read_doubt_folder(struct query *q, void *row)
{
	struct doubt_folder *f = row;
	f->id = get_int(q);
	bool failed = false;
	f->path = get_dup(q, MODEL_FOLDER, &failed);
}

static void drop_doubt_folder(void *row)
{
	free(((struct doubt_folder *)row)->path);
}

_Static_assert(ITEM_INTENDED == 0, "said in SQL");
static const struct rows in_doubt = {
	.sql = "SELECT d.id, d.path FROM dest_folder d WHERE d.user_id = ? AND EXISTS (SELECT 1 FROM item WHERE "
	       "dest_folder_id = d.id AND state = 0) ORDER BY d.id",
	.read = read_doubt_folder,
	.size = sizeof(struct doubt_folder),
	.cap = DOUBT_FOLDERS,
	.settled = true,
	.drop = drop_doubt_folder};

int store_doubt_folders(struct store *s, int64_t user_id, struct doubt_folder **out, size_t *n, struct err *err)
{
	void *rows;
	int rc = rows_list(s, &in_doubt, user_id, &rows, n, err);
	*out = rows;
	for (size_t i = 0; i < *n && rc == 0; i++)
		rc = (*out)[i].path ? 0 : err_set(err, ERR_MEMORY, "out of memory for the folders of a mailbox");
	if (rc < 0) {
		store_doubt_folders_free(out, *n);
		*n = 0;
	}
	return rc;
}

void store_doubt_folders_free(struct doubt_folder **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		drop_doubt_folder(&(*v)[i]);
	free(*v);
	*v = NULL;
}
