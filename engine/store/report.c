/* Walking the state for reports and verification: by key, a page at a time, in bounded memory. */
#include "engine/store/parts.h"

#include "engine/store/rows.h"

#define FOLDERS ((size_t)100000)

static void read_folder(struct query *q, void *row)
{
	struct folder_row *f = row;
	bool failed = false;
	f->generation_id = get_int(q);
	f->dest_folder_id = get_int(q);
	get_text(q, f->name, sizeof(f->name));
	f->path = get_dup(q, MODEL_FOLDER, &failed);
	f->uidvalidity = get_unsigned(q);
	f->current = get_bool(q);
	counts_read(q, &f->counts);
}

static void drop_folder(void *row)
{
	free(((struct folder_row *)row)->path);
}

static const struct rows of_user = {
	.sql = "SELECT g.id, g.dest_folder_id, g.name, coalesce(d.path, ''), g.uidvalidity, g.current, " COUNT_COLUMNS(
		"g") " FROM generation g LEFT JOIN dest_folder d ON d.id = g.dest_folder_id WHERE g.user_id = ? ORDER "
		     "BY g.name, g.id",
	.read = read_folder,
	.size = sizeof(struct folder_row),
	.cap = FOLDERS,
	.settled = true,
	.drop = drop_folder};

int store_folders(struct store *s, int64_t user_id, struct folder_row **out, size_t *n, struct err *err)
{
	void *rows;
	int rc = rows_list(s, &of_user, user_id, &rows, n, err);
	*out = rows;
	for (size_t i = 0; i < *n && rc == 0; i++)
		rc = (*out)[i].path ? 0 : err_set(err, ERR_MEMORY, "out of memory for the folders of a mailbox");
	if (rc < 0) {
		store_folders_free(out, *n);
		*n = 0;
	}
	return rc;
}

void store_folders_free(struct folder_row **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		drop_folder(&(*v)[i]);
	free(*v);
	*v = NULL;
}

static void read_path(struct query *q, void *row)
{
	struct folder_path_row *p = row;
	bool failed = false;
	p->raw = get_dup(q, MODEL_FOLDER, &failed);
	p->path = get_dup(q, MODEL_FOLDER, &failed);
}

static void drop_path(void *row)
{
	struct folder_path_row *p = row;
	free(p->raw);
	free(p->path);
}

static const struct rows paths = {
	.sql = "SELECT g.raw, d.path FROM generation g JOIN dest_folder d ON d.id = g.dest_folder_id WHERE g.user_id = "
	       "? AND g.current = 1 ORDER BY g.raw",
	.read = read_path,
	.size = sizeof(struct folder_path_row),
	.cap = FOLDERS,
	.settled = true,
	.drop = drop_path};

int store_paths(struct store *s, int64_t user_id, struct folder_path_row **out, size_t *n, struct err *err)
{
	void *rows;
	int rc = rows_list(s, &paths, user_id, &rows, n, err);
	*out = rows;
	for (size_t i = 0; i < *n && rc == 0; i++)
		rc = (*out)[i].raw && (*out)[i].path
			     ? 0
			     : err_set(err, ERR_MEMORY, "out of memory for the folders of a mailbox");
	if (rc < 0) {
		store_paths_free(out, *n);
		*n = 0;
	}
	return rc;
}

void store_paths_free(struct folder_path_row **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		drop_path(&(*v)[i]);
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
		" JOIN generation g ON g.id = i.generation_id WHERE g.user_id = ?1 AND g.current = 1 AND i.state >= 3 "
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
