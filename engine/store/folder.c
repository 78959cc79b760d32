/* Folders: the generations (UIDVALIDITY) of those at the source, and those at the destination with what was there at first touch. */
#include "engine/store/parts.h"

/* --- source --- */

struct generation_args {
	int64_t user_id, epoch;
	const char *raw, *name;
	uint32_t uidvalidity;
	struct generation *out;
	bool found, current;
};

static int find_generation(struct db *db, struct generation_args *a, struct err *err)
{
	struct query q;
	a->found = false;
	query_begin(&q, db,
		"SELECT id, dest_folder_id, older_id, current FROM generation WHERE user_id = ? AND raw "
		"= ? AND uidvalidity = ?");
	put_int(&q, a->user_id);
	put_blob(&q, a->raw, strlen(a->raw));
	put_uint(&q, a->uidvalidity);
	int rc = query_row(&q, err);
	if (rc > 0) {
		a->out->id = get_int(&q);
		a->out->dest_folder_id = get_int(&q);
		a->out->older_id = get_int(&q);
		a->current = get_bool(&q);
		a->found = true;
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

static int run_with_id(struct db *db, const char *sql, int64_t id, int64_t more, struct err *err)
{
	struct query q;
	query_begin(&q, db, sql);
	put_int(&q, id);
	put_int(&q, more);
	return query_run(&q, err);
}

/* The generation that was current so far is left: its messages may be found again by content. */
static int leave_current(struct db *db, const struct generation_args *a, int64_t *older_id, struct err *err)
{
	struct query q;
	query_begin(&q, db, "SELECT id FROM generation WHERE user_id = ? AND raw = ? AND current = 1");
	put_int(&q, a->user_id);
	put_blob(&q, a->raw, strlen(a->raw));
	int rc = query_row(&q, err);
	*older_id = rc > 0 ? get_int(&q) : 0;
	query_end(&q);
	if (rc <= 0)
		return rc;
	if (run_with_id(db, "UPDATE generation SET current = 0 WHERE id = ?1 AND user_id = ?2", *older_id, a->user_id,
		    err) < 0 ||
		run_with_id(db,
			"INSERT OR IGNORE INTO carry (generation_id, sha256, uid) SELECT generation_id, "
			"sha256, uid FROM item "
			"WHERE generation_id = ?1 AND state IN (1, 2) AND ?2",
			*older_id, 1, err) < 0)
		return -1;
	return run_with_id(db,
		"UPDATE work SET found = found - (SELECT found FROM generation WHERE id = ?1), "
		"found_bytes = found_bytes - (SELECT found_bytes FROM generation WHERE id = ?1) "
		"WHERE user_id = ?2",
		*older_id, a->user_id, err);
}
_Static_assert(ITEM_PLACED == 1 && ITEM_DONE == 2, "leave_current says it in SQL");

static int generation_step(struct db *db, void *arg, struct err *err)
{
	struct generation_args *a = arg;
	int64_t older_id;
	struct query q;
	if (lease_check(db, a->user_id, a->epoch, err) < 0 || find_generation(db, a, err) < 0)
		return -1;
	if (a->found && a->current)
		return 0;
	if (leave_current(db, a, &older_id, err) < 0)
		return -1;
	a->out->older_id = older_id;
	if (a->found) { /* the server came back to an old UIDVALIDITY */
		if (run_with_id(db,
			    "UPDATE generation SET current = 1, older_id = ?2, found = 0, found_bytes = "
			    "0 WHERE id = ?1",
			    a->out->id, older_id, err) < 0)
			return -1;
		return run_with_id(db, "DELETE FROM carry WHERE generation_id = ?1 AND ?2", a->out->id, 1, err);
	}
	query_begin(&q, db,
		"INSERT INTO generation (user_id, raw, name, uidvalidity, older_id, current) VALUES (?, "
		"?, ?, ?, ?, 1)");
	put_int(&q, a->user_id);
	put_blob(&q, a->raw, strlen(a->raw));
	put_text_cut(&q, a->name, MODEL_TEXT - 1);
	put_uint(&q, a->uidvalidity);
	put_int(&q, older_id);
	if (query_run(&q, err) < 0)
		return -1;
	a->out->id = db_last_id(db);
	a->out->dest_folder_id = 0;
	return 0;
}

static int generation_look(struct db *db, void *arg, struct err *err)
{
	struct generation_args *a = arg;
	return lease_check(db, a->user_id, a->epoch, err) < 0 ? -1 : find_generation(db, a, err);
}

int store_generation(struct store *s, int64_t user_id, int64_t epoch, const char *raw, const char *name,
	uint32_t uidvalidity, struct generation *out, struct err *err)
{
	memset(out, 0, sizeof(*out));
	if (strlen(raw) > (size_t)MODEL_FOLDER)
		return err_set(err, ERR_FOLDER, "the folder's name is longer than %zu octets", (size_t)MODEL_FOLDER);
	struct generation_args a = {
		.user_id = user_id, .epoch = epoch, .raw = raw, .name = name, .uidvalidity = uidvalidity, .out = out};
	int rc = store_look(s, generation_look, &a, err);
	if (rc == 0 && !(a.found && a.current))
		rc = store_do(s, generation_step, &a, err);
	if (rc < 0)
		return -1;
	out->user_id = user_id;
	out->uidvalidity = uidvalidity;
	snprintf(out->name, sizeof(out->name), "%s", name);
	out->raw = strdup(raw);
	return out->raw ? 0 : err_set(err, ERR_MEMORY, "out of memory for a folder");
}

struct found_args {
	int64_t user_id, epoch, generation_id;
	uint64_t found, bytes;
};

/* What was listed before is replaced, not added to. */
static int found_step(struct db *db, void *arg, struct err *err)
{
	const struct found_args *a = arg;
	struct query q;
	struct tally t;
	query_begin(&q, db, "SELECT found, found_bytes FROM generation WHERE id = ? AND user_id = ?");
	put_int(&q, a->generation_id);
	put_int(&q, a->user_id);
	int rc = query_row(&q, err);
	if (rc <= 0)
		return rc;
	int64_t found = get_int(&q), bytes = get_int(&q);
	query_end(&q);
	tally_begin(&t, a->user_id, a->epoch);
	if (tally_generation(&t, db, a->generation_id, err) < 0)
		return -1;
	t.folder[COUNT_FOUND] += (int64_t)a->found - found;
	t.folder[COUNT_FOUND_BYTES] += (int64_t)a->bytes - bytes;
	return tally_end(&t, db, err);
}

int store_generation_found(struct store *s, int64_t user_id, int64_t epoch, int64_t generation_id, uint64_t found,
	uint64_t bytes, struct err *err)
{
	struct found_args *a = calloc(1, sizeof(*a));
	if (!a)
		return err_set(err, ERR_MEMORY, "out of memory");
	*a = (struct found_args){user_id, epoch, generation_id, found, bytes > INT64_MAX ? INT64_MAX : bytes};
	return store_queue(s, found_step, a, user_id, err);
}

/* --- destination --- */

struct dest_args {
	int64_t user_id, epoch;
	const char *route;
	const struct folder_ref *ref;
	struct dest_folder *out;
	bool found, changed, unnamed;
};

/* unnamed: the route's mark was set to the start when another route saw the folder made anew; its generation is learnt now.
   changed: the folder is there, and the route knew it as another. A route that never saw it has no opinion. */
static int find_dest(struct db *db, struct dest_args *a, struct err *err)
{
	struct query q;
	a->found = a->changed = a->unnamed = false;
	query_begin(&q, db,
		"SELECT d.id, d.indexed, d.put_at, EXISTS (SELECT 1 FROM existing e WHERE e.dest_folder_id = d.id), "
		"coalesce(m.generation, '-') FROM dest_folder d LEFT JOIN dest_mark m ON m.dest_folder_id = d.id "
		"AND m.route = ? WHERE d.user_id = ? AND d.path = ?");
	put_text(&q, a->route);
	put_int(&q, a->user_id);
	put_text(&q, a->ref->path);
	int rc = query_row(&q, err);
	if (rc > 0) {
		char generation[sizeof(((struct dest_mark *)0)->generation)];
		a->out->id = get_int(&q);
		a->out->indexed = get_bool(&q);
		a->out->put_at = get_int(&q);
		a->out->has_existing = get_bool(&q);
		get_text(&q, generation, sizeof(generation));
		a->found = true;
		a->unnamed = !generation[0];
		a->changed =
			generation[0] && strcmp(generation, "-") != 0 && strcmp(generation, a->ref->generation) != 0;
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

static int dest_look(struct db *db, void *arg, struct err *err)
{
	struct dest_args *a = arg;
	return lease_check(db, a->user_id, a->epoch, err) < 0 ? -1 : find_dest(db, a, err);
}

/* A folder made anew holds nothing that we know of. What comes into it from now on lies after every route's mark; what each route tells its
   generation by is learnt when it looks. */
static int begin_anew(struct db *db, const struct dest_args *a, struct err *err)
{
	int64_t id = a->out->id;
	if (run_with_id(db, "DELETE FROM existing WHERE dest_folder_id = ?1 AND ?2", id, 1, err) < 0 ||
		run_with_id(db, "DELETE FROM dest_old WHERE dest_folder_id = ?1 AND ?2", id, 1, err) < 0 ||
		run_with_id(db, "UPDATE dest_mark SET generation = '', mark = '', epoch = ?2 WHERE dest_folder_id = ?1",
			id, a->epoch, err) < 0)
		return -1;
	return run_with_id(db, "UPDATE dest_folder SET indexed = ?2 WHERE id = ?1", id, a->out->indexed, err);
}

static int name_generation(struct db *db, const struct dest_args *a, struct err *err)
{
	struct query q;
	query_begin(&q, db, "UPDATE dest_mark SET generation = ? WHERE dest_folder_id = ? AND route = ?");
	put_text(&q, a->ref->generation);
	put_int(&q, a->out->id);
	put_text(&q, a->route);
	return query_run(&q, err);
}

static int dest_step(struct db *db, void *arg, struct err *err)
{
	struct dest_args *a = arg;
	struct query q;
	if (dest_look(db, a, err) < 0)
		return -1;
	if (a->found && !a->changed)
		return a->unnamed ? name_generation(db, a, err) : 0;
	a->out->has_existing = false;
	a->out->indexed = a->ref->existing == 0; /* nothing is there: that is its index */
	if (a->changed)
		return begin_anew(db, a, err) < 0 ? -1 : name_generation(db, a, err);
	query_begin(
		&q, db, "INSERT INTO dest_folder (generation, mark, indexed, user_id, path) VALUES ('', '', ?, ?, ?)");
	put_int(&q, a->out->indexed);
	put_int(&q, a->user_id);
	put_text(&q, a->ref->path);
	if (query_run(&q, err) < 0)
		return -1;
	a->out->id = db_last_id(db);
	return 0;
}

int store_dest_folder(struct store *s, int64_t user_id, int64_t epoch, const char *route, const struct folder_ref *ref,
	struct dest_folder *out, bool *changed, struct err *err)
{
	memset(out, 0, sizeof(*out));
	*changed = false;
	if (strlen(ref->path) > MODEL_FOLDER || strlen(ref->generation) >= sizeof(((struct dest_mark *)0)->generation))
		return err_set(err, ERR_FOLDER, "the destination folder's name is too long");
	struct dest_args a = {.user_id = user_id, .epoch = epoch, .route = route, .ref = ref, .out = out};
	int rc = store_look(s, dest_look, &a, err);
	if (rc == 0 && (!a.found || a.changed || a.unnamed))
		rc = store_do(s, dest_step, &a, err);
	if (rc < 0)
		return -1;
	*changed = a.changed;
	out->user_id = user_id;
	out->path = strdup(ref->path);
	return out->path ? 0 : err_set(err, ERR_MEMORY, "out of memory for a folder");
}

struct link_args {
	int64_t epoch, generation_id, dest_folder_id;
};

static int link_step(struct db *db, void *arg, struct err *err)
{
	const struct link_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"UPDATE generation SET dest_folder_id = ?1 WHERE id = ?2 "
		"AND user_id IN (SELECT user_id FROM work WHERE user_id = generation.user_id AND epoch = "
		"?3 AND held = 1)");
	put_int(&q, a->dest_folder_id);
	put_int(&q, a->generation_id);
	put_int(&q, a->epoch);
	if (query_run(&q, err) < 0)
		return -1;
	return db_changes(db) ? 0 : err_set(err, ERR_CONFLICT, "this mailbox is not leased to this job any more");
}

int store_generation_dest(
	struct store *s, int64_t epoch, int64_t generation_id, int64_t dest_folder_id, struct err *err)
{
	struct link_args a = {.epoch = epoch, .generation_id = generation_id, .dest_folder_id = dest_folder_id};
	return store_do(s, link_step, &a, err);
}
