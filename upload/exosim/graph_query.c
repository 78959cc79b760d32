#include "upload/exosim/graph_query.h"

#include "engine/base/clock.h"
#include "upload/exosim/jwt.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define TOP_MAX 1000 /* D: of messages and folders */

static const struct {
	const char *name;
	unsigned needs;
} properties[MESSAGE_PROPERTIES_END] = {
#define X(k, n, needs) [MP_##k] = {n, needs},
	MESSAGE_PROPERTIES(X)
#undef X
};

const char *message_property_name(enum message_property p)
{
	return properties[p].name;
}

enum message_property message_property_find(const char *name, size_t n)
{
	for (int i = 0; i < MESSAGE_PROPERTIES_END; i++)
		if (strlen(properties[i].name) == n && strncmp(properties[i].name, name, n) == 0)
			return (enum message_property)i;
	return MESSAGE_PROPERTIES_END;
}

unsigned message_properties_need(uint64_t set)
{
	unsigned most = 0;

	for (int i = 0; i < MESSAGE_PROPERTIES_END; i++)
		if (set >> i & 1 && properties[i].needs > most)
			most = properties[i].needs;
	return most;
}

static bool two_digits(const char **at, const char *end, int *v)
{
	if (end - *at < 2 || (*at)[0] < '0' || (*at)[0] > '9' || (*at)[1] < '0' || (*at)[1] > '9')
		return false;
	*v = ((*at)[0] - '0') * 10 + (*at)[1] - '0';
	*at += 2;
	return true;
}

static bool one(const char **at, const char *end, char c)
{
	if (*at == end || **at != c)
		return false;
	(*at)++;
	return true;
}

static bool take_zone(const char **at, const char *end, int *minutes)
{
	int h, m, sign;

	*minutes = 0;
	if (one(at, end, 'Z'))
		return true;
	sign = one(at, end, '-') ? -1 : one(at, end, '+') ? 1 : 0;
	if (!sign || !two_digits(at, end, &h) || !one(at, end, ':') || !two_digits(at, end, &m) || h > 14 || m > 59)
		return false;
	*minutes = sign * (h * 60 + m);
	return true;
}

bool graph_time_parse(const char *text, size_t n, int64_t *us)
{
	const char *at = text, *end = text + n;
	struct clock_fields f = {0}, again;
	int high, low, zone;
	int64_t fraction = 0, unit = 100000, seconds;

	if (!two_digits(&at, end, &high) || !two_digits(&at, end, &low) || !one(&at, end, '-') ||
		!two_digits(&at, end, &f.month) || !one(&at, end, '-') || !two_digits(&at, end, &f.day))
		return false;
	f.year = high * 100 + low;
	if (one(&at, end, 'T')) {
		if (!two_digits(&at, end, &f.hour) || !one(&at, end, ':') || !two_digits(&at, end, &f.minute))
			return false;
		if (one(&at, end, ':') && !two_digits(&at, end, &f.second))
			return false;
		if (one(&at, end, '.'))
			for (; at < end && *at >= '0' && *at <= '9'; at++, unit /= 10)
				fraction += (*at - '0') * unit;
		if (!take_zone(&at, end, &zone))
			return false;
	} else {
		zone = 0; /* a date alone is its first instant */
	}
	if (at != end || f.month < 1 || f.month > 12 || f.day < 1 || f.hour > 23 || f.minute > 59 || f.second > 59)
		return false;
	seconds = clock_join(&f);
	clock_split(seconds, &again);
	if (again.day != f.day || again.month != f.month)
		return false;
	*us = (seconds - zone * 60) * 1000000 + fraction;
	return true;
}

static void fault(struct graph_query *q, enum query_fault kind, const char *detail, size_t n)
{
	if (q->fault != QUERY_GOOD)
		return;
	q->fault = kind;
	snprintf(
		q->detail, sizeof(q->detail), "%.*s", (int)(n < sizeof(q->detail) ? n : sizeof(q->detail) - 1), detail);
}

static bool number(const char *value, uint64_t max, uint64_t *to)
{
	uint64_t v = 0;

	if (!*value || strlen(value) > 12)
		return false;
	for (; *value; value++) {
		if (*value < '0' || *value > '9')
			return false;
		v = v * 10 + (uint64_t)(*value - '0');
	}
	*to = v;
	return v <= max;
}

