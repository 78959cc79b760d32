/* Walking the state for reports and verification: by key, a page at a time, in bounded memory. */
#include "engine/store/parts.h"

#define FOLDERS ((size_t)100000)

struct folders_args {
	int64_t user_id;
	struct folder_row *rows;
	size_t n, room;
};

static int folders_look(struct db *db, void *arg, struct err *err)
{
	struct folders_args *a = arg;
	struct query q;
	int rc;
	query_begin(&q, db,
		"SELECT g.id, g.dest_folder_id, g.name, coalesce(d.path, ''), g.uidvalidity, "
		"g.current, " COUNT_COLUMNS(
			"g") " "
			     "FROM generation g LEFT JOIN dest_folder d ON d.id = g.dest_folder_id WHERE "
			     "g.user_id = ? ORDER BY g.name, g.id");
	put_int(&q, a->user_id);
	while ((rc = query_row(&q, err)) > 0) {
		if (rows_grow((void **)&a->rows, &a->room, a->n, sizeof(*a->rows), FOLDERS, err) < 0) {
			query_end(&q);
			return -1;
		}
		bool failed = false;
		struct folder_row *f = &a->rows[a->n++];
		f->generation_id = get_int(&q);
		f->dest_folder_id = get_int(&q);
		get_text(&q, f->name, sizeof(f->name));
		f->path = get_dup(&q, MODEL_FOLDER, &failed);
		f->uidvalidity = get_unsigned(&q);
		f->current = get_bool(&q);
		counts_read(&q, &f->counts);
		if (failed) {
			query_end(&q);
			return err_set(err, ERR_MEMORY, "out of memory for the folders of a mailbox");
		}
	}
	return rc;
}

void store_folders_free(struct folder_row **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free((*v)[i].path);
	free(*v);
	*v = NULL;
}

int store_folders(struct store *s, int64_t user_id, struct folder_row **out, size_t *n, struct err *err)
{
	struct folders_args a = {.user_id = user_id};
	int rc = store_look_settled(s, folders_look, &a, err);
	if (rc < 0) {
		store_folders_free(&a.rows, a.n);
		a.n = 0;
	}
	*out = a.rows;
	*n = a.n;
	return rc;
}

struct paths_args {
	int64_t user_id;
	struct folder_path_row *v;
	size_t n, room;
};

static int paths_look(struct db *db, void *arg, struct err *err)
{
	struct paths_args *a = arg;
	struct query q;
	int rc;
	query_begin(&q, db,
		"SELECT g.raw, d.path FROM generation g JOIN dest_folder d ON d.id = g.dest_folder_id "
		"WHERE g.user_id = ? AND g.current = 1 ORDER BY g.raw");
	put_int(&q, a->user_id);
	while ((rc = query_row(&q, err)) > 0) {
		bool failed = false;
		if (rows_grow((void **)&a->v, &a->room, a->n, sizeof(*a->v), FOLDERS, err) < 0) {
			query_end(&q);
			return -1;
		}
		struct folder_path_row *row = &a->v[a->n++];
		row->raw = get_dup(&q, MODEL_FOLDER, &failed);
		row->path = get_dup(&q, MODEL_FOLDER, &failed);
		if (failed) {
			query_end(&q);
			return err_set(err, ERR_MEMORY, "out of memory for the folders of a mailbox");
		}
	}
	return rc;
}

int store_paths(struct store *s, int64_t user_id, struct folder_path_row **out, size_t *n, struct err *err)
{
	struct paths_args a = {.user_id = user_id};
	int rc = store_look_settled(s, paths_look, &a, err);
	if (rc < 0) {
		store_paths_free(&a.v, a.n);
		a.n = 0;
	}
	*out = a.v;
	*n = a.n;
	return rc;
}

void store_paths_free(struct folder_path_row **v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free((*v)[i].raw);
		free((*v)[i].path);
	}
	free(*v);
	*v = NULL;
}

struct page_args {
	int64_t generation_id, user_id;
	uint32_t after;
	struct item *out;
	size_t cap, n;
};

/* Fills the caller's page from a query that is bound. */
static int read_page(struct query *q, struct page_args *a, struct err *err)
{
	int rc = 0;
	a->n = 0;
	while (a->n < a->cap && (rc = query_row(q, err)) > 0) {
		if (item_read(q, &a->out[a->n], err) < 0) {
			rc = -1;
			break;
		}
		a->n++;
	}
	query_end(q);
	while (rc < 0 && a->n > 0)
		item_done(&a->out[--a->n]);
	return rc < 0 ? -1 : 0;
}

static int full_look(struct db *db, void *arg, struct err *err)
{
	struct page_args *a = arg;
	struct query q;
	query_begin(&q, db, "SELECT " ITEM_COLUMNS " WHERE i.generation_id = ? AND i.uid > ? ORDER BY i.uid LIMIT ?");
	put_int(&q, a->generation_id);
	put_uint(&q, a->after);
	put_uint(&q, a->cap);
	return read_page(&q, a, err);
}

int store_items_full(struct store *s, int64_t generation_id, uint32_t after, struct item *out, size_t cap, size_t *n,
	struct err *err)
{
	struct page_args a = {.generation_id = generation_id, .after = after, .out = out, .cap = cap};
	int rc = store_look(s, full_look, &a, err);
	*n = rc < 0 ? 0 : a.n;
	return rc;
}

static int aside_look(struct db *db, void *arg, struct err *err)
{
	struct page_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"SELECT " ITEM_COLUMNS
		" JOIN generation g ON g.id = i.generation_id WHERE g.user_id = ?1 AND i.state >= 3 "
		"AND (i.generation_id > ?2 OR (i.generation_id = ?2 AND i.uid > ?3)) ORDER BY "
		"i.generation_id, i.uid LIMIT ?4");
	put_int(&q, a->user_id);
	put_int(&q, a->generation_id);
	put_uint(&q, a->after);
	put_uint(&q, a->cap);
	return read_page(&q, a, err);
}

int store_set_aside_list(struct store *s, int64_t user_id, int64_t after_generation, uint32_t after_uid,
	struct item *out, size_t cap, size_t *n, struct err *err)
{
	struct page_args a = {
		.user_id = user_id, .generation_id = after_generation, .after = after_uid, .out = out, .cap = cap};
	int rc = store_look(s, aside_look, &a, err);
	*n = rc < 0 ? 0 : a.n;
	return rc;
}
