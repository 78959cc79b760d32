/* Mail that needs no copy: what the destination held before us, and what an older generation of the same source folder has brought there. */
#include "engine/store/parts.h"

#include "engine/base/clock.h"

/* --- the index of what was there --- */

struct add_args {
	int64_t user_id, epoch, dest_folder_id;
	const struct existing *v;
	size_t n;
	bool last;
};

static int add_step(struct db *db, void *arg, struct err *err)
{
	const struct add_args *a = arg;
	struct query q;
	if (lease_check(db, a->user_id, a->epoch, err) < 0)
		return -1;
	for (size_t i = 0; i < a->n; i++) {
		query_begin(&q, db,
			"INSERT OR REPLACE INTO existing (dest_folder_id, key, id, size, route, epoch) "
			"VALUES (?, ?, ?, ?, ?, ?)");
		put_int(&q, a->dest_folder_id);
		put_blob(&q, a->v[i].key, sizeof(a->v[i].key));
		put_text_cut(&q, a->v[i].id, sizeof(a->v[i].id) - 1);
		put_uint(&q, a->v[i].size);
		put_text(&q, a->v[i].route);
		put_int(&q, a->v[i].epoch);
		if (query_run(&q, err) < 0)
			return -1;
	}
	if (!a->last)
		return 0;
	query_begin(&q, db, "UPDATE dest_folder SET indexed = 1 WHERE id = ? AND user_id = ?");
	put_int(&q, a->dest_folder_id);
	put_int(&q, a->user_id);
	if (query_run(&q, err) < 0)
		return -1;
	return db_changes(db) ? 0 : err_set(err, ERR_CONFLICT, "the destination folder is not one of this mailbox");
}

int store_existing_add(struct store *s, int64_t user_id, int64_t epoch, int64_t dest_folder_id,
	const struct existing *v, size_t n, bool last, struct err *err)
{
	struct add_args a = {
		.user_id = user_id, .epoch = epoch, .dest_folder_id = dest_folder_id, .v = v, .n = n, .last = last};
	return store_do(s, add_step, &a, err);
}

struct drop_args {
	int64_t user_id, epoch, dest_folder_id, mark_epoch;
	const char *route;
	const uint8_t *key;
};

static int drop_step(struct db *db, void *arg, struct err *err)
{
	const struct drop_args *a = arg;
	struct query q;
	if (lease_check(db, a->user_id, a->epoch, err) < 0)
		return -1;
	query_begin(&q, db, "DELETE FROM existing WHERE dest_folder_id = ? AND key = ? AND route <> ? AND epoch >= ?");
	put_int(&q, a->dest_folder_id);
	put_blob(&q, a->key, PRINT_KEY_BYTES);
	put_text(&q, a->route);
	put_int(&q, a->mark_epoch);
	return query_run(&q, err);
}

int store_existing_drop(struct store *s, int64_t user_id, int64_t epoch, int64_t dest_folder_id, const char *route,
	const uint8_t key[PRINT_KEY_BYTES], int64_t mark_epoch, struct err *err)
{
	struct drop_args a = {user_id, epoch, dest_folder_id, mark_epoch, route, key};
	return store_do(s, drop_step, &a, err);
}

static int forget_step(struct db *db, void *arg, struct err *err)
{
	const struct drop_args *a = arg;
	struct query q;
	if (lease_check(db, a->user_id, a->epoch, err) < 0)
		return -1;
	query_begin(&q, db,
		"DELETE FROM existing WHERE dest_folder_id = ?1 AND route <> ?2 AND epoch >= ?3 AND NOT EXISTS "
		"(SELECT 1 FROM item WHERE dest_folder_id = ?1 AND dest_id = existing.id AND dest_id IS NOT NULL)");
	put_int(&q, a->dest_folder_id);
	put_text(&q, a->route);
	put_int(&q, a->mark_epoch);
	return query_run(&q, err);
}

int store_existing_forget(struct store *s, int64_t user_id, int64_t epoch, int64_t dest_folder_id, const char *route,
	int64_t mark_epoch, struct err *err)
{
	struct drop_args a = {user_id, epoch, dest_folder_id, mark_epoch, route, NULL};
	return store_do(s, forget_step, &a, err);
}

struct find_args {
	int64_t dest_folder_id;
	const uint8_t *key;
	struct existing *out;
	size_t cap, n;
};

