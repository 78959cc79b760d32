/* Items: the crash protocol's rows. An intent is durable before the first octet leaves; what follows may lag. The hot path is one
   statement an item: the ordinary change of state is tried first, and only when it hit no row is the row looked at. */
#include "engine/store/parts.h"

#include "engine/base/clock.h"

/* --- one item --- */

/* What the row holds now; *state -1: there is none. */
struct known {
	int state;
	enum item_how how;
	uint64_t size;
	char dest_id[sizeof(((struct receipt *)0)->id)];
};

static bool is_placed(enum item_state state)
{
	return state == ITEM_PLACED || state == ITEM_DONE;
}

static int look_item(struct db *db, const struct item *v, struct known *k, struct err *err)
{
	struct query q;
	query_begin(&q, db, "SELECT state, how, size, dest_id FROM item WHERE generation_id = ? AND uid = ?");
	put_int(&q, v->generation_id);
	put_uint(&q, v->uid);
	int rc = query_row(&q, err);
	k->state = -1;
	if (rc > 0) {
		k->state = (int)get_enum(&q, ITEM_GONE + 1);
		k->how = get_enum(&q, HOW_CARRIED + 1);
		k->size = get_uint(&q);
		get_text(&q, k->dest_id, sizeof(k->dest_id));
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

/* All but the key, in the order of ITEM_SET. Header values only where something may have to be found by them, or told to a person. */
#define ITEM_SET \
	"state = ?, how = ?, dest_folder_id = ?, flags_source = ?, flags_written = ?, size = ?, " \
	"received_at = ?, received_zone = ?, " \
	"received_known = ?, at = ?, sha256 = ?, key = ?, route = ?, dest_id = ?, message_id = ?, hdr_date " \
	"= ?, hdr_from = ?, " \
	"hdr_subject = ?, epoch = ?, error_kind = ?, error = ? "
static void put_item(struct query *q, const struct item *v, int64_t now)
{
	bool placed = is_placed(v->state);
	put_uint(q, v->state);
	put_uint(q, v->how);
	put_int(q, v->dest_folder_id);
	put_uint(q, v->flags_source);
	put_uint(q, v->flags_written);
	put_uint(q, v->size);
	put_int(q, v->received.at);
	put_int(q, v->received.zone_min);
	put_int(q, v->received.known);
	put_int(q, now);
	put_blob(q, v->print.sha256, sizeof(v->print.sha256));
	put_blob(q, v->key, sizeof(v->key));
	put_text(q, v->receipt.route);
	if (placed && v->receipt.id[0])
		put_text(q, v->receipt.id);
	else
		put_null(q);
	const char *headers[] = {v->print.message_id, v->print.date, v->print.from, v->print.subject};
	for (unsigned i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		if (placed)
			put_null(q);
		else
			put_text_cut(q, headers[i], FINGERPRINT_FIELD);
	}
	put_int(q, v->epoch);
	put_uint(q, placed ? ERR_NONE : v->error_kind);
	if (placed || !v->error[0])
		put_null(q);
	else
		put_text_cut(q, v->error, MODEL_ERROR - 1);
}

/* *inserted false: there is a row already. */
static int insert_item(struct db *db, const struct item *v, int64_t now, bool *inserted, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"INSERT INTO item (state, how, dest_folder_id, flags_source, flags_written, size, "
		"received_at, received_zone, received_known, "
		"at, sha256, key, route, dest_id, message_id, hdr_date, hdr_from, hdr_subject, "
		"epoch, error_kind, error, generation_id, uid) "
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
		"(generation_id, uid) DO NOTHING");
	put_item(&q, v, now);
	put_int(&q, v->generation_id);
	put_uint(&q, v->uid);
	int rc = query_run(&q, err);
	*inserted = rc == 0 && db_changes(db) > 0;
	return rc;
}

static int update_item(struct db *db, const struct item *v, int64_t now, struct err *err)
{
	struct query q;
	query_begin(&q, db, "UPDATE item SET " ITEM_SET "WHERE generation_id = ? AND uid = ?");
	put_item(&q, v, now);
	put_int(&q, v->generation_id);
	put_uint(&q, v->uid);
	return query_run(&q, err);
}

/* --- steps over many items --- */

struct items_args {
	int64_t user_id, epoch, now;
	const struct item *v;
	size_t n;
};
typedef int item_fn(struct db *db, struct tally *t, const struct item *v, int64_t now, struct err *err);

static int each_item(struct db *db, const struct items_args *a, item_fn *fn, struct err *err)
{
	struct tally t;
	tally_begin(&t, a->user_id, a->epoch);
	for (size_t i = 0; i < a->n; i++) {
		if (tally_generation(&t, db, a->v[i].generation_id, err) < 0 || fn(db, &t, &a->v[i], a->now, err) < 0)
			return err_wrap(err, "UID %u", a->v[i].uid);
	}
	return tally_end(&t, db, err);
}

static int intend_item(struct db *db, struct tally *t, const struct item *item, int64_t now, struct err *err)
{
	struct known k;
	bool inserted;
	struct item copy = *item, *v = &copy;
	v->epoch = t->epoch;
	if (v->state != ITEM_INTENDED)
		return err_set(err, ERR_INTERNAL, "an intent in state %s", item_state_name(v->state));
	if (insert_item(db, v, now, &inserted, err) < 0)
		return -1;
	tally_add(t, ITEM_INTENDED, v->how, v->size, 1);
	if (inserted)
		return 0;
	if (look_item(db, v, &k, err) < 0)
		return -1;
	if (k.state >= 0 && is_placed((enum item_state)k.state))
		return err_set(err, ERR_CONFLICT, "the message was placed already");
	tally_add(t, (enum item_state)k.state, k.how, k.size, -1);
	return update_item(db, v, now, err);
}

/* When something was last to be put into the folder: marks are not taken as long as the far side may hide it (engine/enter.c). */
static int note_put(struct db *db, const struct items_args *a, struct err *err)
{
	for (size_t i = 0; i < a->n; i++) {
		struct query q;
		if (i > 0 && a->v[i].dest_folder_id == a->v[i - 1].dest_folder_id)
			continue;
		query_begin(&q, db, "UPDATE dest_folder SET put_at = ? WHERE id = ?");
		put_int(&q, a->now);
		put_int(&q, a->v[i].dest_folder_id);
		if (query_run(&q, err) < 0)
			return -1;
	}
	return 0;
}

static int intend_step(struct db *db, void *arg, struct err *err)
{
	return each_item(db, arg, intend_item, err) < 0 ? -1 : note_put(db, arg, err);
}

int store_intend(struct store *s, int64_t user_id, int64_t epoch, const struct item *v, size_t n, struct err *err)
{
	struct items_args a = {.user_id = user_id, .epoch = epoch, .now = clock_wall_s(), .v = v, .n = n};
	struct step step = {
		.run = intend_step, .arg = &a, .before = FP_INTEND_BEFORE_COMMIT, .after = FP_INTEND_AFTER_COMMIT};
	return n ? writer_do(s->writer, &step, err) : 0;
}

/* An item of a generation that was left must be found by content when the folder's messages come again under new UIDs. */
static int add_carry(struct db *db, const struct item *v, struct err *err)
{
	struct query q;
	query_begin(&q, db,
		"INSERT OR IGNORE INTO carry (generation_id, sha256, uid) SELECT generation_id, sha256, "
		"uid FROM item "
		"WHERE generation_id = ? AND uid = ?");
	put_int(&q, v->generation_id);
	put_uint(&q, v->uid);
	return query_run(&q, err);
}

static int count_placed(struct tally *t, struct db *db, const struct item *v, struct err *err)
{
	tally_add(t, v->state, v->how, v->size, 1);
	return v->how == HOW_ADOPTED ? 0 : tally_route(t, db, v->receipt.route, v->size, 1, err);
}

/* The row was not INTENDED. */
static int place_other(struct db *db, struct tally *t, const struct item *v, int64_t now, struct err *err)
{
	struct known k;
	bool inserted;
	if (look_item(db, v, &k, err) < 0)
		return -1;
	if (k.state < 0 || !is_placed((enum item_state)k.state)) { /* adopted; a receipt is a fact in any case */
		if (k.state >= 0)
			tally_add(t, (enum item_state)k.state, k.how, k.size, -1);
		if (count_placed(t, db, v, err) < 0)
			return -1;
		return k.state < 0 ? insert_item(db, v, now, &inserted, err) : update_item(db, v, now, err);
	}
	if (k.dest_id[0] && v->receipt.id[0] && strcmp(k.dest_id, v->receipt.id) != 0)
		return err_set(err, ERR_CONFLICT, "the message has another receipt already (%s, now %s)", k.dest_id,
			v->receipt.id);
	struct query q;
	query_begin(&q, db,
		"UPDATE item SET state = max(state, ?1), flags_source = ?2, flags_written = ?3, at = ?4, "
		"dest_id = coalesce(dest_id, nullif(?5, '')) WHERE generation_id = ?6 AND uid = ?7");
	put_uint(&q, v->state);
	put_uint(&q, v->flags_source);
	put_uint(&q, v->flags_written);
	put_int(&q, now);
	put_text(&q, v->receipt.id);
	put_int(&q, v->generation_id);
	put_uint(&q, v->uid);
	return query_run(&q, err);
}

static int place_item(struct db *db, struct tally *t, const struct item *v, int64_t now, struct err *err)
{
	struct query q;
	if (v->state != ITEM_PLACED && v->state != ITEM_DONE)
		return err_set(err, ERR_INTERNAL, "a placement in state %s", item_state_name(v->state));
	query_begin(&q, db,
		"UPDATE item SET state = ?, how = ?, dest_folder_id = ?, flags_source = ?, flags_written "
		"= ?, size = ?, at = ?, route = ?, "
		"dest_id = nullif(?, ''), message_id = NULL, hdr_date = NULL, hdr_from = NULL, "
		"hdr_subject = NULL, error_kind = 0, "
		"error = NULL WHERE generation_id = ? AND uid = ? AND state = 0");
	put_uint(&q, v->state);
	put_uint(&q, v->how);
	put_int(&q, v->dest_folder_id);
	put_uint(&q, v->flags_source);
	put_uint(&q, v->flags_written);
	put_uint(&q, v->size);
	put_int(&q, now);
	put_text(&q, v->receipt.route);
	put_text(&q, v->receipt.id);
	put_int(&q, v->generation_id);
	put_uint(&q, v->uid);
	int rc = query_run(&q, err);
	if (rc == 0 && db_changes(db) > 0) {
		tally_add(t, ITEM_INTENDED, v->how, v->size, -1);
		rc = count_placed(t, db, v, err);
	} else if (rc == 0) {
		rc = place_other(db, t, v, now, err);
	}
	if (rc < 0 && err->kind == ERR_CONFLICT && v->receipt.id[0])
		return err_wrap(err, "destination id %s", v->receipt.id);
	if (rc == 0 && t->left)
		rc = add_carry(db, v, err);
	return rc;
}

static int set_aside_item(struct db *db, struct tally *t, const struct item *v, int64_t now, struct err *err)
{
	struct known k;
	bool inserted;
	if (v->state != ITEM_SKIPPED && v->state != ITEM_REFUSED && v->state != ITEM_GONE)
		return err_set(err, ERR_INTERNAL, "set aside in state %s", item_state_name(v->state));
	if (insert_item(db, v, now, &inserted, err) < 0)
		return -1;
	if (inserted) {
		tally_add(t, v->state, v->how, v->size, 1);
		return 0;
	}
	if (look_item(db, v, &k, err) < 0)
		return -1;
	if (k.state >= 0 && is_placed((enum item_state)k.state))
		return 0; /* it has arrived: a receipt is never given up */
	tally_add(t, (enum item_state)k.state, k.how, k.size, -1);
	tally_add(t, v->state, v->how, v->size, 1);
	return update_item(db, v, now, err);
}

/* --- queued: with a copy of the items --- */

static void drop_items(void *arg)
{
	struct items_args *a = arg;
	for (size_t i = 0; i < a->n; i++)
		fingerprint_done((struct fingerprint *)(uintptr_t)&a->v[i].print);
	free((void *)(uintptr_t)a->v);
	free(a);
}

/* keep_headers: those that a report shows; a placed item has no use for them. */
static struct items_args *copy_items(
	int64_t user_id, int64_t epoch, const struct item *v, size_t n, bool keep_headers, struct err *err)
{
	struct items_args *a = calloc(1, sizeof(*a));
	struct item *copy = calloc(n, sizeof(*copy));
	if (a)
		*a = (struct items_args){.user_id = user_id, .epoch = epoch, .now = clock_wall_s(), .v = copy};
	for (size_t i = 0; a && copy && i < n; i++) {
		copy[i] = v[i];
		struct fingerprint *p = &copy[i].print;
		p->message_id = p->date = p->from = p->subject = NULL;
		a->n++;
		if (keep_headers && fingerprint_copy(p, &v[i].print, err) < 0) {
			drop_items(a);
			return NULL;
		}
	}
	if (a && copy)
		return a;
	free(a);
	free(copy);
	err_set(err, ERR_MEMORY, "out of memory for the store's queue");
	return NULL;
}

static int place_step(struct db *db, void *arg, struct err *err)
{
	return each_item(db, arg, place_item, err);
}

int store_placed(struct store *s, int64_t user_id, int64_t epoch, const struct item *v, size_t n, struct err *err)
{
	if (n == 0)
		return 0;
	struct items_args *a = copy_items(user_id, epoch, v, n, false, err);
	if (!a)
		return -1;
	bool adopted = v[0].how == HOW_ADOPTED;
	struct step step = {.run = place_step,
		.arg = a,
		.drop = drop_items,
		.user_id = user_id,
		.weight = (unsigned)n,
		.claims = a->v,
		.n_claims = n,
		.before = adopted ? FP_ADOPT_BEFORE_COMMIT : FP_PLACED_BEFORE_COMMIT,
		.after = adopted ? FP_ADOPT_AFTER_COMMIT : FP_PLACED_AFTER_COMMIT};
	return writer_queue(s->writer, &step, err);
}

static int set_aside_step(struct db *db, void *arg, struct err *err)
{
	return each_item(db, arg, set_aside_item, err);
}

int store_set_aside(struct store *s, int64_t user_id, int64_t epoch, const struct item *v, size_t n, struct err *err)
{
	if (n == 0)
		return 0;
	struct items_args *a = copy_items(user_id, epoch, v, n, true, err);
	if (!a)
		return -1;
	struct step step = {.run = set_aside_step,
		.arg = a,
		.drop = drop_items,
		.user_id = user_id,
		.weight = (unsigned)n,
		.before = FAILPOINTS_END,
		.after = FAILPOINTS_END};
	return writer_queue(s->writer, &step, err);
}

struct flags_args {
	int64_t user_id, epoch, generation_id;
	uint32_t uid;
	unsigned flags_source, flags_written;
};

static int flags_step(struct db *db, void *arg, struct err *err)
{
	const struct flags_args *a = arg;
	struct query q;
	if (lease_check(db, a->user_id, a->epoch, err) < 0)
		return -1;
	query_begin(&q, db,
		"UPDATE item SET flags_source = ?, flags_written = ? WHERE generation_id = ? AND uid = ? "
		"AND state IN (1, 2)");
	put_uint(&q, a->flags_source);
	put_uint(&q, a->flags_written);
	put_int(&q, a->generation_id);
	put_uint(&q, a->uid);
	return query_run(&q, err);
}

int store_flags(struct store *s, int64_t user_id, int64_t epoch, int64_t generation_id, uint32_t uid,
	unsigned flags_source, unsigned flags_written, struct err *err)
{
	struct flags_args *a = calloc(1, sizeof(*a));
	if (!a)
		return err_set(err, ERR_MEMORY, "out of memory for the store's queue");
	*a = (struct flags_args){user_id, epoch, generation_id, uid, flags_source, flags_written};
	return store_queue(s, flags_step, a, user_id, err);
}

struct withdraw_args {
	int64_t user_id, epoch, generation_id;
	const uint32_t *uids;
	size_t n;
};

static int withdraw_step(struct db *db, void *arg, struct err *err)
{
	const struct withdraw_args *a = arg;
	struct tally t;
	tally_begin(&t, a->user_id, a->epoch);
	if (tally_generation(&t, db, a->generation_id, err) < 0)
		return -1;
	for (size_t i = 0; i < a->n; i++) {
		struct query q;
		query_begin(&q, db, "DELETE FROM item WHERE generation_id = ? AND uid = ? AND state = 0");
		put_int(&q, a->generation_id);
		put_uint(&q, a->uids[i]);
		if (query_run(&q, err) < 0)
			return -1;
		if (db_changes(db) > 0)
			tally_add(&t, ITEM_INTENDED, HOW_COPIED, 0, -1);
	}
	return tally_end(&t, db, err);
}

int store_withdraw(struct store *s, int64_t user_id, int64_t epoch, int64_t generation_id, const uint32_t *uids,
	size_t n, struct err *err)
{
	struct withdraw_args a = {
		.user_id = user_id, .epoch = epoch, .generation_id = generation_id, .uids = uids, .n = n};
	return n ? store_do(s, withdraw_step, &a, err) : 0;
}
