/* What is known of hosting providers: host, port, sign-in, caps, budgets, visibility limits. A table with sources. */
#ifndef NF_ENGINE_PROVIDER_H
#define NF_ENGINE_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct provider {
	const char *name; /* as --provider takes it */
	const char *title;
	const char *host; /* NULL: the customer's own */
	unsigned port;
	unsigned max_connections; /* from one address or for one mailbox; 0: not known */
	uint64_t bytes_per_day;   /* download budget of one mailbox; 0: none known */
	bool day_of_host;         /* that budget is of the host as a whole */
	unsigned folder_cap;      /* messages a folder shows at most; 0: none known */
	const char *folder_cap_hint;
	const char *note;   /* what to do before the first test; shown by endpoint create */
	const char *source; /* where the figures come from, and how sure: D documentation, T told */
};

const struct provider *provider_find(const char *name);    /* NULL: unknown or "" */
const struct provider *provider_by_host(const char *host); /* NULL: none */
const struct provider *provider_table(size_t *n);

#endif
