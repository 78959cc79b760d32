#include "engine/store/rows.h"

#include "engine/store/names.h"

struct list_args {
	const struct rows *r;
	int64_t id;
	void *v;
	size_t n, room;
};

static int list_step(struct db *db, void *arg, struct err *err)
{
	struct list_args *a = arg;
	struct query q;
	int rc;
	query_begin(&q, db, a->r->sql);
	if (strchr(a->r->sql, '?'))
		put_int(&q, a->id);
	while ((rc = query_row(&q, err)) > 0) {
		if (rows_grow(&a->v, &a->room, a->n, a->r->size, a->r->cap, err) < 0) {
			query_end(&q);
			return -1;
		}
		void *row = (char *)a->v + a->r->size * a->n++;
		memset(row, 0, a->r->size);
		a->r->read(&q, row);
	}
	return rc;
}

int rows_list(struct store *s, const struct rows *r, int64_t id, void **out, size_t *n, struct err *err)
{
	struct list_args a = {.r = r, .id = id};
	int rc = r->settled ? store_look_settled(s, list_step, &a, err) : store_look(s, list_step, &a, err);
	if (rc < 0) {
		for (size_t i = 0; r->drop && i < a.n; i++)
			r->drop((char *)a.v + r->size * i);
		free(a.v);
		a = (struct list_args){0};
	}
	*out = a.v;
	*n = a.n;
	return rc;
}

struct get_args {
	const struct named *k;
	const char *name;
	int64_t id;
	void *out;
};

static int get_step(struct db *db, void *arg, struct err *err)
{
	struct get_args *a = arg;
	const struct named *k = a->k;
	struct query q;
	query_begin(&q, db, a->name ? k->by_name : k->by_id);
	if (a->name)
		put_text(&q, a->name);
	else
		put_int(&q, a->id);
	int rc = query_row(&q, err);
	if (rc > 0) {
		memset(a->out, 0, k->all.size);
		k->all.read(&q, a->out);
	}
	query_end(&q);
	if (rc != 0)
		return rc < 0 ? -1 : 0;
	return a->name ? names_fail(db, k->noun, k->names, a->name, err)
		       : err_set(err, ERR_NOT_FOUND, "%s %lld is not there any more", k->noun, (long long)a->id);
}

int named_get(struct store *s, const struct named *k, const char *name, int64_t id, void *out, struct err *err)
{
	struct get_args a = {.k = k, .name = name, .id = id, .out = out};
	return store_look(s, get_step, &a, err);
}

int named_is_free(struct db *db, const struct named *k, const char *name, int64_t id, struct err *err)
{
	struct query q;
	query_begin(&q, db, k->id_of);
	put_text(&q, name);
	int rc = query_row(&q, err);
	int64_t holder = rc > 0 ? get_int(&q) : 0;
	query_end(&q);
	if (rc < 0)
		return -1;
	return holder && holder != id ? err_set(err, ERR_CONFLICT, "%s \"%s\" exists already", k->a_noun, name) : 0;
}

int named_changed(struct db *db, const struct named *k, struct err *err)
{
	return db_changes(db) ? 0 : err_set(err, ERR_NOT_FOUND, "the %s is not there any more", k->noun);
}

int named_remove(struct db *db, const struct named *k, int64_t id, struct err *err)
{
	struct query q;
	query_begin(&q, db, k->remove);
	put_int(&q, id);
	return query_run(&q, err) < 0 ? -1 : named_changed(db, k, err);
}
