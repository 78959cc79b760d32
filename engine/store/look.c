/* Items read back: their states by range, what is in doubt, what is claimed. */
#include "engine/store/parts.h"

#define DOUBTS ((size_t)16384) /* in one destination folder; a job has some dozens in flight */
#define CLAIMED ((size_t)20000000)

int item_read(struct query *q, struct item *out, struct err *err)
{
	bool failed = false;
	memset(out, 0, sizeof(*out));
	out->generation_id = get_int(q);
	out->uid = get_unsigned(q);
	out->state = get_enum(q, ITEM_GONE + 1);
	out->how = get_enum(q, HOW_CARRIED + 1);
	out->dest_folder_id = get_int(q);
	out->size = get_uint(q);
	out->flags_source = get_unsigned(q);
	out->flags_written = get_unsigned(q);
	out->received.at = get_int(q);
	int64_t zone = get_int(q);
	out->received.zone_min = zone < -1440 || zone > 1440 ? 0 : (int)zone;
	out->received.known = get_bool(q);
	get_blob(q, out->print.sha256, sizeof(out->print.sha256));
	out->print.size = out->size;
	out->print.message_id = get_dup(q, FINGERPRINT_FIELD, &failed);
	out->print.date = get_dup(q, FINGERPRINT_FIELD, &failed);
	out->print.from = get_dup(q, FINGERPRINT_FIELD, &failed);
	out->print.subject = get_dup(q, FINGERPRINT_FIELD, &failed);
	get_blob(q, out->key, sizeof(out->key));
	get_text(q, out->receipt.route, sizeof(out->receipt.route));
	get_text(q, out->receipt.id, sizeof(out->receipt.id));
	out->at = get_int(q);
	out->error_kind = get_enum(q, ERR_KINDS_END);
	get_text(q, out->error, sizeof(out->error));
	out->epoch = get_int(q);
	if (!failed)
		return 0;
	item_done(out);
	return err_set(err, ERR_MEMORY, "out of memory for an item");
}

struct brief_args {
	int64_t generation_id;
	uint32_t lo, hi;
	struct item_brief *out;
	size_t cap, n;
};

static int brief_look(struct db *db, void *arg, struct err *err)
{
	struct brief_args *a = arg;
	struct query q;
	int rc = 0;
	a->n = 0;
	query_begin(&q, db,
		"SELECT uid, state, how, flags_source, flags_written, dest_folder_id FROM item WHERE generation_id = ? "
		"AND "
		"uid BETWEEN ? AND ? "
		"ORDER BY uid LIMIT ?");
	put_int(&q, a->generation_id);
	put_uint(&q, a->lo);
	put_uint(&q, a->hi);
	put_uint(&q, a->cap);
	while (a->n < a->cap && (rc = query_row(&q, err)) > 0) {
		struct item_brief *b = &a->out[a->n++];
		b->uid = get_unsigned(&q);
		b->state = get_enum(&q, ITEM_GONE + 1);
		b->how = get_enum(&q, HOW_CARRIED + 1);
		b->flags_source = get_unsigned(&q);
		b->flags_written = get_unsigned(&q);
		b->dest_folder_id = get_int(&q);
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_items(struct store *s, int64_t generation_id, uint32_t lo, uint32_t hi, struct item_brief *out, size_t cap,
	size_t *n, struct err *err)
{
	struct brief_args a = {.generation_id = generation_id, .lo = lo, .hi = hi, .out = out, .cap = cap};
	int rc = store_look_settled(s, brief_look, &a, err);
	*n = rc < 0 ? 0 : a.n;
	return rc;
}

struct doubt_args {
	int64_t user_id, dest_folder_id;
	struct item *v;
	size_t n, room;
};

static int doubt_look(struct db *db, void *arg, struct err *err)
{
	struct doubt_args *a = arg;
	struct query q;
	int rc;
	query_begin(&q, db,
		"SELECT " ITEM_COLUMNS
		" JOIN generation g ON g.id = i.generation_id WHERE i.state = 0 AND i.dest_folder_id = ? "
		"AND g.user_id = ? ORDER BY i.generation_id, i.uid");
	put_int(&q, a->dest_folder_id);
	put_int(&q, a->user_id);
	while ((rc = query_row(&q, err)) > 0) {
		if (rows_grow((void **)&a->v, &a->room, a->n, sizeof(*a->v), DOUBTS, err) < 0 ||
			item_read(&q, &a->v[a->n], err) < 0) {
			query_end(&q);
			return -1;
		}
		a->n++;
	}
	return rc;
}

int store_in_doubt(
	struct store *s, int64_t user_id, int64_t dest_folder_id, struct item **out, size_t *n, struct err *err)
{
	struct doubt_args a = {.user_id = user_id, .dest_folder_id = dest_folder_id};
	int rc = store_look_settled(s, doubt_look, &a, err);
	while (rc < 0 && a.n > 0)
		item_done(&a.v[--a.n]);
	if (rc < 0) {
		free(a.v);
		a.v = NULL;
	}
	*out = a.v;
	*n = a.n;
	return rc;
}

struct claimed_args {
	int64_t dest_folder_id;
	const char *route;
	char **v;
	size_t n, room;
};

static int claimed_look(struct db *db, void *arg, struct err *err)
{
	struct claimed_args *a = arg;
	struct query q;
	int rc;
	bool failed = false;
	query_begin(&q, db,
		"SELECT dest_id FROM item WHERE dest_folder_id = ? AND dest_id IS NOT NULL AND route = ? ORDER BY "
		"dest_id");
	put_int(&q, a->dest_folder_id);
	put_text(&q, a->route);
	while ((rc = query_row(&q, err)) > 0) {
		if (rows_grow((void **)&a->v, &a->room, a->n, sizeof(*a->v), CLAIMED, err) < 0) {
			query_end(&q);
			return -1;
		}
		a->v[a->n] = get_dup(&q, sizeof(((struct receipt *)0)->id) - 1, &failed);
		if (!a->v[a->n]) {
			query_end(&q);
			return err_set(err, ERR_MEMORY, "out of memory for the ids of a folder");
		}
		a->n++;
	}
	return rc;
}

int store_claimed(struct store *s, int64_t dest_folder_id, const char *route, char ***out, size_t *n, struct err *err)
{
	struct claimed_args a = {.dest_folder_id = dest_folder_id, .route = route};
	int rc = store_look_settled(s, claimed_look, &a, err);
	if (rc < 0) {
		store_ids_free(&a.v, a.n);
		a.n = 0;
	}
	*out = a.v;
	*n = a.n;
	return rc;
}

void store_ids_free(char ***v, size_t n)
{
	for (size_t i = 0; *v && i < n; i++)
		free((*v)[i]);
	free(*v);
	*v = NULL;
}
