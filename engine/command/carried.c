#include "engine/command/carried.h"

#include <string.h>

int carried_look(
	struct store *s, int64_t batch_id, int64_t user_id, json_t **out, char *text, size_t size, struct err *err)
{
	struct route_count v[ROUTE_COUNTS];
	size_t n = 0, used = 0;
	*text = 0;
	if (store_route_counts(s, batch_id, user_id, v, &n, err))
		return -1;
	*out = json_array();
	for (size_t i = 0; i < n; i++) {
		json_array_append_new(
			*out, json_pack("{s:s,s:I,s:I}", "route", v[i].route, "copied", (json_int_t)v[i].copied,
				      "copied_bytes", (json_int_t)v[i].copied_bytes));
		snprintf(text + used, size - used, "%sby %s %llu", i ? ", " : "", v[i].route,
			(unsigned long long)v[i].copied);
		used = strlen(text);
	}
	if (n == 1 && !strcmp(v[0].route, "imap"))
		*text = 0;
	return 0;
}
