#include "engine/store/names.h"

#include "engine/base/similar.h"
#include "engine/base/utf8.h"

int names_check(const char *noun, const char *name, struct err *err)
{
	size_t n = strnlen(name, MODEL_NAME);
	bool bad = n == 0 || n >= MODEL_NAME || name[0] == '-' || name[0] == ' ' || name[n - 1] == ' ' ||
		   !utf8_is_valid(name, n);
	for (size_t i = 0; i < n && !bad; i++)
		bad = (unsigned char)name[i] < 0x20 || name[i] == 0x7f;
	if (!bad)
		return 0;
	err_set(err, ERR_USAGE, "\"%.*s\" cannot be the name of %s", MODEL_NAME, name, noun);
	err_hint(err, "1 to %d octets of UTF-8, no control characters, no blank at an end, no leading hyphen",
		MODEL_NAME - 1);
	return -1;
}

int names_fail(struct db *db, const char *noun, const char *sql, const char *name, struct err *err)
{
	struct query q;
	struct err ignored = ERR_INIT;
	char similar[300] = "", all[300] = "", one[MODEL_TEXT];
	size_t n_similar = 0, n_all = 0;
	query_begin(&q, db, sql);
	while (query_row(&q, &ignored) > 0) {
		get_text(&q, one, sizeof(one));
		bool is_similar = similar_words(name, one);
		char *list = is_similar ? similar : all;
		size_t *n = is_similar ? &n_similar : &n_all;
		if ((*n)++ < 5 && strlen(list) + strlen(one) + 3 < sizeof(similar))
			snprintf(list + strlen(list), sizeof(similar) - strlen(list), "%s%s", list[0] ? ", " : "", one);
	}
	err_set(err, ERR_NOT_FOUND, "there is no %s \"%s\"", noun, name);
	if (similar[0])
		err_hint(err, "did you mean %s?", similar);
	else if (all[0])
		err_hint(err, "there %s %s%s", n_all == 1 ? "is" : "are", all, n_all > 5 ? ", …" : "");
	else
		err_hint(err, "there is none yet");
	return -1;
}

int names_in_use(struct db *db, const char *noun, const char *sql, int64_t id, struct err *err)
{
	struct query q;
	char list[500] = "", one[MODEL_NAME];
	int rc;
	query_begin(&q, db, sql);
	put_int(&q, id);
	while ((rc = query_row(&q, err)) > 0) {
		get_text(&q, one, sizeof(one));
		size_t n = strlen(list);
		if (n + strlen(one) + 3 < sizeof(list))
			snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", one);
	}
	if (rc < 0 || !list[0])
		return rc;
	err_set(err, ERR_CONFLICT, "%s is in use by %s", noun, list);
	err_hint(err, "delete those batches first, or change it with set%s",
		strstr(noun, "endpoint") ? " or replace" : "");
	return -1;
}
