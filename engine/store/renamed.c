/* A source folder under a new name: the generation of the old name and one that came later have the same UIDVALIDITY, and messages of the same
   UIDs and content. The newest of the old are looked at, so that a large folder costs no more than a small one. */
#include "engine/store/parts.h"

#define SAMPLE 200

struct renamed_args {
	int64_t user_id;
	const char *raw;
	struct renamed *out;
	bool failed;
};

static int renamed_look(struct db *db, void *arg, struct err *err)
{
	struct renamed_args *a = arg;
	struct query q;
	query_begin(&q, db,
		"WITH old AS (SELECT id, uidvalidity FROM generation WHERE user_id = ?1 AND raw = ?2 AND current = 1), "
		"newest AS (SELECT i.uid, i.sha256 FROM item i JOIN old ON i.generation_id = old.id WHERE i.state IN "
		"(1, 2) "
		"ORDER BY i.uid DESC LIMIT ?3) "
		"SELECT n.raw, n.name FROM generation n JOIN old ON n.uidvalidity = old.uidvalidity WHERE "
		"n.user_id = ?1 AND n.current = 1 AND n.id > old.id AND EXISTS (SELECT 1 FROM newest JOIN item b ON "
		"b.generation_id = n.id AND b.uid = newest.uid AND b.sha256 = newest.sha256 AND b.state IN (1, 2) AND "
		"b.how "
		"= 0) ORDER BY n.id DESC LIMIT 1");
	put_int(&q, a->user_id);
	put_blob(&q, a->raw, strlen(a->raw));
	put_uint(&q, SAMPLE);
	int rc = query_row(&q, err);
	if (rc > 0) {
		a->out->raw = get_dup(&q, MODEL_FOLDER, &a->failed);
		get_text(&q, a->out->name, sizeof(a->out->name));
	}
	query_end(&q);
	return rc < 0 ? -1 : 0;
}
_Static_assert(ITEM_PLACED == 1 && ITEM_DONE == 2 && HOW_COPIED == 0, "renamed_look says it in SQL");

int store_renamed_find(struct store *s, int64_t user_id, const char *raw, struct renamed *out, struct err *err)
{
	struct renamed_args a = {.user_id = user_id, .raw = raw, .out = out};
	*out = (struct renamed){0};
	if (store_look_settled(s, renamed_look, &a, err) < 0)
		return -1;
	return a.failed ? err_set(err, ERR_MEMORY, "out of memory for a folder's name") : 0;
}
