/* Counts of messages and octets: kept beside their owners, changed with each item and never counted. A step sums up what it changes
   and writes it once a folder and once a user; the user's row is also where a stale lease is found. */
#include "engine/store/parts.h"

void tally_begin(struct tally *t, int64_t user_id, int64_t epoch)
{
	memset(t, 0, sizeof(*t));
	t->user_id = user_id;
	t->epoch = epoch;
}

void tally_add(struct tally *t, enum item_state state, enum item_how how, uint64_t size, int sign)
{
	switch (state) {
	case ITEM_INTENDED:
		t->folder[COUNT_IN_DOUBT] += sign;
		break;
	case ITEM_PLACED:
	case ITEM_DONE:
		if (how == HOW_ADOPTED) {
			t->folder[COUNT_ADOPTED] += sign;
			break;
		}
		t->folder[COUNT_COPIED] += sign;
		t->folder[COUNT_COPIED_BYTES] += sign * (int64_t)(size & INT64_MAX);
		break;
	case ITEM_SKIPPED:
		t->folder[COUNT_SKIPPED] += sign;
		break;
	case ITEM_REFUSED:
		t->folder[COUNT_REFUSED] += sign;
		break;
	case ITEM_GONE:
		t->folder[COUNT_GONE] += sign;
		break;
	}
}

#define ADD_COUNTS \
	"SET found = found + ?, copied = copied + ?, adopted = adopted + ?, skipped = skipped + ?, refused " \
	"= refused + ?, " \
	"gone = gone + ?, in_doubt = in_doubt + ?, found_bytes = found_bytes + ?, copied_bytes = " \
	"copied_bytes + ? "

static int write_folder(struct tally *t, struct db *db, struct err *err)
{
	struct query q;
	bool any = false;
	for (unsigned i = 0; i < COUNTS; i++) {
		any |= t->folder[i] != 0;
		t->user[i] += t->folder[i];
	}
	if (!any)
		return 0;
	query_begin(&q, db, "UPDATE generation " ADD_COUNTS "WHERE id = ?");
	for (unsigned i = 0; i < COUNTS; i++)
		put_int(&q, t->folder[i]);
	put_int(&q, t->generation_id);
	memset(t->folder, 0, sizeof(t->folder));
	return query_run(&q, err);
}

int tally_generation(struct tally *t, struct db *db, int64_t generation_id, struct err *err)
{
	struct query q;
	if (t->generation_id == generation_id)
		return 0;
	if (write_folder(t, db, err) < 0)
		return -1;
	query_begin(&q, db, "SELECT current FROM generation WHERE id = ? AND user_id = ?");
	put_int(&q, generation_id);
	put_int(&q, t->user_id);
	int rc = query_row(&q, err);
	t->left = rc > 0 && !get_bool(&q);
	query_end(&q);
	t->generation_id = generation_id;
	return rc > 0 ? 0 : rc < 0 ? -1 : err_set(err, ERR_CONFLICT, "the folder is not one of this mailbox");
}

int tally_end(struct tally *t, struct db *db, struct err *err)
{
	struct query q;
	if (write_folder(t, db, err) < 0)
		return -1;
	query_begin(&q, db, "UPDATE work " ADD_COUNTS "WHERE user_id = ? AND epoch = ? AND held = 1");
	for (unsigned i = 0; i < COUNTS; i++)
		put_int(&q, t->user[i]);
	put_int(&q, t->user_id);
	put_int(&q, t->epoch);
	if (query_run(&q, err) < 0)
		return -1;
	return db_changes(db) ? 0 : err_set(err, ERR_CONFLICT, "this mailbox is not leased to this job any more");
}

void counts_read(struct query *q, struct user_counts *out)
{
	out->found = get_uint(q);
	out->copied = get_uint(q);
	out->adopted = get_uint(q);
	out->skipped = get_uint(q);
	out->refused = get_uint(q);
	out->gone = get_uint(q);
	out->in_doubt = get_uint(q);
	out->found_bytes = get_uint(q);
	out->copied_bytes = get_uint(q);
	/* What the job last listed, or what is known otherwise when it told nothing. */
	uint64_t known = out->copied + out->adopted + out->skipped + out->refused + out->gone + out->in_doubt;
	if (out->found < known)
		out->found = known;
	if (out->found_bytes < out->copied_bytes)
		out->found_bytes = out->copied_bytes;
}
