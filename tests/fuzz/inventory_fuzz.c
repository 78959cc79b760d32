/* The inventory of the destination. What is accepted finds each of its own addresses, and no value holds a control character. */
#include "engine/command/inventory_check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			abort();
}

static void check_user(const struct inventory *i, const char *address)
{
	struct user u = {0};
	struct target_row t = {.kind = TARGET_EXCHANGE, .routes = "imap"};
	struct assessment a = {.at = 1, .bytes = UINT64_MAX, .largest = UINT64_MAX};
	snprintf(u.address, sizeof u.address, "%s", address);
	inventory_check(i, &u, &t, &a);
	for (size_t k = 0; k < a.n_findings; k++) {
		if (!memchr(a.findings[k].text, 0, sizeof a.findings[k].text) || !a.findings[k].text[0] ||
			strncmp(a.findings[k].kind, INVENTORY_KIND, strlen(INVENTORY_KIND)) != 0)
			abort();
	}
	assessment_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct inventory *v = NULL;
	struct err err = ERR_INIT;
	bool alias;
	if (inventory_parse(&v, (const char *)data, size, &err) < 0) {
		if (err.kind != ERR_USAGE || !err.text[0])
			abort();
		return 0;
	}
	if (inventory_count(v) == 0)
		abort();
	/* the first row is found by whatever the input begins a line with; others by chance */
	const char *text = (const char *)data;
	for (size_t i = 0, from = 0; i < size && i < 4000; i++) {
		char address[300];
		if (text[i] != '\n' && text[i] != ',' && text[i] != ';')
			continue;
		size_t n = i - from < sizeof address - 1 ? i - from : sizeof address - 1;
		memcpy(address, text + from, n);
		address[n] = 0;
		from = i + 1;
		const struct inventory_row *r = inventory_find(v, address, &alias);
		if (r) {
			const char *values[] = {r->address, r->principal, r->object_id, r->type, r->archive};
			for (size_t k = 0; k < 5; k++)
				check_text(values[k]);
			if (r->address[0] && (!inventory_find(v, r->address, &alias) || alias))
				abort();
		}
		check_user(v, address);
	}
	inventory_free(&v);
	return 0;
}
