/* Lists: all rows that a query gives, as an array; and rows that people give names (endpoints, targets, batches): found, listed and deleted alike.
   Private to the store. */
#ifndef NF_ENGINE_STORE_ROWS_H
#define NF_ENGINE_STORE_ROWS_H

#include "engine/store/parts.h"

typedef void rows_read(struct query *q, void *row); /* the row is zeroed */

struct rows {
	const char *sql; /* a literal; has at most one parameter */
	rows_read *read;
	size_t size, cap;        /* octets of a row; no more rows than that can be */
	bool settled;            /* after all that is queued has become durable */
	void (*drop)(void *row); /* what a row owns; NULL: nothing */
};
/* id: the query's parameter, if it has one. *out is yours to free, NULL when it fails. */
int rows_list(struct store *s, const struct rows *r, int64_t id, void **out, size_t *n, struct err *err);

struct named {
	const char *noun, *a_noun;   /* "endpoint", "an endpoint" */
	const char *by_name, *by_id; /* one whole row */
	const char *id_of, *names, *remove;
	struct rows all;
};
/* columns: a literal that ends in " FROM table ". */
#define NAMED(table, article, columns, order, reader, row, most) \
	{ \
		.noun = table, .a_noun = article " " table, .by_name = "SELECT " columns "WHERE name = ?", \
		.by_id = "SELECT " columns "WHERE id = ?", .id_of = "SELECT id FROM " table " WHERE name = ?", \
		.names = "SELECT name FROM " table " ORDER BY name LIMIT 1000", \
		.remove = "DELETE FROM " table " WHERE id = ?", \
		.all = {.sql = "SELECT " columns "ORDER BY " order, \
			.read = reader, \
			.size = sizeof(row), \
			.cap = most } \
	}
/* ERR_NOT_FOUND says what there is. name NULL: by id. */
int named_get(struct store *s, const struct named *k, const char *name, int64_t id, void *out, struct err *err);
/* Steps. ERR_CONFLICT: another row than id has that name. */
int named_is_free(struct db *db, const struct named *k, const char *name, int64_t id, struct err *err);
/* Was the row there that the last statement changed? else ERR_NOT_FOUND. */
int named_changed(struct db *db, const struct named *k, struct err *err);
int named_remove(struct db *db, const struct named *k, int64_t id, struct err *err);

#endif
