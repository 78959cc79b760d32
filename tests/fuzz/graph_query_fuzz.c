/* What a Graph client may send to exosim. First octet: which parser. Query options: a line "name=value" each; a filter that is accepted can be
   evaluated. Paths. Base64, compared with OpenSSL's. Ids: only what was made is accepted. Dates: read back the same. */
#include "engine/base/clock.h"
#include "upload/exosim/base64.h"
#include "upload/exosim/graph_id.h"
#include "upload/exosim/graph_path.h"
#include "upload/exosim/graph_query.h"
#include "upload/exosim/jwt.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct filter_value nothing(const void *row, enum message_property p)
{
	(void)row;
	return (struct filter_value){.text = p == MP_SUBJECT ? "x" : NULL, .number = 1};
}

static void query(char *text)
{
	struct graph_query q = {.is_message = true};
	char *line = text;

	while (line) {
		char *nl = strchr(line, '\n'), *eq;

		if (nl)
			*nl = '\0';
		eq = strchr(line, '=');
		if (eq)
			*eq = '\0';
		if (!graph_query_take(&q, line, eq ? eq + 1 : NULL))
			break;
		line = nl ? nl + 1 : NULL;
	}
	if (q.fault == QUERY_GOOD) {
		bool a = filter_matches(&q.filter, false, nothing, NULL);

		if (filter_message_id(&q.filter) && a) /* nothing has a Message-ID here */
			abort();
		if (message_properties_need(q.select | filter_properties(&q.filter)) > 2)
			abort();
	} else if (q.fault != QUERY_FILTER && !memchr(q.detail, '\0', sizeof(q.detail))) {
		abort();
	}
	if (q.has_top && q.fault == QUERY_GOOD && (q.top == 0 || q.top > 1000))
		abort();
	graph_query_done(&q);
}

static void path(const char *text)
{
	struct graph_path p;
	enum graph_path_fault fault = graph_path_parse(&p, text);

	if ((fault == PATH_GOOD && (!p.user || !*p.user || p.unknown)) || (fault == PATH_SEGMENT && !p.unknown) ||
		(fault == PATH_NOT_GRAPH) == graph_path_is_graph(text))
		abort();
	graph_path_done(&p);
}

static void base64(const char *text, size_t n)
{
	char *mine = malloc(n + 1);
	size_t mine_n = n, other_n = 0;
	unsigned char *other = jwt_decode_plain(text, n, &other_n);
	bool ok;

	memcpy(mine, text, n);
	ok = base64_decode_in_place(mine, &mine_n, false);
	/* OpenSSL's is laxer: bits that padding leaves over, padding for nothing. */
	if (ok && (!other || mine_n != other_n || memcmp(mine, other, mine_n) != 0))
		abort();
	if (!ok && other) {
		char *again = jwt_encode_plain(other, other_n);

		if (strlen(again) == n && memcmp(again, text, n) == 0)
			abort();
		free(again);
	}
	memcpy(mine, text, n);
	mine_n = n;
	if (base64_decode_in_place(mine, &mine_n, true) < ok)
		abort();
	free(other);
	free(mine);
}

static void id(const char *text)
{
	char again[GRAPH_ID_TEXT];
	struct graph_id i;

	if (!graph_id_parse(&i, "alice@contoso.example", text))
		return;
	graph_id_format(again, "alice@contoso.example", &i);
	if (strcmp(again, text) != 0)
		abort();
}

static void date(const char *text)
{
	char again[CLOCK_TEXT];
	int64_t us, back;

	if (!graph_time_parse(text, strlen(text), &us))
		return;
	clock_format(us >= 0 ? us / 1000000 : (us - 999999) / 1000000, again, sizeof(again));
	if (strlen(again) == 20 && again[0] != '-' &&
		(!graph_time_parse(again, 20, &back) || us - back < 0 || us - back >= 1000000))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size == 0)
		return 0;
	text = malloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0]) {
	case 'q':
		query(text);
		break;
	case 'p':
		path(text);
		break;
	case 'b':
		base64(text, size - 1);
		break;
	case 'i':
		id(text);
		break;
	case 'd':
		date(text);
		break;
	default:
		break;
	}
	free(text);
	return 0;
}
