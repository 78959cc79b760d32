/* Flags and dates: what is written is well-formed whatever came in, and a date that was read is written
   and read again the same. */
#include "imap/flags.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(const char *text, enum flags_policy policy)
{
	struct err err = ERR_INIT;
	char out[256];
	unsigned dropped;
	if (flags_format(3, text, policy, out, sizeof(out), &dropped, &err) < 0) {
		assert(err.kind == ERR_MEMORY);
		return;
	}
	size_t n = strlen(out);
	assert(n >= 2 && out[0] == '(' && out[n - 1] == ')');
	for (size_t i = 1; i < n - 1; i++)
		assert(out[i] >= ' ' && out[i] < 0x7f && !strchr("(){%*\"]", out[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), out[32];
	unsigned flags = 0;
	struct mail_date d, again;
	check_list(text, FLAGS_GENERIC);
	check_list(text, FLAGS_EXCHANGE);
	const char *kept = flags_parse_one(text, &flags);
	assert(!kept || kept == text);
	if (flags_parse_date(text, &d) == 0) {
		flags_format_date(&d, out, sizeof(out));
		assert(flags_parse_date(out, &again) == 0);
		assert(again.at == d.at && again.zone_min == d.zone_min);
	}
	free(text);
	return 0;
}