static void keep(char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
	assert(*to);
}

static void take_select(struct graph_query *q, const char *value)
{
	if (!q->is_message) {
		keep(&q->raw_select, value);
		return;
	}
	for (const char *at = value;;) {
		size_t n = strcspn(at, ",");
		const char *name = at + strspn(at, " ");
		size_t len = n - (size_t)(name - at);
		enum message_property p;

		while (len && name[len - 1] == ' ')
			len--;
		p = message_property_find(name, len);
		if (p == MESSAGE_PROPERTIES_END) {
			fault(q, QUERY_PROPERTY, name, len);
			return;
		}
		q->select |= (uint64_t)1 << p;
		if (!at[n])
			return;
		at += n + 1;
	}
}

static void take_order(struct graph_query *q, const char *value)
{
	size_t n = strcspn(value, " ");
	const char *rest = value + n + strspn(value + n, " ");

	q->order = message_property_find(value, n);
	if (q->order == MESSAGE_PROPERTIES_END)
		fault(q, QUERY_PROPERTY, value, n);
	else if ((q->order != MP_RECEIVED && q->order != MP_CREATED && q->order != MP_MODIFIED) ||
		 (*rest && strcmp(rest, "asc") != 0 && strcmp(rest, "desc") != 0))
		fault(q, QUERY_VALUE, "$orderby", 8);
	q->has_order = true;
	q->ascending = strcmp(rest, "desc") != 0;
}

static void take_filter(struct graph_query *q, const char *value)
{
	char unknown[sizeof(q->detail)];
	enum filter_fault bad;

	if (!q->is_message) {
		keep(&q->raw_filter, value);
		return;
	}
	bad = filter_parse(&q->filter, value, unknown, sizeof(unknown));

	if (bad == FILTER_PROPERTY)
		fault(q, QUERY_PROPERTY, unknown, strlen(unknown));
	else if (bad != FILTER_GOOD)
		fault(q, QUERY_FILTER, "$filter", 7);
}

static bool truth(const char *value, bool *to)
{
	*to = strcmp(value, "true") == 0;
	return *to || strcmp(value, "false") == 0;
}

#define TOKEN "exosim skip "

/* Of a nextLink, made by graph_query_token. */
static bool take_token(const char *value, uint64_t *skip)
{
	size_t n = 0;
	unsigned char *plain = jwt_decode(value, strlen(value), &n);
	bool ok = plain && n > sizeof(TOKEN) - 1 && strlen((char *)plain) == n &&
		  strncmp((char *)plain, TOKEN, sizeof(TOKEN) - 1) == 0 &&
		  number((char *)plain + sizeof(TOKEN) - 1, UINT32_MAX, skip);

	free(plain);
	return ok;
}

char *graph_query_token(uint64_t skip)
{
	char plain[48];

	snprintf(plain, sizeof(plain), TOKEN "%llu", (unsigned long long)skip);
	return jwt_encode(plain, strlen(plain));
}

bool graph_query_take(struct graph_query *q, const char *name, const char *value)
{
	bool good = true;

	if (!value)
		value = "";
	if (strcmp(name, "$filter") == 0)
		take_filter(q, value);
	else if (strcmp(name, "$select") == 0)
		take_select(q, value);
	else if (strcmp(name, "$orderby") == 0)
		take_order(q, value);
	else if (strcmp(name, "$top") == 0)
		good = q->has_top = number(value, TOP_MAX, &q->top) && q->top > 0;
	else if (strcmp(name, "$skip") == 0)
		good = number(value, UINT32_MAX, &q->skip);
	else if (strcmp(name, "$skiptoken") == 0)
		good = take_token(value, &q->skip);
	else if (strcmp(name, "$count") == 0)
		good = truth(value, &q->wants_count);
	else if (strcmp(name, "includeHiddenFolders") == 0)
		good = truth(value, &q->includes_hidden);
	else if (name[0] == '$')
		fault(q, QUERY_OPTION, name, strlen(name));
	if (!good)
		fault(q, QUERY_VALUE, name, strlen(name));
	return q->fault == QUERY_GOOD;
}

void graph_query_done(struct graph_query *q)
{
	filter_done(&q->filter);
	free(q->raw_select);
	free(q->raw_filter);
	q->raw_select = q->raw_filter = NULL;
}