static int find_look(struct db *db, void *arg, struct err *err)
{
	struct find_args *a = arg;
	struct query q;
	int rc = 0;
	a->n = 0;
	query_begin(&q, db,
		"SELECT e.id, e.size, e.key, e.route, e.epoch FROM existing e WHERE e.dest_folder_id = ?1 AND e.key = "
		"?2 "
		"AND NOT EXISTS "
		"(SELECT 1 FROM item WHERE dest_folder_id = ?1 AND dest_id = e.id AND dest_id IS NOT "
		"NULL) LIMIT ?3");
	put_int(&q, a->dest_folder_id);
	put_blob(&q, a->key, PRINT_KEY_BYTES);
	put_uint(&q, a->cap);
	while (a->n < a->cap && (rc = query_row(&q, err)) > 0) {
		struct existing *e = &a->out[a->n++];
		get_text(&q, e->id, sizeof(e->id));
		e->size = get_uint(&q);
		get_blob(&q, e->key, sizeof(e->key));
		get_text(&q, e->route, sizeof(e->route));
		e->epoch = get_int(&q);
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

/* Receipts that are queued count as claims too, or two equal messages would take over the same one. A group that is committed between the
   look and the queue's look would be seen by neither: then it is done again. */
int store_existing_find(struct store *s, int64_t dest_folder_id, const uint8_t key[PRINT_KEY_BYTES],
	struct existing *out, size_t cap, size_t *n, struct err *err)
{
	struct find_args a = {.dest_folder_id = dest_folder_id, .key = key, .out = out, .cap = cap};
	*n = 0;
	for (unsigned tries = 0;; tries++) {
		uint64_t groups = writer_groups(s->writer);
		if (tries == 3 ? store_look_settled(s, find_look, &a, err) < 0 : store_look(s, find_look, &a, err) < 0)
			return -1;
		size_t kept = 0;
		for (size_t i = 0; i < a.n; i++) {
			if (!writer_claims(s->writer, dest_folder_id, out[i].id))
				out[kept++] = out[i];
		}
		*n = kept;
		if (tries == 3 || writer_groups(s->writer) == groups)
			return 0;
	}
}

/* --- what came since --- */

struct known_args {
	int64_t dest_folder_id;
	uint64_t known, doubts;
};

static int known_look(struct db *db, void *arg, struct err *err)
{
	struct known_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"SELECT (SELECT count(*) FROM item WHERE dest_folder_id = ?1 AND dest_id IS NOT NULL) + "
		"(SELECT count(*) FROM existing e WHERE e.dest_folder_id = ?1 AND NOT EXISTS "
		"(SELECT 1 FROM item WHERE dest_folder_id = ?1 AND dest_id = e.id AND dest_id IS NOT NULL)), "
		"(SELECT count(*) FROM item WHERE dest_folder_id = ?1 AND state = 0)");
	put_int(&q, a->dest_folder_id);
	int rc = query_row(&q, err);
	if (rc > 0) {
		a->known = get_uint(&q);
		a->doubts = get_uint(&q);
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}
_Static_assert(ITEM_INTENDED == 0, "said in SQL");

int store_dest_known(struct store *s, int64_t dest_folder_id, uint64_t *known, uint64_t *doubts, struct err *err)
{
	struct known_args a = {.dest_folder_id = dest_folder_id};
	int rc = store_look_settled(s, known_look, &a, err);
	*known = a.known;
	*doubts = a.doubts;
	return rc;
}

/* --- carrying over --- */

struct carry_args {
	int64_t user_id, epoch, now;
	const struct generation *g;
	const struct item *item;
	int64_t old_generation;
	uint32_t old_uid;
	bool found, carried;
};

static int carry_look(struct db *db, void *arg, struct err *err)
{
	struct carry_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"SELECT c.generation_id, c.uid FROM generation o JOIN carry c ON c.generation_id = o.id "
		"WHERE o.user_id = ? AND o.raw = ? "
		"AND o.current = 0 AND o.id <> ? AND c.sha256 = ? ORDER BY o.id DESC, c.uid LIMIT 1");
	put_int(&q, a->user_id);
	put_blob(&q, a->g->raw, strlen(a->g->raw));
	put_int(&q, a->g->id);
	put_blob(&q, a->item->print.sha256, sizeof(a->item->print.sha256));
	int rc = query_row(&q, err);
	a->found = rc > 0;
	if (rc > 0) {
		a->old_generation = get_int(&q);
		a->old_uid = get_unsigned(&q);
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

static int delete_item(struct db *db, int64_t generation_id, uint32_t uid, struct err *err)
{
	struct query q;
	query_begin(&q, db, "DELETE FROM item WHERE generation_id = ? AND uid = ?");
	put_int(&q, generation_id);
	put_uint(&q, uid);
	return query_run(&q, err);
}

/* What is at (generation, uid); *there false: nothing. Header values are not kept. */
static int read_item(struct db *db, int64_t generation_id, uint32_t uid, struct item *out, bool *there, struct err *err)
{
	struct query q;
	query_begin(&q, db, "SELECT " ITEM_COLUMNS " WHERE i.generation_id = ? AND i.uid = ?");
	put_int(&q, generation_id);
	put_uint(&q, uid);
	int rc = query_row(&q, err);
	*there = rc > 0;
	if (rc > 0)
		rc = item_read(&q, out, err);
	query_end(&q);
	if (*there && rc == 0) {
		uint8_t sha256[sizeof(out->print.sha256)];
		memcpy(sha256, out->print.sha256, sizeof(sha256));
		item_done(out); /* which clears the whole fingerprint */
		memcpy(out->print.sha256, sha256, sizeof(sha256));
	}
	return rc < 0 ? -1 : 0;
}

/* What was taken over is still somebody else's: its flags are people's. */
static enum item_how how_carried(const struct item *old)
{
	return old->how == HOW_ADOPTED ? HOW_ADOPTED : HOW_CARRIED;
}

static int insert_carried(struct db *db, const struct carry_args *a, const struct item *old, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"INSERT INTO item (generation_id, uid, state, how, dest_folder_id, flags_source, "
		"flags_written, size, received_at, "
		"received_zone, received_known, at, sha256, key, epoch, route, dest_id) VALUES (?, ?, ?, ?, ?, "
		"?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''))");
	put_int(&q, a->g->id);
	put_uint(&q, a->item->uid);
	put_uint(&q, old->state);
	put_uint(&q, how_carried(old));
	put_int(&q, old->dest_folder_id);
	put_uint(&q, old->flags_source); /* what differs now is then a change of flags like any other */
	put_uint(&q, old->flags_written);
	put_uint(&q, old->size);
	put_int(&q, a->item->received.at);
	put_int(&q, a->item->received.zone_min);
	put_int(&q, a->item->received.known);
	put_int(&q, a->now);
	put_blob(&q, old->print.sha256, sizeof(old->print.sha256));
	put_blob(&q, old->key, sizeof(old->key));
	put_int(&q, old->epoch);
	put_text(&q, old->receipt.route);
	put_text(&q, old->receipt.id);
	return query_run(&q, err);
}

static int carry_step(struct db *db, void *arg, struct err *err)
{
	struct carry_args *a = arg;
	struct item old, here;
	struct query q;
	struct tally t;
	bool old_there, here_there;
	a->carried = false;
	if (carry_look(db, a, err) < 0 || !a->found)
		return a->found ? -1 : 0;
	if (read_item(db, a->old_generation, a->old_uid, &old, &old_there, err) < 0 ||
		read_item(db, a->g->id, a->item->uid, &here, &here_there, err) < 0)
		return -1;
	query_begin(&q, db, "DELETE FROM carry WHERE generation_id = ? AND sha256 = ? AND uid = ?");
	put_int(&q, a->old_generation);
	put_blob(&q, a->item->print.sha256, sizeof(a->item->print.sha256));
	put_uint(&q, a->old_uid);
	if (query_run(&q, err) < 0)
		return -1;
	if (!old_there || (old.state != ITEM_PLACED && old.state != ITEM_DONE) ||
		(here_there && (here.state == ITEM_PLACED || here.state == ITEM_DONE)))
		return 0;
	tally_begin(&t, a->user_id, a->epoch);
	if (tally_generation(&t, db, a->old_generation, err) < 0 ||
		delete_item(db, a->old_generation, a->old_uid, err) < 0)
		return -1;
	tally_add(&t, old.state, old.how, old.size, -1);
	if (tally_generation(&t, db, a->g->id, err) < 0)
		return -1;
	if (here_there) {
		tally_add(&t, here.state, here.how, here.size, -1);
		if (delete_item(db, a->g->id, a->item->uid, err) < 0)
			return -1;
	}
	tally_add(&t, old.state, how_carried(&old), old.size, 1);
	if (insert_carried(db, a, &old, err) < 0)
		return -1;
	a->carried = true;
	return tally_end(&t, db, err);
}

int store_carry(struct store *s, int64_t user_id, int64_t epoch, const struct generation *g, const struct item *item,
	bool *carried, struct err *err)
{
	struct carry_args a = {.user_id = user_id, .epoch = epoch, .now = clock_wall_s(), .g = g, .item = item};
	*carried = false;
	int rc = store_look(s, carry_look, &a, err);
	if (rc == 0 && a.found) {
		struct step step = {
			.run = carry_step, .arg = &a, .before = FP_ADOPT_BEFORE_COMMIT, .after = FP_ADOPT_AFTER_COMMIT};
		rc = writer_do(s->writer, &step, err);
	}
	*carried = rc == 0 && a.carried;
	return rc;
}
