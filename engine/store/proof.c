/* Proofs: what `target test` found out about each route of a target, and what has cast doubt on it since. */
#include "engine/store/parts.h"

#include "engine/store/rows.h"

#define PROOFS ((size_t)64)
#define SIZES_TRIED ((uint64_t)256 * 1024) /* the probe messages that are always put are smaller */

#define PROOF_COLUMNS \
	"p.target_id, p.route, p.at, p.passed, p.mailbox, p.text, p.largest, p.refused, p.date_kept, " \
	"p.flags_kept, p.categories_kept, p.content_kept, p.suspect_at, p.suspect_text FROM proof p "

static void read_row(struct query *q, void *row)
{
	struct proof *p = row;
	p->target_id = get_int(q);
	get_text(q, p->route, sizeof(p->route));
	p->at = get_int(q);
	p->passed = get_bool(q);
	get_text(q, p->mailbox, sizeof(p->mailbox));
	get_text(q, p->text, sizeof(p->text));
	p->largest = get_uint(q);
	p->refused = get_uint(q);
	p->date_kept = get_bool(q);
	p->flags_kept = get_bool(q);
	p->categories_kept = get_bool(q);
	p->content_kept = get_bool(q);
	p->suspect_at = get_int(q);
	get_text(q, p->suspect_text, sizeof(p->suspect_text));
}

static int save_step(struct db *db, void *arg, struct err *err)
{
	const struct proof *p = arg;
	struct query q;
	query_begin(&q, db,
		"INSERT OR REPLACE INTO proof (target_id, route, at, passed, mailbox, text, largest, refused, "
		"date_kept, flags_kept, categories_kept, content_kept, suspect_at, suspect_text) "
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	put_int(&q, p->target_id);
	put_text(&q, p->route);
	put_int(&q, p->at);
	put_int(&q, p->passed);
	put_text(&q, p->mailbox);
	put_text_cut(&q, p->text, sizeof(p->text) - 1);
	put_uint(&q, p->largest);
	put_uint(&q, p->refused);
	put_int(&q, p->date_kept);
	put_int(&q, p->flags_kept);
	put_int(&q, p->categories_kept);
	put_int(&q, p->content_kept);
	put_int(&q, p->suspect_at);
	put_text_cut(&q, p->suspect_text, sizeof(p->suspect_text) - 1);
	return query_run(&q, err);
}

int store_proof_save(struct store *s, const struct proof *p, struct err *err)
{
	struct proof copy = *p;
	return store_do(s, save_step, &copy, err);
}

static const struct rows of_target = {.sql = "SELECT " PROOF_COLUMNS "WHERE p.target_id = ? ORDER BY p.route",
	.read = read_row,
	.size = sizeof(struct proof),
	.cap = PROOFS};

int store_proof_list(struct store *s, int64_t target_id, struct proof **out, size_t *n, struct err *err)
{
	void *rows;
	int rc = rows_list(s, &of_target, target_id, &rows, n, err);
	*out = rows;
	return rc;
}

struct usable_args {
	int64_t target_id;
	const char *route;
	bool exchange, found;
	struct proof proof;
};

static int usable_step(struct db *db, void *arg, struct err *err)
{
	struct usable_args *a = arg;
	struct query q;
	a->found = false;
	query_begin(&q, db, "SELECT kind FROM target WHERE id = ?");
	put_int(&q, a->target_id);
	int rc = query_row(&q, err);
	if (rc > 0)
		a->exchange = get_enum(&q, TARGET_IMAP + 1) == TARGET_EXCHANGE;
	query_end(&q);
	if (rc <= 0)
		return rc < 0 ? -1 : err_set(err, ERR_NOT_FOUND, "the target is not there any more");
	query_begin(&q, db, "SELECT " PROOF_COLUMNS "WHERE p.target_id = ? AND p.route = ?");
	put_int(&q, a->target_id);
	put_text(&q, a->route);
	if ((rc = query_row(&q, err)) > 0) {
		read_row(&q, &a->proof);
		a->found = true;
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}

int store_proof_usable(
	struct store *s, int64_t target_id, const char *route, bool *usable, uint64_t *max_bytes, struct err *err)
{
	struct usable_args a = {.target_id = target_id, .route = route};
	*usable = false;
	*max_bytes = 0;
	if (store_look(s, usable_step, &a, err) < 0)
		return -1;
	*usable = !a.exchange || (a.found && a.proof.passed);
	/* A beta route does not get what it was not seen to carry; its own cautious bound rules until sizes were tried, since small probe messages alone say
	   nothing of them. By IMAP each mailbox has its own MaxReceiveSize: what the pilot's refused may fit into another, and the server says so itself. */
	if (*usable && a.found && strcmp(route, "imap") != 0 && (a.proof.refused || a.proof.largest >= SIZES_TRIED))
		*max_bytes = a.proof.largest;
	return 0;
}

struct suspect_args {
	int64_t target_id, at;
	const char *route, *text;
};

static int suspect_step(struct db *db, void *arg, struct err *err)
{
	const struct suspect_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"UPDATE proof SET suspect_at = ?, suspect_text = ? WHERE target_id = ? AND route = ? AND passed = 1 "
		"AND suspect_at = 0");
	put_int(&q, a->at);
	put_text_cut(&q, a->text, MODEL_ERROR - 1);
	put_int(&q, a->target_id);
	put_text(&q, a->route);
	return query_run(&q, err);
}

int store_proof_suspect(
	struct store *s, int64_t target_id, const char *route, const char *text, int64_t at, struct err *err)
{
	struct suspect_args a = {.target_id = target_id, .at = at, .route = route, .text = text};
	return store_do(s, suspect_step, &a, err);
}

static int drop_step(struct db *db, void *arg, struct err *err)
{
	const int64_t *target_id = arg;
	struct query q;
	query_begin(&q, db, "DELETE FROM proof WHERE target_id = ?");
	put_int(&q, *target_id);
	return query_run(&q, err);
}

int store_proof_drop(struct store *s, int64_t target_id, struct err *err)
{
	return store_do(s, drop_step, &target_id, err);
}
